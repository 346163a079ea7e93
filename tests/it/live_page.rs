/// The command of curl that repeats a request.
mod curl;
/// The outcomes that the page shows: faults, no response at all, and rejections by the server.
mod outcomes;

use std::io::Read as _;

use serde_json::Value;

use httpool::services::inspect::{Access, Inspect, Settings};
use httpool::testing::{Client, RequestBuilder, TestResponse};

const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\"'&";

fn inspect() -> Inspect {
    Inspect::new(Settings::default().access(Access::Local))
}

fn client() -> Client {
    Client::new(inspect())
}

fn get<'a>(client: &'a Client, path: &str) -> RequestBuilder<'a> {
    client.get(path).header("host", "localhost:4000")
}

#[track_caller]
fn json(response: &TestResponse) -> Value {
    assert_eq!(response.status(), 200, "{}", response.text());
    serde_json::from_str(response.text()).expect("the response is JSON")
}

#[test]
fn requests_are_listed_with_their_responses() {
    let client = client();
    let _ = client
        .post("/anything?a=1&b=x%20y")
        .header("x-a", "é")
        .body("hello")
        .send();
    let _ = client.delete("/nothing").send();
    let list = json(&get(&client, "/inspect/api/requests").send());
    assert_eq!(list.as_array().map(Vec::len), Some(2));
    assert_eq!(
        (&list[0]["method"], &list[0]["target"]),
        (&"POST".into(), &"/anything?a=1&b=x%20y".into())
    );
    assert_eq!(
        (&list[0]["status"], &list[0]["size"]),
        (&200.into(), &5.into())
    );
    let one = json(&get(&client, "/inspect/api/requests/1").send());
    assert_eq!(one["query"], serde_json::json!([["a", "1"], ["b", "x y"]]));
    assert_eq!(
        (&one["body"]["content"], &one["body"]["encoding"]),
        (&"hello".into(), &"text".into())
    );
    assert_eq!(one["version"], "HTTP/1.1");
    assert_eq!(
        get(&client, "/inspect/api/requests/1/body").send().text(),
        "hello"
    );
    assert_eq!(get(&client, "/inspect/api/requests/9").send().status(), 404);
    assert_eq!(get(&client, "/inspect/api/requests/x").send().status(), 404);
}

#[test]
fn page_runs_its_own_scripts_only() {
    let client = client();
    for path in [
        "/inspect",
        "/inspect/r/1",
        "/inspect/inbox/abc",
        "/inspect/inbox/abc/r/2",
    ] {
        let page = get(&client, path).send();
        assert_eq!(page.status(), 200, "{path}");
        assert!(page.text().contains("<title>Inspect</title>"));
        // The page is the same for all: nothing of a request is in it.
        assert!(!page.text().contains("<script>") && !page.text().contains("style="));
        let policy = page
            .header("content-security-policy")
            .expect("there is a policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"));
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn files_of_the_page_are_revalidated() {
    let client = client();
    let file = get(&client, "/inspect/assets/page.js").send();
    assert_eq!(
        (file.status().as_u16(), file.header("content-type")),
        (200, Some("text/javascript; charset=utf-8"))
    );
    assert_eq!(file.header("cache-control"), Some("no-cache"));
    let tag = file.header("etag").expect("there is a tag").to_owned();
    let again = get(&client, "/inspect/assets/page.js")
        .header("if-none-match", tag)
        .send();
    assert_eq!((again.status().as_u16(), again.text()), (304, ""));
    assert_eq!(get(&client, "/inspect/assets/page.rs").send().status(), 404);
}

#[test]
fn every_file_that_the_page_names_exists() {
    let client = client();
    let page = get(&client, "/inspect").send();
    let mut names: Vec<String> = page
        .text()
        .split("/inspect/assets/")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
        .collect();
    assert!(names.len() >= 2, "{names:?}");
    let mut seen = Vec::new();
    while let Some(name) = names.pop() {
        let file = get(&client, &format!("/inspect/assets/{name}")).send();
        assert_eq!(file.status(), 200, "{name}");
        let text = file.text();
        assert!(
            !text.contains("innerHTML") && !text.contains("eval("),
            "{name}"
        );
        for import in text.split("from \"./").skip(1) {
            let import = import.split('"').next().unwrap_or_default().to_owned();
            if !seen.contains(&import) {
                names.push(import);
            }
        }
        seen.push(name);
    }
}

#[test]
fn hostile_request_is_data_in_every_response() {
    let client = client();
    let _ = client
        .post("/%3Cimg%20src=x%20onerror=alert(1)%3E")
        .header("x-hostile", HOSTILE)
        .header("content-type", "text/html")
        .body(HOSTILE)
        .send();
    for (path, content_type) in [
        ("/inspect/api/requests", "application/json"),
        ("/inspect/api/requests/1", "application/json"),
        ("/inspect/api/requests/1/body", "application/octet-stream"),
        ("/inspect/api/requests/1/curl", "text/plain; charset=utf-8"),
        ("/inspect/api/export.har", "application/json"),
        ("/inspect/api/export.json", "application/json"),
    ] {
        let response = get(&client, path).send();
        assert_eq!(
            response.header("content-type"),
            Some(content_type),
            "{path}"
        );
        assert_eq!(
            response.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert!(
            response.header("content-security-policy").is_some(),
            "{path}"
        );
    }
}

#[test]
fn secrets_are_masked_unless_asked_for() {
    let client = client();
    let _ = client
        .get("/")
        .header("authorization", "Bearer s3cr3t")
        .header("cookie", "session=s3cr3t")
        .header("x-api-key", "s3cr3t")
        .send();
    for path in ["requests/1", "requests/1/curl", "export.har", "export.json"] {
        let path = format!("/inspect/api/{path}");
        let masked = get(&client, &path).send();
        assert!(
            !masked.text().contains("s3cr3t"),
            "{path}: {}",
            masked.text()
        );
        assert!(
            masked.text().contains("Bearer ***"),
            "{path}: {}",
            masked.text()
        );
        let shown = get(&client, &format!("{path}?secrets=show")).send();
        assert!(shown.text().contains("Bearer s3cr3t"), "{path}");
    }
}

#[test]
fn target_that_looks_like_a_secret_is_shown_as_sent() {
    let client = client();
    let target = "/token?u=http://x";
    let _ = client.get(target).header("x-token", "s3cr3t").send();
    let one = json(&get(&client, "/inspect/api/requests/1").send());
    let head = one["head"].as_str().expect("there is a head");
    assert!(
        head.starts_with(&format!("GET {target} HTTP/1.1\r\n")),
        "{head}"
    );
    assert!(head.contains("x-token: ***\r\n"), "{head}");
}

#[test]
fn archive_has_the_members_of_the_format() {
    let client = client();
    let form = |body: &'static str| {
        let request = client.post("/form?q=1").header("cookie", "c=d");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let _ = request.body(body).send();
    };
    form("a=1&b=%C3%A9");
    let _ = client.post("/binary").body(&b"\x00\xff"[..]).send();
    form("a=%FF");
    let archive = json(&get(&client, "/inspect/api/export.har?secrets=show").send());
    let log = &archive["log"];
    assert_eq!(
        (&log["version"], &log["creator"]["name"]),
        (&"1.2".into(), &"httpool".into())
    );
    let entries = log["entries"].as_array().expect("it is a list");
    assert_eq!(entries.len(), 3);
    for entry in entries {
        for member in [
            "startedDateTime",
            "time",
            "request",
            "response",
            "cache",
            "timings",
        ] {
            assert!(!entry[member].is_null(), "{member}");
        }
        for member in [
            "method",
            "url",
            "httpVersion",
            "cookies",
            "headers",
            "queryString",
            "headersSize",
            "bodySize",
        ] {
            assert!(!entry["request"][member].is_null(), "{member}");
        }
        for member in [
            "status",
            "statusText",
            "httpVersion",
            "cookies",
            "headers",
            "content",
            "redirectURL",
            "headersSize",
            "bodySize",
        ] {
            assert!(!entry["response"][member].is_null(), "{member}");
        }
    }
    let request = &entries[0]["request"];
    assert_eq!(request["url"], "http://localhost/form?q=1");
    // The format has one or the other.
    assert_eq!(
        request["postData"],
        serde_json::json!({
            "mimeType": "application/x-www-form-urlencoded",
            "params": [{ "name": "a", "value": "1" }, { "name": "b", "value": "é" }],
        })
    );
    assert_eq!(
        request["cookies"][0],
        serde_json::json!({ "name": "c", "value": "d" })
    );
    assert_eq!(entries[1]["request"]["postData"]["text"], "AP8=");
    // Fields are text, and would not say what was sent.
    assert_eq!(entries[2]["request"]["postData"]["text"], "a=%FF");
    // An export of nothing is a document, too.
    let empty = json(&get(&self::client(), "/inspect/api/export.har").send());
    assert_eq!(empty["log"]["entries"], serde_json::json!([]));
}

#[test]
fn closed_page_says_how_to_open_it() {
    let client = Client::new(Inspect::new(Settings::default()));
    let response = get(&client, "/inspect")
        .header("accept", "text/plain")
        .send();
    assert_eq!(response.status(), 403);
    assert!(
        response.text().contains("--inspect-token"),
        "{}",
        response.text()
    );
    assert_eq!(get(&client, "/inspect/assets/page.js").send().status(), 403);
    // Requests are still answered, and inboxes collect.
    assert_eq!(client.get("/inbox/abc").send().status(), 200);
    assert_eq!(
        get(&client, "/inspect/api/inbox/abc/requests")
            .send()
            .status(),
        403
    );
}

#[test]
fn local_page_is_for_this_machine() {
    let client = client();
    let elsewhere = ([192, 0, 2, 1], 4711).into();
    assert_eq!(get(&client, "/inspect").send().status(), 200);
    assert_eq!(
        get(&client, "/inspect").peer(elsewhere).send().status(),
        403
    );
    for host in ["evil.example", "192.0.2.1", "localhost.evil.example:4000"] {
        assert_eq!(
            client.get("/inspect").header("host", host).send().status(),
            403,
            "{host}"
        );
    }
    for header in [
        "x-forwarded-for",
        "x-forwarded-host",
        "forwarded",
        "via",
        "x-real-ip",
        "cf-ray",
    ] {
        let proxied = get(&client, "/inspect").header(header, "192.0.2.1");
        assert_eq!(proxied.send().status(), 403, "{header}");
    }
}

#[test]
fn token_becomes_a_cookie() {
    let token = "0123456789abcdef";
    let settings = Settings::default().access(Access::Token(token.into()));
    let client = Client::new(Inspect::new(settings));
    assert_eq!(get(&client, "/inspect").send().status(), 403);
    let log_in = |token: &str| {
        let request = client.post("/inspect/api/login");
        let request = request.header("host", "debug.example");
        request.json(&serde_json::json!({ "token": token }))
    };
    let wrong = log_in("0123456789abcdee").send();
    assert_eq!(
        (wrong.status().as_u16(), wrong.header("set-cookie")),
        (403, None)
    );
    let cross_site = log_in(token).header("sec-fetch-site", "cross-site").send();
    assert_eq!(cross_site.status(), 403);
    let response = log_in(token).send();
    assert_eq!(response.status(), 204);
    let cookie = response.header("set-cookie").expect("there is a cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/inspect"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(token));
    let pair = cookie.split(';').next().expect("it has a value").to_owned();
    let request = client
        .get("/inspect")
        .header("host", "debug.example")
        .header("cookie", pair);
    assert_eq!(request.send().status(), 200);
    let request = client
        .get("/inspect/api/requests")
        .header("authorization", format!("Bearer {token}"));
    assert_eq!(request.send().status(), 200);
}

/// An address is written to logs, so a token in it is of no use.
#[test]
fn browser_without_the_token_is_asked_for_it() {
    let settings = Settings::default().access(Access::Token("0123456789abcdef".into()));
    let client = Client::new(Inspect::new(settings));
    for path in [
        "/inspect",
        "/inspect/r/1",
        "/inspect?token=0123456789abcdef",
    ] {
        let page = get(&client, path)
            .header("accept", "text/html,*/*;q=0.8")
            .send();
        assert_eq!(
            (page.status().as_u16(), page.header("set-cookie")),
            (403, None)
        );
        assert!(page.text().contains("login.js"), "{path}");
        let policy = page.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("script-src 'self'"), "{policy}");
    }
    for (name, status) in [
        ("login.js", 200),
        ("page.css", 200),
        ("dom.js", 200),
        ("page.js", 403),
    ] {
        let file = get(&client, &format!("/inspect/assets/{name}")).send();
        assert_eq!(file.status(), status, "{name}");
    }
    let program = get(&client, "/inspect").header("accept", "*/*").send();
    assert!(
        program.text().contains("/inspect#token=TOKEN"),
        "{}",
        program.text()
    );
    let data = get(&client, "/inspect/api/requests").header("accept", "text/html");
    assert!(!data.send().text().contains("login.js"));
}

#[test]
fn pages_of_other_sites_can_do_nothing() {
    let client = client();
    let _ = client.get("/").send();
    let delete = || {
        client
            .delete("/inspect/api/requests")
            .header("host", "localhost:4000")
    };
    assert_eq!(
        delete()
            .header("sec-fetch-site", "cross-site")
            .send()
            .status(),
        403
    );
    assert_eq!(
        delete()
            .header("origin", "https://evil.example")
            .send()
            .status(),
        403
    );
    let list = get(&client, "/inspect/api/requests").header("sec-fetch-site", "cross-site");
    assert_eq!(list.send().status(), 403);
    // A link on another page may lead here.
    let page = get(&client, "/inspect").header("sec-fetch-site", "cross-site");
    assert_eq!(page.send().status(), 200);
    let own = delete().header("sec-fetch-site", "same-origin");
    assert_eq!(own.send().status(), 204);
    assert_eq!(get(&client, "/inspect/api/requests").send().text(), "[]");
    let put = client
        .put("/inspect/api/inbox/a/response")
        .header("host", "localhost");
    let simple = put
        .header("content-type", "text/plain")
        .body(r#"{"status":201}"#);
    assert_eq!(simple.send().status(), 415);
}

#[test]
fn inbox_collects_apart_and_responds_as_set() {
    let client = client();
    let response = client.post("/inbox/abc/hook?x=1").body("hello").send();
    assert_eq!(
        (response.status().as_u16(), response.text()),
        (200, "received\n")
    );
    let put = client
        .put("/inspect/api/inbox/abc/response")
        .header("host", "localhost");
    let set = put.json(&serde_json::json!({
        "status": 202,
        "headers": [["content-type", "text/html"], ["content-security-policy", "default-src *"]],
        "body": HOSTILE,
        "delay_ms": 1,
    }));
    assert_eq!(set.send().status(), 204);
    let response = client.post("/inbox/abc").send();
    assert_eq!(
        (response.status().as_u16(), response.text()),
        (202, HOSTILE)
    );
    let policy = response
        .header("content-security-policy")
        .unwrap_or_default();
    assert!(
        policy.contains("sandbox") && !policy.contains("default-src *"),
        "{policy}"
    );
    let list = json(&get(&client, "/inspect/api/inbox/abc/requests").send());
    assert_eq!(list.as_array().map(Vec::len), Some(2));
    assert_eq!(list[0]["target"], "/inbox/abc/hook?x=1");
    for path in ["/inspect/api/inbox/other/requests", "/inspect/api/requests"] {
        assert_eq!(get(&client, path).send().text(), "[]", "{path}");
    }
    assert_eq!(client.get("/inbox/a%20b").send().status(), 404);
    assert_eq!(client.get("/inbox/").send().status(), 404);
}

#[test]
fn history_of_nothing_turns_the_page_off() {
    let settings = Settings::default().access(Access::Local).history(0);
    let client = Client::new(Inspect::new(settings));
    // The path has no meaning then, and is described as any other.
    assert_eq!(
        get(&client, "/inspect").send().header("content-type"),
        Some("application/json")
    );
}

#[test]
fn events_reach_an_open_page() {
    let inspect = inspect();
    let page = inspect.live_page().expect("a history is kept");
    let client = Client::new(inspect);
    let _ = client.get("/first").send();
    let events = get(&client, "/inspect/api/events").open();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let mut body = events.into_body();
    let mut start = [0; 400];
    let read = body.read(&mut start).expect("there is an event");
    let text = String::from_utf8_lossy(&start[..read]).into_owned();
    assert!(
        text.starts_with("retry: 1000\n\nevent: requests\nid: "),
        "{text}"
    );
    assert!(text.contains("/first"), "{text}");
    page.close();
    let mut rest = String::new();
    body.read_to_string(&mut rest).expect("the stream ends");
}
