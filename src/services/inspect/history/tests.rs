use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;

use super::*;
use crate::message::later::Resolution;
use crate::message::{IntoResponse, Later, RawRequest};

const LIMITS: Limits = Limits {
    requests: 3,
    bytes: 1_000_000,
    body: 10,
};

fn captured(target: &str, body: &str) -> Captured {
    let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    let request = http::Request::post(target).body(body.to_owned().into());
    let mut captured = Captured::of(&request.expect("test requests are valid"));
    captured.raw = RawRequest::new(Bytes::from(head), None);
    captured
}

fn record(history: &Arc<History>, target: &str) {
    let recording = history.record(&captured(target, "hello"));
    let _ = recording.complete(StatusCode::OK.into_response());
}

fn targets(history: &History) -> Vec<String> {
    history
        .all()
        .iter()
        .map(|shown| shown.entry.captured.target().to_owned())
        .collect()
}

#[test]
fn oldest_requests_leave_beyond_each_limit() {
    let history = History::new(LIMITS);
    for number in 0..5 {
        record(&history, &format!("/{number}"));
    }
    assert_eq!(targets(&history), ["/2", "/3", "/4"]);
    assert!(history.get(2).is_none());
    assert_eq!(history.get(3).map(|shown| shown.entry.id), Some(3));
    assert!(history.get(6).is_none());

    let size = Entry::new(&captured("/0", "hello"), 10).size();
    let history = History::new(Limits {
        requests: 100,
        bytes: 2 * size + size / 2,
        body: 10,
    });
    for number in 0..5 {
        record(&history, &format!("/{number}"));
    }
    assert_eq!(targets(&history), ["/3", "/4"]);
    let state = history.lock();
    let sum: usize = state.slots.iter().map(|slot| slot.entry.size()).sum();
    assert_eq!(state.bytes, sum);
}

#[test]
fn held_requests_stay_until_they_are_released() {
    let history = History::new(LIMITS);
    record(&history, "/held");
    assert_eq!(history.hold().len(), 1);
    (0..5).for_each(|_| record(&history, "/later"));
    let held = history.get(1).expect("it is held");
    assert_eq!(held.entry.captured.target(), "/held");
    assert!(history.get(2).is_none());
    history.release();
    assert!(history.get(1).is_none());
    history.hold();
    history.clear();
    assert!(history.get(6).is_none());
}

#[test]
fn long_body_keeps_its_start() {
    let history = History::new(LIMITS);
    let body = "0123456789abc";
    drop(history.record(&captured("/", body)));
    let shown = history.get(1).expect("it is kept");
    assert_eq!(&shown.entry.captured.body[..], b"0123456789");
    assert!(shown.entry.is_truncated());
    assert_eq!(shown.entry.body_length, body.len());
}

#[test]
fn request_is_open_until_its_response_has_come() {
    let history = History::new(LIMITS);
    let (responder, later) = Later::new();
    let response = history
        .record(&captured("/", ""))
        .complete(later.into_response());
    assert_eq!(history.get(1).expect("it is kept").outcome, Outcome::Open);
    let sent = responder.respond((StatusCode::CREATED, "hello"));
    assert!(sent.is_ok());
    let mut later = Later::take(&mut { response }).expect("it has not come");
    let Some(Resolution::Response(response)) = later.poll(Instant::now()) else {
        panic!("the response has come")
    };
    let _ = later.complete(*response);
    match history.get(1).expect("it is kept").outcome {
        Outcome::Response { status, length, .. } => {
            assert_eq!((status.as_u16(), length), (201, Some(5)));
        }
        other => panic!("{other:?}"),
    }
    // A client that leaves drops the wait.
    let (responder, later) = Later::new();
    drop(
        history
            .record(&captured("/", ""))
            .complete(later.into_response()),
    );
    drop(responder);
    let outcome = history.get(2).expect("it is kept").outcome;
    assert!(matches!(outcome, Outcome::Nothing { .. }), "{outcome:?}");
}

/// The data of the events received so far.
fn events(
    source: &mut dyn crate::message::body::PolledSource,
    now: Instant,
) -> Vec<serde_json::Value> {
    use crate::message::body::Polled;
    let mut text = String::new();
    while let Polled::Part(part) = source.poll(now) {
        text.push_str(std::str::from_utf8(&part).expect("events are UTF-8"));
    }
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|json| serde_json::from_str(json).expect("data is JSON"))
        .collect()
}

fn ids(event: &serde_json::Value) -> Vec<u64> {
    let requests = event["requests"].as_array().expect("it is a list");
    requests
        .iter()
        .filter_map(|request| request["id"].as_u64())
        .collect()
}

#[test]
fn page_receives_changes_together() {
    let history = History::new(LIMITS);
    record(&history, "/1");
    let mut page = history.follower(None).expect("there is room");
    let start = Instant::now();
    let first = events(&mut page, start);
    assert_eq!(first.len(), 1);
    assert_eq!(
        (first[0]["reset"].as_bool(), ids(&first[0])),
        (Some(true), vec![1])
    );
    // Two requests and their four changes are one event, and it waits for its time.
    record(&history, "/2");
    record(&history, "/3");
    assert!(events(&mut page, start).is_empty());
    let second = events(&mut page, start + Duration::from_secs(1));
    assert_eq!(second.len(), 1);
    assert_eq!(
        (second[0]["reset"].as_bool(), ids(&second[0])),
        (Some(false), vec![2, 3])
    );
    assert_eq!(second[0]["total"], 3);
    assert_eq!(second[0]["requests"][0]["status"], 200);
    // A page that has been away receives what is there.
    (4..10).for_each(|number| record(&history, &format!("/{number}")));
    let third = events(&mut page, start + Duration::from_secs(2));
    assert_eq!(ids(&third[0]), [7, 8, 9]);
    history.clear();
    let fourth = events(&mut page, start + Duration::from_secs(3));
    assert_eq!(
        (fourth[0]["reset"].as_bool(), ids(&fourth[0])),
        (Some(true), vec![])
    );
}

#[test]
fn page_continues_behind_its_last_event() {
    let history = History::new(LIMITS);
    record(&history, "/1");
    let id = format!("{}-2", history.name);
    record(&history, "/2");
    let mut page = history.follower(Some(&id)).expect("there is room");
    let event = &events(&mut page, Instant::now())[0];
    assert_eq!(
        (event["reset"].as_bool(), ids(event)),
        (Some(false), vec![2])
    );
    // Ids of other runs, and of nothing.
    for id in ["0-2", "", "x", &format!("{}-99", history.name)] {
        let mut page = history.follower(Some(id)).expect("there is room");
        let event = &events(&mut page, Instant::now())[0];
        assert_eq!(
            (event["reset"].as_bool(), ids(event)),
            (Some(true), vec![1, 2]),
            "{id}"
        );
    }
}

#[test]
fn pages_are_bounded_and_counted() {
    let history = History::new(LIMITS);
    let pages: Vec<_> = (0..100).map_while(|_| history.follower(None)).collect();
    assert_eq!(pages.len(), 100);
    assert!(history.follower(None).is_none());
    drop(pages);
    assert!(history.follower(None).is_some());
}

#[test]
fn closed_history_ends_its_pages() {
    use crate::message::body::{Polled, PolledSource as _};
    let history = History::new(LIMITS);
    let mut page = history.follower(None).expect("there is room");
    history.close();
    assert!(matches!(page.poll(Instant::now()), Polled::End));
}
