//! WebSockets.

use std::time::Duration;

use crate::beside::beside_requests;
use crate::delayed::ordinary_load;
use crate::listeners::{Listeners, Protocol};
use crate::serving::Serving;
use crate::times::Times;
use crate::{MESSAGES, Size, WARM_UP};

/// The figures.
#[derive(serde::Serialize)]
struct Row {
    /// Bytes of the server's memory for each WebSocket.
    memory: f64,
    /// Microseconds of the server's processor time for each message and WebSocket.
    processor_time: f64,
    /// Milliseconds from the request to send a message until a WebSocket has it.
    messages: Times,
    /// Milliseconds of ordinary requests while messages go to all.
    beside_messages: Times,
    /// Milliseconds until the 99th of a hundred ordinary requests has its response, before the
    /// WebSockets open, and beside idle ones.
    without: f64,
    beside_idle: f64,
}

pub(crate) fn measure(server: &Serving, size: Size, is_json: bool) {
    let mut sockets = Listeners::connect(server, Protocol::WebSocket, WARM_UP, |_| 0);
    sockets.broadcast(server, 2);
    drop(sockets);
    let without = p99(server, size.time);
    let before = server.resident();
    let mut sockets = Listeners::connect(server, Protocol::WebSocket, size.clients, |_| 0);
    // The first message of each also makes its memory complete.
    sockets.broadcast(server, 1);
    let memory = server.resident().saturating_sub(before);
    let beside_idle = p99(server, size.time);
    let used = server.processor_time();
    let (times, requests) = beside_requests(server, || sockets.broadcast(server, MESSAGES));
    let used = server.processor_time() - used;
    let row = Row {
        memory: memory as f64 / size.clients as f64,
        processor_time: used.as_secs_f64() * 1e6 / (MESSAGES * size.clients) as f64,
        messages: Times::of(times),
        beside_messages: Times::of(requests),
        without,
        beside_idle,
    };
    row.print(size.clients, is_json);
}

fn p99(server: &Serving, time: Duration) -> f64 {
    let times = ordinary_load(server, time);
    times.within(0.99).as_secs_f64() * 1e3
}

impl Row {
    fn print(&self, count: usize, is_json: bool) {
        if is_json {
            let row = serde_json::to_string(self).expect("numbers can be serialized");
            return println!("{row}");
        }
        println!(
            "{count} WebSockets: {:.0} bytes each, {:.2} us CPU for each message\n\
             a message to all: p50 {:.1} ms, p99 {:.1} ms, last {:.1} ms\n\
             ordinary requests, p99: {:.3} ms without, {:.3} ms beside idle ones, {:.3} ms beside messages",
            self.memory,
            self.processor_time,
            self.messages.p50,
            self.messages.p99,
            self.messages.longest,
            self.without,
            self.beside_idle,
            self.beside_messages.p99,
        );
    }
}
