//! The program as a person or a script meets it: what it prints, where, and its exit code.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything here takes, so that only what hangs meets it.
const PATIENCE: Duration = Duration::from_secs(20);

const CLEAN: Option<i32> = Some(0);
const FAILED: Option<i32> = Some(1);
const MISUSED: Option<i32> = Some(2);

/// What a run came to.
#[derive(Debug)]
struct Finished {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Finished {
    /// The run ended with this code, and said this one line and nothing else.
    #[track_caller]
    fn expect_line(&self, code: Option<i32>, part: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(self.stderr.contains(part), "{part:?} is not in {self:?}");
    }
}

/// A server under way. It does not outlive the test.
#[derive(Debug)]
struct Running {
    child: Child,
    stderr: Receiver<String>,
}

impl Running {
    #[track_caller]
    fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = spawn(arguments, variables);
        let stderr = child.stderr.take().expect("standard error is piped");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            child,
            stderr: lines,
        }
    }

    /// The next line that contains `part`.
    #[track_caller]
    fn line_with(&self, part: &str) -> String {
        loop {
            match self.stderr.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line with {part:?}: {error}"),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the server runs");
    }

    /// Waits until the server has closed its standard error, which it does by ending.
    #[track_caller]
    fn exit_code(mut self) -> Option<i32> {
        while self.stderr.recv_timeout(PATIENCE).is_ok() {}
        match self.child.try_wait() {
            Ok(Some(status)) => status.code(),
            _ => self.child.wait().expect("the server is our child").code(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A service manager that listens to what services tell it.
#[derive(Debug)]
struct Manager {
    path: String,
    socket: UnixDatagram,
}

impl Manager {
    fn new(name: &str) -> Self {
        // Cargo's folder may have a longer name than a socket can have.
        let path = env::temp_dir().join(format!("httpool-{}-{name}", process::id()));
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).expect("the folder is writable");
        let patience = socket.set_read_timeout(Some(PATIENCE));
        patience.expect("the time is not zero");
        Self {
            path: text(&path).to_owned(),
            socket,
        }
    }

    fn variable(&self) -> (&str, &str) {
        ("NOTIFY_SOCKET", &self.path)
    }

    /// The next message, which contains `part`.
    #[track_caller]
    fn expect(&self, part: &str) -> String {
        let mut buffer = [0; 4096];
        let length = self
            .socket
            .recv(&mut buffer)
            .expect("the service says something");
        let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(message.contains(part), "{part:?} is not in {message}");
        message
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn spawn(arguments: &[&str], variables: &[(&str, &str)]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_httpool"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built for this test")
}

/// Runs the program to its end.
#[track_caller]
fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Finished {
    let mut child = spawn(arguments, variables);
    let stdout = gather(child.stdout.take().expect("standard output is piped"));
    let stderr = gather(child.stderr.take().expect("standard error is piped"));
    let (Ok(stdout), Ok(stderr)) = (stdout.recv_timeout(PATIENCE), stderr.recv_timeout(PATIENCE))
    else {
        let _ = child.kill();
        panic!("{arguments:?} {variables:?} did not end");
    };
    let status = child.wait().expect("the program is our child");
    Finished {
        code: status.code(),
        stdout,
        stderr,
    }
}

fn gather(mut stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, text) = channel();
    thread::spawn(move || {
        let mut text = String::new();
        if stream.read_to_string(&mut text).is_ok() {
            let _ = sender.send(text);
        }
    });
    text
}

/// A file of this test in the folder that Cargo keeps for tests.
fn scratch(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&path);
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is of readable names")
}

#[test]
fn a_wrong_flag_or_value_is_one_line_that_names_it() {
    #[track_caller]
    fn check(arguments: &[&str], part: &str) {
        run(arguments, &[]).expect_line(MISUSED, part);
    }
    check(&["--workers", "0"], "--workers");
    check(&["--workers", "many"], "--workers");
    check(&["--max-body", "10Q"], "--max-body");
    check(
        &["--idle-timeout", "75"],
        "--idle-timeout \"75\": no unit: write 75s",
    );
    check(&["--listen", "localhost"], "--listen");
    check(&["--log-level", "loud"], "--log-level");
    check(&["--max-boddy", "1"], "--max-boddy");
    check(&["serve"], "serve");
    check(&["--check", "--json", "lax"], "--json");
}

#[test]
fn a_wrong_variable_is_one_line_that_names_the_variable() {
    #[track_caller]
    fn check(variable: &str, value: &str) {
        run(&[], &[(variable, value)]).expect_line(MISUSED, &format!("{variable} {value:?}: "));
    }
    check("HTTPOOL_WORKERS", "0");
    check("HTTPOOL_MAX_BODY", "10Q");
    check("HTTPOOL_DRAIN_TIMEOUT", "30");
    check("HTTPOOL_LISTEN", "localhost");
    check("HTTPOOL_LOG_FORMAT", "xml");
    check("HTTPOOL_CHECK", "perhaps");
    check("PORT", "http");
    check("PORT", "65536");
}

#[test]
fn a_right_configuration_passes_the_check() {
    let log = scratch("checked.log");
    let finished = run(
        &["--check", "--log-file", text(&log)],
        &[
            ("HTTPOOL_WORKERS", "2"),
            ("HTTPOOL_MAX_BODY", ""),
            ("HTTPOOL_NO_FLAG", "x"),
        ],
    );
    assert_eq!(finished.code, CLEAN, "{finished:?}");
    assert_eq!(finished.stdout, "configuration is valid\n");
    assert_eq!(finished.stderr, "");
    assert!(!log.exists(), "a check leaves nothing behind");
}

#[test]
fn the_check_does_not_listen() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    assert_eq!(run(&["--check", "--listen", &address], &[]).code, CLEAN);
}

#[test]
fn the_check_finds_what_would_stop_the_start() {
    let file = scratch("a-file");
    fs::write(&file, "").expect("Cargo's folder is writable");
    let below = file.join("x.log");
    run(&["--check", "--log-file", text(&below)], &[]).expect_line(FAILED, "log file");

    let occupied = format!("unix:{}", file.display());
    run(&["--check", "--listen", &occupied], &[]).expect_line(FAILED, "no socket");

    let nowhere = format!("unix:{}/x.sock", file.display());
    run(&["--check", "--listen", &nowhere], &[]).expect_line(FAILED, "cannot listen on unix:");
}

#[test]
fn help_and_version_go_to_standard_output() {
    let help = run(&["--help"], &[]);
    assert_eq!((help.code, help.stderr.as_str()), (CLEAN, ""));
    for part in [
        "--max-body",
        "HTTPOOL_MAX_BODY",
        "[default: 10MiB]",
        "PORT",
        "Exit codes:",
    ] {
        assert!(help.stdout.contains(part), "{part}");
    }
    let version = run(&["--version"], &[]);
    assert_eq!((version.code, version.stderr.as_str()), (CLEAN, ""));
    assert_eq!(
        version.stdout,
        format!("httpool {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn an_address_in_use_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let expected = format!("cannot listen on {address}: ");
    run(&["--listen", &address], &[]).expect_line(FAILED, &expected);
    // With no log to say it in, it is said all the same.
    run(&["--listen", &address, "--log-level", "off"], &[]).expect_line(FAILED, &expected);
    let log = scratch("in-use.log");
    run(&["--listen", &address, "--log-file", text(&log)], &[]).expect_line(FAILED, &expected);
    let logged = fs::read_to_string(&log).expect("the log was written");
    assert!(logged.contains(&expected), "{logged}");
}

#[test]
fn sockets_that_are_announced_but_missing_are_one_line() {
    // The program would see the test's own descriptors, so this asks for one that can't be open.
    let variables = [("LISTEN_FDS", "1"), ("LISTEN_FDS_FIRST_FD", "1000000")];
    run(&[], &variables).expect_line(FAILED, "LISTEN_FDS");
}

#[test]
fn the_ready_line_names_every_address_and_a_signal_ends_it_cleanly() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let arguments = [
            "--listen",
            "127.0.0.1:0",
            "--listen",
            "127.0.0.1:0",
            "--workers",
            "2",
        ];
        let server = Running::start(&arguments, &[]);
        let line = server.line_with("listening on");
        assert_eq!(line.matches("http://127.0.0.1:").count(), 2, "{line}");
        assert!(line.ends_with(" with 2 workers"), "{line}");
        server.signal(signal);
        server.line_with("stopping");
        server.line_with("answered");
        assert_eq!(server.exit_code(), CLEAN, "{signal:?}");
    }
}

#[test]
fn localhost_is_both_loopback_addresses() {
    let server = Running::start(&[], &[("HTTPOOL_LISTEN", "localhost:0")]);
    let line = server.line_with("listening on");
    assert!(line.contains("http://127.0.0.1:"), "{line}");
    // A machine without IPv6 has one loopback address only.
    if TcpListener::bind("[::1]:0").is_ok() {
        assert!(line.contains("http://[::1]:"), "{line}");
    }
}

#[test]
fn port_means_every_interface() {
    let server = Running::start(&["--workers", "1"], &[("PORT", "0")]);
    let line = server.line_with("listening on");
    assert!(
        line.contains("http://[::]:") || line.contains("http://0.0.0.0:"),
        "{line}"
    );
    assert!(line.ends_with(" with 1 worker"), "{line}");

    let variables = [
        ("PORT", "wrong, but not asked"),
        ("HTTPOOL_LISTEN", "127.0.0.1:0"),
    ];
    let server = Running::start(&[], &variables);
    let line = server.line_with("listening on");
    assert!(line.contains("http://127.0.0.1:"), "{line}");
}

#[test]
fn json_logs_are_one_object_a_line() {
    let arguments = [
        "--listen=127.0.0.1:0",
        "--log-format=json",
        "--log-level=trace",
    ];
    let server = Running::start(&arguments, &[]);
    let line = server.line_with("listening on");
    let value: serde_json::Value = serde_json::from_str(&line).expect("the line is JSON");
    assert_eq!(value["level"], "info");
    assert!(
        value["ts"].as_str().is_some_and(|ts| ts.ends_with('Z')),
        "{line}"
    );
}

#[test]
fn a_log_file_gets_everything_and_standard_error_nothing() {
    let log = scratch("only-here.log");
    fs::write(&log, "from before\n").expect("Cargo's folder is writable");
    let manager = Manager::new("log-file");
    let server = Running::start(
        &["--listen=127.0.0.1:0", "--log-file", text(&log)],
        &[manager.variable()],
    );
    manager.expect("READY=1");
    server.signal(Signal::TERM);
    let said = server.stderr.recv_timeout(PATIENCE);
    assert!(said.is_err(), "{said:?}");
    assert_eq!(server.exit_code(), CLEAN);
    let logged = fs::read_to_string(&log).expect("the log was written");
    for part in ["from before\n", "listening on", "stopping", "answered"] {
        assert!(logged.contains(part), "{part:?} is not in {logged}");
    }
}

#[test]
fn the_service_manager_hears_of_the_start_and_of_the_drain() {
    let manager = Manager::new("life");
    // The drain lasts until the second signal, as nobody waits for its delay to pass.
    let server = Running::start(
        &["--listen=127.0.0.1:0", "--drain-delay=1h"],
        &[manager.variable()],
    );
    let ready = manager.expect("READY=1");
    assert!(
        ready.contains("STATUS=listening on http://127.0.0.1:"),
        "{ready}"
    );

    server.signal(Signal::TERM);
    for _ in 0..2 {
        let draining = manager.expect("STOPPING=1");
        assert!(
            draining.contains("STATUS=draining: 0 connections open"),
            "{draining}"
        );
        assert!(draining.contains("EXTEND_TIMEOUT_USEC="), "{draining}");
    }
    // The second report came a second after the first, so this is no doubled signal.
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), CLEAN);
}
