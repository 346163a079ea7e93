//! Responses that wait, and slow ones. The server's timers send them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::document;
use super::input::{Pairs, bad, check_size, status};
use super::table::{Shared, Table};
use crate::message::{Body, IntoResponse, Later, Problem, Response};
use crate::services::inspect::captured::Captured;
use crate::services::inspect::times::{self, parse_seconds};
use crate::web::extract::{Path, State};
use crate::web::sse::{Event, last_event_id};

/// The shortest time between two parts. Those that would be closer are sent together.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// The largest body of a request whose response waits. The budget of the connections does not count
/// it, and no number of workers limits how many wait.
const MOST_WAITING: u64 = 64 * 1024;

/// The most events of a stream.
const MAX_EVENTS: u64 = 10_000;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

pub(super) fn add(table: Table) -> Table {
    table
        .any(
            "/delay/{seconds}",
            "your request, after this time: 1.5, 500ms",
            delay,
        )
        .get(
            "/drip",
            "bytes that come slowly (?numbytes= &duration= &delay= &code=)",
            drip,
        )
        .get(
            "/stream/{n}",
            "n lines of JSON, in chunks (?duration=)",
            stream,
        )
        .get(
            "/sse",
            "server-sent events (?count= &duration= &delay=)",
            events,
        )
}

fn delay(
    State(settings): State<Shared>,
    Path(wait): Path<String>,
    captured: Captured,
) -> Result<Response, Problem> {
    let wait = parse_seconds(&wait, settings.longest_delay()).map_err(bad)?;
    check_size(captured.body.len() as u64, MOST_WAITING)?;
    // The document is larger than the request, and need not exist before it is sent.
    let waiting = Later::after(wait, StatusCode::OK).into_response();
    Ok(Later::map(waiting, move |_| {
        document::respond(document::of_all(&captured))
    }))
}

/// Waits before a response that then takes some time.
#[derive(Debug, Clone, Copy)]
struct Pace {
    delay: Duration,
    duration: Duration,
}

impl Pace {
    /// `delay` and `duration` of a query, together at most the longest delay.
    fn of(query: &Pairs, settings: &Shared, duration: Duration) -> Result<Self, Problem> {
        let longest = settings.longest_delay();
        let delay = query.time("delay", Duration::ZERO, longest)?;
        let duration = query.time("duration", duration.min(longest - delay), longest)?;
        times::check(delay + duration, longest)
            .map_err(|error| bad(format!("delay and duration together: {error}")))?;
        Ok(Self { delay, duration })
    }

    /// The wait before each of `count` parts: the first one comes at once, and the last one at the end.
    fn waits(self, count: u64) -> impl Iterator<Item = Duration> + Send + use<> {
        let at = move |part: u64| match count {
            0 | 1 => Duration::ZERO,
            _ => self.duration.mul_f64(part as f64 / (count - 1) as f64),
        };
        (0..count).map(move |part| at(part) - part.checked_sub(1).map_or(Duration::ZERO, at))
    }

    /// Into how many parts at most the content should be split.
    fn most_parts(self) -> u64 {
        let most = self.duration.as_millis() / SHORTEST_PAUSE.as_millis();
        u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Sends the response after the delay.
    fn delayed(self, response: Response) -> Response {
        match self.delay.is_zero() {
            true => response,
            false => Later::after(self.delay, response).into_response(),
        }
    }
}

fn drip(State(settings): State<Shared>, query: Pairs) -> Result<Response, Problem> {
    let pace = Pace::of(&query, &settings, Duration::from_secs(2))?;
    let count: u64 = query.number("numbytes", 10)?;
    at_least_one("numbytes", count)?;
    check_size(count, settings.most_bytes())?;
    let status = query.get("code").map_or(Ok(StatusCode::OK), status)?;
    let mut response = Response::new(dripping(pace, count));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, BYTES);
    Ok(pace.delayed(response))
}

/// Rejects 0, as httpbin and go-httpbin do.
fn at_least_one(name: &str, count: u64) -> Result<(), Problem> {
    match count {
        0 => Err(bad(format!("{name}=0: at least 1 is needed"))),
        _ => Ok(()),
    }
}

/// This many bytes over the whole duration.
fn dripping(pace: Pace, count: u64) -> Body {
    let parts = count.min(pace.most_parts());
    let end =
        move |part: u64| (u128::from(count) * u128::from(part) / u128::from(parts.max(1))) as usize;
    let bytes = move |part: u64| Bytes::from(vec![b'*'; end(part + 1) - end(part)]);
    Body::from_sized_schedule(pace.waits(parts).zip((0..).map(bytes)), count)
}

fn stream(
    State(settings): State<Shared>,
    Path(count): Path<u64>,
    query: Pairs,
    captured: Captured,
) -> Result<Response, Problem> {
    let pace = Pace::of(&query, &settings, Duration::ZERO)?;
    let mut members = document::of_head(&captured);
    let mut line = move |id: u64| {
        members.insert("id".into(), id.into());
        let mut line = Value::Object(members.clone()).to_string();
        line.push('\n');
        Bytes::from(line)
    };
    let longest = line(count).len() as u64;
    check_size(longest.saturating_mul(count), settings.most_bytes())?;
    let mut response = Response::new(Body::from_schedule(pace.waits(count).zip((0..).map(line))));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    Ok(pace.delayed(response))
}

fn events(
    State(settings): State<Shared>,
    query: Pairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let pace = Pace::of(&query, &settings, Duration::from_secs(5))?;
    let count: u64 = query.number("count", 10)?;
    at_least_one("count", count)?;
    if count > MAX_EVENTS {
        return Err(bad(format!("at most {MAX_EVENTS} events are allowed")));
    }
    // A client that reconnects gets the events behind the last one that it has.
    let last = last_event_id(&headers).and_then(|id| id.parse::<u64>().ok());
    let first = last.map_or(0, |last| last.saturating_add(1));
    let event = move |number: u64| event(first.saturating_add(number));
    let mut response = Response::new(Body::from_schedule(pace.waits(count).zip((0..).map(event))));
    response.headers_mut().insert(CONTENT_TYPE, EVENTS);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(pace.delayed(response))
}

/// The event with this number. It is made when it is due.
fn event(number: u64) -> Bytes {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let data = json!({"id": number, "timestamp": millis}).to_string();
    Event::data(data).name("ping").id(number).to_string().into()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::tests::{client, expect_bad, get, member};
    use super::*;

    #[test]
    fn delay_shows_the_request_afterwards() {
        let start = Instant::now();
        let response = client().put("/delay/20ms?a=1").body("x").send();
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert_eq!(member(&response, "/args/a"), "1");
        assert_eq!(member(&response, "/data"), "x");
        assert_eq!(get("/delay/0").status(), 200);
    }

    #[test]
    fn large_requests_do_not_wait() {
        let most = vec![b'x'; 64 * 1024];
        let send = |body: &[u8]| client().post("/delay/0").body(body.to_vec()).send();
        assert_eq!(send(&most).status(), 200);
        assert_eq!(send(&[&most[..], b"x"].concat()).status(), 400);
    }

    #[test]
    fn drip_has_its_length_and_code() {
        let response = get("/drip?numbytes=5&duration=0.02&code=503&delay=0.01");
        assert_eq!(
            (response.status().as_u16(), response.text()),
            (503, "*****")
        );
        assert_eq!(response.header("content-length"), Some("5"));
        assert_eq!(
            get("/drip?numbytes=1000000&duration=0.02").bytes().len(),
            1_000_000
        );
    }

    #[test]
    fn waits_add_up_to_the_duration() {
        for count in [1, 2, 3, 7, 1000] {
            let pace = Pace {
                delay: Duration::ZERO,
                duration: Duration::from_secs(2),
            };
            let waits: Vec<_> = pace.waits(count).collect();
            assert_eq!((waits.len() as u64, waits[0]), (count, Duration::ZERO));
            let expected = if count == 1 {
                Duration::ZERO
            } else {
                pace.duration
            };
            assert_eq!(waits.iter().sum::<Duration>(), expected);
        }
    }

    #[test]
    fn stream_has_a_line_for_each_number() {
        let response = get("/stream/3?a=b&duration=10ms");
        let lines: Vec<Value> = (response.text().lines())
            .map(|line| serde_json::from_str(line).expect("each line is JSON"))
            .collect();
        let ids: Vec<_> = lines.iter().map(|line| line["id"].clone()).collect();
        assert_eq!(ids, [0, 1, 2]);
        assert_eq!(lines[2]["args"], json!({"a": "b", "duration": "10ms"}));
        assert_eq!(get("/stream/0").text(), "");
    }

    #[test]
    fn events_have_numbers_and_continue() {
        let response = get("/sse?count=2&duration=10ms");
        assert_eq!(response.header("content-type"), Some("text/event-stream"));
        let text = response.text();
        assert!(
            text.starts_with("event: ping\nid: 0\ndata: {\"id\":0,\"timestamp\":"),
            "{text}"
        );
        assert!(text.contains("\n\nevent: ping\nid: 1\n"), "{text}");
        let again = client()
            .get("/sse?count=1")
            .header("last-event-id", "6")
            .send();
        assert!(
            again.text().starts_with("event: ping\nid: 7\n"),
            "{again:?}"
        );
    }

    #[test]
    fn hostile_times_and_sizes_are_rejected() {
        expect_bad(&[
            "/delay/x",
            "/delay/-1",
            "/delay/NaN",
            "/delay/inf",
            "/delay/1e99",
            "/delay/61",
            "/delay/%00",
            "/drip?duration=-1",
            "/drip?duration=31&delay=31",
            "/drip?numbytes=-1",
            "/drip?numbytes=0",
            "/drip?numbytes=99999999999999999999",
            "/drip?numbytes=10485761",
            "/drip?code=100",
            "/drip?code=x",
            "/stream/-1",
            "/stream/18446744073709551615",
            "/stream/99999999999999999999",
            "/stream/1000000",
            "/sse?count=10001",
            "/sse?count=-1",
            "/sse?duration=NaN",
        ]);
    }
}
