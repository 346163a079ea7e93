//! Listeners to events.

use std::thread;
use std::time::{Duration, Instant};

use crate::beside::beside_requests;
use crate::handler::TOPICS;
use crate::listeners::{Listeners, Protocol};
use crate::serving::Serving;
use crate::times::Times;
use crate::{MESSAGES, WARM_UP};

/// Deliveries a second in the second part.
const RATE: usize = 1000;

/// The figures of one server.
#[derive(serde::Serialize)]
pub(crate) struct Row {
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

/// The names of the figures.
pub(crate) fn print_head() {
    println!(
        "server       bytes each  CPU us/event  to all: p50 ms   p99 ms  requests: p99 ms  {RATE}/s: p50 ms   p99 ms"
    );
}

impl Row {
    pub(crate) fn print(&self, is_json: bool) {
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

/// Measures one server.
pub(crate) fn measure(name: &str, server: &Serving, count: usize, seconds: usize) -> Row {
    let mut listeners = Listeners::connect(server, Protocol::Events, WARM_UP, |_| 0);
    listeners.broadcast(server, 2);
    drop(listeners);
    let before = server.resident();
    let mut listeners = Listeners::connect(server, Protocol::Events, count, |_| 0);
    let after = server.resident();
    // The first event of each listener also makes its memory complete.
    listeners.broadcast(server, 1);
    let used = server.processor_time();
    let (times, requests) = beside_requests(server, || listeners.broadcast(server, MESSAGES));
    let processor_time = server.processor_time() - used;
    drop(listeners);
    let mut listeners = Listeners::connect(server, Protocol::Events, count, |index| index % TOPICS);
    let at_rate = send_at_rate(server, &mut listeners, count.div_ceil(TOPICS), seconds);
    Row {
        server: name.to_owned(),
        memory: after.saturating_sub(before) as f64 / count as f64,
        processor_time: processor_time.as_secs_f64() * 1e6 / (MESSAGES * count) as f64,
        all: Times::of(times),
        at_rate: Times::of(at_rate),
        requests: Times::of(requests),
    }
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
                Protocol::Events.send(&mut sender, event * 7919 % topics);
                next += gap;
            }
        });
        listeners.receive(events * each)
    })
}
