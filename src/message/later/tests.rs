use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use http::header::{CONTENT_TYPE, SERVER, SET_COOKIE, VARY};
use http::{HeaderValue, Version};

use super::*;
use crate::message::waker::Wake;

/// Counts how often it was called.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Counter {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Counter {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn is_draining(&self) -> bool {
        true
    }
}

fn text(response: &Response) -> &str {
    std::str::from_utf8(response.body().as_bytes()).expect("the content is text")
}

/// The response that a connection would send now.
#[track_caller]
fn arrived(later: Later) -> Response {
    let mut response = later.into_response();
    while let Some(mut later) = Later::take(&mut response) {
        response = match later.poll(Instant::now()) {
            Some(Resolution::Response(response) | Resolution::Late(Some(response))) => {
                later.complete(*response)
            }
            Some(Resolution::Call(respond)) => later.complete(respond.call()),
            other => panic!("there is no response: {other:?}"),
        };
    }
    response
}

/// Responders are kept in lists that threads share.
const _: fn() = || {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Responder>();
};

#[test]
fn responder_wakes_once_and_gives_its_response() {
    let (responder, mut later) = Later::new();
    let waker = Arc::new(Counter::default());
    later.attach(waker.clone());
    assert!(later.poll(Instant::now()).is_none());
    assert!(responder.is_draining());
    assert!(!responder.is_cancelled());
    responder.respond("hello").expect("the response is wanted");
    assert_eq!(waker.count(), 1);
    assert_eq!(text(&arrived(later)), "hello");
    assert_eq!(waker.count(), 1);
}

#[test]
fn callback_that_panics_when_dropped_holds_up_no_response() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a test asked for this");
        }
    }
    let (responder, later) = Later::new();
    let waker = Arc::new(Counter::default());
    later.attach(waker.clone());
    let bomb = Bomb;
    responder.on_cancel(move || drop(bomb));
    let responded = std::panic::catch_unwind(AssertUnwindSafe(|| responder.respond("hello")));
    assert!(responded.is_err());
    assert_eq!(waker.count(), 1);
    assert_eq!(text(&arrived(later)), "hello");
}

#[test]
fn response_before_the_waker_is_found() {
    let (responder, later) = Later::new();
    assert!(!responder.is_draining(), "there is no server yet");
    responder.respond("hello").expect("the response is wanted");
    let waker = Arc::new(Counter::default());
    later.attach(waker.clone());
    assert_eq!(waker.count(), 0);
    assert_eq!(text(&arrived(later)), "hello");
}

#[test]
fn dropped_responder_is_noticed() {
    let (responder, mut later) = Later::new();
    let waker = Arc::new(Counter::default());
    later.attach(waker.clone());
    drop(responder);
    assert_eq!(waker.count(), 1);
    let resolution = later.poll(Instant::now());
    assert!(matches!(resolution, Some(Resolution::Abandoned)));
}

#[test]
fn dropped_later_cancels() {
    let calls = Arc::new(Counter::default());
    let (responder, later) = Later::new();
    for _ in 0..2 {
        let calls = calls.clone();
        responder.on_cancel(move || calls.wake());
    }
    // A panic of one function does not stop the others.
    responder.on_cancel(|| panic!("a test asked for this"));
    drop(later);
    assert!(responder.is_cancelled());
    assert_eq!(calls.count(), 2);
    let late = calls.clone();
    responder.on_cancel(move || late.wake());
    assert_eq!(calls.count(), 3, "it is called at once");
    let cancelled = responder.respond("hello").expect_err("nobody waits");
    assert_eq!(text(&cancelled.into_inner()), "hello");
}

#[test]
fn response_ends_the_interest_in_cancellation() {
    let calls = Arc::new(Counter::default());
    let (responder, later) = Later::new();
    let cancelled = calls.clone();
    responder.on_cancel(move || cancelled.wake());
    responder.respond(()).expect("the response is wanted");
    drop(later);
    assert_eq!(calls.count(), 0);
}

#[test]
fn finished_client_may_still_get_a_response() {
    let (responder, later) = Later::new();
    later.client_finished();
    assert!(responder.is_cancelled());
    responder.respond("hello").expect("the client may read");
    assert_eq!(text(&arrived(later)), "hello");
}

#[test]
fn deadline_ends_the_wait() {
    let (_responder, later) = Later::new();
    let mut later = later.deadline(Duration::ZERO);
    let resolution = later.poll(Instant::now());
    assert!(matches!(resolution, Some(Resolution::Late(None))));
    let (_responder, later) = Later::new();
    assert_eq!(
        text(&arrived(later.deadline_with(Duration::ZERO, "late"))),
        "late"
    );
    let (responder, later) = Later::new();
    responder
        .respond("in time")
        .expect("the response is wanted");
    assert_eq!(text(&arrived(later.deadline(Duration::ZERO))), "in time");
    let (_responder, mut later) = Later::new();
    let after = Instant::now() + RESPONSE_DEADLINE;
    assert!(later.poll(after).is_some());
}

#[test]
fn response_after_the_deadline_was_noticed_is_refused() {
    let calls = Arc::new(Counter::default());
    let (responder, later) = Later::new();
    let mut later = later.deadline(Duration::ZERO);
    let cancelled = calls.clone();
    responder.on_cancel(move || cancelled.wake());
    assert!(matches!(
        later.poll(Instant::now()),
        Some(Resolution::Late(None))
    ));
    assert!(responder.is_cancelled());
    assert_eq!(calls.count(), 0, "a worker calls it");
    let cancelled = responder.respond("hello").expect_err("it is too late");
    assert_eq!(text(&cancelled.into_inner()), "hello");
    drop(later);
    assert_eq!(calls.count(), 1);
}

/// Exactly the responses are sent for which the responder had success.
#[test]
fn response_and_deadline_race() {
    for _ in 0..1000 {
        let (responder, later) = Later::new();
        let mut later = later.deadline(Duration::ZERO);
        let responding = thread::spawn(move || responder.respond("hello").is_ok());
        thread::yield_now();
        let resolution = later.poll(Instant::now());
        let is_sent = matches!(resolution, Some(Resolution::Response(_)));
        let has_succeeded = responding.join().expect("the responder does not panic");
        assert_eq!(is_sent, has_succeeded, "{resolution:?}");
    }
}

#[test]
fn timer_gives_its_response_when_it_is_due() {
    let mut later = Later::after(Duration::from_secs(3600), "hello");
    let at = later.alarm().expect("it has a timer");
    assert!(later.poll(at - Duration::from_millis(1)).is_none());
    assert!(matches!(later.poll(at), Some(Resolution::Response(_))));
    assert_eq!(later.ends_at(), None);
    assert!(Later::after(Duration::MAX, ()).alarm().is_some());
}

#[test]
fn layers_change_the_response_in_their_order() {
    let (responder, later) = Later::new();
    let append = |letter: &'static str| {
        move |response: Response| format!("{}{letter}", text(&response)).into_response()
    };
    let response = Later::map(later.into_response(), append("b"));
    let mut response = Later::map(response, append("c"));
    responder.respond("a").expect("the response is wanted");
    let later = Later::take(&mut response).expect("it comes later");
    assert_eq!(text(&arrived(later)), "abc");
    assert_eq!(text(&Later::map("a".into_response(), append("b"))), "ab");
}

#[test]
fn placeholder_headers_do_not_replace_those_of_the_response() {
    let later = Later::after(
        Duration::ZERO,
        (
            [("server", "a"), ("set-cookie", "a=1"), ("vary", "accept")],
            "text",
        ),
    );
    let mut response = later.into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (SERVER, "b"),
        (SET_COOKIE, "b=2"),
        (VARY, "origin"),
        (CONTENT_TYPE, "text/csv"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    headers.append("x-new", HeaderValue::from_static("c"));
    response.extensions_mut().insert(7_u32);
    let response = arrived(Later::take(&mut response).expect("it comes later"));
    let all = |name: &str| -> Vec<_> { response.headers().get_all(name).iter().collect() };
    assert_eq!(all("server"), ["a"]);
    assert_eq!(all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(all("vary"), ["accept", "origin"]);
    assert_eq!(all("content-type"), ["text/plain; charset=utf-8"]);
    assert_eq!(all("x-new"), ["c"]);
    assert_eq!(response.extensions().get(), Some(&7_u32));
}

#[test]
fn tuples_apply_to_the_response() {
    let later = Later::after(Duration::ZERO, ([("server", "a")], "text"));
    let mut response = (http::StatusCode::CREATED, [("server", "b")], later).into_response();
    let response = arrived(Later::take(&mut response).expect("it comes later"));
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["server"], "b");
    let later = Later::after(Duration::ZERO, None::<&str>);
    let mut response = later.into_response();
    *response.status_mut() = http::StatusCode::GONE;
    let response = arrived(Later::take(&mut response).expect("it comes later"));
    assert_eq!(response.status(), 410);
}

#[test]
fn later_response_may_come_later_again() {
    let (responder, later) = Later::new();
    let response = Later::map(later.into_response(), |response| {
        format!("{} layer", text(&response)).into_response()
    });
    let inner = Later::after(Duration::ZERO, "inner").deadline(Duration::from_secs(60));
    responder.respond(inner).expect("the response is wanted");
    let mut response = response;
    let mut outer = Later::take(&mut response).expect("it comes later");
    let first = outer.ends_at();
    let Some(Resolution::Response(response)) = outer.poll(Instant::now()) else {
        panic!("the response has come");
    };
    let mut response = outer.complete(*response);
    let inner = Later::take(&mut response).expect("it comes later");
    assert_eq!(inner.ends_at(), first, "the earlier deadline holds");
    assert_eq!(text(&arrived(inner)), "inner layer");
}

#[test]
fn earlier_limit_replaces_a_deadline() {
    let (_responder, later) = Later::new();
    let mut response = later.into_response();
    let now = Instant::now();
    Later::limit(&mut response, now + 2 * RESPONSE_DEADLINE, || {
        "late".into_response()
    });
    Later::limit(&mut response, now, || "limit".into_response());
    let later = Later::take(&mut response).expect("it comes later");
    assert_eq!(text(&arrived(later)), "limit");
    let mut ordinary = "now".into_response();
    Later::limit(&mut ordinary, now, || unreachable!("it does not wait"));
}

fn hinted(headers: impl crate::message::Headers) -> Later {
    Later::early_hints(headers, || "page")
}

#[test]
fn early_hints_are_for_clients_that_take_them() {
    #[track_caller]
    fn check(version: Version, mode: Option<&'static str>, takes: bool) {
        let mut request = HeaderMap::new();
        if let Some(mode) = mode {
            request.insert("sec-fetch-mode", HeaderValue::from_static(mode));
        }
        let mut later = hinted([("link", "</a.css>")]);
        let hints = later.take_hints(version, || Cow::Borrowed(&request));
        assert_eq!(hints.is_some(), takes, "{version:?} {mode:?}");
        assert!(
            later
                .take_hints(Version::HTTP_2, || Cow::Borrowed(&request))
                .is_none()
        );
    }
    check(Version::HTTP_2, None, true);
    check(Version::HTTP_11, Some("navigate"), true);
    check(Version::HTTP_11, Some("cors"), false);
    check(Version::HTTP_11, None, false);
    check(Version::HTTP_10, Some("navigate"), false);
}

#[test]
fn response_behind_early_hints_needs_no_waker() {
    let later = hinted([("link", "</a.css>")]);
    assert!(!later.waits());
    assert_eq!(text(&arrived(later)), "page");
    let response = Later::map(hinted([("link", "</a.css>")]).into_response(), |response| {
        let layered = format!("layered {}", text(&response));
        layered.into_response()
    });
    let later = Later::take(&mut { response }).expect("it has not come");
    assert_eq!(text(&arrived(later)), "layered page");
}

#[test]
fn early_hints_with_an_invalid_header_become_a_500() {
    let mut later = hinted([("link", "a\r\nb: c")]);
    let none = later.take_hints(Version::HTTP_2, || Cow::Owned(HeaderMap::new()));
    assert_eq!(none, None);
    let response = arrived(later);
    assert_eq!(response.status(), 500);
}
