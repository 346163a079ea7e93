//! Measures responses that wait: 10,000 of them on two workers.
//!
//! * `events`: the server's memory for each listener; its processor time for each delivered event, and
//!   the delivery times, when ten events go to all listeners one after the other, and the times of
//!   ordinary requests beside that; the delivery times at 1,000 deliveries a second, where each event
//!   goes to ten of the listeners.
//! * `delayed`: the times of ordinary requests beside delayed responses, and without them, in turns;
//!   the server's memory and processor time for each, and how late they are.
//! * `inspect`: how late 10,000 responses to `/delay/10` of the inspector are if all are asked for at once,
//!   the server's memory for each, and the times of ordinary requests meanwhile.
//! * `sockets`: the same as the first part of `events` for WebSockets, and the times of ordinary
//!   requests beside idle ones, and before they open.
//! * `leaving`: how long it takes until nothing remains of clients that all leave at once, and how long a
//!   shutdown takes while all of them wait. It fails if descriptors, threads, memory or the server's
//!   counts do not return to their start, or a client sees no orderly end.
//!
//! ```sh
//! cargo bench --bench waiting -- [PART]... [--json] [--rounds=N] [--peer=NAME=PROGRAM]...
//! ```
//!
//! A peer is started as `PROGRAM PORT THREADS`, as those in `benches/compare/peers`, and takes
//! turns with httpool in `events`. It sends the events of a topic at `GET /events?TOPIC`, and an event
//! with the body of each `POST /send?TOPIC`.

#[path = "waiting/askers.rs"]
mod askers;
#[path = "waiting/beside.rs"]
mod beside;
#[path = "waiting/delayed.rs"]
mod delayed;
#[path = "waiting/events.rs"]
mod events;
mod fixed_rate;
#[path = "waiting/handler.rs"]
mod handler;
#[path = "waiting/inspect.rs"]
mod inspect;
#[path = "waiting/leaving.rs"]
mod leaving;
#[path = "waiting/listeners.rs"]
mod listeners;
mod serving;
#[path = "waiting/sockets.rs"]
mod sockets;
#[path = "waiting/times.rs"]
mod times;

use std::env;
use std::time::Duration;

use serving::Serving;

/// Messages to all clients.
const MESSAGES: usize = 10;

/// The server's threads.
const WORKERS: usize = 2;

/// Clients before the memory is measured, so that every worker has its own buffers by then.
const WARM_UP: usize = 256;

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    /// Clients that wait.
    clients: usize,
    /// The time of one measurement.
    time: Duration,
    /// The delay of delayed responses.
    delay: Duration,
    /// The delay of the inspector's responses.
    inspect_delay: Duration,
    /// Times that the measurements of `delayed` take turns.
    turns: usize,
}

const FULL: Size = Size {
    clients: 10_000,
    time: Duration::from_secs(3),
    delay: Duration::from_secs(2),
    inspect_delay: Duration::from_secs(10),
    turns: 9,
};

const TRIAL: Size = Size {
    clients: 300,
    time: Duration::from_millis(200),
    delay: Duration::from_millis(200),
    inspect_delay: Duration::from_millis(500),
    turns: 1,
};

/// The arguments of the bench.
struct Arguments(Vec<String>);

impl Arguments {
    /// The values of an option.
    fn values(&self, name: &'static str) -> impl Iterator<Item = &str> {
        let values = self.0.iter();
        values.filter_map(move |argument| argument.strip_prefix(name)?.strip_prefix('='))
    }

    fn is_json(&self) -> bool {
        self.0.iter().any(|argument| argument == "--json")
    }

    /// Whether this part was asked for, or none.
    fn has_part(&self, name: &str) -> bool {
        let mut parts = self
            .0
            .iter()
            .filter(|one| !one.starts_with("--"))
            .peekable();
        parts.peek().is_none() || parts.any(|part| part == name)
    }
}

fn main() {
    serving::serve_if_asked_by(handler::Waiting::new);
    let size = if serving::is_trial() { TRIAL } else { FULL };
    let arguments = Arguments(env::args().skip(1).collect());
    let rounds = arguments.values("--rounds").next();
    let rounds = rounds.map_or(1, |rounds| rounds.parse().expect("--rounds has a number"));
    if arguments.has_part("events") {
        measure_events(size, &arguments, rounds);
    }
    if arguments.has_part("delayed") {
        delayed::measure(&start(), size, arguments.is_json());
    }
    if arguments.has_part("inspect") {
        inspect::measure(&start(), size, arguments.is_json());
    }
    if arguments.has_part("sockets") {
        for _ in 0..rounds {
            sockets::measure(&start(), size, arguments.is_json());
        }
    }
    if arguments.has_part("leaving") {
        leaving::measure(start(), size, arguments.is_json());
    }
}

fn start() -> Serving {
    Serving::start_with(&[format!("workers={WORKERS}")])
}

fn measure_events(size: Size, arguments: &Arguments, rounds: usize) {
    let is_json = arguments.is_json();
    if !is_json {
        events::print_head();
    }
    let seconds = (size.time * 3).as_secs().max(1) as usize;
    for _ in 0..rounds {
        events::measure("httpool", &start(), size.clients, seconds).print(is_json);
        for peer in arguments.values("--peer") {
            let (name, program) = peer
                .split_once('=')
                .expect("a peer has a name and a program");
            let peer = Serving::start_program(program, WORKERS);
            events::measure(name, &peer, size.clients, seconds).print(is_json);
        }
    }
}
