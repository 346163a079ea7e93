//! The responses to wrong values name them.

use httpool::extract::{Form, Path, Query};
use httpool::{Json, Router};
use serde::Deserialize;

use super::Protocol;
use crate::support::TestServer;

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "the test reads only errors")]
struct Order {
    user: User,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the test reads only errors")]
struct User {
    name: String,
    age: u8,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "the test reads only errors")]
struct Item {
    count: u32,
}

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[test]
fn errors_name_the_wrong_value() {
    let router: Router = Router::new()
        .post("/order", |Json(order): Json<Order>| format!("{order:?}"))
        .post("/user", |Form(user): Form<User>| format!("{user:?}"))
        .get("/user", |Query(user): Query<User>| format!("{user:?}"))
        .get(
            "/shelves/{shelf}/{title}",
            |Path((shelf, title)): Path<(u8, String)>| format!("{shelf} {title}"),
        );
    let server = TestServer::spawn(|builder| builder, router);
    for protocol in Protocol::BOTH {
        let check =
            |(method, target): (&str, &str), headers: &[_], body: &str, status, text: &str| {
                let response = protocol.send(&server, (method, target), headers, body.as_bytes());
                let is = (response.status, response.text());
                assert_eq!(is.0, status, "{protocol:?} {body}: {}", is.1);
                assert!(is.1.contains(text), "{protocol:?} {body}: {}", is.1);
            };
        for (body, text) in [
            (
                r#"{"user":{"name":"Ada","age":300}}"#,
                "user.age: invalid value: integer `300`",
            ),
            (r#"{"user":{"name":"Ada"}}"#, "user.age is missing"),
            (
                r#"{"user":{"name":7,"age":3}}"#,
                "user.name: invalid type: integer `7`",
            ),
            (
                r#"{"user":{"name":"Ada","age":3,"x":1}}"#,
                "user.x: unknown field `x`",
            ),
            (
                r#"{"user":{"name":"Ada","age":3},"items":[{"count":1},{"count":-1}]}"#,
                "items[1].count: invalid value: integer `-1`",
            ),
            (
                r#"{"user":{"name":"Ada","age":3},"items":[{}]}"#,
                "items[0].count is missing",
            ),
            (r#"{"user":null}"#, "user: invalid type: null"),
            ("{}", "user is missing"),
        ] {
            check(("POST", "/order"), &[JSON], body, 422, text);
        }
        check(
            ("POST", "/order"),
            &[JSON],
            "{\"user\":",
            400,
            "line 1 column 8",
        );
        check(("POST", "/order"), &[FORM], "{}", 415, "application/json");
        check(("POST", "/order"), &[JSON], "", 400, "has no body");
        for (pairs, text) in [
            ("name=Ada&age=300", "\"age\": number too large"),
            ("name=Ada", "\"age\" is missing"),
            ("name=Ada&age=3&age=4", "\"age\" occurs more than once"),
            ("name=Ada&age=3&x=1", "\"x\": unknown field `x`"),
        ] {
            check(("POST", "/user"), &[FORM], pairs, 422, text);
            check(("GET", &format!("/user?{pairs}")), &[], "", 400, text);
        }
        check(
            ("GET", "/shelves/300/x"),
            &[],
            "",
            400,
            "\"300\" is not a valid shelf",
        );
    }
}
