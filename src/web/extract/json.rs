//! A JSON body as an argument.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::parse_error::missing_field;
use super::{FromRequest, OptionalFromRequest, Rejection, RejectionKind, RequestContext};
use super::{has_empty_body, take_unless, unsupported_content_type};
use crate::message::headers::media_type::MediaType;
use crate::web::Json;

impl<S, T: DeserializeOwned> FromRequest<S> for Json<T> {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        let request = context.request();
        if has_empty_body(context) {
            return Err(Rejection::of_kind(
                RejectionKind::MissingBody,
                "the request has no body, but JSON is expected",
            ));
        }
        let content_type = MediaType::of_content(request.headers());
        if !content_type.is_some_and(MediaType::is_json) {
            return Err(unsupported_content_type("application/json"));
        }
        let json = request.body().as_bytes();
        let parsed = serde_json::from_slice(json);
        parsed.map(Self).map_err(|error| reject::<T>(json, &error))
    }
}

/// `None` if the body is empty.
impl<S, T: DeserializeOwned> OptionalFromRequest<S> for Json<T> {
    fn optional_from_request(
        context: &mut RequestContext<'_, S>,
    ) -> Result<Option<Self>, Rejection> {
        take_unless(has_empty_body(context), context)
    }
}

fn reject<T: DeserializeOwned>(json: &[u8], error: &serde_json::Error) -> Rejection {
    match error.classify() {
        Category::Data => {
            let (name, reason) = locate::<T>(json, error);
            let reason = format!("invalid JSON body: {reason}");
            let rejection = Rejection::of_kind(RejectionKind::JsonValue, reason);
            match name.as_str() {
                "" => rejection,
                name => rejection.named(name),
            }
        }
        _ => Rejection::of_kind(
            RejectionKind::JsonSyntax,
            format!("the body is not JSON: {error}"),
        ),
    }
}

/// The path of the wrong value, for example `user.tags[1]`, which is empty if the whole body is wrong,
/// and the reason. The body is parsed a second time for this: tracking the path costs time, which
/// only a wrong body should take.
fn locate<T: DeserializeOwned>(json: &[u8], error: &serde_json::Error) -> (String, String) {
    let mut json = serde_json::Deserializer::from_slice(json);
    let Err(located) = serde_path_to_error::deserialize::<_, T>(&mut json) else {
        return (String::new(), error.to_string());
    };
    let (path, error) = (located.path().to_string(), located.inner().to_string());
    let (path, dot) = match path.as_str() {
        "." | "?" => ("", ""),
        path => (path.trim_end_matches(".?"), "."),
    };
    let missing = missing_field(&error);
    let name = match missing {
        Some(name) => format!("{path}{dot}{name}"),
        None => path.to_owned(),
    };
    // A name in the path may be a map key that the client has chosen.
    let shown = name.escape_debug();
    let reason = match missing {
        Some(_) => format!("{shown} is missing"),
        None if path.is_empty() => error,
        None => format!("{shown}: {error}"),
    };
    (name, reason)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "the test reads only errors")]
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
    #[allow(dead_code, reason = "the test reads only errors")]
    enum Kind {
        Guest { until: u32 },
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "the test reads only errors")]
    struct Order {
        user: User,
        #[serde(flatten)]
        place: Place,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "the test reads only errors")]
    struct Place {
        #[serde(default)]
        shelf: u8,
    }

    #[track_caller]
    fn check<T: DeserializeOwned>(json: &str, status: u16, expected: &str) {
        let Err(error) = serde_json::from_str::<T>(json) else {
            panic!("{json} must not fit the type");
        };
        let rejection = reject::<T>(json.as_bytes(), &error);
        let (actual, text) = (rejection.status().as_u16(), rejection.to_string());
        assert_eq!((actual, &*text), (status, expected), "{json}");
    }

    #[test]
    fn errors_name_the_path_of_the_value() {
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
    fn rejections_know_the_name_of_the_value() {
        #[track_caller]
        fn check(json: &str, name: Option<&str>) {
            let error = serde_json::from_str::<User>(json).expect_err("it does not fit");
            let rejection = reject::<User>(json.as_bytes(), &error);
            assert_eq!(rejection.value_name(), name, "{json}");
        }
        check("7", None);
        check("{", None);
        check("{}", Some("name"));
        check(r#"{"name":"a","tags":["b",1]}"#, Some("tags[1]"));
        // Clients may choose names.
        check(r#"{"name":"a","scores":{"a\nb":"x"}}"#, Some("scores.a\nb"));
    }

    #[test]
    fn errors_without_a_path_describe_the_value() {
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
    fn invalid_json_is_reported_with_line_and_column() {
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
