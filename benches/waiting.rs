//! Measures responses that wait for events: 10,000 listeners on two workers.
//!
//! * The server's memory for each listener.
//! * Its processor time for each delivered event, and the delivery times, when ten events go to all
//!   listeners one after the other, and the times of ordinary requests beside that.
//! * The delivery times at 1,000 deliveries a second: each event goes to ten of the listeners.
//!
//! ```sh
//! cargo bench --bench waiting -- [--json] [--rounds=N] [--peer=NAME=PROGRAM]...
//! ```
//!
//! A peer is started as `PROGRAM PORT THREADS`, as those in `benches/compare/peers`, and takes
//! turns with httpool. It sends the events of a topic at `GET /events?TOPIC`, and an event with the body
//! of each `POST /send?TOPIC`.

#[path = "waiting/listeners.rs"]
mod listeners;
mod serving;

use std::env;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use httpool::sse::{Broadcast, Event};
use httpool::{Handler, IntoResponse as _, Request, Response};
use listeners::{Listeners, now};
use serving::{Bench, GET, Serving};

/// Topics of the server. All listeners of the first part have the first one.
const TOPICS: usize = 1000;

/// Events to all listeners.
const EVENTS: usize = 10;

/// Deliveries a second in the second part.
const RATE: usize = 1000;

/// The server's threads.
const WORKERS: usize = 2;

/// Time between two ordinary requests.
const REQUEST_GAP: Duration = Duration::from_millis(5);

/// Listeners before the memory is measured, so that every worker has its own buffers by then.
const WARM_UP: usize = 256;

/// Sends the events of its topics.
struct Topics(Vec<Broadcast>);

impl Handler for Topics {
    fn handle(&self, request: &mut Request) -> Response {
        let query = request.uri().query();
        let topic = query.and_then(|topic| self.0.get(topic.parse::<usize>().ok()?));
        match (topic, request.uri().path()) {
            (Some(topic), "/events") => topic.subscribe(None).into_response(),
            (Some(topic), "/send") => {
                let mut text = String::new();
                let read = request.body_mut().read_to_string(&mut text);
                read.expect("the body is text");
                topic.send(Event::data(text));
                Response::new(serving::HELLO.into())
            }
            _ => Bench.handle(request),
        }
    }
}

/// The figures of one server.
#[derive(serde::Serialize)]
struct Row {
    server: String,
    /// Bytes of the server's memory for each listener.
    memory: f64,
    /// Microseconds of the server's processor time for each event and listener.
    processor_time: f64,
    /// Milliseconds from the request to send an event until all listeners have it.
    all: Times,
    /// Milliseconds until a listener has an event, at the rate.
    at_rate: Times,
    /// Milliseconds of ordinary requests while events go to all listeners.
    requests: Times,
}

#[derive(serde::Serialize, Clone, Copy)]
struct Times {
    p50: f64,
    p99: f64,
    longest: f64,
}

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let within = |share: f64| {
            let rank = (times.len() as f64 * share).ceil() as usize;
            let time = times.get(rank.clamp(1, times.len().max(1)) - 1);
            time.copied().unwrap_or_default().as_secs_f64() * 1e3
        };
        Self {
            p50: within(0.5),
            p99: within(0.99),
            longest: within(1.0),
        }
    }
}

fn main() {
    let topics = || Topics((0..TOPICS).map(|_| Broadcast::new()).collect());
    serving::serve_if_asked_with(topics);
    let listeners = if serving::is_trial() { 300 } else { 10_000 };
    let seconds = if serving::is_trial() { 1 } else { 10 };
    let arguments: Vec<String> = env::args().skip(1).collect();
    let value = |name: &'static str| {
        let values = arguments.iter();
        values.filter_map(move |argument| argument.strip_prefix(name)?.strip_prefix('='))
    };
    let is_json = arguments.iter().any(|argument| argument == "--json");
    let rounds = value("--rounds")
        .next()
        .map_or(1, |rounds| rounds.parse().expect("--rounds has a number"));
    if !is_json {
        println!(
            "server       bytes each  CPU us/event  to all: p50 ms   p99 ms  requests: p99 ms  {RATE}/s: p50 ms   p99 ms"
        );
    }
    for _ in 0..rounds {
        let httpool = Serving::start_with(&[format!("workers={WORKERS}")]);
        measure("httpool", &httpool, listeners, seconds).print(is_json);
        drop(httpool);
        for peer in value("--peer") {
            let (name, program) = peer
                .split_once('=')
                .expect("a peer has a name and a program");
            let peer = Serving::start_program(program, WORKERS);
            measure(name, &peer, listeners, seconds).print(is_json);
        }
    }
}

impl Row {
    fn print(&self, is_json: bool) {
        if is_json {
            let row = serde_json::to_string(self).expect("numbers can be serialized");
            return println!("{row}");
        }
        println!(
            "{:<12} {:>10.0} {:>13.2} {:>15.1} {:>8.1} {:>17.2} {:>15.3} {:>8.3}",
            self.server,
            self.memory,
            self.processor_time,
            self.all.p50,
            self.all.p99,
            self.requests.p99,
            self.at_rate.p50,
            self.at_rate.p99,
        );
    }
}

fn measure(name: &str, server: &Serving, count: usize, seconds: usize) -> Row {
    let mut listeners = Listeners::connect(server, WARM_UP, |_| 0);
    broadcast(server, &mut listeners, 2);
    drop(listeners);
    let before = server.resident();
    let mut listeners = Listeners::connect(server, count, |_| 0);
    let after = server.resident();
    // The first event of each listener also makes its memory complete.
    broadcast(server, &mut listeners, 1);
    let used = server.processor_time();
    let (times, requests) = beside_requests(server, || broadcast(server, &mut listeners, EVENTS));
    let processor_time = server.processor_time() - used;
    drop(listeners);
    let mut listeners = Listeners::connect(server, count, |index| index % TOPICS);
    let at_rate = send_at_rate(server, &mut listeners, count.div_ceil(TOPICS), seconds);
    Row {
        server: name.to_owned(),
        memory: after.saturating_sub(before) as f64 / count as f64,
        processor_time: processor_time.as_secs_f64() * 1e6 / (EVENTS * count) as f64,
        all: Times::of(times),
        at_rate: Times::of(at_rate),
        requests: Times::of(requests),
    }
}

/// Sends events to all listeners, each when all have the one before.
fn broadcast(server: &Serving, listeners: &mut Listeners, events: usize) -> Vec<Duration> {
    let mut sender = server.connect();
    let mut times = Vec::new();
    for _ in 0..events {
        send_event(&mut sender, 0);
        times.extend(listeners.receive(listeners.len()));
    }
    times
}

/// Sends the current time as an event.
fn send_event(stream: &mut TcpStream, topic: usize) {
    let time = now().as_nanos().to_string();
    let length = time.len();
    let request = format!(
        "POST /send?{topic} HTTP/1.1\r\nHost: bench\r\nContent-Type: text/plain\r\n\
         Content-Length: {length}\r\n\r\n{time}"
    );
    exchange(stream, request.as_bytes());
}

/// Sends a request and reads its short response.
fn exchange(stream: &mut TcpStream, request: &[u8]) {
    stream
        .write_all(request)
        .expect("the server takes a request");
    let mut response = [0; 4096];
    let count = stream.read(&mut response).expect("the server responds");
    assert!(response[..count].starts_with(b"HTTP/1.1 2"));
}

/// Sends ordinary requests while `run` runs, and returns their times, too.
fn beside_requests<R>(server: &Serving, run: impl FnOnce() -> R) -> (R, Vec<Duration>) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let requests = scope.spawn(|| {
            let (mut stream, mut times) = (server.connect(), Vec::new());
            while !is_over.load(Ordering::Relaxed) {
                let began = Instant::now();
                exchange(&mut stream, GET);
                times.push(began.elapsed());
                thread::sleep(REQUEST_GAP);
            }
            times
        });
        let result = run();
        is_over.store(true, Ordering::Relaxed);
        (result, requests.join().expect("the requests succeed"))
    })
}

/// Sends events at [`RATE`], each to the listeners of one topic.
fn send_at_rate(
    server: &Serving,
    listeners: &mut Listeners,
    each: usize,
    seconds: usize,
) -> Vec<Duration> {
    let events = RATE / each * seconds;
    let gap = Duration::from_secs(seconds as u64) / u32::try_from(events).expect("it is small");
    // A part of the topics has one listener more or less if the numbers do not fit.
    let topics = listeners.len() / each;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut sender = server.connect();
            let mut next = Instant::now();
            for event in 0..events {
                thread::sleep(next.saturating_duration_since(Instant::now()));
                send_event(&mut sender, event * 7919 % topics);
                next += gap;
            }
        });
        listeners.receive(events * each)
    })
}
