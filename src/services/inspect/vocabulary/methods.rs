//! Documents of the request, one path for each method.

use http::Method;
use http::header::USER_AGENT;
use serde_json::{Value, json};

use super::document;
use super::table::Table;
use crate::message::Response;
use crate::services::inspect::captured::Captured;

pub(super) fn add(table: Table) -> Table {
    table
        .get("/get", "your query, headers and address", of_head)
        .method(
            Method::POST,
            "/post",
            "the same with your body: text, JSON, form or files",
            of_all,
        )
        .method(Method::PUT, "/put", "the same for PUT", of_all)
        .method(Method::PATCH, "/patch", "the same for PATCH", of_all)
        .method(Method::DELETE, "/delete", "the same for DELETE", of_all)
        .get("/headers", "your headers", headers)
        .get("/ip", "your address", ip)
        .get("/user-agent", "your User-Agent", user_agent)
}

pub(super) fn of_head(captured: Captured) -> Response {
    document::respond(document::of_head(&captured))
}

fn of_all(captured: Captured) -> Response {
    document::respond(document::of_all(&captured))
}

fn headers(captured: Captured) -> Response {
    document::respond(json!({"headers": document::headers(&captured.headers())}))
}

fn ip(captured: Captured) -> Response {
    document::respond(json!({"origin": captured.origin()}))
}

fn user_agent(captured: Captured) -> Response {
    let agent = captured.header(USER_AGENT.as_str());
    let agent = agent.map(String::from_utf8_lossy);
    document::respond(json!({"user-agent": agent.map_or(Value::Null, Into::into)}))
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;

    use super::super::tests::{client, get, member};

    #[test]
    fn get_shows_the_head() {
        let client = client();
        let request = client
            .get("/get?a=1&b=2&b=x%20y")
            .header("x-key", "1")
            .header("x-key", "2");
        let response = request.send();
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(
            member(&response, "/args"),
            json!({"a": "1", "b": ["2", "x y"]})
        );
        assert_eq!(member(&response, "/headers/X-Key"), "1,2");
        assert_eq!(member(&response, "/headers/Host"), "localhost");
        assert_eq!(member(&response, "/origin"), "127.0.0.1");
        assert_eq!(
            member(&response, "/url"),
            "http://localhost/get?a=1&b=2&b=x%20y"
        );
        assert_eq!(client.head("/get").send().status(), 200);
        assert_eq!(client.post("/get").send().status(), 405);
        let options = client.request(Method::OPTIONS, "/get").send();
        assert_eq!(options.status(), 200);
        assert_eq!(options.header("allow"), Some("GET, HEAD, OPTIONS"));
        let options = client.request(Method::OPTIONS, "/status/204").send();
        assert_eq!(options.status(), 204);
    }

    #[test]
    fn body_is_shown_as_text_json_form_or_data() {
        for (content_type, body, data, parsed, form) in [
            ("text/plain", &b"hello"[..], "hello", json!(null), json!({})),
            (
                "application/json",
                b"{\"a\": [1]}",
                "{\"a\": [1]}",
                json!({"a": [1]}),
                json!({}),
            ),
            (
                "application/x-www-form-urlencoded",
                b"a=1&a=2&b=x+y",
                "",
                json!(null),
                json!({"a": ["1", "2"], "b": "x y"}),
            ),
            (
                "application/octet-stream",
                b"\xff\x00",
                "data:application/octet-stream;base64,/wA=",
                json!(null),
                json!({}),
            ),
        ] {
            let client = client();
            for request in [
                client.post("/post"),
                client.put("/put"),
                client.patch("/patch"),
                client.delete("/delete"),
            ] {
                let request = request.header("content-type", content_type);
                let response = request.body(body.to_vec()).send();
                assert_eq!(member(&response, "/data"), data);
                assert_eq!(member(&response, "/json"), parsed);
                assert_eq!(member(&response, "/form"), form);
                assert_eq!(member(&response, "/files"), json!({}));
            }
        }
        assert_eq!(get("/post").status(), 405);
    }

    #[test]
    fn multipart_body_has_files() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\nv\r\n\
            --b\r\nContent-Disposition: form-data; name=\"up\"; filename=\"a.txt\"\r\n\r\n\
            text\r\n--b--\r\n";
        let client = client();
        let request = client
            .post("/post")
            .header("content-type", "multipart/form-data; boundary=b");
        let response = request.body(body).send();
        assert_eq!(member(&response, "/form"), json!({"k": "v"}));
        assert_eq!(member(&response, "/files"), json!({"up": "text"}));
        assert_eq!(member(&response, "/data"), "");
    }

    #[test]
    fn parts_of_a_request_can_be_asked_for() {
        let client = client();
        let response = client
            .get("/user-agent")
            .header("user-agent", "a<b>")
            .send();
        assert_eq!(member(&response, "/user-agent"), "a<b>");
        assert_eq!(member(&get("/user-agent"), "/user-agent"), json!(null));
        assert_eq!(member(&get("/ip"), "/origin"), "127.0.0.1");
        let response = client.get("/headers").header("x-a", "b").send();
        assert_eq!(member(&response, "/headers/X-A"), "b");
    }
}
