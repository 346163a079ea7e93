//! What a request costs the whole server, over loopback, on connections that are kept: with more
//! and more of them, beside more and more that sleep, and with more and more workers.
//!
//! The client is one thread of this process that sends a request on each connection and then
//! receives each answer. It shares the machine with the server, so requests per second tell of
//! both; the server's processor time per request is its own.

mod serving;

use std::io::{Read, Write};
use std::time::Instant;

use serving::{CPU, GET, Serving, ask};

/// Connections that ask, where something else is varied.
const ASKING: usize = 64;

/// Connections that sleep, as many as a process may open with 20,000 descriptors.
const SLEEPING: [usize; 5] = [0, 100, 1_000, 10_000, 19_800];

const WORKERS: [usize; 6] = [1, 2, 4, 8, 16, 64];

fn main() {
    serving::serve_if_asked();
    let share = if serving::is_trial() { 100 } else { 1 };
    let tell =
        |named: String, (rate, cpu): (f64, f64)| println!("{named:>34}  {rate:>10.0}  {cpu:>21.2}");
    println!("{:>34}  requests/s  server CPU us/request", "");
    for (connections, requests) in [(1, 100_000), (64, 400_000), (1_000, 400_000)] {
        let cost = measure(&[], connections, 0, requests / share);
        tell(format!("{connections} connections"), cost);
    }
    for sleeping in SLEEPING {
        let cost = measure(&[], ASKING, sleeping / share, 400_000 / share);
        tell(format!("{ASKING} beside {sleeping} that sleep"), cost);
    }
    for workers in WORKERS {
        let settings = [format!("workers={workers}")];
        let cost = measure(&settings, ASKING, 0, 400_000 / share);
        tell(format!("{ASKING} and {workers} workers"), cost);
    }
}

/// Requests per second, and microseconds of the server's processor time for each.
fn measure(settings: &[String], asking: usize, sleeping: usize, requests: usize) -> (f64, f64) {
    let settings = [
        settings,
        &["idle_timeout=600000".into(), "max_connections=19900".into()],
    ]
    .concat();
    let server = Serving::start_with(&settings);
    let connect = |connections: usize| -> Vec<_> {
        (0..connections)
            .map(|_| {
                let mut stream = server.connect();
                ask(&mut stream);
                stream
            })
            .collect()
    };
    let _sleeping = connect(sleeping);
    let mut streams = connect(asking);
    let length = streams.iter_mut().map(ask).max().unwrap_or_default();
    let mut answer = vec![0; length];

    let rounds = requests.div_ceil(asking);
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

    let requests = (rounds * asking) as f64;
    (
        requests / took.as_secs_f64(),
        cpu as f64 / 1_000.0 / requests,
    )
}
