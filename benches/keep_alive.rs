//! What a request costs the whole server, over loopback, on connections that are kept.
//!
//! The client is one thread of this process that sends a request on each connection and then
//! receives each answer. It shares the machine with the server, so requests per second tell of
//! both; the server's processor time per request is its own.

mod serving;

use std::io::{Read, Write};
use std::time::Instant;

use serving::{CPU, GET, Serving, ask};

fn main() {
    serving::serve_if_asked();
    let share = if serving::is_trial() { 100 } else { 1 };
    println!("connections  requests/s  server CPU us/request");
    for (connections, requests) in [(1, 100_000), (64, 400_000), (1_000, 400_000)] {
        measure(connections, requests / share);
    }
}

fn measure(connections: usize, requests: usize) {
    let server = Serving::start();
    let mut streams: Vec<_> = (0..connections).map(|_| server.connect()).collect();
    let length = streams.iter_mut().map(ask).max().unwrap_or_default();
    let mut answer = vec![0; length];

    let rounds = requests.div_ceil(connections);
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

    let requests = (rounds * connections) as f64;
    println!(
        "{connections:>11}  {:>10.0}  {:>21.2}",
        requests / took.as_secs_f64(),
        cpu as f64 / 1_000.0 / requests,
    );
}
