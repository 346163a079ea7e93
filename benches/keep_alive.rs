//! Measures a request in the whole server, over loopback, on keep-alive connections: with more and
//! more connections, idle connections, workers, and observers.
//!
//! The client is one thread of this process that sends a request on each connection and then
//! receives each response. It shares the machine with the server, so requests per second depend on
//! both. The server's processor time per request is its own.
//!
//! The machine may do other work at times, and compared scenarios must not meet it differently: all
//! scenarios take turns, every second round backwards, and medians are shown.

mod serving;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use serving::{CPU, GET, Serving, send_request};

/// Busy connections, where something else varies.
const BUSY: usize = 64;

/// Numbers of busy connections. A single one puts a worker to sleep and wakes it for each request.
const CONNECTIONS: [usize; 5] = [1, 10, 64, 1_000, 10_000];

/// Numbers of idle connections, as many as a process may open with 20,000 descriptors.
const IDLE: [usize; 4] = [100, 1_000, 10_000, 19_800];

const WORKERS: [usize; 6] = [1, 2, 4, 8, 16, 64];

/// Additional work for each request.
const BESIDE: [(&str, &str); 5] = [
    ("figures", "meter=1"),
    ("lines (common)", "access_log=1"),
    ("lines (combined)", "access_log=2"),
    ("lines (json)", "access_log=3"),
    ("ids", "request_ids=1"),
];

const ROUNDS: usize = 7;
const REQUESTS: usize = 100_000;

struct Scenario {
    named: String,
    setting: Option<String>,
    busy: usize,
    idle: usize,
    costs: Vec<Cost>,
}

#[derive(Clone, Copy)]
struct Cost {
    requests_per_second: f64,
    cpu_micros: f64,
}

fn main() {
    serving::serve_if_asked();
    let (rounds, share) = if serving::is_trial() {
        (1, 100)
    } else {
        (ROUNDS, 1)
    };
    let mut scenarios = scenarios();
    for round in 0..rounds {
        if round % 2 == 1 {
            scenarios.reverse();
        }
        for scenario in &mut scenarios {
            let cost = scenario.measure(share);
            scenario.costs.push(cost);
        }
        if round % 2 == 1 {
            scenarios.reverse();
        }
    }
    let usual = scenarios.iter().position(|scenario| scenario.busy == BUSY);
    let usual = scenarios[usual.expect("the scenario exists")].cpu(0.5);
    println!(
        "{:>26}  requests/s  CPU us/request   least    most  to {BUSY} alone",
        ""
    );
    for scenario in &scenarios {
        println!(
            "{:>26}  {:>10.0}  {:>14.2}  {:>6.2}  {:>6.2}  {:>11.2}",
            scenario.named,
            quantile(&scenario.costs, 0.5, |cost| cost.requests_per_second),
            scenario.cpu(0.5),
            scenario.cpu(0.0),
            scenario.cpu(1.0),
            scenario.cpu(0.5) / usual,
        );
    }
}

fn scenarios() -> Vec<Scenario> {
    let scenario = |named: String, setting, busy, idle| Scenario {
        named,
        setting,
        busy,
        idle,
        costs: Vec::new(),
    };
    let busy = CONNECTIONS.map(|count| scenario(format!("{count} connections"), None, count, 0));
    let idle = IDLE.map(|count| {
        let named = format!("{BUSY} beside {count} idle");
        scenario(named, None, BUSY, count)
    });
    let workers = WORKERS.map(|count| {
        let named = format!("{BUSY} and {count} workers");
        scenario(named, Some(format!("workers={count}")), BUSY, 0)
    });
    let beside = BESIDE.map(|(what, setting)| {
        scenario(format!("{BUSY} and {what}"), Some(setting.into()), BUSY, 0)
    });
    let scenarios = busy.into_iter().chain(idle).chain(workers);
    if cfg!(feature = "metrics") {
        scenarios.chain(beside).collect()
    } else {
        scenarios.collect()
    }
}

impl Scenario {
    fn measure(&self, share: usize) -> Cost {
        let mut settings = vec!["idle_timeout=600000".into(), "max_connections=19900".into()];
        settings.extend(self.setting.clone());
        let server = Serving::start_with(&settings);
        let _idle = connect(&server, self.idle / share);
        let mut streams = connect(&server, self.busy.min(19_900 / share));
        let length = streams
            .iter_mut()
            .map(send_request)
            .max()
            .unwrap_or_default();
        let mut response = vec![0; length];

        let rounds = (REQUESTS / share).div_ceil(streams.len());
        let cpu = server.figure(CPU);
        let began = Instant::now();
        for _ in 0..rounds {
            for stream in &mut streams {
                stream.write_all(GET).expect("the server takes a request");
            }
            for stream in &mut streams {
                stream
                    .read_exact(&mut response)
                    .expect("the server responds");
            }
        }
        let took = began.elapsed();
        let cpu = server.figure(CPU) - cpu;

        let requests = (rounds * streams.len()) as f64;
        Cost {
            requests_per_second: requests / took.as_secs_f64(),
            cpu_micros: cpu as f64 / 1_000.0 / requests,
        }
    }

    fn cpu(&self, share: f64) -> f64 {
        quantile(&self.costs, share, |cost| cost.cpu_micros)
    }
}

fn connect(server: &Serving, connections: usize) -> Vec<TcpStream> {
    let connections = (0..connections).map(|_| {
        let mut stream = server.connect();
        send_request(&mut stream);
        stream
    });
    connections.collect()
}

fn quantile(costs: &[Cost], share: f64, figure: impl Fn(&Cost) -> f64) -> f64 {
    let mut figures: Vec<f64> = costs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[((figures.len() - 1) as f64 * share).round() as usize]
}
