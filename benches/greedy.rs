//! Measures what slow and greedy clients cost: the response times of good clients beside them, the
//! server's memory, and how long the attackers stay. It fails if a good request fails, if the
//! server uses too much memory, or if an attacker stays too long.
//!
//! `cargo bench --bench greedy` runs all attacks in some minutes, and `cargo bench --bench greedy
//! -- head` those with `head` in their names.

mod attack;
mod http2;
mod serving;

use std::env;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use attack::{Attack, AttackKind, ConnectionUse, GoodClients, GoodResults, Record, request_once};
use rustix::process::{Resource, getrlimit};
use serving::Serving;

/// Descriptors that a process needs beside those of the attackers.
const SPARE: usize = 200;

/// The server's budget for requests and responses of all connections.
const MAX_BUFFERED_MEMORY: usize = 32 * 1024 * 1024;

/// Memory beyond that for each attacker: its connection, and the allocator's overhead for its
/// buffers.
const PER_ATTACKER: usize = 8 * 1024;

/// Memory in any case: the workers' buffers, and memory that the allocator does not return.
const BASE: usize = 32 * 1024 * 1024;

/// The server's minimum rate in bytes a second. It is above the default, because a slow reader
/// takes little compared with what the kernel's buffers take at first.
const MIN_RATE: usize = 100_000;

/// How much longer than its timeouts the last attacker may stay: a second for which the server
/// lingers, and the delays of a busy machine.
const SLACK: Duration = Duration::from_secs(4);

/// Time between two samples of the server.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(50);

/// The sizes of a run.
#[derive(Debug)]
struct Scale {
    attackers: usize,
    /// Every timeout of the server, and the grace period of the minimum rate.
    deadline: Duration,
    /// Time between two actions of an attacker.
    beat: Duration,
    /// How long disconnected attackers reconnect.
    attack: Duration,
}

const FULL: Scale = Scale {
    attackers: 5_000,
    deadline: Duration::from_secs(5),
    beat: Duration::from_secs(1),
    attack: Duration::from_secs(8),
};

const TRIAL: Scale = Scale {
    attackers: 100,
    deadline: Duration::from_millis(300),
    beat: Duration::from_millis(60),
    attack: Duration::from_millis(400),
};

/// One attack on a server of its own.
struct Scenario {
    name: &'static str,
    kinds: Vec<AttackKind>,
    /// Settings of the server beside the usual ones.
    settings: Vec<String>,
    connections: ConnectionUse,
    /// How many timeouts may pass until every attacker is gone.
    rounds: u32,
}

/// The result of an attack.
struct Outcome {
    good: GoodResults,
    record: Record,
    /// Peak growth of the server's memory, in bytes.
    grown: u64,
    /// Peak memory of all sockets of this machine, on both sides, in bytes.
    sockets: u64,
    /// How long the last attacker stayed.
    stay: Option<Duration>,
    /// The server's share of one processor.
    load: f64,
    /// How long a client that connected during the attack waited.
    latecomer: Option<Duration>,
}

fn main() -> ExitCode {
    serving::serve_if_asked();
    let is_trial = serving::is_trial();
    let mut scale = if is_trial { TRIAL } else { FULL };
    scale.fit();
    let mut scenarios = scenarios(&scale);
    let wanted = env::args().skip(1).find(|word| !word.starts_with('-'));
    match wanted {
        Some(part) => scenarios.retain(|scenario| scenario.name.contains(&part)),
        // `cargo test` only runs all attackers at once.
        None if is_trial => scenarios
            .retain(|scenario| scenario.connections == ConnectionUse::Keep || scenario.is_mixed()),
        None => {}
    }

    println!(
        "Good requests with their times in ms, and the cost of the attackers; every timeout is {:?}.",
        scale.deadline
    );
    print_row(&COLUMNS.map(|(title, _)| title.to_owned()));
    let mut errors = Vec::new();
    for scenario in &scenarios {
        let outcome = scenario.play(&scale);
        outcome.print(scenario);
        errors.extend(outcome.errors(scenario, &scale));
    }
    for error in &errors {
        println!("failed: {error}");
    }
    if errors.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn scenarios(scale: &Scale) -> Vec<Scenario> {
    let scenario = |name, kinds| Scenario {
        name,
        kinds,
        settings: Vec::new(),
        connections: ConnectionUse::Renew,
        rounds: 1,
    };
    let many = |kind| vec![kind; scale.attackers];
    let mut scenarios = vec![scenario("none", Vec::new())];
    scenarios.extend(AttackKind::ALL.map(|kind| scenario(kind.name(), many(kind))));
    let leaving = AttackKind::ALL.into_iter().filter(|kind| !kind.may_stay());
    let all = leaving.cycle().take(scale.attackers);
    scenarios.push(scenario("all of these", all.collect()));
    for scenario in &mut scenarios {
        // The kernel's buffers grow and take some bytes for a client that reads nothing; each time
        // the timeout starts again.
        let is_endless = |kind: &AttackKind| {
            use AttackKind::{Http2NoReader, Http2SlowReader, Pipeliner};
            matches!(kind, Pipeliner | Http2NoReader | Http2SlowReader)
        };
        if scenario.kinds.iter().any(is_endless) {
            scenario.rounds = 3;
        }
        // After the timeout of the last stream, that of an idle connection begins.
        let loses_streams = |kind: &AttackKind| {
            use AttackKind::{Http2LargeBodies, Http2SlowBodies};
            matches!(kind, Http2SlowBodies | Http2LargeBodies)
        };
        if scenario.kinds.iter().any(loses_streams) {
            scenario.rounds = 3;
        }
        let waits_for_windows = |kind: &AttackKind| {
            use AttackKind::{Http2TinyWindows, Http2ZeroWindow};
            matches!(kind, Http2TinyWindows | Http2ZeroWindow)
        };
        if scenario.kinds.iter().any(waits_for_windows) {
            scenario.rounds = AttackKind::WAITING + 1;
        }
    }
    let half = scale.attackers / 2;
    for (name, setting) in [
        ("over max_connections", format!("max_connections={half}")),
        ("over the descriptors", format!("descriptors={half}")),
    ] {
        scenarios.push(Scenario {
            settings: vec![setting],
            // New clients wait with the attackers, so the good clients connect first.
            connections: ConnectionUse::Keep,
            // Two halves, one after the other, and the clients that failed to connect.
            rounds: 3,
            ..scenario(name, many(AttackKind::Silent))
        });
    }
    scenarios
}

impl Scale {
    /// Reduces the sizes to the limit of descriptors.
    fn fit(&mut self) {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = usize::try_from(limit).map_or(usize::MAX, |limit| limit.saturating_sub(SPARE));
        if self.attackers > most {
            println!(
                "{most} attackers and not {}: `ulimit -n` is {limit}",
                self.attackers
            );
            self.attackers = most;
        }
    }

    fn settings(&self) -> Vec<String> {
        let millis = self.deadline.as_millis();
        let mut settings = vec![
            "workers=2".to_owned(),
            "http2=1".to_owned(),
            format!("max_buffered_memory={MAX_BUFFERED_MEMORY}"),
            format!("min_rate={MIN_RATE}"),
            format!("min_rate_grace={millis}"),
        ];
        let times = ["head", "body", "idle", "write"];
        settings.extend(times.map(|time| format!("{time}_timeout={millis}")));
        settings
    }
}

impl Scenario {
    fn is_mixed(&self) -> bool {
        self.kinds.windows(2).any(|two| two[0] != two[1])
    }

    fn play(&self, scale: &Scale) -> Outcome {
        let server = Serving::start_with(&[scale.settings(), self.settings.clone()].concat());
        let address = server.address();
        for _ in 0..100 {
            request_once(address).expect("the server responds");
        }
        let good_clients = GoodClients::begin(address, self.connections);
        let (quiet, resident) = (server.descriptors(), server.resident());
        let (cpu, start) = (server.processor_time(), Instant::now());

        let attack = Attack::begin(address, &self.kinds, scale.beat);
        let mut latecomer = None;
        let mut sockets = 0;
        // When the last attacker was connected.
        let mut seen = start;
        let is_over = loop {
            thread::sleep(SAMPLE_INTERVAL);
            let now = Instant::now();
            let ends = start + scale.attack;
            if now >= ends {
                attack.stop_coming();
            }
            if self.connections == ConnectionUse::Keep
                && latecomer.is_none()
                && now >= start + scale.attack / 2
            {
                latecomer = Some(thread::spawn(move || {
                    request_once(address).map(|()| now.elapsed())
                }));
            }
            sockets = sockets.max(serving::process::socket_memory());
            // A good client's second connection closes soon.
            if server.descriptors() > quiet {
                seen = now;
            } else if now >= ends {
                break true;
            }
            if now > ends + scale.deadline * self.rounds + SLACK {
                break false;
            }
        };
        let load = (server.processor_time() - cpu).as_secs_f64() / start.elapsed().as_secs_f64();
        let good = good_clients.leave();
        let grown = server.peak().saturating_sub(resident);
        let latecomer = latecomer.map(|thread| thread.join().expect("a client does not panic"));
        let record = attack.leave();
        Outcome {
            stay: is_over.then(|| seen.saturating_duration_since(record.last.unwrap_or(seen))),
            good,
            record,
            grown,
            sockets,
            load,
            latecomer: latecomer.and_then(Result::ok),
        }
    }

    /// Limit of the server's growth in bytes.
    fn bound(&self) -> u64 {
        (BASE + MAX_BUFFERED_MEMORY + PER_ATTACKER * self.kinds.len()) as u64
    }
}

const COLUMNS: [(&str, usize); 14] = [
    ("attack", 20),
    ("number", 6),
    ("good", 5),
    ("failed", 6),
    ("p50", 6),
    ("p99", 7),
    ("new p50", 7),
    ("new p99", 7),
    ("max", 7),
    ("KiB", 8),
    ("bytes each", 10),
    ("stay", 6),
    ("CPU", 5),
    ("sockets MiB", 11),
];

fn print_row(cells: &[String; 14]) {
    let padded: Vec<_> = cells
        .iter()
        .zip(COLUMNS)
        .map(|(cell, (_, width))| format!("{cell:>width$}"))
        .collect();
    println!("{}", padded.join("  "));
}

impl Outcome {
    fn print(&self, scenario: &Scenario) {
        let GoodResults {
            kept,
            new,
            failures,
        } = &self.good;
        let attackers = scenario.kinds.len();
        let all = [&kept[..], new].concat();
        print_row(&[
            scenario.name.to_owned(),
            attackers.to_string(),
            (all.len() + failures.len()).to_string(),
            failures.len().to_string(),
            millis(kept, 50),
            millis(kept, 99),
            millis(new, 50),
            millis(new, 99),
            millis(&all, 100),
            (self.grown / 1024).to_string(),
            (self.grown / attackers.max(1) as u64).to_string(),
            self.stay.map_or("stays".to_owned(), seconds),
            format!("{:.0}%", self.load * 100.0),
            (self.sockets / 1024 / 1024).to_string(),
        ]);
        let ends = &self.record.ends;
        if !ends.is_empty() {
            let ends = ends.iter().map(|(end, count)| format!("{count} x {end}"));
            println!("{:>20}  {}", "", ends.collect::<Vec<_>>().join(", "));
        }
        if let Some(wait) = self.latecomer {
            println!(
                "{:>20}  a client that connects during the attack waits {}",
                "",
                seconds(wait)
            );
        }
    }

    fn errors(&self, scenario: &Scenario, scale: &Scale) -> Vec<String> {
        let mut errors = Vec::new();
        let name = scenario.name;
        if let Some(failure) = self.good.failures.first() {
            errors.push(format!("{name}: a good request: {failure}"));
        }
        if scenario.connections == ConnectionUse::Keep && self.latecomer.is_none() {
            errors.push(format!(
                "{name}: the client that connected during the attack got no response"
            ));
        }
        if self.grown > scenario.bound() {
            let (grown, bound) = (self.grown, scenario.bound());
            errors.push(format!("{name}: {grown} bytes of memory, over {bound}"));
        }
        let most = scale.deadline * scenario.rounds + SLACK;
        let may_stay = scenario.kinds.iter().all(|kind| kind.may_stay());
        if !may_stay && self.stay.is_none_or(|stay| stay > most) {
            errors.push(format!("{name}: attackers remain after {most:?}"));
        }
        errors
    }
}

/// This percentage of the requests took no longer than this.
fn millis(times: &[Duration], percent: usize) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).map_or("-".to_owned(), |time| {
        format!("{:.2}", time.as_secs_f64() * 1000.0)
    })
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
