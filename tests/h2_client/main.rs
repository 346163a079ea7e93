//! A client by other authors, the crate `h2`, sends random requests to a server over HTTP/2. The
//! handler must see what the client has sent, and the client must get what the handler has returned.
//!
//! Each seed is one connection with its settings and a plan for each of its requests. A failure
//! names the seed; `H2_SEEDS=17..18` runs it alone, and `H2_SEEDS=0..100000` many.

mod client;
mod hints;
mod plan;
#[path = "../support/random.rs"]
mod random;
mod server;

use std::collections::BTreeMap;
use std::env;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use client::Outcome;
use httpool::Server;
use plan::{Ending, Mode, Plan, Session};
use random::Random;
use server::{Planned, Seen};

/// How many connections `cargo test` makes. They take a few seconds.
const SEEDS: Range<u64> = 0..60;

/// Only a failing test waits this long.
const TIMEOUT: Duration = Duration::from_secs(60);

fn seeds() -> Range<u64> {
    let Ok(seeds) = env::var("H2_SEEDS") else {
        return SEEDS;
    };
    let (start, end) = seeds.split_once("..").expect("seeds have the form 0..100");
    let number = |text: &str| text.parse().expect("a seed is a number");
    number(start)..number(end)
}

#[test]
fn handler_and_h2_client_see_the_same() {
    let (seeds, total) = (Mutex::new(seeds()), Mutex::new(Counts::default()));
    let next = || seeds.lock().expect("no thread panics with it").next();
    // Most of the time passes in waits, for example until a server has ended.
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(seed) = next() {
                    let counts = run(seed);
                    let mut total = total.lock().expect("no thread panics with it");
                    total.whole += counts.whole;
                    total.aborted += counts.aborted;
                }
            });
        }
    });
    let total = total.into_inner().expect("no thread panics with it");
    println!("{total:?}");
    // Otherwise the plans would test less than they seem to.
    if env::var_os("H2_SEEDS").is_none() {
        assert!(total.whole > 250 && total.aborted > 50, "{total:?}");
    }
}

/// How many requests ended in which way.
#[derive(Debug, Default)]
struct Counts {
    whole: usize,
    aborted: usize,
}

/// One connection.
fn run(seed: u64) -> Counts {
    let session = Session::random(&mut Random::new(seed));
    let plans: Arc<[Plan]> = session.plans.clone().into();
    let handler = Planned::new(Arc::clone(&plans));
    let seen = handler.seen();
    let server = session.configure(Server::builder().listen("127.0.0.1:0").http2(true));
    let server = server.bind().expect("the system has ports");
    let (address, handle) = (server.local_addrs()[0].to_string(), server.handle());
    let server = thread::spawn(move || server.run(handler));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system has descriptors");
    let outcomes = runtime.block_on(async {
        let connection = client::run(&address, &session, Arc::clone(&plans));
        tokio::time::timeout(TIMEOUT, connection)
            .await
            .unwrap_or_else(|_| panic!("seed {seed}: the client waits for too long"))
    });
    handle.shutdown();
    let report = server.join().expect("the server does not panic");
    let report = report.expect("the server does not fail");
    assert_eq!(report.aborted, 0, "seed {seed}");
    let seen = seen.lock().expect("no handler panics");
    let mut counts = Counts::default();
    for (index, (plan, outcome)) in plans.iter().zip(outcomes).enumerate() {
        compare(plan, &outcome, &seen, index).unwrap_or_else(|what| {
            panic!("seed {seed}, request {index}: {what}\n{plan:?}\n{session:?}");
        });
        match plan.ending {
            Ending::Whole => counts.whole += 1,
            _ => counts.aborted += 1,
        }
    }
    counts
}

/// Compares both ends of a request with its plan.
fn compare(
    plan: &Plan,
    outcome: &Outcome,
    seen: &BTreeMap<usize, Seen>,
    index: usize,
) -> Result<(), String> {
    match seen.get(&index) {
        Some(seen) => seen.check(plan)?,
        None if plan.ending == Ending::Whole => return Err("no handler has seen it".to_owned()),
        None => {}
    }
    match outcome {
        Outcome::Response(response) => response.check(plan),
        Outcome::Aborted if plan.ending != Ending::Whole => Ok(()),
        Outcome::Aborted => Err("the client has aborted it".to_owned()),
        Outcome::Failed(error) => Err(format!("the client has got an error: {error}")),
    }
}

/// A difference between what is and what was to be.
fn expect_equal<T: std::fmt::Debug + PartialEq>(
    what: &str,
    actual: &T,
    expected: &T,
) -> Result<(), String> {
    match actual == expected {
        true => Ok(()),
        false => Err(format!("{what}: {actual:?} instead of {expected:?}")),
    }
}

/// Bodies are long, so a difference is only named.
fn expect_body(what: &str, actual: &[u8], expected: &[u8], mode: Mode) -> Result<(), String> {
    let common = actual.iter().zip(expected).take_while(|(a, b)| a == b);
    match actual == expected {
        true => Ok(()),
        false => Err(format!(
            "{what} ({mode:?}) has {} bytes instead of {}; the first {} are equal",
            actual.len(),
            expected.len(),
            common.count()
        )),
    }
}
