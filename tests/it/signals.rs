//! Servers that signals shut down, each in a process of its own.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::{env, io};

use httpool::http::StatusCode;
use httpool::{DrainReport, Handle, Phase, Request, Server};
use rustix::process::{Signal, getpid, kill_process};

use crate::support::{Client, Gate, eventually, ignores_signal, in_own_process};

/// Sends a signal to this process.
#[track_caller]
fn signal(signal: Signal) {
    kill_process(getpid(), signal).expect("this process runs");
}

type Running = JoinHandle<io::Result<DrainReport>>;

/// Starts a server whose handler waits at the gate.
fn start(gate: &Gate) -> (Client, Handle, Running) {
    let server = Server::builder().listen("127.0.0.1:0").workers(2).bind();
    let server = server.expect("the address is free");
    let (address, handle) = (server.local_addrs()[0].clone(), server.handle());
    let waiter = gate.waiter();
    let handler = move |request: Request| {
        if request.uri().path() == "/slow" {
            waiter.wait();
        }
        StatusCode::NO_CONTENT
    };
    let running = thread::spawn(move || server.run_until_signal(handler));
    let mut client = Client::connect(&address);
    // The signals are caught before the server runs.
    client.get("/").expect_status(204);
    (client, handle, running)
}

#[track_caller]
fn end(running: Running) -> DrainReport {
    let result = running.join().expect("the server does not panic");
    result.expect("the server runs")
}

#[track_caller]
fn check_drain(first: Signal) {
    let gate = Gate::new();
    let (mut client, handle, running) = start(&gate);
    client.get("/slow");
    gate.expect_arrived(1);
    signal(first);
    eventually("the drain begins", || handle.phase() > Phase::Running);
    gate.open();
    client.expect_status(204);
    let report = end(running);
    assert_eq!((report.answered, report.aborted), (2, 0));
}

#[test]
fn sigterm_drains() {
    in_own_process("signals::sigterm_drains", || check_drain(Signal::TERM));
}

#[test]
fn ctrl_c_drains() {
    in_own_process("signals::ctrl_c_drains", || {
        // A shell ignores it for commands in the background.
        if !ignores_signal(Signal::INT) {
            check_drain(Signal::INT);
        }
    });
}

#[test]
fn closed_terminal_drains() {
    in_own_process("signals::closed_terminal_drains", || {
        // A runner of tests may ignore it.
        if !ignores_signal(Signal::HUP) {
            check_drain(Signal::HUP);
        }
    });
}

#[test]
fn second_signal_aborts_open_requests() {
    in_own_process("signals::second_signal_aborts_open_requests", || {
        let gate = Gate::new();
        let (mut client, handle, running) = start(&gate);
        client.get("/slow");
        gate.expect_arrived(1);
        // Signals that follow at once count as the same.
        eventually("open requests are aborted", || {
            signal(Signal::TERM);
            handle.phase() >= Phase::Forced
        });
        let report = end(running);
        assert_eq!((report.answered, report.aborted), (1, 1));
    });
}

#[test]
fn signal_shuts_down_all_servers() {
    in_own_process("signals::signal_shuts_down_all_servers", || {
        let gate = Gate::new();
        let servers = [(); 2].map(|()| start(&gate));
        signal(Signal::TERM);
        for (_, _, running) in servers {
            assert_eq!(end(running).aborted, 0);
        }
    });
}

#[test]
fn handle_ends_it_too() {
    in_own_process("signals::handle_ends_it_too", || {
        let gate = Gate::new();
        for _ in 0..2 {
            let (_, handle, running) = start(&gate);
            handle.shutdown();
            assert_eq!(end(running).aborted, 0);
        }
    });
}

/// Set in the process that a signal ends.
const AFTERWARDS: &str = "HTTPOOL_TEST_SIGNAL_AFTERWARDS";

#[test]
fn signal_after_the_server_ends_the_process() {
    let test = "signals::signal_after_the_server_ends_the_process";
    if env::var_os(AFTERWARDS).is_some() {
        let (_, handle, running) = start(&Gate::new());
        handle.shutdown();
        end(running);
        signal(Signal::TERM);
        loop {
            thread::park();
        }
    }
    let mut command = Command::new(env::current_exe().expect("the executable is known"));
    let command = command.args([test, "--exact"]).env(AFTERWARDS, "");
    let output = command.output().expect("the test runs");
    assert_eq!(
        output.status.signal(),
        Some(Signal::TERM.as_raw()),
        "{output:?}"
    );
}
