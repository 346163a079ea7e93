//! What a request costs the whole server, over loopback, on connections that are kept: with more
//! and more of them, beside more and more that sleep, with more and more workers, and with those
//! who are told of each request.
//!
//! The client is one thread of this process that sends a request on each connection and then
//! receives each answer. It shares the machine with the server, so requests per second tell of
//! both; the server's processor time per request is its own.
//!
//! Machines do other things at times, and what is to be compared must not meet them at different
//! times: all scenes take turns, every second round backwards, and medians are shown.

mod serving;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use serving::{CPU, GET, Serving, ask};

/// Connections that ask, where something else is varied.
const ASKING: usize = 64;

/// Connections that ask in turn. One alone puts a worker to sleep and wakes it for each request.
const CONNECTIONS: [usize; 5] = [1, 10, 64, 1_000, 10_000];

/// Connections that sleep, as many as a process may open with 20,000 descriptors.
const SLEEPING: [usize; 4] = [100, 1_000, 10_000, 19_800];

const WORKERS: [usize; 6] = [1, 2, 4, 8, 16, 64];

/// What may be done for each request besides.
const BESIDE: [(&str, &str); 5] = [
    ("figures", "meter=1"),
    ("lines (common)", "access_log=1"),
    ("lines (combined)", "access_log=2"),
    ("lines (json)", "access_log=3"),
    ("ids", "request_ids=1"),
];

const ROUNDS: usize = 7;
const REQUESTS: usize = 100_000;

struct Scene {
    named: String,
    setting: Option<String>,
    asking: usize,
    sleeping: usize,
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
    let mut scenes = scenes();
    for round in 0..rounds {
        if round % 2 == 1 {
            scenes.reverse();
        }
        for scene in &mut scenes {
            let cost = scene.measure(share);
            scene.costs.push(cost);
        }
        if round % 2 == 1 {
            scenes.reverse();
        }
    }
    let usual = scenes.iter().position(|scene| scene.asking == ASKING);
    let usual = scenes[usual.expect("it is among them")].cpu(0.5);
    println!(
        "{:>26}  requests/s  CPU us/request   least    most  to {ASKING} alone",
        ""
    );
    for scene in &scenes {
        println!(
            "{:>26}  {:>10.0}  {:>14.2}  {:>6.2}  {:>6.2}  {:>11.2}",
            scene.named,
            quantile(&scene.costs, 0.5, |cost| cost.requests_per_second),
            scene.cpu(0.5),
            scene.cpu(0.0),
            scene.cpu(1.0),
            scene.cpu(0.5) / usual,
        );
    }
}

fn scenes() -> Vec<Scene> {
    let scene = |named: String, setting, asking, sleeping| Scene {
        named,
        setting,
        asking,
        sleeping,
        costs: Vec::new(),
    };
    let asking = CONNECTIONS.map(|count| scene(format!("{count} connections"), None, count, 0));
    let sleeping = SLEEPING.map(|count| {
        let named = format!("{ASKING} beside {count} that sleep");
        scene(named, None, ASKING, count)
    });
    let workers = WORKERS.map(|count| {
        let named = format!("{ASKING} and {count} workers");
        scene(named, Some(format!("workers={count}")), ASKING, 0)
    });
    let beside = BESIDE.map(|(what, setting)| {
        scene(
            format!("{ASKING} and {what}"),
            Some(setting.into()),
            ASKING,
            0,
        )
    });
    let scenes = asking.into_iter().chain(sleeping).chain(workers);
    if cfg!(feature = "metrics") {
        scenes.chain(beside).collect()
    } else {
        scenes.collect()
    }
}

impl Scene {
    fn measure(&self, share: usize) -> Cost {
        let mut settings = vec!["idle_timeout=600000".into(), "max_connections=19900".into()];
        settings.extend(self.setting.clone());
        let server = Serving::start_with(&settings);
        let _sleeping = connect(&server, self.sleeping / share);
        let mut streams = connect(&server, self.asking.min(19_900 / share));
        let length = streams.iter_mut().map(ask).max().unwrap_or_default();
        let mut answer = vec![0; length];

        let rounds = (REQUESTS / share).div_ceil(streams.len());
        let cpu = server.figure(CPU);
        let began = Instant::now();
        for _ in 0..rounds {
            for stream in &mut streams {
                stream.write_all(GET).expect("the server takes a request");
            }
            for stream in &mut streams {
                stream.read_exact(&mut answer).expect("the server answers");
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
        ask(&mut stream);
        stream
    });
    connections.collect()
}

fn quantile(costs: &[Cost], share: f64, figure: impl Fn(&Cost) -> f64) -> f64 {
    let mut figures: Vec<f64> = costs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[((figures.len() - 1) as f64 * share).round() as usize]
}
