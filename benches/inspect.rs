//! Measures what `--inspect` costs beside the echo: the server's processor time per request over
//! loopback, on keep-alive connections.
//!
//! ```sh
//! cargo bench --bench inspect
//! ```
//!
//! The client is one thread of this process that sends a request on each connection and then
//! receives each response. All services take turns, every second round backwards, and medians are
//! shown.

mod serving;

use std::env;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use httpool::services::Echo;
use httpool::services::inspect::{Inspect, InspectLog, Settings};
use httpool::{Handler, Request, Response};
use serving::{Bench, CPU, Serving};

/// Connections that are busy all the time.
const CONNECTIONS: usize = 64;

/// Requests of one measurement.
const REQUESTS: usize = 40_000;

const ROUNDS: usize = 7;

/// The services, by the number with which a server of this bench is started.
const SERVICES: [&str; 4] = [
    "the echo",
    "--inspect --inspect-history 0",
    "--inspect",
    "--inspect --inspect-log",
];

/// The service that is measured, and figures of its process.
struct Measured(Box<dyn Handler>);

impl Measured {
    fn start() -> Self {
        let inspect = || Inspect::new(Settings::default());
        Self(match service() {
            0 => Box::new(Echo::default()),
            1 => Box::new(Inspect::new(Settings::default().history(0))),
            2 => Box::new(inspect()),
            _ => {
                let log = InspectLog::start(std::io::sink()).expect("a thread can be started");
                let logging = inspect().log(&log);
                // It prints for as long as the process runs.
                std::mem::forget(log);
                Box::new(logging)
            }
        })
    }
}

impl Handler for Measured {
    fn handle(&self, request: &mut Request) -> Response {
        match request.uri().path() {
            CPU => Bench.handle(request),
            _ => self.0.handle(request),
        }
    }
}

/// The service of this process.
fn service() -> usize {
    let settings = env::args().find_map(|argument| {
        let number = argument.strip_prefix("service=")?;
        number.parse().ok()
    });
    settings.expect("the setting is given")
}

/// One service and one kind of request.
struct Scenario {
    service: usize,
    name: &'static str,
    request: Vec<u8>,
    /// Microseconds of processor time per request, of each round.
    costs: Vec<f64>,
}

fn main() {
    serving::serve_if_asked_with(Measured::start);
    let (rounds, requests) = match serving::is_trial() {
        true => (1, 10 * CONNECTIONS),
        false => (ROUNDS, REQUESTS),
    };
    let mut scenarios = scenarios();
    for round in 0..rounds {
        for scenario in &mut scenarios {
            scenario.measure(requests);
        }
        eprintln!("round {} of {rounds}", round + 1);
        scenarios.reverse();
    }
    scenarios.sort_by_key(|scenario| (scenario.name, scenario.service));
    print(&mut scenarios);
}

fn scenarios() -> Vec<Scenario> {
    let head = |method: &str, more: &str| {
        format!(
            "{method} / HTTP/1.1\r\nHost: localhost:4000\r\nUser-Agent: bench\r\nAccept: */*\r\n{more}\r\n"
        )
    };
    let get = head("GET", "").into_bytes();
    let post = head(
        "POST",
        "Content-Type: text/plain\r\nContent-Length: 1024\r\n",
    );
    let post = [post.as_bytes(), &[b'x'; 1024]].concat();
    let kinds = [("GET", get), ("POST of 1 KiB", post)];
    let of_kind = |(name, request): &(&'static str, Vec<u8>)| {
        let (name, request) = (*name, request.clone());
        (0..SERVICES.len()).map(move |service| Scenario {
            service,
            name,
            request: request.clone(),
            costs: Vec::new(),
        })
    };
    kinds.iter().flat_map(of_kind).collect()
}

impl Scenario {
    fn measure(&mut self, requests: usize) {
        let settings = ["workers=1".to_owned(), format!("service={}", self.service)];
        let server = Serving::start_with(&settings);
        let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| Client::new(&server)).collect();
        // The first responses allocate what the server then keeps.
        self.send_rounds(&mut clients, 2);
        let before = server.figure(CPU);
        let rounds = requests / CONNECTIONS;
        self.send_rounds(&mut clients, rounds);
        let used = server.figure(CPU) - before;
        self.costs
            .push(used as f64 / 1e3 / (rounds * CONNECTIONS) as f64);
    }

    fn send_rounds(&self, clients: &mut [Client], rounds: usize) {
        for _ in 0..rounds {
            for client in &mut *clients {
                let sent = client.stream.write_all(&self.request);
                sent.expect("the server takes a request");
            }
            for client in &mut *clients {
                client.receive();
            }
        }
    }

    fn median(&self) -> f64 {
        self.costs[self.costs.len() / 2]
    }
}

fn print(scenarios: &mut [Scenario]) {
    println!(
        "{:<14} {:<30} CPU us/request   least    most  to the echo",
        "request", "service"
    );
    for scenario in &mut *scenarios {
        scenario.costs.sort_by(f64::total_cmp);
    }
    for scenario in &*scenarios {
        let echo = scenarios
            .iter()
            .find(|other| other.name == scenario.name && other.service == 0);
        let echo = echo.map_or(f64::NAN, Scenario::median);
        println!(
            "{:<14} {:<30} {:>14.2} {:>7.2} {:>7.2} {:>12.2}",
            scenario.name,
            SERVICES[scenario.service],
            scenario.median(),
            scenario.costs[0],
            scenario.costs[scenario.costs.len() - 1],
            scenario.median() / echo,
        );
    }
}

/// A client on a connection that stays open.
struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    fn new(server: &Serving) -> Self {
        Self {
            stream: server.connect(),
            received: Vec::with_capacity(16 * 1024),
        }
    }

    /// Receives one response with `Content-Length`.
    fn receive(&mut self) {
        self.received.clear();
        loop {
            let length = whole_length(&self.received);
            if length.is_some_and(|length| self.received.len() >= length) {
                break;
            }
            let mut part = [0; 16 * 1024];
            let count = self.stream.read(&mut part).expect("the server responds");
            assert!(count > 0, "the server has closed a connection");
            self.received.extend_from_slice(&part[..count]);
        }
        assert!(self.received.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

/// The length of the response that begins with these bytes, if its head is whole.
fn whole_length(received: &[u8]) -> Option<usize> {
    let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&received[..end]).expect("the head is text");
    let length = head.lines().find_map(|line| {
        let value = line.strip_prefix("content-length: ")?;
        value.parse::<usize>().ok()
    });
    Some(end + 4 + length.expect("the response has a length"))
}
