//! Measures the slowest responses.
//!
//! The load has a fixed rate, and each request a due moment, so the times are those that clients
//! would see. `cargo bench --bench tail` measures this server at 70 % of its capacity, and with one
//! handler in twenty that takes 20 ms. `cargo bench --bench tail -- ADDRESS RATE [SECONDS]` puts
//! that rate on any server, and `compare/compare.py --tail RATE` on the other servers.

mod fixed_rate;
mod serving;

use std::env;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use fixed_rate::{Load, Times};
use serving::{GET, SLOW, Serving, send_request};

/// As many connections as in the other measurements.
const CONNECTIONS: usize = 64;

/// Rate of the load in which one request of twenty is slow: those occupy two of eight workers on
/// average.
const MIXED_RATE: f64 = 2_000.0;

fn main() {
    serving::serve_if_asked();
    let duration = Duration::from_secs_f64(if serving::is_trial() { 0.2 } else { 10.0 });
    let given: Vec<String> = env::args()
        .skip(1)
        .filter(|one| !one.starts_with("--"))
        .collect();
    println!(
        "what                             rate/s   requests    p50 us    p99 us  p99.9 us    max us"
    );
    if let [address, rate, seconds @ ..] = &given[..] {
        let address = address.parse().expect("the first argument is an address");
        let rate = rate.parse().expect("the second argument is a rate");
        let duration = seconds.first().map_or(duration, |seconds| {
            Duration::from_secs(seconds.parse().expect("the third argument is seconds"))
        });
        measure(address, rate, duration, None, "given");
        return;
    }
    for workers in [None, Some(16)] {
        let settings: Vec<_> = workers
            .map(|workers| format!("workers={workers}"))
            .into_iter()
            .collect();
        let named = workers.map_or("default workers".into(), |workers| {
            format!("{workers} workers")
        });
        let server = Serving::start_with(&settings);
        let rate = if serving::is_trial() {
            1_000.0
        } else {
            0.7 * capacity(&server)
        };
        measure(
            server.address(),
            rate,
            duration,
            None,
            &format!("70 % of capacity, {named}"),
        );
    }
    for other in [None, Some(20)] {
        let server = Serving::start_with(&["workers=8".into()]);
        let named = other.map_or("none slow", |_| "1 of 20 takes 20 ms");
        measure(
            server.address(),
            MIXED_RATE,
            duration,
            other,
            &format!("8 workers, {named}"),
        );
    }
}

fn measure(address: SocketAddr, rate: f64, duration: Duration, other: Option<usize>, named: &str) {
    let slow = format!("GET {SLOW} HTTP/1.1\r\nHost: bench\r\n\r\n");
    let load = Load {
        address,
        connections: CONNECTIONS,
        rate,
        duration,
        request: GET,
        other: other.map(|each| (each, slow.as_bytes())),
    };
    let outcome = load.run().expect("the server responds");
    let times: &Times = &outcome.times;
    let micros = |share| times.within(share).as_secs_f64() * 1e6;
    println!(
        "{named:<32} {rate:>7.0} {:>10} {:>9.0} {:>9.0} {:>9.0} {:>9.0}",
        times.count(),
        micros(0.5),
        micros(0.99),
        micros(0.999),
        micros(1.0),
    );
    let slow = &outcome.other_times;
    if slow.count() > 0 {
        println!(
            "  and {} slow ones, p99 {:.0} us",
            slow.count(),
            slow.within(0.99).as_secs_f64() * 1e6
        );
    }
}

/// Requests a second if one thread sends on every connection and then reads every response.
fn capacity(server: &Serving) -> f64 {
    use std::io::{Read, Write};
    let mut streams: Vec<_> = (0..CONNECTIONS).map(|_| server.connect()).collect();
    let length = streams
        .iter_mut()
        .map(send_request)
        .max()
        .unwrap_or_default();
    let mut response = vec![0; length];
    let (began, mut answered) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(2) {
        for stream in &mut streams {
            stream.write_all(GET).expect("the server takes a request");
        }
        for stream in &mut streams {
            stream
                .read_exact(&mut response)
                .expect("the server responds");
            answered += 1;
        }
    }
    f64::from(answered) / began.elapsed().as_secs_f64()
}
