//! The application without a socket.

use std::io::{BufRead, BufReader};

use httpool::http::StatusCode;
use httpool::sse::Broadcast;
use httpool::testing::{Client, FormData, TestResponse};

use super::{ALBUM_PAGE, LOGIN_PAGE, router};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn log_in(client: &Client, password: &str) -> TestResponse {
    let login = [("name", "ada"), ("password", password)];
    client.post("/login").form(login).follow_redirects().send()
}

fn upload(client: &Client, content: &'static [u8]) -> TestResponse {
    let form = FormData::new().text("title", "Tea");
    let form = form.file("picture", "a.png", "image/png", content);
    let request = client.post("/pictures").multipart(&form);
    request.follow_redirects().send()
}

#[test]
fn only_members_see_the_album() {
    let client = Client::new(router(Broadcast::new())).keep_cookies();
    assert_eq!(client.get("/").send().text(), LOGIN_PAGE);
    assert_eq!(log_in(&client, "tea").status(), StatusCode::FORBIDDEN);
    assert_eq!(upload(&client, PNG).status(), StatusCode::FORBIDDEN);
    for target in ["/pictures", "/pictures/0", "/events"] {
        assert_eq!(client.get(target).send().status(), StatusCode::FORBIDDEN);
    }
    let guesses = [(); 10].map(|()| log_in(&client, "tea").status().as_u16());
    assert_eq!(guesses[8..], [403, 429]);
}

#[test]
fn member_adds_a_picture() {
    let client = Client::new(router(Broadcast::new())).keep_cookies();
    assert_eq!(log_in(&client, "lovelace").text(), ALBUM_PAGE);
    let mut events = BufReader::new(client.get("/events").open().into_body()).lines();
    assert_eq!(upload(&client, PNG).text(), ALBUM_PAGE);
    let entry = r#"{"id":0,"title":"Tea","by":"ada"}"#;
    let event = format!("data: {entry}");
    assert!(events.any(|line| line.is_ok_and(|line| line == event)));
    assert_eq!(client.get("/pictures").send().text(), format!("[{entry}]"));
    let picture = client.get("/pictures/0").send();
    assert_eq!(picture.header("content-type"), Some("image/png"));
    assert_eq!(picture.bytes(), PNG);
    assert_eq!(upload(&client, b"<script>").status(), 415);
    let forged = client
        .post("/logout")
        .header("sec-fetch-site", "cross-site");
    assert_eq!(forged.send().status(), StatusCode::FORBIDDEN);
    let page = client.post("/logout").follow_redirects().send();
    assert_eq!(page.text(), LOGIN_PAGE);
}
