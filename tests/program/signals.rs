use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use rcgen::date_time_ymd;
use rustix::fs::OFlags;
use rustix::process::Signal;

use crate::support::tls::{CertificateAuthority, CertificateFiles, NAME};
use crate::support::{Client, Program, TempDir, eventually, ignores_signal, request};

/// The signals that drain the program. The tests may run where SIGINT is ignored.
fn stopping() -> impl Iterator<Item = Signal> {
    let signals = [Signal::TERM, Signal::INT].into_iter();
    signals.filter(|signal| !ignores_signal(*signal))
}

/// The signals that the program catches from its start on.
fn caught() -> impl Iterator<Item = Signal> {
    let reloading = [Signal::HUP, Signal::USR1].into_iter();
    stopping().chain(reloading.filter(|signal| !ignores_signal(*signal)))
}

/// The program with a request that has arrived in part.
fn busy(arguments: &[&str]) -> (Program, Client) {
    let program = Program::spawn(arguments);
    let mut client = program.connect();
    client.post("/", "whole").expect_body("whole");
    client.send(request::post_head("/", 8)).send("half");
    (program, client)
}

#[test]
fn signal_drains_and_exits_0() {
    for signal in stopping() {
        let (program, mut client) = busy(&["--drain-timeout", "1h"]);
        let mut idle = program.connect();
        idle.get("/").expect_status(200);
        program.signal(signal);
        program.expect_refused();
        idle.expect_closed();
        client.send("half");
        assert!(client.expect_body("halfhalf").announces_close());
        client.expect_closed();
        program.expect_exit(0);
    }
}

#[test]
fn idle_program_exits_0_on_a_signal() {
    let program = Program::spawn(&[]);
    program.signal(Signal::TERM);
    program.expect_exit(0);
}

#[test]
fn second_signal_aborts_at_once() {
    for signal in stopping() {
        let (program, mut client) = busy(&["--drain-timeout", "1h"]);
        program.signal(signal);
        program.expect_refused();
        // Two signals within a moment count as one.
        program.signal_until_exit(signal);
        program.expect_exit(3);
        client.read_rest();
    }
}

#[test]
fn duplicated_signal_counts_once() {
    let (program, mut client) = busy(&["--drain-timeout", "1h"]);
    program.signal(Signal::TERM);
    program.signal(Signal::TERM);
    program.expect_refused();
    client.send("half").expect_body("halfhalf");
    program.expect_exit(0);
}

#[test]
fn aborted_requests_set_the_exit_code() {
    let (program, mut client) = busy(&["--drain-timeout", "100ms"]);
    program.signal(Signal::TERM);
    let exit = program.expect_exit(3);
    assert!(exit.errors.contains(", 1 aborted"), "{exit:?}");
    client.read_rest();
}

/// The program has no handler that never returns, but checking JSON takes a while. The test retries
/// if the deadline passes before the whole body has been received.
#[test]
fn aborted_handlers_set_the_exit_code() {
    const SIZE: usize = 64 * 1024 * 1024;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: it\r\nContent-Type: application/json\r\n\
         Content-Length: {SIZE}\r\n\r\n"
    );
    let body = [b"[", "1,".repeat(SIZE / 2 - 1).as_bytes(), b"1"].concat();
    let is_aborted_in_its_handler = || {
        let limits = ["--max-body", "64MiB", "--max-buffered-memory", "256MiB"];
        let program = Program::spawn(&[&limits[..], &["--drain-timeout", "50ms"]].concat());
        let mut client = program.connect();
        client.send(&head).send(&body);
        program.signal(Signal::TERM);
        let exit = program.expect_exit(3);
        exit.errors.contains(", 1 aborted (1 in handlers)")
    };
    assert!((0..10).any(|_| is_aborted_in_its_handler()));
}

#[test]
fn shutdown_delay_keeps_serving() {
    let program = Program::spawn(&["--drain-delay", "1h"]);
    let mut client = program.connect();
    client.get("/").expect_status(200);
    program.signal(Signal::TERM);
    // A response with `Connection: close` shows that the signal was received.
    while !client.get("/").expect_status(200).announces_close() {}
    client.expect_closed();
    assert!(
        program
            .connect()
            .get("/")
            .expect_status(200)
            .announces_close()
    );
    program.signal_until_exit(Signal::TERM);
    program.expect_exit(0);
}

#[test]
fn hup_and_usr1_reload() {
    for signal in caught().filter(|signal| [Signal::HUP, Signal::USR1].contains(signal)) {
        let mut program = Program::spawn(&[]);
        for _ in 0..2 {
            program.signal(signal);
            program.expect_line("ignored: no log file, certificate or folder to reload");
        }
        program.connect().get("/").expect_status(200);
        program.signal(Signal::TERM);
        program.expect_exit(0);
    }
}

#[test]
fn ignored_signals_stay_ignored() {
    let mut program = Program::spawn_ignoring_signals();
    for signal in [Signal::HUP, Signal::INT] {
        assert!(!program.catches(signal), "{signal:?}");
        program.signal(signal);
    }
    program.connect().get("/").expect_status(200);
    program.signal(Signal::USR1);
    program.expect_line("ignored: no log file, certificate or folder to reload");
    program.signal(Signal::TERM);
    let exit = program.expect_exit(0);
    let reloads = exit
        .errors
        .matches("ignored: no log file, certificate or folder to reload")
        .count();
    assert_eq!(reloads, 1, "{exit:?}");
}

/// The program, blocked at start: its first line is about an expired certificate, and the log is
/// not read.
struct Stalled {
    program: Program,
    log: File,
    _files: (TempDir, CertificateFiles),
}

impl Stalled {
    fn start(name: &str) -> Self {
        let folder = TempDir::new();
        let pipe = folder.pipe("log").path("log");
        let mut log = File::options()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(&pipe)
            .expect("the pipe can be opened");
        while log.write(&[b'\n'; 4096]).is_ok() {}
        let expired = CertificateAuthority::new().issue_with(&[NAME], |params| {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        });
        let files = expired.files(name);
        let arguments = [
            ["--listen-tls", "127.0.0.1:0"],
            ["--log-file", pipe.to_str().expect("the path is UTF-8")],
            ["--tls-cert", files.certificate.text()],
            ["--tls-key", files.key.text()],
        ];
        let program = Program::start(arguments.as_flattened(), &[]);
        eventually("the program catches all signals", || {
            caught().all(|signal| program.catches(signal))
        });
        Self {
            program,
            log,
            _files: (folder, files),
        }
    }

    /// Reads the log until it contains `part`.
    fn expect_line(&mut self, part: &str) {
        let mut text = String::new();
        eventually(&format!("{part:?} is in the log"), || {
            let _ = self.log.read_to_string(&mut text);
            text.contains(part)
        });
    }
}

#[test]
fn signals_during_the_start_are_kept() {
    for signal in stopping() {
        let mut stalled = Stalled::start(&format!("start-{}", signal.as_raw()));
        for reload in caught().filter(|signal| [Signal::HUP, Signal::USR1].contains(signal)) {
            stalled.program.signal(reload);
        }
        stalled.expect_line("certificates reloaded");
        stalled.program.signal(signal);
        stalled.expect_line(", 0 aborted");
        stalled.program.expect_exit(0);
    }
    for signal in stopping() {
        let mut stalled = Stalled::start(&format!("stop-{}", signal.as_raw()));
        stalled.program.signal(signal);
        stalled.expect_line(", 0 aborted");
        stalled.program.expect_exit(0);
    }
}

#[test]
fn second_signal_ends_a_stuck_start() {
    let stalled = Stalled::start("twice");
    stalled.program.signal_until_exit(Signal::TERM);
    stalled.program.expect_exit(1);
}

#[test]
fn immediate_signal_keeps_the_exit_code() {
    for _ in 0..10 {
        let program = Program::start(&["--listen", "127.0.0.1:0"], &[]);
        eventually("the program catches the signal", || {
            program.catches(Signal::TERM)
        });
        program.signal(Signal::TERM);
        program.expect_exit(0);
    }
}
