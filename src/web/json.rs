//! JSON responses and request bodies.

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use log::error;
use serde::Serialize;

use crate::message::response::failed;
use crate::message::{IntoResponse, Response};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// As a response, a value serialized as JSON.
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
/// If a value can't be serialized, for example a map with keys that are not strings, the error is
/// logged. The response is then 500, whatever status or headers were returned with the value.
///
/// With the feature `router` it is also an argument of functions: the request's body, parsed as
/// JSON. A content type other than JSON is answered 415. Invalid JSON is answered 400 with line and
/// column. JSON that does not fit the type is answered 422 with the path of the wrong value, for
/// example `user.tags[1]`. A request without a body is answered 400, whatever its content type.
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
            Err(error) => {
                error!("a response can't be serialized as JSON: {error}");
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
    fn values_that_are_not_json_become_a_500() {
        let invalid = || Json(BTreeMap::from([([1, 2], "a key that is not a string")]));
        for response in [
            invalid().into_response(),
            (StatusCode::CREATED, invalid()).into_response(),
            ([("x-name", "value")], invalid()).into_response(),
            (StatusCode::CREATED, [("x-name", "value")], invalid()).into_response(),
        ] {
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert!(!response.headers().contains_key("x-name"));
            let content = response.body().as_bytes();
            assert_eq!(content, b"500 Internal Server Error\n");
        }
    }
}
