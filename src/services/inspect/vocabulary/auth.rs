//! Authentication: Basic (RFC 7617), Digest (RFC 7616) and Bearer (RFC 6750).

mod digest;
mod nonce;
mod nonce_counts;

use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde_json::json;

use super::document;
use super::table::Table;
use crate::message::{Problem, Response};
use crate::web::extract::Path;
use crate::web::layers::credentials;

/// The realm of all challenges.
const REALM: &str = "httpool";

pub(super) fn add(table: Table) -> Table {
    let table = table
        .any(
            "/basic-auth/{user}/{password}",
            "wants this name and password",
            basic,
        )
        .any(
            "/hidden-basic-auth/{user}/{password}",
            "the same, with 404 instead of 401",
            hidden,
        )
        .any("/bearer", "wants any bearer token", bearer);
    digest::add(table)
}

fn basic(Path((user, password)): Path<(String, String)>, headers: HeaderMap) -> Response {
    if is_user(&headers, &user, &password) {
        return authenticated(&user);
    }
    unauthorized(&format!("Basic realm=\"{REALM}\", charset=\"UTF-8\""))
}

fn hidden(
    Path((user, password)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    match is_user(&headers, &user, &password) {
        true => Ok(authenticated(&user)),
        false => Err(Problem::new(StatusCode::NOT_FOUND)),
    }
}

fn bearer(headers: HeaderMap) -> Response {
    match token(&headers) {
        Some(token) => document::respond(json!({"authenticated": true, "token": token})),
        None => unauthorized(&format!("Bearer realm=\"{REALM}\"")),
    }
}

fn is_user(headers: &HeaderMap, user: &str, password: &str) -> bool {
    credentials(headers).is_some_and(|given| given == format!("{user}:{password}"))
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn authenticated(user: &str) -> Response {
    document::respond(json!({"authenticated": true, "user": user}))
}

/// A 401 with this challenge.
fn unauthorized(challenge: &str) -> Response {
    let mut response = document::respond(json!({"authenticated": false}));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    if let Ok(challenge) = HeaderValue::try_from(challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::super::tests::{client, get, member};

    #[test]
    fn basic_wants_the_name_and_password_of_the_path() {
        let client = client();
        for (path, given, status) in [
            ("ada/lovelace", "ada:lovelace", 200),
            ("ada/a%3Ab%C3%A9", "ada:a:bé", 200),
            ("ada/lovelace", "ada:Lovelace", 401),
            ("ada/lovelace", "ada", 401),
        ] {
            let value = format!("Basic {}", STANDARD.encode(given));
            let request = client.get(&format!("/basic-auth/{path}"));
            let response = request.header("authorization", &value).send();
            assert_eq!(response.status(), status, "{path} {given}");
            assert_eq!(member(&response, "/authenticated"), status == 200);
            let request = client.get(&format!("/hidden-basic-auth/{path}"));
            let hidden = request.header("authorization", &value).send().status();
            assert_eq!(hidden, if status == 401 { 404 } else { 200 });
            let request = client.delete(&format!("/basic-auth/{path}"));
            let deleted = request.header("authorization", &value).send();
            assert_eq!(deleted.status(), status);
        }
        let response = get("/basic-auth/a/b");
        let challenge = "Basic realm=\"httpool\", charset=\"UTF-8\"";
        assert_eq!(response.header("www-authenticate"), Some(challenge));
    }

    #[test]
    fn bearer_wants_a_token() {
        let client = client();
        let response = client
            .get("/bearer")
            .header("authorization", "bearer a.b")
            .send();
        assert_eq!(member(&response, "/token"), "a.b");
        for value in ["Bearer", "Bearer ", "Basic YTpi", ""] {
            let request = client.post("/bearer").header("authorization", value);
            let response = request.send();
            assert_eq!(response.status(), 401, "{value}");
            assert_eq!(
                response.header("www-authenticate"),
                Some("Bearer realm=\"httpool\"")
            );
        }
    }
}
