use super::*;
use crate::services::inspect::Inspect;
use crate::testing::{Client, TestResponse};

fn get(settings: Settings, target: &str, header: Option<&str>) -> TestResponse {
    let client = Client::new(Inspect::new(settings));
    let request = client.get(target);
    match header {
        Some(value) => request.header("fault", value).send(),
        None => request.send(),
    }
}

fn allowed() -> Settings {
    Settings::default().allow_faults(true)
}

#[test]
fn faults_are_asked_for_by_header_or_query() {
    let text = Some("status=503, header=retry-after:1");
    let response = get(allowed(), "/a", text);
    assert_eq!(response.status(), 503);
    assert_eq!(response.header("retry-after"), Some("1"));
    assert_eq!(
        response.header("fault"),
        Some("status=503,header=retry-after:1")
    );
    let query = "/a?x=1&fault=status%3D500&y=2&fault=delay=1ms";
    let response = get(allowed(), query, None);
    assert_eq!(response.status(), 500);
    assert_eq!(response.header("fault"), Some("status=500,delay=1ms"));
    // The header counts if both are there.
    assert_eq!(get(allowed(), "/?fault=status=500", text).status(), 503);
}

#[test]
fn faults_are_ignored_unless_allowed() {
    for (target, header) in [("/a?fault=status=503", None), ("/a", Some("not a fault"))] {
        let response = get(Settings::default(), target, header);
        assert_eq!(response.status(), 200);
        assert_eq!(response.header("fault"), Some("off"));
        assert!(
            response.text().contains("\"method\""),
            "{}",
            response.text()
        );
    }
    for target in ["/", "/?default=1", "/?faults=reset"] {
        assert_eq!(get(Settings::default(), target, None).header("fault"), None);
    }
}

#[test]
fn faults_of_other_sites_are_ignored() {
    let client = Client::new(Inspect::new(allowed()));
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://a.example"),
    ] {
        let request = client
            .get("/a?fault=status=503")
            .header("host", "localhost");
        let response = request.header(name, value).send();
        assert_eq!(response.status(), 200, "{name}");
        assert_eq!(response.header("fault"), Some("off"), "{name}");
    }
}

#[test]
fn invalid_fault_is_refused_with_its_part() {
    let response = get(allowed(), "/", Some("reset,status=abc"));
    assert_eq!(response.status(), 400);
    let text = response.text();
    assert!(
        text.contains("fault: status=abc: \"abc\" is not a status"),
        "{text}"
    );
}

#[test]
fn own_faults_take_the_place_of_the_usual_ones() {
    let usual = || allowed().faults("status=503".parse().expect("it is a fault"));
    assert_eq!(get(usual(), "/", None).status(), 503);
    assert_eq!(get(usual(), "/", Some("none")).status(), 200);
    assert_eq!(get(usual(), "/?fault=status=418", None).status(), 418);
    let closed = usual().allow_faults(false);
    assert_eq!(get(closed, "/", Some("none")).status(), 503);
}

#[test]
fn content_can_be_of_any_size_up_to_the_limit() {
    let response = get(allowed().max_bytes(1_000), "/?fault=size=300", None);
    assert_eq!(response.bytes(), [b'x'; 300]);
    let response = get(allowed().max_bytes(1_000), "/?fault=size=1GiB", None);
    assert_eq!(response.bytes(), [b'x'; 1_000]);
    assert_eq!(response.header("content-length"), Some("1000"));
    assert_eq!(get(allowed(), "/?fault=size=0", None).bytes(), b"");
}
