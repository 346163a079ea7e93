//! A body that is JSON as an argument.

use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::{FromRequest, OptionalFromRequest, Rejection, RequestContext};
use super::{is_bodiless, unless, wanted};
use crate::message::headers::media_type::MediaType;
use crate::web::Json;

impl<S, T: DeserializeOwned> FromRequest<S> for Json<T> {
    fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        let request = call.request();
        if is_bodiless(call) {
            return Err(Rejection::new(
                StatusCode::BAD_REQUEST,
                "the request has no content where JSON is expected",
            ));
        }
        let said = MediaType::of_content(request.headers());
        if !said.is_some_and(MediaType::is_json) {
            return Err(wanted("application/json"));
        }
        let json = request.body().as_bytes();
        let parsed = serde_json::from_slice(json);
        parsed.map(Self).map_err(|why| reject::<T>(json, &why))
    }
}

/// A body that is empty is missing.
impl<S, T: DeserializeOwned> OptionalFromRequest<S> for Json<T> {
    fn optional_from_request(call: &mut RequestContext<'_, S>) -> Result<Option<Self>, Rejection> {
        unless(is_bodiless(call), call)
    }
}

fn reject<T: DeserializeOwned>(json: &[u8], why: &serde_json::Error) -> Rejection {
    match why.classify() {
        Category::Data => Rejection::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("invalid JSON body: {}", place_of::<T>(json, why)),
        ),
        _ => Rejection::new(
            StatusCode::BAD_REQUEST,
            format!("the body is not JSON: {why}"),
        ),
    }
}

/// The path of the value that is wrong, such as `user.tags[1]`, and what is wrong with it. The value is
/// read a second time for that: to keep the path costs time that only a wrong body is to take.
fn place_of<T: DeserializeOwned>(json: &[u8], why: &serde_json::Error) -> String {
    let mut json = serde_json::Deserializer::from_slice(json);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut json) else {
        return why.to_string();
    };
    // A name may be a key that the client has chosen.
    let path = error.path().to_string().escape_debug().to_string();
    let why = error.inner().to_string();
    let (path, dot) = match path.as_str() {
        "." | "?" => ("", ""),
        path => (path.trim_end_matches(".?"), "."),
    };
    let missing = why.strip_prefix("missing field `");
    match missing.and_then(|rest| rest.split_once('`')) {
        Some((name, _)) => format!("{path}{dot}{name} is missing"),
        None if path.is_empty() => why,
        None => format!("{path}: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only errors are looked at")]
    struct User {
        name: String,
        #[serde(default)]
        age: u8,
        #[serde(default)]
        tags: Vec<String>,
        #[serde(default)]
        scores: HashMap<String, u8>,
        #[serde(default)]
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    #[allow(dead_code, reason = "only errors are looked at")]
    enum Kind {
        Guest { until: u32 },
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only errors are looked at")]
    struct Order {
        user: User,
        #[serde(flatten)]
        place: Place,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only errors are looked at")]
    struct Place {
        #[serde(default)]
        shelf: u8,
    }

    #[track_caller]
    fn check<T: DeserializeOwned>(json: &str, status: u16, expected: &str) {
        let Err(why) = serde_json::from_str::<T>(json) else {
            panic!("{json} is what is wanted");
        };
        let rejection = reject::<T>(json.as_bytes(), &why);
        let (is, text) = (rejection.status().as_u16(), rejection.to_string());
        assert_eq!((is, &*text), (status, expected), "{json}");
    }

    #[test]
    fn wrong_values_are_named_by_their_path() {
        let check_user = |user: &str, expected: &str| {
            let expected = format!("invalid JSON body: {expected}");
            check::<[User; 1]>(&format!("[{user}]"), 422, &expected);
        };
        check_user("{}", "[0].name is missing");
        check_user(
            r#"{"name":7}"#,
            "[0].name: invalid type: integer `7`, expected a string at line 1 column 10",
        );
        check_user(
            r#"{"name":"a","age":300}"#,
            "[0].age: invalid value: integer `300`, expected u8 at line 1 column 22",
        );
        check_user(
            r#"{"name":"a","tags":["b",1]}"#,
            "[0].tags[1]: invalid type: integer `1`, expected a string at line 1 column 26",
        );
        check_user(
            r#"{"name":"a","scores":{"a\nb":"x"}}"#,
            "[0].scores.a\\nb: invalid type: string \"x\", expected u8 at line 1 column 33",
        );
        check_user(
            r#"{"name":"a","kind":{"guest":{}}}"#,
            "[0].kind.guest.until is missing",
        );
    }

    #[test]
    fn a_value_that_has_no_path_is_described() {
        let text = "invalid JSON body: invalid type: integer `7`, expected struct User at line 1 \
                    column 1";
        check::<User>("7", 422, text);
        check::<User>("{}", 422, "invalid JSON body: name is missing");
        check::<Order>(
            r#"{"user":{}}"#,
            422,
            "invalid JSON body: user.name is missing",
        );
        check::<Order>(
            r#"{"user":{"name":"a"},"shelf":"x"}"#,
            422,
            "invalid JSON body: invalid type: string \"x\", expected u8 at line 1 column 33",
        );
    }

    #[test]
    fn what_is_no_json_is_named_by_line_and_column() {
        check::<User>(
            "{\n\"name\":}",
            400,
            "the body is not JSON: expected value at line 2 column 8",
        );
        check::<User>(
            r#"{"name":"a"} x"#,
            400,
            "the body is not JSON: trailing characters at line 1 column 14",
        );
    }
}
