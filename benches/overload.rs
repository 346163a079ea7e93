//! Measures a server under three times the load that it can handle.
//!
//! Its handlers wait 5 ms or compute for 5 ms, so the capacity of its workers or processors is
//! known. The load has a fixed rate, and each request a due moment; clients do not slow down with
//! the server. A response is good if it arrives within a second, while a client may still wait for
//! it. `cargo bench --bench overload` fails if the good responses under load shedding fall far
//! below capacity, or if handled requests wait too long.

mod fixed_rate;
mod serving;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use fixed_rate::Load;
use serving::{QUERY, QUERY_TIME, SUM, Serving};

const WORKERS: usize = 8;

/// More than the requests that are open at any time while the server sheds.
const CONNECTIONS: usize = 1_000;

const DURATION: Duration = Duration::from_secs(3);

/// How long a client waits for a response.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The share of the good responses at capacity that must be good under overload.
const LEAST_SHARE: f64 = 0.9;

/// What the 99th percentile may take under overload beside the queue timeout and the handler,
/// because the machine does other work too.
const SPARE: Duration = Duration::from_millis(45);

/// The kind of handlers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// They wait, and need no processor.
    Wait,
    /// They compute, and shedding takes processor time from them.
    Compute,
}

/// A server and its load.
struct Case {
    work: Work,
    name: &'static str,
    setting: &'static str,
    /// As a multiple of the server's capacity.
    load: f64,
    sheds: bool,
}

const CASES: [Case; 7] = [
    Case::new(Work::Wait, "no shedding", "queue_timeout=3600000", 1.0),
    Case::new(Work::Wait, "no shedding", "queue_timeout=3600000", 3.0),
    Case::new(Work::Wait, "shed after 100 ms", "queue_timeout=100", 1.0).shedding(),
    Case::new(Work::Wait, "shed after 100 ms", "queue_timeout=100", 3.0).shedding(),
    Case::new(Work::Wait, "at most 80 wait", "queue_limit=80", 3.0).shedding(),
    Case::new(Work::Compute, "no shedding", "queue_timeout=3600000", 1.0),
    Case::new(Work::Compute, "shed after 100 ms", "queue_timeout=100", 3.0).shedding(),
];

fn main() -> ExitCode {
    serving::serve_if_asked();
    println!(
        "what                 load   200s/s   good/s   503s/s   p50 ms   p99 ms p99.9 ms   p99 of 503s"
    );
    let mut failures = Vec::new();
    for work in [Work::Wait, Work::Compute] {
        println!("handlers {}", work.name());
        let mut capacity = 0.0;
        for case in CASES.iter().filter(|case| case.work == work) {
            let (good, p99) = case.run();
            if !case.sheds {
                capacity = f64::max(capacity, good);
                continue;
            }
            let share = good / capacity;
            if share < LEAST_SHARE {
                failures.push(format!("{}: {share:.2} of the capacity is good", case.name));
            }
            if p99 > case.most() {
                failures.push(format!("{}: p99 is {p99:?}", case.name));
            }
        }
    }
    if serving::is_trial() || failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("\n{}", failures.join("\n"));
    ExitCode::FAILURE
}

impl Work {
    const fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Compute => "compute",
        }
    }

    const fn target(self) -> &'static str {
        match self {
            Self::Wait => QUERY,
            Self::Compute => SUM,
        }
    }

    /// How many handlers run at the same time.
    fn at_once(self) -> usize {
        match self {
            Self::Wait => WORKERS,
            Self::Compute => processors().min(WORKERS),
        }
    }
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

impl Case {
    const fn new(work: Work, name: &'static str, setting: &'static str, load: f64) -> Self {
        Self {
            work,
            name,
            setting,
            load,
            sheds: false,
        }
    }

    const fn shedding(mut self) -> Self {
        self.sheds = true;
        self
    }

    /// The limit of the 99th percentile. Workers that compute share the processors.
    fn most(&self) -> Duration {
        let takes = QUERY_TIME * WORKERS as u32 / self.work.at_once() as u32;
        Duration::from_millis(100) + takes + SPARE
    }

    /// Good responses a second, and their 99th percentile.
    fn run(&self) -> (f64, Duration) {
        let workers = format!("workers={WORKERS}");
        let server = Serving::start_with(&[workers, self.setting.into()]);
        let duration = if serving::is_trial() {
            DURATION / 20
        } else {
            DURATION
        };
        let target = self.work.target();
        let request = format!("GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n");
        let load = Load {
            address: server.address(),
            connections: CONNECTIONS,
            rate: self.load * self.work.at_once() as f64 / QUERY_TIME.as_secs_f64(),
            duration,
            request: request.as_bytes(),
            other: None,
        };
        let outcome = load.run().expect("the server responds");
        let times = &outcome.times;
        let a_second = |count: usize| count as f64 / duration.as_secs_f64();
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        // Responses after the last due moment do not show a rate that the server can sustain.
        let good = a_second(outcome.on_time.min(times.count_within(TIMEOUT)));
        let p99 = times.within(0.99);
        println!(
            "{:<18}{:>5}x {:>8.0} {:>8.0} {:>8.0} {:>8.1} {:>8.1} {:>8.1} {:>13.1}",
            self.name,
            self.load,
            a_second(outcome.on_time),
            good,
            a_second(outcome.error_times.count()),
            millis(times.within(0.5)),
            millis(p99),
            millis(times.within(0.999)),
            millis(outcome.error_times.within(0.99)),
        );
        (good, p99)
    }
}
