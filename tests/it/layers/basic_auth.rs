use std::panic::catch_unwind;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httpool::http::request::Builder;
use httpool::layers::{BasicAuth, User};
use httpool::{Handler, Layered, Request};

use super::{call, get, text};

fn protected() -> impl Handler {
    let auth = BasicAuth::of("Library", [("ada", "lovelace"), ("grete", "mañana: ☕")]);
    Layered::new(greet).layer(auth)
}

fn greet(request: Request) -> String {
    format!("hello, {}", User::of(&request).unwrap_or("nobody"))
}

fn with(credentials: impl AsRef<[u8]>) -> Builder {
    let token = STANDARD.encode(credentials);
    get("/").header("authorization", format!("Basic {token}"))
}

#[test]
fn valid_credentials_are_accepted() {
    for (credentials, expected) in [
        ("ada:lovelace", "hello, ada"),
        ("grete:mañana: ☕", "hello, grete"),
    ] {
        assert_eq!(text(&call(&protected(), with(credentials))), expected);
    }
    let lower = get("/").header("authorization", "basic  YWRhOmxvdmVsYWNl");
    assert_eq!(text(&call(&protected(), lower)), "hello, ada");
}

#[test]
fn other_requests_get_a_challenge() {
    #[track_caller]
    fn check(request: Builder) {
        let response = call(&protected(), request);
        assert_eq!(response.status(), 401);
        let challenge = &response.headers()["www-authenticate"];
        assert_eq!(challenge, "Basic realm=\"Library\", charset=\"UTF-8\"");
    }
    check(get("/"));
    for wrong in [
        "ada:",
        "ada",
        ":",
        "",
        "ada:lovelac",
        "ada:lovelace ",
        "Ada:lovelace",
    ] {
        check(with(wrong));
    }
    check(with("grete:lovelace"));
    check(with("ada:love\0lace"));
    check(with(b"ada:\xff\xfe"));
    for wrong in [
        "Basic",
        "Basic ",
        "Basic ====",
        "Basic YWRhOmxvdmVsYWNl YWRh",
        "Basic ada:lovelace",
        "Bearer YWRhOmxvdmVsYWNl",
        "YWRhOmxvdmVsYWNl",
    ] {
        check(get("/").header("authorization", wrong));
    }
    // Two headers could name two users.
    let (right, wrong) = ("Basic YWRhOmxvdmVsYWNl", "Basic YWRhOmFkYQ==");
    let twice = get("/").header("authorization", right);
    check(twice.header("authorization", wrong));
}

#[test]
fn a_custom_check_decides() {
    let auth = BasicAuth::checked_by("Library", |name, password| password == format!("{name}!"));
    let handler = Layered::new(greet).layer(auth);
    assert_eq!(text(&call(&handler, with("eva:eva!"))), "hello, eva");
    assert_eq!(call(&handler, with("eva:adam!")).status(), 401);
}

#[test]
fn a_realm_is_escaped() {
    let auth = BasicAuth::of(r#"A "quoted\" realm"#, []);
    let response = call(&Layered::new(greet).layer(auth), get("/"));
    let expected = r#"Basic realm="A \"quoted\\\" realm", charset="UTF-8""#;
    assert_eq!(response.headers()["www-authenticate"], expected);
    for wrong in ["a\r\nset-cookie: b=c", "a\0", "caffè"] {
        assert!(catch_unwind(|| BasicAuth::of(wrong, [])).is_err());
        assert!(catch_unwind(|| BasicAuth::checked_by(wrong, |_, _| true)).is_err());
    }
    assert!(catch_unwind(|| BasicAuth::of("a", [("a:b", "c")])).is_err());
}

#[test]
fn a_handler_can_take_the_user() {
    use httpool::Router;

    let name = |User(name): User| name;
    let auth = BasicAuth::of("Library", [("ada", "lovelace")]);
    let router: Router = Router::new().layer(auth).get("/", name);
    assert_eq!(text(&call(&router, with("ada:lovelace"))), "ada");
    let open: Router = Router::new().get("/", name);
    assert_eq!(call(&open, with("ada:lovelace")).status(), 403);
}
