use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;
use crate::message::IntoResponse as _;
use crate::web::sse::EventSource;

/// Counts its wake-ups.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn is_draining(&self) -> bool {
        false
    }
}

impl Counter {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

/// A stream as a connection has it, and what wakes the connection.
fn connected(events: Events) -> (Box<dyn PolledSource>, Arc<Counter>) {
    let EventSource::Polled(mut source) = events.source else {
        panic!("a broadcast is polled");
    };
    let counter = Arc::new(Counter::default());
    source.attach(Arc::clone(&counter) as Arc<dyn Wake>);
    (source, counter)
}

#[track_caller]
fn expect_part(source: &mut dyn PolledSource, expected: &str) {
    match source.poll(Instant::now()) {
        Polled::Part(part) => assert_eq!(String::from_utf8_lossy(&part), expected),
        other => panic!("no part: {other:?}"),
    }
}

#[track_caller]
fn expect_pending(source: &mut dyn PolledSource) {
    let polled = source.poll(Instant::now());
    assert!(matches!(polled, Polled::Pending(None)), "{polled:?}");
}

#[track_caller]
fn expect_end(source: &mut dyn PolledSource) {
    let polled = source.poll(Instant::now());
    assert!(matches!(polled, Polled::End), "{polled:?}");
}

fn number(id: u64) -> Event {
    Event::data("").id(id)
}

fn text(events: Events) -> String {
    let mut text = String::new();
    let mut body = events.into_response().into_body();
    body.read_to_string(&mut text).expect("events are UTF-8");
    text
}

#[test]
fn waiting_listener_is_woken_once() {
    let news = Broadcast::new();
    let (mut source, wakes) = connected(news.subscribe(None));
    news.send(number(1));
    assert_eq!(wakes.take(), 0, "it has not waited");
    expect_part(&mut *source, "id: 1\ndata: \n\n");
    expect_pending(&mut *source);
    for id in 2..=3 {
        news.send(number(id));
    }
    assert_eq!(wakes.take(), 1);
    expect_part(&mut *source, "id: 2\ndata: \n\nid: 3\ndata: \n\n");
    expect_pending(&mut *source);
    expect_pending(&mut *source);
    news.close();
    assert_eq!(wakes.take(), 1);
    expect_end(&mut *source);
}

#[test]
fn reconnected_listener_receives_what_it_missed() {
    let news = Broadcast::with_history(2, 1000);
    (1..=3).for_each(|id| news.send(number(id)));
    news.close();
    let last = "id: 3\ndata: \n\n";
    let kept = format!("id: 2\ndata: \n\n{last}");
    assert_eq!(text(news.subscribe(Some("2"))), last);
    assert_eq!(text(news.subscribe(Some("3"))), "");
    for unknown in ["1", "4", "", "x"] {
        assert_eq!(text(news.subscribe(Some(unknown))), kept, "{unknown}");
    }
    assert_eq!(text(news.subscribe(None)), "");
    assert_eq!((news.dropped(), news.listeners()), (0, 0));
}

#[test]
fn ids_of_an_earlier_broadcast_are_older() {
    let first = Broadcast::new();
    first.send(Event::data("before"));
    let last = first.lock().history.end() - 1;
    // Ids begin with the microsecond of the creation. The clock may have stood still so far.
    while first_number() <= last {
        thread::yield_now();
    }
    let second = Broadcast::new();
    second.send(Event::data("after"));
    second.close();
    let text = text(second.subscribe(Some(&last.to_string())));
    assert!(text.ends_with("\ndata: after\n\n"), "{text}");
}

#[test]
fn slow_listener_is_dropped_and_counted_once() {
    let news = Broadcast::with_history(2, 1000);
    let (mut slow, wakes) = connected(news.subscribe(None));
    let (mut quick, _) = connected(news.subscribe(None));
    for id in 1..=3 {
        news.send(number(id));
        expect_part(&mut *quick, &format!("id: {id}\ndata: \n\n"));
    }
    assert_eq!(news.dropped(), 0, "it may have left before");
    expect_end(&mut *slow);
    expect_end(&mut *slow);
    assert_eq!((news.dropped(), news.listeners()), (1, 2));
    drop(slow);
    assert_eq!((news.dropped(), news.listeners()), (1, 1));
    assert_eq!(wakes.take(), 0);
}

#[test]
fn slow_listener_that_is_never_polled_is_counted() {
    let news = Broadcast::with_history(1, 1000);
    let (slow, _) = connected(news.subscribe(None));
    (1..=2).for_each(|id| news.send(number(id)));
    drop(slow);
    assert_eq!((news.dropped(), news.listeners()), (1, 0));
}

#[test]
fn waiting_listener_is_never_too_slow() {
    let news = Broadcast::with_history(0, 0);
    let (mut source, _) = connected(news.subscribe(None));
    expect_pending(&mut *source);
    news.send(Event::data("x".repeat(100_000)));
    assert!(matches!(source.poll(Instant::now()), Polled::Part(_)));
}

#[test]
fn dropping_the_last_clone_ends_the_streams() {
    let news = Broadcast::new();
    let (mut source, wakes) = connected(news.subscribe(None));
    expect_pending(&mut *source);
    let clone = news.clone();
    drop(news);
    assert_eq!(wakes.take(), 0);
    drop(clone);
    assert_eq!(wakes.take(), 1);
    expect_end(&mut *source);
}

#[test]
fn closed_broadcast_sends_no_event() {
    let news = Broadcast::new();
    let (mut source, _) = connected(news.subscribe(None));
    news.send(number(1));
    news.close();
    news.send(number(2));
    expect_part(&mut *source, "id: 1\ndata: \n\n");
    expect_end(&mut *source);
    assert!(news.is_closed());
}

#[test]
fn crowd_of_listeners_leaves_at_once() {
    let news = Broadcast::new();
    let mut crowd: Vec<_> = (0..10_000)
        .map(|_| connected(news.subscribe(None)))
        .collect();
    for (source, _) in &mut crowd {
        expect_pending(&mut **source);
    }
    assert_eq!(news.listeners(), 10_000);
    let sender = news.clone();
    let sending = thread::spawn(move || (0..100).for_each(|id| sender.send(number(id))));
    drop(crowd);
    sending.join().expect("sending does not panic");
    assert_eq!((news.listeners(), news.dropped()), (0, 0));
}

#[test]
fn listener_that_has_everything_of_a_closed_broadcast_is_stopped() {
    let news = Broadcast::with_history(2, usize::MAX);
    (1..=3).for_each(|id| news.send(number(id)));
    let status = |id: Option<&str>| {
        let response = news.subscribe_or_end(id).into_response();
        response.status().as_u16()
    };
    assert_eq!((status(Some("3")), status(None)), (200, 200), "it is open");
    news.close();
    assert_eq!((status(Some("3")), status(None)), (204, 204));
    for id in [Some("2"), Some("1"), Some("unknown"), Broadcast::FROM_START] {
        assert_eq!(status(id), 200, "{id:?}");
    }
    assert_eq!(news.listeners(), 0);
    let nothing = Broadcast::new();
    nothing.close();
    let response = nothing
        .subscribe_or_end(Broadcast::FROM_START)
        .into_response();
    assert_eq!(response.status(), 204);
}

#[test]
fn each_listener_receives_each_event_in_order() {
    const EVENTS: u64 = 2000;
    let news = Broadcast::with_history(2 * EVENTS as usize, usize::MAX);
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let events = news.subscribe(None);
            thread::spawn(move || text(events))
        })
        .collect();
    let senders = [(); 2].map(|()| {
        let news = news.clone();
        thread::spawn(move || (0..EVENTS).for_each(|_| news.send(Event::data(""))))
    });
    for sender in senders {
        sender.join().expect("sending does not panic");
    }
    drop(news);
    let texts = readers
        .into_iter()
        .map(|reader| reader.join().expect("reading does not panic"));
    for text in texts {
        let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
        let ids: Vec<u64> = ids.map(|id| id.parse().expect("ids are numbers")).collect();
        assert_eq!(ids.len() as u64, 2 * EVENTS);
        assert!(ids.windows(2).all(|two| two[0] + 1 == two[1]));
    }
}
