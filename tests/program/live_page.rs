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
}
