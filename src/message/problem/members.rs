//! The members of a problem that only some problems have (RFC 9457 section 3).

use std::borrow::Cow;

#[cfg(feature = "json")]
use log::error;

use super::Problem;

/// The type of a problem that says no more than its status.
const NO_TYPE: &str = "about:blank";

/// Names that extension members can't have.
#[cfg(feature = "json")]
const RESERVED: [&str; 6] = [
    "type",
    "title",
    "status",
    "detail",
    "instance",
    "request_id",
];

/// The additional members of a problem. They are boxed, because most problems have none and are
/// moved often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Members {
    type_uri: Option<Cow<'static, str>>,
    title: Option<Cow<'static, str>>,
    instance: Option<Cow<'static, str>>,
    /// Names, and values that are JSON.
    extensions: Vec<(Cow<'static, str>, Box<str>)>,
}

impl Problem {
    /// Sets the type of the problem: a URI that identifies it, for programs that handle it (RFC
    /// 9457 section 3.1.1). Without a type it is `about:blank`. Only JSON shows it.
    ///
    /// ```
    /// use httpool::Problem;
    /// use httpool::http::StatusCode;
    ///
    /// let problem = Problem::new(StatusCode::FORBIDDEN)
    ///     .with_type("https://shop.example/problems/no-credit")
    ///     .with_title("You do not have enough credit")
    ///     .detail("your credit is 30, but this costs 50")
    ///     .with_instance("/account/7/orders/12");
    /// assert_eq!(problem.type_uri(), "https://shop.example/problems/no-credit");
    /// ```
    #[must_use]
    pub fn with_type(mut self, uri: impl Into<Cow<'static, str>>) -> Self {
        self.members_mut().type_uri = Some(uri.into());
        self
    }

    /// Sets the title, which is the same for all problems of a [type](Self::with_type). It stands
    /// in every format in the place of the status's reason, for example of `Not Found`.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.members_mut().title = Some(title.into());
        self
    }

    /// Sets a URI that identifies this occurrence (RFC 9457 section 3.1.5). Only JSON shows it.
    #[must_use]
    pub fn with_instance(mut self, uri: impl Into<Cow<'static, str>>) -> Self {
        self.members_mut().instance = Some(uri.into());
        self
    }

    /// Adds an extension member (RFC 9457 section 3.2), or replaces the one with this name. Only
    /// JSON shows it. A name should have at least three letters, digits or underscores, and begin
    /// with a letter.
    ///
    /// ```
    /// use httpool::Problem;
    /// use httpool::http::StatusCode;
    ///
    /// #[derive(serde::Serialize)]
    /// struct FieldError {
    ///     pointer: &'static str,
    ///     detail: &'static str,
    /// }
    ///
    /// let errors = [
    ///     FieldError { pointer: "#/age", detail: "must be at least 18" },
    ///     FieldError { pointer: "#/name", detail: "must not be empty" },
    /// ];
    /// let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY)
    ///     .with_type("https://shop.example/problems/invalid-user")
    ///     .with_extension("errors", &errors);
    /// let (name, value) = problem.extensions().next().expect("it has one");
    /// assert_eq!(name, "errors");
    /// assert!(value.starts_with(r##"[{"pointer":"#/age","##));
    /// ```
    ///
    /// A value that can't be serialized is left out, and so is a name of RFC 9457 or `request_id`. The
    /// log then has an error.
    #[cfg(feature = "json")]
    #[must_use]
    pub fn with_extension(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: &impl serde::Serialize,
    ) -> Self {
        let name = name.into();
        if RESERVED.contains(&&*name) {
            error!("an extension member of a problem can't be named {name:?}");
            return self;
        }
        match serde_json::to_string(value) {
            Ok(json) => self.members_mut().set_extension(name, json.into()),
            Err(error) => {
                error!("the member {name:?} of a problem can't be serialized: {error}");
            }
        }
        self
    }

    /// The type, which is `about:blank` unless it was [set](Self::with_type).
    #[must_use]
    pub fn type_uri(&self) -> &str {
        let members = self.members.as_ref();
        let type_uri = members.and_then(|members| members.type_uri.as_deref());
        type_uri.unwrap_or(NO_TYPE)
    }

    /// The title, which is the reason of the status unless it was [set](Self::with_title).
    #[must_use]
    pub fn title(&self) -> &str {
        let members = self.members.as_ref();
        let title = members.and_then(|members| members.title.as_deref());
        title.unwrap_or_else(|| self.status.canonical_reason().unwrap_or("Error"))
    }

    /// The URI of this occurrence, if it was [set](Self::with_instance).
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        self.members.as_ref()?.instance.as_deref()
    }

    /// The names of the extension members and their values as JSON.
    pub fn extensions(&self) -> impl Iterator<Item = (&str, &str)> {
        let members = self.members.iter();
        let extensions = members.flat_map(|members| &members.extensions);
        extensions.map(|(name, value)| (&**name, &**value))
    }

    fn members_mut(&mut self) -> &mut Members {
        self.members.get_or_insert_default()
    }
}

#[cfg(feature = "json")]
impl Members {
    fn set_extension(&mut self, name: Cow<'static, str>, value: Box<str>) {
        self.extensions.retain(|(known, _)| *known != name);
        self.extensions.push((name, value));
    }
}

#[cfg(all(test, feature = "json"))]
mod tests {
    use std::collections::BTreeMap;

    use http::header::ACCEPT;
    use http::{HeaderMap, HeaderValue, StatusCode};
    use serde_json::{Value, json};

    use super::*;
    use crate::message::{IntoResponse as _, Response};

    fn out_of_credit() -> Problem {
        Problem::new(StatusCode::FORBIDDEN)
            .with_type("https://shop.example/no-credit")
            .with_title("Not enough \"credit\"")
            .detail("it costs 50")
            .with_instance("/orders/12")
            .with_extension("balance", &30)
            .with_extension("accounts", &["/a/1", "/a/2"])
    }

    fn respond(problem: &Problem, accept: &'static str) -> Response {
        let mut request = HeaderMap::new();
        request.insert(ACCEPT, HeaderValue::from_static(accept));
        problem.to_response(&request)
    }

    fn text(response: &Response) -> &str {
        std::str::from_utf8(response.body().as_bytes()).expect("problems are text")
    }

    fn json(problem: &Problem) -> Value {
        let response = respond(problem, "application/json");
        serde_json::from_slice(response.body().as_bytes()).expect("the content is JSON")
    }

    #[test]
    fn json_has_all_members() {
        let expected = json!({
            "type": "https://shop.example/no-credit",
            "title": "Not enough \"credit\"",
            "status": 403,
            "detail": "it costs 50",
            "instance": "/orders/12",
            "balance": 30,
            "accounts": ["/a/1", "/a/2"],
        });
        assert_eq!(json(&out_of_credit()), expected);
    }

    #[test]
    fn title_stands_in_every_format() {
        let response = respond(&out_of_credit(), "text/plain");
        assert_eq!(text(&response), "403 Not enough \"credit\": it costs 50\n");
        let response = respond(&out_of_credit(), "text/html");
        let heading = "<h1>403 Not enough &quot;credit&quot;</h1>";
        assert!(text(&response).contains(heading), "{}", text(&response));
    }

    #[test]
    fn extension_member_replaces_one_with_its_name() {
        let problem = out_of_credit().with_extension("balance", &31);
        assert_eq!(json(&problem)["balance"], 31);
        assert_eq!(problem.extensions().count(), 2);
    }

    #[test]
    fn invalid_extension_members_are_left_out() {
        let no_json = BTreeMap::from([([1, 2], "a key that is not a string")]);
        let problem = Problem::new(StatusCode::CONFLICT)
            .with_extension("status", &200)
            .with_extension("request_id", &"a")
            .with_extension("map", &no_json);
        assert_eq!(problem.extensions().count(), 0);
        assert_eq!(json(&problem)["status"], 409);
    }

    #[test]
    fn names_of_extension_members_are_escaped() {
        let problem = Problem::new(StatusCode::CONFLICT).with_extension("a\"b\n", &1);
        assert_eq!(json(&problem)["a\"b\n"], 1);
    }

    #[test]
    fn status_of_a_tuple_keeps_the_members() {
        let response = (StatusCode::CONFLICT, out_of_credit()).into_response();
        let problem = Problem::of(&response).expect("it was made from a problem");
        assert_eq!(problem, &out_of_credit());
        let problem = problem.clone().with_status(response.status());
        assert_eq!(json(&problem)["status"], 409);
        assert_eq!(json(&problem)["balance"], 30);
    }

    /// Many functions return one in a `Result`.
    #[test]
    fn members_cost_a_problem_one_pointer() {
        assert_eq!(size_of::<Problem>(), 40);
    }
}
