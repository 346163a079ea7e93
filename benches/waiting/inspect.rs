//! Delays of the inspector, which all clients ask for at once.

use std::time::Duration;

use crate::askers::Askers;
use crate::delayed::ordinary_load;
use crate::serving::Serving;
use crate::times::Times;
use crate::{Size, WARM_UP};

/// The figures.
#[derive(serde::Serialize)]
struct Row {
    /// Bytes of the server's memory for each request that waits.
    memory: f64,
    /// Milliseconds that the responses are late.
    late: Times,
    /// Milliseconds of ordinary requests while all others wait.
    p50: f64,
    p99: f64,
}

pub(crate) fn measure(server: &Serving, size: Size, is_json: bool) {
    let mut warm_up = Askers::connect(server, WARM_UP).with_target(target);
    warm_up.ask_all(Duration::ZERO);
    warm_up.receive_all();
    drop(warm_up);
    let mut askers = Askers::connect(server, size.clients).with_target(target);
    let connected = server.resident();
    askers.ask_all(size.inspect_delay);
    let waiting = server.resident();
    let ordinary = ordinary_load(server, size.time);
    let row = Row {
        memory: waiting.saturating_sub(connected) as f64 / size.clients as f64,
        late: Times::of(askers.receive_all()),
        p50: ordinary.within(0.5).as_secs_f64() * 1e3,
        p99: ordinary.within(0.99).as_secs_f64() * 1e3,
    };
    row.print(size, is_json);
}

fn target(delay: Duration) -> String {
    format!("/delay/{}ms", delay.as_millis())
}

impl Row {
    fn print(&self, size: Size, is_json: bool) {
        if is_json {
            let row = serde_json::to_string(self).expect("numbers can be serialized");
            return println!("{row}");
        }
        println!(
            "{} requests for /delay/{} of the inspector at once: {:.0} bytes for each that waits\n\
             late: p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms\n\
             ordinary requests beside them: p50 {:.3} ms, p99 {:.3} ms",
            size.clients,
            size.inspect_delay.as_secs_f64(),
            self.memory,
            self.late.p50,
            self.late.p99,
            self.late.longest,
            self.p50,
            self.p99,
        );
    }
}
