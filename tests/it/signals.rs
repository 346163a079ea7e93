use rustix::process::Signal;

use crate::support::{Client, Program, request};

/// The program with a request that has arrived in part.
fn busy(arguments: &[&str]) -> (Program, Client) {
    let program = Program::spawn(arguments);
    let mut client = program.connect();
    client.post("/", "whole").expect_answer("whole");
    client.send(request::post_head("/", 8)).send("half");
    (program, client)
}

#[test]
fn a_signal_drains_and_the_program_ends_well() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let (program, mut client) = busy(&["--drain-timeout", "1h"]);
        let mut idle = program.connect();
        idle.get("/").expect_status(200);
        program.signal(signal);
        program.expect_refused();
        idle.expect_closed();
        client.send("half");
        assert!(client.expect_answer("halfhalf").says_close());
        client.expect_closed();
        program.expect_exit(0);
    }
}

#[test]
fn an_idle_program_ends_well() {
    let program = Program::spawn(&[]);
    program.signal(Signal::TERM);
    program.expect_exit(0);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let (program, mut client) = busy(&["--drain-timeout", "1h"]);
        program.signal(signal);
        program.expect_refused();
        // Two within a moment count as one.
        program.insist(signal);
        program.expect_exit(3);
        client.read_rest();
    }
}

#[test]
fn a_doubled_signal_counts_once() {
    let (program, mut client) = busy(&["--drain-timeout", "1h"]);
    program.signal(Signal::INT);
    program.signal(Signal::INT);
    program.expect_refused();
    client.send("half").expect_answer("halfhalf");
    program.expect_exit(0);
}

#[test]
fn what_the_deadline_cuts_is_in_the_exit_code() {
    let (program, mut client) = busy(&["--drain-timeout", "100ms"]);
    program.signal(Signal::TERM);
    let exit = program.expect_exit(3);
    assert!(exit.errors.contains("cut: 1"), "{exit:?}");
    client.read_rest();
}

/// A program has no handler that never returns. One that checks JSON takes its time, and a deadline
/// that comes before the last of it has been received is tried again.
#[test]
fn a_handler_that_the_deadline_cuts_is_in_the_exit_code() {
    const SIZE: usize = 64 * 1024 * 1024;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: it\r\nContent-Type: application/json\r\n\
         Content-Length: {SIZE}\r\n\r\n"
    );
    let body = [b"[", "1,".repeat(SIZE / 2 - 1).as_bytes(), b"1"].concat();
    let is_cut_in_its_handler = || {
        let limits = ["--max-body", "64MiB", "--max-buffered", "256MiB"];
        let program = Program::spawn(&[&limits[..], &["--drain-timeout", "50ms"]].concat());
        let mut client = program.connect();
        client.send(&head).send(&body);
        program.signal(Signal::TERM);
        let exit = program.expect_exit(3);
        exit.errors.contains("cut: 1 (1 in handlers)")
    };
    assert!((0..10).any(|_| is_cut_in_its_handler()));
}

#[test]
fn the_delay_serves_on() {
    let program = Program::spawn(&["--drain-delay", "1h"]);
    let mut client = program.connect();
    client.get("/").expect_status(200);
    program.signal(Signal::TERM);
    // The answer that says close tells that the signal has come.
    while !client.get("/").expect_status(200).says_close() {}
    client.expect_closed();
    assert!(program.connect().get("/").expect_status(200).says_close());
    program.insist(Signal::TERM);
    program.expect_exit(0);
}
