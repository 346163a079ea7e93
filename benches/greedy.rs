//! What slow and greedy clients cost: how long the requests of good clients beside them take, how
//! much memory the server holds, and how long the attackers stay. It fails if a good request
//! fails, if the server holds more than it may, or if an attacker stays for too long.
//!
//! `cargo bench --bench greedy` plays all attacks, which takes some minutes, and
//! `cargo bench --bench greedy -- head` those that have `head` in their names.

mod attack;
mod serving;

use std::env;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use attack::{Attack, Experience, Habit, Manner, Neighbours, Record, ask_anew};
use rustix::process::{Resource, getrlimit};
use serving::Serving;

/// Descriptors that a process needs for everything but attackers.
const SPARE: usize = 200;

/// What all connections together may keep of requests and answers; the server is told so.
const MAX_BUFFERED_MEMORY: usize = 32 * 1024 * 1024;

/// What the server may hold for each attacker beyond that: its connection, and what the allocator
/// takes for its pieces.
const EACH: usize = 8 * 1024;

/// What it may hold in any case: the workers' buffers, and what the allocator does not give back.
const ALWAYS: usize = 32 * 1024 * 1024;

/// The slowest rate that the server is told to bear, in bytes a second. More than the usual: what
/// a slow reader takes is small beside what the system's own buffers take at first.
const MIN_RATE: usize = 100_000;

/// How much longer than its deadlines the last attacker may stay: a second for which the server
/// reads on after its last answer, and what a busy machine needs.
const SLACK: Duration = Duration::from_secs(4);

/// Between two looks at the server.
const LOOK: Duration = Duration::from_millis(50);

/// How large everything is.
#[derive(Debug)]
struct Scale {
    attackers: usize,
    /// Every timeout of the server, and the grace before a rate is asked for.
    deadline: Duration,
    /// Between two acts of an attacker.
    beat: Duration,
    /// For how long an attacker that is ended comes again.
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
struct Scene {
    name: &'static str,
    manners: Vec<Manner>,
    /// Settings of the server beside the usual ones.
    settings: Vec<String>,
    habit: Habit,
    /// How many deadlines may pass until everyone is gone.
    rounds: u32,
}

/// What came of it.
struct Outcome {
    experience: Experience,
    record: Record,
    /// Bytes by which the server grew at most.
    grown: u64,
    /// Bytes that the sockets of this machine hold at most, on both sides.
    sockets: u64,
    /// How long the last attacker was there.
    stay: Option<Duration>,
    /// The share of a processor that the server used.
    load: f64,
    /// How long a client had to wait that came in the middle.
    latecomer: Option<Duration>,
}

fn main() -> ExitCode {
    serving::serve_if_asked();
    let is_trial = serving::is_trial();
    let mut scale = if is_trial { TRIAL } else { FULL };
    scale.fit();
    let mut scenes = scenes(&scale);
    let wanted = env::args().skip(1).find(|word| !word.starts_with('-'));
    match wanted {
        Some(part) => scenes.retain(|scene| scene.name.contains(&part)),
        // In a trial all attackers at once are enough.
        None if is_trial => scenes.retain(|scene| scene.habit == Habit::Stay || scene.is_mixed()),
        None => {}
    }

    println!(
        "Good requests with their times in ms, and what the attackers cost; every deadline is {:?}.",
        scale.deadline
    );
    print_row(&COLUMNS.map(|(title, _)| title.to_owned()));
    let mut complaints = Vec::new();
    for scene in &scenes {
        let outcome = scene.play(&scale);
        outcome.print(scene);
        complaints.extend(outcome.complaints(scene, &scale));
    }
    for complaint in &complaints {
        println!("failed: {complaint}");
    }
    if complaints.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn scenes(scale: &Scale) -> Vec<Scene> {
    let scene = |name, manners| Scene {
        name,
        manners,
        settings: Vec::new(),
        habit: Habit::Return,
        rounds: 1,
    };
    let many = |manner| vec![manner; scale.attackers];
    let mut scenes = vec![scene("nobody", Vec::new())];
    scenes.extend(Manner::ALL.map(|manner| scene(manner.name(), many(manner))));
    let all = Manner::ALL.into_iter().cycle().take(scale.attackers);
    scenes.push(scene("all of these", all.collect()));
    for scene in &mut scenes {
        // The system's buffers grow and take some bytes for a client that takes none, and each
        // time that is a beginning.
        if scene.manners.contains(&Manner::Pipeliner) {
            scene.rounds = 3;
        }
    }
    let half = scale.attackers / 2;
    for (name, setting) in [
        ("over max_connections", format!("max_connections={half}")),
        ("over the descriptors", format!("descriptors={half}")),
    ] {
        scenes.push(Scene {
            settings: vec![setting],
            // A newcomer waits with the attackers, so the good clients are there before.
            habit: Habit::Stay,
            // Two halves, one after the other, and those who tried in vain to connect.
            rounds: 3,
            ..scene(name, many(Manner::Silent))
        });
    }
    scenes
}

impl Scale {
    /// Makes it as small as the limit of descriptors asks for.
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
            format!("max_buffered_memory={MAX_BUFFERED_MEMORY}"),
            format!("min_rate={MIN_RATE}"),
            format!("min_rate_grace={millis}"),
        ];
        let times = ["head", "body", "idle", "write"];
        settings.extend(times.map(|time| format!("{time}_timeout={millis}")));
        settings
    }
}

impl Scene {
    fn is_mixed(&self) -> bool {
        self.manners.windows(2).any(|two| two[0] != two[1])
    }

    fn play(&self, scale: &Scale) -> Outcome {
        let server = Serving::start_with(&[scale.settings(), self.settings.clone()].concat());
        let address = server.address();
        for _ in 0..100 {
            ask_anew(address).expect("the server answers");
        }
        let neighbours = Neighbours::begin(address, self.habit);
        let (quiet, resident) = (server.descriptors(), server.resident());
        let (cpu, start) = (server.processor_time(), Instant::now());

        let attack = Attack::begin(address, &self.manners, scale.beat);
        let mut latecomer = None;
        let mut sockets = 0;
        // When attackers were there for the last time.
        let mut seen = start;
        let is_over = loop {
            thread::sleep(LOOK);
            let now = Instant::now();
            let ends = start + scale.attack;
            if now >= ends {
                attack.stop_coming();
            }
            if self.habit == Habit::Stay && latecomer.is_none() && now >= start + scale.attack / 2 {
                latecomer = Some(thread::spawn(move || {
                    ask_anew(address).map(|()| now.elapsed())
                }));
            }
            sockets = sockets.max(serving::process::socket_memory());
            // A neighbour's second connection is soon gone.
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
        let experience = neighbours.leave();
        let grown = server.peak().saturating_sub(resident);
        let latecomer = latecomer.map(|thread| thread.join().expect("a client does not panic"));
        let record = attack.leave();
        Outcome {
            stay: is_over.then(|| seen.saturating_duration_since(record.last.unwrap_or(seen))),
            experience,
            record,
            grown,
            sockets,
            load,
            latecomer: latecomer.and_then(Result::ok),
        }
    }

    /// Most bytes by which the server may grow.
    fn bound(&self) -> u64 {
        (ALWAYS + MAX_BUFFERED_MEMORY + EACH * self.manners.len()) as u64
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
    fn print(&self, scene: &Scene) {
        let Experience {
            kept,
            new,
            failures,
        } = &self.experience;
        let attackers = scene.manners.len();
        let all = [&kept[..], new].concat();
        print_row(&[
            scene.name.to_owned(),
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
        let statuses = &self.record.statuses;
        if !statuses.is_empty() {
            let answers = statuses
                .iter()
                .map(|(status, count)| format!("{count} x {status}"));
            println!(
                "{:>20}  answered {}",
                "",
                answers.collect::<Vec<_>>().join(", ")
            );
        }
        if let Some(wait) = self.latecomer {
            println!(
                "{:>20}  who comes in the middle is answered after {}",
                "",
                seconds(wait)
            );
        }
    }

    fn complaints(&self, scene: &Scene, scale: &Scale) -> Vec<String> {
        let mut complaints = Vec::new();
        let name = scene.name;
        if let Some(failure) = self.experience.failures.first() {
            complaints.push(format!("{name}: a good request: {failure}"));
        }
        if scene.habit == Habit::Stay && self.latecomer.is_none() {
            complaints.push(format!("{name}: who came in the middle is not answered"));
        }
        if self.grown > scene.bound() {
            let (grown, bound) = (self.grown, scene.bound());
            complaints.push(format!("{name}: {grown} bytes of memory, and not {bound}"));
        }
        let most = scale.deadline * scene.rounds + SLACK;
        if self.stay.is_none_or(|stay| stay > most) {
            complaints.push(format!("{name}: attackers are there after {most:?}"));
        }
        complaints
    }
}

/// So many percent of the requests took no longer than this.
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
