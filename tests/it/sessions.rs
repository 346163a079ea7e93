use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use httpool::cookies::Key;
use httpool::extract::{FromRequest, Path, Rejection, RequestContext};
use httpool::sessions::{
    MemoryStore, Session, SessionError, SessionId, SessionStore, Sessions, StoreError,
};
use httpool::{IntoResponse, Later, Router};

use crate::support::{TestServer, Transport, Visitor};

fn count(session: Session) -> Result<String, SessionError> {
    let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    Ok(visits.to_string())
}

fn peek(session: Session) -> Result<String, SessionError> {
    Ok(format!("{:?}", session.get::<u32>("visits")?))
}

/// An argument that reads the session.
struct Visits(Option<u32>);

impl<S> FromRequest<S> for Visits {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(Self(Session::from_request(context)?.get("visits")?))
    }
}

fn router(sessions: Sessions) -> Router {
    Router::new()
        .layer(sessions)
        .get("/count", count)
        .get("/peek", peek)
        .get("/argument", |Visits(visits): Visits| format!("{visits:?}"))
        .get("/unused", |_: Session| "unused")
        .get("/renew", |session: Session| {
            session.renew().map(|()| "renewed")
        })
        .get("/destroy", |session: Session| {
            session.destroy().map(|()| "destroyed")
        })
        .get("/again", |session: Session| -> Result<_, SessionError> {
            session.destroy()?;
            session.insert("visits", 100)?;
            Ok("new")
        })
        .get(
            "/fill/{size}",
            |session: Session, Path(size): Path<usize>| {
                session.insert("fill", "x".repeat(size)).map(|()| "filled")
            },
        )
}

#[track_caller]
fn serve(sessions: Sessions) -> TestServer {
    TestServer::spawn(|builder| builder, router(sessions))
}

/// Each way to keep sessions.
fn each_kind() -> [Sessions; 3] {
    [
        Sessions::new(MemoryStore::new()),
        Sessions::encrypted(Key::generate()),
        Sessions::signed(Key::generate()),
    ]
}

#[test]
fn values_stay_until_the_session_is_destroyed() {
    for sessions in each_kind() {
        let server = serve(sessions);
        for mut visitor in Visitor::of_both_protocols(&server) {
            assert_eq!(visitor.get("/peek").text(), "None");
            assert!(visitor.cookies.is_empty());
            for visits in ["1", "2", "3"] {
                assert_eq!(visitor.get("/count").text(), visits);
            }
            let response = visitor.get("/peek");
            assert_eq!(response.text(), "Some(3)");
            assert_eq!(response.header("set-cookie"), None);
            assert_eq!(visitor.get("/destroy").text(), "destroyed");
            assert!(visitor.cookies.is_empty());
            assert_eq!(visitor.get("/count").text(), "1");
            assert_eq!(visitor.get("/again").text(), "new");
            assert_eq!(visitor.get("/peek").text(), "Some(100)");
        }
    }
}

#[test]
fn renewed_session_keeps_values_under_a_new_id() {
    let server = serve(Sessions::new(MemoryStore::new()));
    for mut visitor in Visitor::of_both_protocols(&server) {
        visitor.get("/count");
        let old = visitor.cookies.clone();
        visitor.get("/renew");
        assert_ne!(visitor.cookies, old);
        assert_eq!(visitor.get("/peek").text(), "Some(1)");
        visitor.cookies = old;
        assert_eq!(visitor.get("/peek").text(), "None");
    }
}

#[test]
fn unknown_ids_are_not_adopted() {
    for sessions in each_kind() {
        let server = serve(sessions);
        for mut visitor in Visitor::of_both_protocols(&server) {
            for id in ["", "x", &"A".repeat(43), &"A".repeat(4000), "%00", "a.b"] {
                visitor.cookies.insert("session".into(), id.into());
                assert_eq!(visitor.get("/peek").text(), "None");
                assert_eq!(visitor.get("/count").text(), "1");
                assert_ne!(visitor.cookies["session"], id);
            }
        }
    }
}

#[test]
fn session_is_found_behind_other_cookies_of_its_name() {
    let unknown = ["A", "E"].map(|digit| digit.repeat(43));
    for sessions in each_kind() {
        let server = serve(sessions);
        for mut visitor in Visitor::of_both_protocols(&server) {
            visitor.get("/count");
            let others = format!("session={}; session=x; session={}", unknown[0], unknown[1]);
            let response = visitor.request("GET", "/count", &[("cookie", &others)]);
            assert_eq!(response.text(), "2");
        }
    }
}

#[test]
fn store_is_asked_for_three_ids_of_a_request() {
    let store = Arc::new(Watched::default());
    let server = serve(Sessions::new(Arc::clone(&store)));
    let unknown = ["A", "E", "I", "M"].map(|digit| format!("session={}", digit.repeat(43)));
    for mut visitor in Visitor::of_both_protocols(&server) {
        visitor.get("/count");
        let calls = store.calls.load(Ordering::Relaxed);
        let others = unknown.join("; ");
        let response = visitor.request("GET", "/peek", &[("cookie", &others)]);
        assert_eq!(response.text(), "None");
        assert_eq!(store.calls.load(Ordering::Relaxed), calls + 3);
    }
}

#[test]
fn session_cookie_has_safe_attributes() {
    let sessions = Sessions::new(MemoryStore::new())
        .cookie("__Host-id")
        .lifetime(Duration::from_secs(60));
    let server = Transport::Tls.spawn(|builder| builder, router(sessions));
    for mut visitor in Visitor::of_both_protocols(&server) {
        let response = visitor.get("/count");
        let cookie = response.header("set-cookie").expect("the session is new");
        let (_, attributes) = cookie.split_once("; ").expect("it has attributes");
        assert_eq!(
            attributes,
            "HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60"
        );
        assert_eq!(visitor.cookies["__Host-id"].len(), 43);
    }
}

#[test]
fn sessions_of_a_cookie_are_not_readable_unless_signed() {
    let sessions = [
        Sessions::encrypted(Key::generate()),
        Sessions::signed(Key::generate()),
    ];
    for (sessions, is_readable) in sessions.into_iter().zip([false, true]) {
        let server = serve(sessions);
        for mut visitor in Visitor::of_both_protocols(&server) {
            visitor.get("/count");
            assert_eq!(visitor.cookies["session"].contains("visits"), is_readable);
        }
    }
}

#[test]
fn session_that_does_not_fit_into_a_cookie_is_a_500() {
    let server = serve(Sessions::encrypted(Key::generate()));
    for mut visitor in Visitor::of_both_protocols(&server) {
        assert_eq!(visitor.get("/fill/2900").status, 200);
        assert_eq!(visitor.get("/fill/3100").status, 500);
    }
    let server = serve(Sessions::new(MemoryStore::new()));
    for mut visitor in Visitor::of_both_protocols(&server) {
        assert_eq!(visitor.get("/fill/100000").status, 200);
    }
}

/// A store that counts its calls, and fails if a test wants that.
#[derive(Default)]
struct Watched {
    store: MemoryStore,
    fails: AtomicBool,
    calls: AtomicUsize,
}

impl Watched {
    fn call(&self) -> Result<&MemoryStore, StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match self.fails.load(Ordering::Relaxed) {
            true => Err("the database is away".into()),
            false => Ok(&self.store),
        }
    }
}

impl SessionStore for Watched {
    fn load(&self, id: &SessionId) -> Result<Option<String>, StoreError> {
        self.call()?.load(id)
    }

    fn create(&self, id: &SessionId, data: &str, expires: SystemTime) -> Result<(), StoreError> {
        self.call()?.create(id, data, expires)
    }

    fn save(&self, id: &SessionId, data: &str, expires: SystemTime) -> Result<(), StoreError> {
        self.call()?.save(id, data, expires)
    }

    fn destroy(&self, id: &SessionId) -> Result<(), StoreError> {
        self.call()?.destroy(id)
    }
}

#[test]
fn failing_store_is_a_500_until_it_works_again() {
    let store = Arc::new(Watched::default());
    let server = serve(Sessions::new(Arc::clone(&store)));
    for mut visitor in Visitor::of_both_protocols(&server) {
        visitor.get("/count");
        store.fails.store(true, Ordering::Relaxed);
        for target in ["/count", "/peek", "/argument", "/renew", "/destroy"] {
            let response = visitor.get(target);
            assert_eq!(response.status, 500, "{target}");
            assert!(!response.text().contains("database"));
        }
        // A new visitor's session can't be created.
        let mut other = std::mem::take(&mut visitor.cookies);
        assert_eq!(visitor.get("/count").status, 500);
        assert!(visitor.cookies.is_empty());
        assert_eq!(visitor.get("/unused").text(), "unused");
        store.fails.store(false, Ordering::Relaxed);
        std::mem::swap(&mut visitor.cookies, &mut other);
        assert_eq!(visitor.get("/count").text(), "2");
        assert_eq!(visitor.get("/argument").text(), "Some(2)");
    }
}

#[test]
fn unused_session_does_not_ask_the_store() {
    let store = Arc::new(Watched::default());
    let server = serve(Sessions::new(Arc::clone(&store)));
    for mut visitor in Visitor::of_both_protocols(&server) {
        visitor.get("/count");
        let calls = store.calls.load(Ordering::Relaxed);
        visitor.get("/unused");
        assert_eq!(store.calls.load(Ordering::Relaxed), calls);
        visitor.get("/peek");
        assert_eq!(store.calls.load(Ordering::Relaxed), calls + 1);
        // Text that is not an id is not looked up.
        visitor.cookies.insert("session".into(), "x".into());
        visitor.get("/peek");
        assert_eq!(store.calls.load(Ordering::Relaxed), calls + 1);
    }
}

#[test]
fn shared_caches_do_not_keep_responses_of_sessions() {
    let public = |session: Session| -> Result<_, SessionError> {
        let visits: Option<u32> = session.get("visits")?;
        Ok(([("cache-control", "max-age=60")], format!("{visits:?}")))
    };
    let router = router(Sessions::new(MemoryStore::new())).get("/public", public);
    let server = TestServer::spawn(|builder| builder, router);
    for mut visitor in Visitor::of_both_protocols(&server) {
        let headers = |visitor: &mut Visitor, target| {
            let response = visitor.get(target);
            ["cache-control", "vary"].map(|name| response.header(name).map(str::to_owned))
        };
        for target in ["/peek", "/count", "/destroy"] {
            let expected = [Some("private".into()), Some("cookie".into())];
            assert_eq!(headers(&mut visitor, target), expected, "{target}");
        }
        let expected = [Some("max-age=60".into()), Some("cookie".into())];
        assert_eq!(headers(&mut visitor, "/public"), expected);
        assert_eq!(headers(&mut visitor, "/unused"), [None, None]);
    }
}

#[test]
fn response_that_sets_the_cookie_is_private() {
    fn count_with(
        session: Session,
        directives: &'static str,
    ) -> Result<impl IntoResponse, SessionError> {
        Ok(([("cache-control", directives)], count(session)?))
    }
    for (directives, expected) in [
        ("public, max-age=60", "private, max-age=60"),
        ("Public", "private"),
        ("max-age=60, s-maxage=600", "private, max-age=60"),
        (
            "S-MaxAge=\"600\",,must-revalidate",
            "private, must-revalidate",
        ),
        ("no-store", "private, no-store"),
        ("private, max-age=1", "private, max-age=1"),
        ("private=\"x-a, x-b\"", "private, private=\"x-a, x-b\""),
    ] {
        let sessions = Sessions::encrypted(Key::generate());
        let router = router(sessions)
            .get("/cached", move |session: Session| {
                count_with(session, directives)
            })
            .get(
                "/logout",
                move |session: Session| -> Result<_, SessionError> {
                    session.destroy()?;
                    Ok(([("cache-control", directives)], "destroyed"))
                },
            );
        let server = TestServer::spawn(|builder| builder, router);
        for mut visitor in Visitor::of_both_protocols(&server) {
            for target in ["/cached", "/logout"] {
                let response = visitor.get(target);
                assert!(response.header("set-cookie").is_some());
                assert_eq!(response.header("cache-control"), Some(expected), "{target}");
                assert_eq!(response.header("vary"), Some("cookie"));
            }
        }
    }
}

#[test]
fn session_is_saved_when_a_later_response_has_come() {
    let later = |session: Session| -> Result<_, SessionError> {
        session.insert("visits", 7)?;
        Ok(Later::after(Duration::from_millis(1), "later"))
    };
    let router = router(Sessions::new(MemoryStore::new())).get("/later", later);
    let server = TestServer::spawn(|builder| builder, router);
    for mut visitor in Visitor::of_both_protocols(&server) {
        assert_eq!(visitor.get("/later").text(), "later");
        assert_eq!(visitor.get("/peek").text(), "Some(7)");
    }
}

#[test]
fn session_without_its_layer_is_a_500() {
    let server = TestServer::spawn(|builder| builder, Router::new().get("/", peek));
    for mut visitor in Visitor::of_both_protocols(&server) {
        assert_eq!(visitor.get("/").status, 500);
    }
}
