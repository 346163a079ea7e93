use httpool::ListenAddr;
use rustix::process::Signal;

use crate::support::{Client, Program, address_in, run_program};

const TOKEN: &str = "0123456789abcdef";

/// Gets `/inspect` as a browser would that knows the server by this name.
#[track_caller]
fn open(address: &ListenAddr, host: &str, authorization: &str) -> (u16, String) {
    let request = format!("GET /inspect HTTP/1.1\r\nHost: {host}\r\n{authorization}\r\n");
    let mut client = Client::connect(address);
    let response = client.send(&request).expect_response();
    (response.status, response.text())
}

#[test]
fn page_is_open_to_this_machine_by_its_own_names() {
    let program = Program::spawn(&["--inspect"]);
    assert_eq!(open(program.address(), "localhost:4000", "").0, 200);
    assert_eq!(open(program.address(), "evil.example", "").0, 403);
    program.signal(Signal::TERM);
    program.expect_exit(0);
}

#[test]
fn page_on_every_interface_needs_a_token() {
    let listen = ["--inspect", "--listen", "0.0.0.0:0"];
    let program = Program::spawn(&listen);
    let (status, text) = open(program.address(), "localhost", "");
    assert_eq!(status, 403);
    assert!(text.contains("--inspect-token"), "{text}");
    let program = Program::spawn_with(&listen, &[("HTTPOOL_INSPECT_TOKEN", TOKEN)]);
    assert_eq!(open(program.address(), "debug.example", "").0, 403);
    let authorization = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(
        open(program.address(), "debug.example", &authorization).0,
        200
    );
}

#[test]
fn page_is_at_the_admin_address() {
    let flags = [
        "--listen",
        "0.0.0.0:0",
        "--admin",
        "127.0.0.1:0",
        "--inspect",
    ];
    let mut program = Program::start(&flags, &[]);
    let admin = address_in(&program.expect_line("health and metrics on"));
    program.expect_listening();
    assert_eq!(open(&admin, "127.0.0.1:4001", "").0, 200);
    assert_eq!(open(&admin, "evil.example", "").0, 403);
}

#[test]
fn flags_of_the_page_need_the_inspector() {
    let check = |flag: &str, value: &str, part: &str| {
        run_program(&[flag, value], &[]).expect_line(2, part);
    };
    check("--inspect-token", TOKEN, "--inspect-token: needs --inspect");
    check(
        "--inspect-history",
        "7",
        "--inspect-history: needs --inspect",
    );
    check("--inspect-token", "short", "openssl rand -hex 16");
    check(
        "--inspect-db-age",
        "1d",
        "--inspect-db-age: needs --inspect-db",
    );
}

/// The requests that the page lists.
#[track_caller]
fn list(program: &Program) -> Vec<serde_json::Value> {
    let request = "GET /inspect/api/requests HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let text = program.connect().send(request).expect_response().text();
    serde_json::from_str(&text).expect("it is a list")
}

#[test]
fn page_lists_what_the_server_rejects() {
    let program = Program::spawn(&["--inspect", "--max-body", "10"]);
    let mut client = program.connect();
    client.post("/large", [b'x'; 100]);
    assert_eq!(client.expect_response().status, 413);
    let list = list(&program);
    assert_eq!(
        (&list[0]["target"], &list[0]["outcome"]),
        (&"/large".into(), &"rejected".into())
    );
}

/// The numbers of the requests that the page lists.
#[cfg(feature = "inspect-db")]
#[track_caller]
fn listed(program: &Program) -> Vec<usize> {
    let list = list(program);
    let targets = list.iter().filter_map(|request| request["target"].as_str());
    let numbers = targets.map(|target| target.trim_start_matches('/').parse());
    numbers
        .collect::<Result<_, _>>()
        .expect("each target is a number")
}

/// What the server has answered more than a second before it is killed is there again.
#[cfg(feature = "inspect-db")]
#[test]
fn history_in_a_file_survives_a_kill_under_load() {
    use std::time::{Duration, Instant};

    const SECOND: Duration = Duration::from_secs(1);
    let folder = crate::support::TempDir::new();
    let file = folder.path("history.db").display().to_string();
    let flags = [
        "--inspect",
        "--inspect-history",
        "10000",
        "--inspect-db",
        &file,
    ];
    let program = Program::spawn(&flags);
    let mut client = program.connect();
    let mut answered = Vec::new();
    let start = Instant::now();
    while start.elapsed() < 2 * SECOND {
        let response = client
            .get(&format!("/{}", answered.len()))
            .expect_response();
        assert_eq!(response.status, 200);
        answered.push(Instant::now());
    }
    program.signal(Signal::KILL);
    let killed = Instant::now();
    drop(program);
    let program = Program::spawn(&flags);
    let numbers = listed(&program);
    let old = answered.iter().filter(|at| killed - **at > SECOND).count();
    let last = numbers.last().map_or(0, |last| last + 1);
    assert!(last >= old, "{last} of {old} requests are there");
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    // An orderly end loses nothing.
    let _ = program.connect().get("/77777").expect_response();
    program.signal(Signal::TERM);
    program.expect_exit(0);
    let program = Program::spawn(&flags);
    assert_eq!(listed(&program).last(), Some(&77777));
    // Requests that are too old are not there again.
    program.signal(Signal::TERM);
    program.expect_exit(0);
    let young = [&flags[..], &["--inspect-db-age", "1ms"]].concat();
    let program = Program::spawn(&young);
    assert_eq!(listed(&program), [0usize; 0]);
    // One process at a time.
    let exit = run_program(
        &[
            "--inspect",
            "--inspect-db",
            &file,
            "--listen",
            "127.0.0.1:0",
        ],
        &[],
    );
    assert!(
        exit.errors.contains("another process uses this file"),
        "{exit:?}"
    );
}
