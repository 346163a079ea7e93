//! What a server does with three times the load that it can take.
//!
//! Its handlers wait 5 ms or compute for 5 ms, so what its workers or the processors can take is
//! known. The load has a fixed rate and each request its due moment; nobody asks less because the server is slow. An answer is good if it
//! comes within a second, for then somebody may still wait for it. `cargo bench --bench overload`
//! fails if shedding does not keep what is good near what it is at capacity, or has those wait who
//! are answered.

mod serving;
mod steady;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use serving::{QUERY, QUERY_TIME, SUM, Serving};
use steady::Load;

const WORKERS: usize = 8;

/// More than there are requests under way at any time while the server sheds.
const CONNECTIONS: usize = 1_000;

const DURATION: Duration = Duration::from_secs(3);

/// How long somebody waits for an answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Of what is good at capacity, the share that must be good under overload.
const LEAST_SHARE: f64 = 0.9;

/// What the slowest answers but one in a hundred may take under overload besides what they may wait
/// and what the handler takes: a machine does something else too.
const SPARE: Duration = Duration::from_millis(45);

/// What the handlers do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// They wait, and need no processor.
    Wait,
    /// They compute, and whoever sheds takes a processor from them.
    Compute,
}

/// A server and its load.
struct Case {
    work: Work,
    name: &'static str,
    setting: &'static str,
    /// In what the server can take.
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
    let mut faults = Vec::new();
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
                faults.push(format!("{}: {share:.2} of capacity is good", case.name));
            }
            if p99 > case.most() {
                faults.push(format!("{}: p99 is {p99:?}", case.name));
            }
        }
    }
    if serving::is_trial() || faults.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("\n{}", faults.join("\n"));
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

    /// How many of them go on at the same time.
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

    /// What the slowest but one in a hundred may take. Workers that compute share the processors.
    fn most(&self) -> Duration {
        let takes = QUERY_TIME * WORKERS as u32 / self.work.at_once() as u32;
        Duration::from_millis(100) + takes + SPARE
    }

    /// Good answers a second, and the time within which 99 of 100 came.
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
        let outcome = load.run().expect("the server answers");
        let times = &outcome.times;
        let a_second = |count: usize| count as f64 / duration.as_secs_f64();
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        // What comes after the last request was due is no rate at which the server goes on.
        let good = a_second(outcome.while_asked.min(times.count_within(PATIENCE)));
        let p99 = times.within(0.99);
        println!(
            "{:<18}{:>5}x {:>8.0} {:>8.0} {:>8.0} {:>8.1} {:>8.1} {:>8.1} {:>13.1}",
            self.name,
            self.load,
            a_second(outcome.while_asked),
            good,
            a_second(outcome.refused_times.count()),
            millis(times.within(0.5)),
            millis(p99),
            millis(times.within(0.999)),
            millis(outcome.refused_times.within(0.99)),
        );
        (good, p99)
    }
}
