//! Values as JSON.

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use log::error;
use serde::Serialize;

use crate::message::response::failed;
use crate::message::{IntoResponse, Response};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// As an answer a value, written as JSON.
///
/// ```
/// use httpool::{IntoResponse, Json};
///
/// #[derive(serde::Serialize)]
/// struct User {
///     name: String,
/// }
///
/// let response = Json(User { name: "Ada".into() }).into_response();
/// assert_eq!(response.headers()["content-type"], "application/json");
/// assert_eq!(response.body().as_bytes(), br#"{"name":"Ada"}"#);
/// ```
///
/// A value that can't be written as JSON, such as a map whose keys are no text, is logged and
/// answered 500, whatever status stands around it.
///
/// With the feature `router` it is an argument of functions too: the request's body, read as JSON.
/// Content that does not say that it is JSON is answered 415, content that is none 400 with line and
/// column, content that is another value than is wanted 422 with the path of the value, such as
/// `user.tags[1]`. A request without content is answered 400, whatever type it names.
#[cfg_attr(
    feature = "router",
    doc = r#"
```
use httpool::Json;
use httpool::Router;

#[derive(serde::Deserialize, serde::Serialize)]
struct User {
    name: String,
}

let router: Router = Router::new().post("/users", |Json(user): Json<User>| Json(user));
```
"#
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(
    /// The value.
    pub T,
);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(json) => {
                let mut response = Response::new(json.into());
                response.headers_mut().insert(CONTENT_TYPE, JSON);
                response
            }
            Err(why) => {
                error!("an answer can't be written as JSON: {why}");
                failed(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_no_json_is_an_error_whatever_stands_around_it() {
        let answer = || Json(BTreeMap::from([([1, 2], "a key that is no text")]));
        for response in [
            answer().into_response(),
            (StatusCode::CREATED, answer()).into_response(),
            ([("x-name", "value")], answer()).into_response(),
            (StatusCode::CREATED, [("x-name", "value")], answer()).into_response(),
        ] {
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert!(!response.headers().contains_key("x-name"));
            let content = response.body().as_bytes();
            assert_eq!(content, b"500 Internal Server Error\n");
        }
    }
}
