//! Delayed responses beside a client that asks.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::askers::{Askers, Shared};
use crate::fixed_rate::{self, Load};
use crate::serving::{GET, Serving};
use crate::times::Times;
use crate::{Size, WARM_UP};

/// Ordinary requests a second, and their connections.
const RATE: f64 = 1000.0;
const CONNECTIONS: usize = 8;

/// Time for all clients to ask for a response that none of them gets during a measurement.
const MARGIN: Duration = Duration::from_secs(1);

/// What the other clients do during a measurement. All are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    /// Nothing.
    Idle,
    /// Each waits for a response all the time.
    Wait,
    /// Each gets a response after the delay, and asks again.
    Ask,
}

/// The measurements beside [`Others`].
#[derive(Default)]
struct Beside {
    requests: fixed_rate::Times,
    /// p99 of each turn.
    turns: Vec<f64>,
    processor_time: Duration,
    /// Responses to others.
    responses: usize,
}

/// The figures.
#[derive(serde::Serialize)]
struct Row {
    /// Bytes of the server's memory for each request that waits, and for each idle connection.
    memory: f64,
    idle_memory: f64,
    /// Microseconds of the server's processor time for each delayed response.
    processor_time: f64,
    /// Milliseconds that the responses are late.
    late: Times,
    /// Milliseconds of ordinary requests, beside each of [`Others`].
    beside: [Requests; 3],
}

#[derive(serde::Serialize)]
struct Requests {
    p50: f64,
    p99: f64,
    /// p99 of each turn, sorted. Other work on the machine disturbs only some of them.
    turns: Vec<f64>,
}

/// Measurements that take turns.
struct Turns<'a> {
    server: &'a Serving,
    size: Size,
    askers: Askers,
    late: Vec<Duration>,
    beside: [Beside; 3],
}

pub(crate) fn measure(server: &Serving, size: Size, is_json: bool) {
    let mut warm_up = Askers::connect(server, WARM_UP);
    warm_up.ask_all(Duration::ZERO);
    warm_up.receive_all();
    drop(warm_up);
    let before = server.resident();
    let askers = Askers::connect(server, size.clients);
    let connected = server.resident();
    let mut turns = Turns {
        server,
        size,
        askers,
        late: Vec::new(),
        beside: Default::default(),
    };
    turns.askers.ask_all(MARGIN);
    let waiting = server.resident();
    turns.askers.receive_all();
    for turn in 0..size.turns {
        turns.measure_all(turn);
    }
    let each = |bytes: u64| bytes as f64 / size.clients as f64;
    let row = Row {
        memory: each(waiting.saturating_sub(connected)),
        idle_memory: each(connected.saturating_sub(before)),
        processor_time: turns.processor_time_each(),
        late: Times::of(turns.late),
        beside: turns.beside.map(Beside::into_requests),
    };
    row.print(size, is_json);
}

/// Ordinary requests for this time.
pub(crate) fn ordinary_load(server: &Serving, duration: Duration) -> fixed_rate::Times {
    let load = Load {
        address: server.address(),
        connections: CONNECTIONS,
        rate: RATE,
        duration,
        request: GET,
        other: None,
    };
    load.run().expect("the server responds").times
}

impl Turns<'_> {
    /// Measures beside all of [`Others`], in another order each time.
    fn measure_all(&mut self, turn: usize) {
        let mut all = [Others::Idle, Others::Wait, Others::Ask];
        all.rotate_left(turn % 3);
        for others in all {
            match others {
                Others::Idle => self.measure_beside(others),
                Others::Wait => {
                    self.askers.ask_all(self.size.time + MARGIN);
                    self.measure_beside(others);
                    self.askers.receive_all();
                }
                Others::Ask => self.measure_beside_asking(),
            }
        }
    }

    fn measure_beside(&mut self, others: Others) {
        self.beside[others as usize].measure(self.server, self.size.time, &Shared::default());
    }

    fn measure_beside_asking(&mut self) {
        let Size { delay, time, .. } = self.size;
        let (shared, askers) = (Shared::default(), &mut self.askers);
        thread::scope(|scope| {
            let asking = scope.spawn(|| askers.ask_again_and_again(delay, &shared));
            let asks = shared.until_dropped();
            // By then, the first of them have their responses.
            thread::sleep(delay + delay / 4);
            self.beside[Others::Ask as usize].measure(self.server, time, &shared);
            drop(asks);
            self.late
                .extend(asking.join().expect("the clients succeed"));
        });
    }

    /// What the server used beside idle clients, it used for the ordinary requests.
    fn processor_time_each(&self) -> f64 {
        let [idle, _, ask] = &self.beside;
        let used = ask.processor_time.saturating_sub(idle.processor_time);
        used.as_secs_f64() * 1e6 / ask.responses.max(1) as f64
    }
}

impl Beside {
    /// Measures for this time.
    fn measure(&mut self, server: &Serving, time: Duration, shared: &Shared) {
        let used = server.processor_time();
        let responses = shared.responses.load(Ordering::Relaxed);
        let times = ordinary_load(server, time);
        self.processor_time += server.processor_time() - used;
        self.responses += shared.responses.load(Ordering::Relaxed) - responses;
        self.turns.push(millis(times.within(0.99)));
        self.requests.add(&times);
    }

    fn into_requests(mut self) -> Requests {
        self.turns.sort_unstable_by(f64::total_cmp);
        Requests {
            p50: millis(self.requests.within(0.5)),
            p99: millis(self.requests.within(0.99)),
            turns: self.turns,
        }
    }
}

impl Requests {
    /// The middle one of the turns' p99.
    fn middle(&self) -> f64 {
        self.turns[self.turns.len() / 2]
    }
}

impl Row {
    fn print(&self, size: Size, is_json: bool) {
        if is_json {
            let row = serde_json::to_string(self).expect("numbers can be serialized");
            return println!("{row}");
        }
        println!(
            "{} delayed responses: {:.0} bytes for each that waits beside {:.0} for the connection, \
             {:.2} us CPU for each\n\
             late: p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
            size.clients,
            self.memory,
            self.idle_memory,
            self.processor_time,
            self.late.p50,
            self.late.p99,
            self.late.longest,
        );
        self.print_requests();
    }

    fn print_requests(&self) {
        println!(
            "ordinary requests, {RATE}/s  p50 ms   p99 ms  to idle  p99 of the middle turn  to idle  of each turn"
        );
        let [idle, ..] = &self.beside;
        let names = ["clients are idle", "clients wait", "clients ask again"];
        for (name, beside) in names.iter().zip(&self.beside) {
            println!(
                "{name:<25} {:>7.3} {:>8.3} {:>8.2} {:>22.3} {:>8.2}  {:.2?}",
                beside.p50,
                beside.p99,
                beside.p99 / idle.p99,
                beside.middle(),
                beside.middle() / idle.middle(),
                beside.turns,
            );
        }
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
