use httpool::cookies::{Cookie, Cookies, Key};
use httpool::http::StatusCode;
use httpool::{Later, Redirect, Request, Router};

use crate::support::{TestServer, Transport, Visitor};

#[track_caller]
fn serve(router: Router) -> TestServer {
    TestServer::spawn(|builder| builder, router)
}

fn show(cookies: Cookies) -> String {
    let shown: Vec<_> = cookies
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    shown.join(" ")
}

#[test]
fn cookies_are_set_read_and_removed() {
    let router = Router::new()
        .get("/", show)
        .get("/set", |cookies: Cookies| {
            let cookies = cookies
                .set(("b", "x; y"))
                .set(Cookie::build(("a", "1")).http_only(false));
            (StatusCode::CREATED, cookies, "set")
        })
        .get("/remove", |cookies: Cookies| {
            (cookies.remove("a"), Redirect::to("/"))
        });
    let server = serve(router);
    for mut visitor in Visitor::of_both_protocols(&server) {
        assert_eq!(visitor.get("/").text(), "");
        let response = visitor.get("/set");
        assert_eq!((response.status, response.text()), (201, "set".into()));
        let set: Vec<_> = response
            .headers
            .iter()
            .filter(|(name, _)| name == "set-cookie")
            .collect();
        let values: Vec<_> = set.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(
            values,
            [
                "b=x%3B%20y; HttpOnly; SameSite=Lax; Path=/",
                "a=1; SameSite=Lax; Path=/"
            ]
        );
        assert_eq!(visitor.get("/").text(), r#"a="1" b="x; y""#);
        let response = visitor.get("/remove");
        assert_eq!(response.status, 303);
        let removal = response
            .header("set-cookie")
            .expect("the cookie is removed");
        assert!(
            removal.contains("Expires=") && removal.contains("Path=/"),
            "{removal}"
        );
        assert_eq!(visitor.get("/").text(), r#"b="x; y""#);
    }
}

#[test]
fn cookies_are_secure_over_tls() {
    let set = |cookies: Cookies| (cookies.set(("a", "1")), "");
    let server = Transport::Tls.spawn(|builder| builder, Router::new().get("/", set));
    for mut visitor in Visitor::of_both_protocols(&server) {
        let response = visitor.get("/");
        let expected = "a=1; HttpOnly; SameSite=Lax; Secure; Path=/";
        assert_eq!(response.header("set-cookie"), Some(expected));
    }
}

/// Browsers that speak HTTP/2 send each cookie as a header of its own, and those are counted.
#[test]
fn hundreds_of_cookies_are_read_or_refused() {
    let count = |cookies: Cookies| format!("{} {:?}", cookies.iter().count(), cookies.get("c79"));
    let server = serve(Router::new().get("/", count));
    let [mut http1, mut http2] = Visitor::of_both_protocols(&server);
    for visitor in [&mut http1, &mut http2] {
        visitor.have_cookies(80);
        assert_eq!(visitor.get("/").text(), r#"80 Some("79")"#);
        visitor.have_cookies(400);
    }
    assert_eq!(http1.get("/").text(), r#"400 Some("79")"#);
    assert_eq!(http2.get("/").status, 431);
    http2.cookies.clear();
    assert_eq!(http2.get("/").text(), "0 None");
}

#[test]
fn any_bytes_of_a_cookie_are_survived() {
    let server = serve(Router::new().get("/", show));
    let mut client = server.connect();
    for byte in (0x20..=0xff).filter(|byte| *byte != 0x7f) {
        let mut request = b"GET / HTTP/1.1\r\nHost: it\r\nCookie: a=1; b=".to_vec();
        request.extend([byte].repeat(4096));
        request.extend(b"; c=3\r\n\r\n");
        let text = client.send(request).expect_status(200).text();
        assert!(
            text.starts_with(r#"a="1""#) && text.ends_with(r#"c="3""#),
            "{byte}"
        );
    }
}

#[test]
fn signed_and_private_values_cannot_be_changed() {
    let (old, key) = (Key::generate(), Key::generate());
    let rotated = key.accept_old(&old);
    let set = {
        let old = old.clone();
        move |cookies: Cookies| {
            let cookies = cookies.set_signed(("user", "ada"), &old);
            (cookies.set_private(("cart", "7 books"), &old), "")
        }
    };
    let show = move |cookies: Cookies| {
        let values = [
            cookies.get_signed("user", &rotated),
            cookies.get_private("cart", &rotated),
            cookies.get_signed("user", &key),
        ];
        format!("{values:?}")
    };
    let server = serve(Router::new().get("/set", set).get("/", show));
    for mut visitor in Visitor::of_both_protocols(&server) {
        visitor.get("/set");
        let expected = r#"[Some("ada"), Some("7 books"), None]"#;
        assert_eq!(visitor.get("/").text(), expected);
        let kept = visitor.cookies.clone();
        assert!(!kept["cart"].contains("books"));
        for (name, value) in &kept {
            for index in [0, value.len() / 2, value.len() - 1] {
                let mut changed = value.clone();
                let other = if &value[index..=index] == "A" {
                    "B"
                } else {
                    "A"
                };
                changed.replace_range(index..=index, other);
                visitor.cookies.insert(name.clone(), changed);
                let text = visitor.get("/").text();
                assert_ne!(text, expected);
                assert!(!text.contains("Bda") && !text.contains("Ada"), "{text}");
            }
            visitor.cookies.clone_from(&kept);
        }
        let swapped = [("user", "cart"), ("cart", "user")];
        for (name, other) in swapped {
            visitor.cookies.insert(name.into(), kept[other].clone());
        }
        assert_eq!(visitor.get("/").text(), "[None, None, None]");
    }
}

#[test]
fn cookie_that_browsers_ignore_is_a_500() {
    let large = |cookies: Cookies| (cookies.set(("a", "v".repeat(5000))), "secret");
    let prefixed =
        |cookies: Cookies| (cookies.set(Cookie::build(("__Host-a", "1")).path("/x")), "");
    let server = serve(
        Router::new()
            .get("/large", large)
            .get("/prefixed", prefixed),
    );
    for mut visitor in Visitor::of_both_protocols(&server) {
        for target in ["/large", "/prefixed"] {
            let response = visitor.get(target);
            assert_eq!(response.status, 500, "{target}");
            assert_eq!(response.header("set-cookie"), None);
        }
    }
}

#[test]
fn response_that_comes_later_sets_cookies() {
    let later = |request: Request| {
        let cookies = Cookies::of(&request).set(("a", "1"));
        (
            cookies,
            Later::after(std::time::Duration::from_millis(1), "later"),
        )
    };
    let server = TestServer::spawn(|builder| builder, later);
    for mut visitor in Visitor::of_both_protocols(&server) {
        let response = visitor.get("/");
        assert_eq!(response.text(), "later");
        assert_eq!(visitor.cookies["a"], "1");
    }
}
