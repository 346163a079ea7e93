//! The command line: what the program prints, where it prints it, and its exit code.

use std::env;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process;

use rustix::process::Signal;

use crate::support::{Program, TIMEOUT, ignores_signal, run_program as run, run_with_journal};

const CLEAN: i32 = 0;
const FAILED: i32 = 1;
const MISUSED: i32 = 2;

/// A service manager that receives notifications.
#[derive(Debug)]
struct Manager {
    path: String,
    socket: UnixDatagram,
}

impl Manager {
    fn new(name: &str) -> Self {
        // The path of Cargo's folder may exceed the limit for socket paths.
        let path = env::temp_dir().join(format!("httpool-{}-{name}", process::id()));
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).expect("the folder is writable");
        let timeout = socket.set_read_timeout(Some(TIMEOUT));
        timeout.expect("the time is not zero");
        Self {
            path: text(&path).to_owned(),
            socket,
        }
    }

    fn variable(&self) -> (&str, &str) {
        ("NOTIFY_SOCKET", &self.path)
    }

    /// Waits for the next message, which must contain `part`.
    #[track_caller]
    fn expect(&self, part: &str) -> String {
        let mut buffer = [0; 4096];
        let length = self
            .socket
            .recv(&mut buffer)
            .expect("the service sends a message");
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

/// A file of this test in Cargo's folder for tests.
fn scratch(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&path);
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}

#[test]
fn wrong_flag_or_value_is_a_one_line_error() {
    #[track_caller]
    fn check(arguments: &[&str], part: &str) {
        run(arguments, &[]).expect_line(MISUSED, part);
    }
    check(&["--precompressed"], "--precompressed: needs --root");
    check(&["--symlinks", "never"], "--symlinks: needs --root");
    check(&["--inspect-log"], "--inspect-log: needs --inspect");
    check(&["--max-delay", "1s"], "--max-delay: needs --inspect");
    check(&["--max-bytes", "1KiB"], "--max-bytes: needs --inspect");
    check(
        &["--access-log-format", "json"],
        "--access-log-format: needs --access-log",
    );
    check(
        &["--forwarded-by", "forwarded"],
        "--forwarded-by: needs a --trusted-proxy",
    );
    for flag in ["--allow-faults", "--fault=reset=5%", "--fault-seed=7"] {
        let (name, _) = flag.split_once('=').unwrap_or((flag, ""));
        check(&[flag], &format!("{name}: needs --inspect"));
    }
    check(
        &["--inspect", "--fault-seed=7"],
        "--fault-seed: needs --fault or --allow-faults",
    );
    for flag in [
        "--max-streams=9",
        "--stream-window=1MiB",
        "--connection-window=1MiB",
        "--handlers-per-connection=2",
    ] {
        let (name, _) = flag.split_once('=').expect("the flag has a value");
        check(
            &["--http2", "off", flag],
            &format!("{name}: needs --http2 on"),
        );
    }
    check(&["--workers", "0"], "--workers");
    check(&["--workers", "many"], "--workers");
    check(&["--max-body", "10Q"], "--max-body");
    check(
        &["--idle-timeout", "75"],
        "--idle-timeout \"75\": no unit: write 75s",
    );
    check(&["--listen", "a b"], "--listen");
    check(
        &["-p", "99999"],
        "--port \"99999\": not a number from 0 to 65535",
    );
    check(
        &["-p", "80", "-l", "localhost:81"],
        "--port 80: --listen localhost:81 takes no other port",
    );
    check(&["one", "two"], "\"two\": unexpected argument, one folder");
    check(&["--log-level", "loud"], "--log-level");
    check(&["--max-boddy", "1"], "--max-boddy");
    check(&["--check", "--echo-json", "lax"], "--echo-json");
}

#[test]
fn renamed_flags_and_values_are_usage_errors() {
    for (old, new) in [
        ("listen-proxied", "listen-proxy-protocol"),
        ("listen-tls-proxied", "listen-tls-proxy-protocol"),
        ("shed-after", "queue-timeout"),
        ("rate-grace", "min-rate-grace"),
        ("max-buffered", "max-buffered-memory"),
        ("max-head", "max-header-size"),
        ("json", "echo-json"),
    ] {
        let line = format!("--{old}: renamed, use --{new}");
        run(&[&format!("--{old}"), "1"], &[]).expect_line(MISUSED, &line);
        run(&[&format!("--{old}=1"), "--check"], &[]).expect_line(MISUSED, &line);
        let variable = |flag: &str| format!("HTTPOOL_{}", flag.replace('-', "_").to_uppercase());
        let line = format!("{}: renamed, use {}", variable(old), variable(new));
        run(&[], &[(&variable(old), "1")]).expect_line(MISUSED, &line);
    }
    for (old, new) in [("beneath", "inside"), ("none", "never")] {
        let line = format!("{old:?}: renamed, use {new}");
        run(&["--symlinks", old], &[]).expect_line(MISUSED, &line);
        run(&[], &[("HTTPOOL_SYMLINKS", old)]).expect_line(MISUSED, &line);
    }
}

#[test]
fn tls_flags_without_tls_are_rejected() {
    #[track_caller]
    fn check(arguments: &[&str], part: &str) {
        run(arguments, &[]).expect_line(MISUSED, part);
        run(&[arguments, &["--check"]].concat(), &[]).expect_line(MISUSED, part);
    }
    check(
        &["--redirect-http", "127.0.0.1:0"],
        "--redirect-http: needs a --listen-tls",
    );
    check(&["--hsts", "365d"], "--hsts: needs a --listen-tls");
    check(
        &["--tls-client-auth", "optional"],
        "--tls-client-auth: needs --tls-client-ca",
    );
    // A proxy may terminate TLS.
    let behind = [
        "--hsts",
        "365d",
        "--redirect-http",
        "127.0.0.1:0",
        "--check",
    ];
    let behind = [&behind[..], &["--trusted-proxy", "10.0.0.0/8"]].concat();
    assert_eq!(run(&behind, &[]).code, Some(CLEAN));
}

#[test]
fn misspelt_variable_warns_with_the_nearest_name() {
    let misspelt = [("HTTPOOL_WORKER", "3"), ("HTTPOOL_MAX_BODDY", "1")];
    let checked = run(&["--check"], &misspelt);
    assert_eq!(checked.code, Some(CLEAN), "{checked:?}");
    assert_eq!(checked.output, "configuration is valid, with warnings\n");
    assert_eq!(
        checked.errors,
        "httpool: warning: HTTPOOL_MAX_BODDY: no such variable, did you mean HTTPOOL_MAX_BODY?\n\
         httpool: warning: HTTPOOL_WORKER: no such variable, did you mean HTTPOOL_WORKERS?\n"
    );
    let mut server = Program::start(&["--listen=127.0.0.1:0"], &misspelt);
    server.expect_line("did you mean HTTPOOL_WORKERS?");

    // Variables that Kubernetes and Docker set next to a service with this name.
    let discovery = [
        ("HTTPOOL_PORT", "tcp://10.0.0.1:80"),
        ("HTTPOOL_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("HTTPOOL_SERVICE_HOST", "10.0.0.1"),
        ("HTTPOOL_SERVICE_PORT_HTTP", "80"),
    ];
    let checked = run(&["--check"], &discovery);
    assert_eq!(checked.errors, "", "{checked:?}");
}

#[test]
fn log_file_dash_is_standard_output() {
    let manager = Manager::new("dash");
    let server = Program::start(
        &["--listen=127.0.0.1:0", "--log-file", "-"],
        &[manager.variable()],
    );
    manager.expect("READY=1");
    server.signal(Signal::TERM);
    let exit = server.expect_exit(CLEAN);
    assert_eq!(exit.errors, "");
    assert!(exit.output.contains("listening on"), "{exit:?}");
    assert!(!Path::new("-").exists());
    assert_eq!(run(&["--check", "--log-file", "-"], &[]).code, Some(CLEAN));
    assert!(!Path::new("-").exists());
}

#[test]
fn wrong_variable_is_a_one_line_error() {
    #[track_caller]
    fn check(variable: &str, value: &str) {
        run(&[], &[(variable, value)]).expect_line(MISUSED, &format!("{variable} {value:?}: "));
    }
    check("HTTPOOL_WORKERS", "0");
    check("HTTPOOL_MAX_BODY", "10Q");
    check("HTTPOOL_DRAIN_TIMEOUT", "30");
    check("HTTPOOL_LISTEN", "[localhost]");
    check("HTTPOOL_LOG_FORMAT", "xml");
    check("HTTPOOL_CHECK", "perhaps");
    check("PORT", "http");
    check("PORT", "65536");
}

#[test]
fn valid_configuration_passes_the_check() {
    let log = scratch("checked.log");
    let finished = run(
        &["--check", "--log-file", text(&log)],
        &[
            ("HTTPOOL_WORKERS", "2"),
            ("HTTPOOL_MAX_BODY", ""),
            ("HTTPOOL_NO_FLAG", "x"),
        ],
    );
    assert_eq!(finished.code, Some(CLEAN), "{finished:?}");
    assert_eq!(finished.output, "configuration is valid\n");
    assert_eq!(finished.errors, "");
    assert!(!log.exists(), "the check must not create files");
}

#[test]
fn check_warns_about_contradicting_limits() {
    let limits = [
        "--check",
        "--max-body",
        "64MiB",
        "--max-buffered-memory",
        "32MiB",
    ];
    let finished = run(&limits, &[("HTTPOOL_DRAIN_IDLE", "40s")]);
    assert_eq!(finished.code, Some(CLEAN), "{finished:?}");
    assert_eq!(finished.output, "configuration is valid, with warnings\n");
    assert_eq!(
        finished.errors,
        "httpool: warning: --max-body 67108864 exceeds --max-buffered-memory 33554432: \
         a body over --max-buffered-memory is rejected with 413\n\
         httpool: warning: --drain-idle 40s exceeds --drain-timeout 30s: \
         a drain closes idle connections at --drain-timeout\n"
    );
}

#[test]
fn check_does_not_listen() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = taken
        .local_addr()
        .expect("the listener is bound")
        .to_string();
    assert_eq!(
        run(&["--check", "--listen", &address], &[]).code,
        Some(CLEAN)
    );
}

#[test]
fn conflicting_addresses_are_reported() {
    #[track_caller]
    fn check(arguments: &[&str], part: &str) {
        run(arguments, &[]).expect_line(MISUSED, part);
        run(&[arguments, &["--check"]].concat(), &[]).expect_line(MISUSED, part);
    }
    // The start fails before it listens on any of these.
    check(
        &["--listen", "127.0.0.1:4000", "--listen", "127.0.0.1:4000"],
        "--listen 127.0.0.1:4000: given twice",
    );
    check(
        &["--listen", "localhost:4000", "--admin", "127.0.0.1:4000"],
        "--admin 127.0.0.1:4000: --listen localhost:4000 listens there already",
    );
    check(
        &["--listen", "*:4000", "--listen", "[::1]:4000"],
        "[::1]:4000: ",
    );
    check(
        &["--reuse-port", "--listen", "*:4000", "--admin", ":4000"],
        "--admin *:4000: --listen *:4000",
    );
    check(
        &[
            "--listen",
            "unix:twice.sock",
            "--admin",
            "unix:./twice.sock?mode=600",
        ],
        "--admin unix:./twice.sock?mode=600: ",
    );
    // These settings are consistent.
    let apart = [
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "127.0.0.1:0",
        "--check",
    ];
    assert_eq!(run(&apart, &[]).code, Some(CLEAN));
    let shared = [
        "--listen",
        "127.0.0.1:4000",
        "--listen",
        "*:4000",
        "--check",
    ];
    let shared = [&shared[..], &["--reuse-port"]].concat();
    assert_eq!(run(&shared, &[]).code, Some(CLEAN));
}

#[test]
fn check_finds_errors_that_prevent_the_start() {
    let file = scratch("a-file");
    fs::write(&file, "").expect("Cargo's folder is writable");
    let below = file.join("x.log");
    run(&["--check", "--log-file", text(&below)], &[]).expect_line(FAILED, "--log-file ");

    let occupied = format!("unix:{}", file.display());
    run(&["--check", "--listen", &occupied], &[]).expect_line(FAILED, "not a socket");

    let nowhere = format!("unix:{}/x.sock", file.display());
    run(&["--check", "--listen", &nowhere], &[]).expect_line(FAILED, "cannot listen on unix:");
    let foreign = ["--check", "--listen", "192.0.2.1:4000"];
    run(&foreign, &[]).expect_line(FAILED, "no interface of this machine has this address");
    let group = format!(
        "unix:{}?group=no-such-group",
        scratch("group.sock").display()
    );
    run(&["--check", "--admin", &group], &[]).expect_line(FAILED, "there is no group");

    run(&["--check", "--root", text(&file)], &[]).expect_line(FAILED, "--root ");
    run(&["no-such-folder"], &[]).expect_line(FAILED, "no-such-folder: ");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let missing = ["--check", "--root", folder, "--fallback", "missing.html"];
    run(&missing, &[]).expect_line(FAILED, "--fallback missing.html: ");
    let hidden = ["--check", "--root", folder, "--fallback", ".gitignore"];
    run(&hidden, &[]).expect_line(FAILED, "--fallback .gitignore: ");
}

#[test]
fn help_and_version_go_to_standard_output() {
    let help = run(&["--help"], &[]);
    assert_eq!((help.code, help.errors.as_str()), (Some(CLEAN), ""));
    for part in [
        "--max-body",
        "HTTPOOL_MAX_BODY",
        "[default: 10MiB]",
        "PORT",
        "Exit codes:",
    ] {
        assert!(help.output.contains(part), "{part}");
    }
    let version = run(&["--version"], &[]);
    assert_eq!((version.code, version.errors.as_str()), (Some(CLEAN), ""));
    assert_eq!(
        version.output,
        format!("httpool {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn address_in_use_is_a_one_line_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = taken
        .local_addr()
        .expect("the listener is bound")
        .to_string();
    let expected = format!("cannot listen on {address}: ");
    run(&["--listen", &address], &[]).expect_line(FAILED, &expected);
    // The error also reaches standard error when the log cannot be opened.
    run(&["--listen", &address, "--log-level", "off"], &[]).expect_line(FAILED, &expected);
    let log = scratch("in-use.log");
    run(&["--listen", &address, "--log-file", text(&log)], &[]).expect_line(FAILED, &expected);
    let logged = fs::read_to_string(&log).expect("the log was written");
    assert!(logged.contains(&expected), "{logged}");
}

#[test]
fn missing_passed_sockets_are_a_one_line_error() {
    // The program would see the descriptors of the test, so this names one that cannot be open.
    let variables = [("LISTEN_FDS", "1"), ("LISTEN_FDS_FIRST_FD", "1000000")];
    run(&[], &variables).expect_line(FAILED, "LISTEN_FDS");
}

#[test]
fn ready_line_names_every_address() {
    let signals = [Signal::TERM, Signal::INT].into_iter();
    for signal in signals.filter(|signal| !ignores_signal(*signal)) {
        let arguments = [
            "--listen",
            "127.0.0.1:0",
            "--listen",
            "127.0.0.1:0",
            "--workers",
            "2",
        ];
        let mut server = Program::start(&arguments, &[]);
        let line = server.expect_line("listening on");
        assert_eq!(line.matches("http://127.0.0.1:").count(), 2, "{line}");
        assert!(line.ends_with(" with 2 workers"), "{line}");
        server.signal(signal);
        server.expect_line("shutting down");
        server.expect_line("shutdown complete");
        server.expect_exit(CLEAN);
    }
}

#[test]
fn localhost_means_both_loopback_addresses() {
    let mut server = Program::start(&[], &[("HTTPOOL_LISTEN", "localhost:0")]);
    let line = server.expect_line("listening on");
    assert!(line.contains("http://127.0.0.1:"), "{line}");
    // Without IPv6, the machine has one loopback address only.
    if TcpListener::bind("[::1]:0").is_ok() {
        assert!(line.contains("http://[::1]:"), "{line}");
    }
}

#[test]
fn port_means_every_interface() {
    let mut server = Program::start(&["--workers", "1"], &[("PORT", "0")]);
    let line = server.expect_line("listening on");
    assert!(line.contains("http://0.0.0.0:"), "{line}");
    assert!(line.ends_with(" with 1 worker"), "{line}");
    let port = |host: &str| {
        let (_, rest) = line.split_once(host)?;
        rest.split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    };
    let connect = |host: &str, port| {
        let client = TcpStream::connect((host, port));
        client.expect("the address is reachable");
    };
    connect(
        "127.0.0.1",
        port("http://0.0.0.0:").expect("some port is free"),
    );
    // Without IPv6, the machine has the other one only.
    if TcpListener::bind("[::]:0").is_ok() {
        connect("::1", port("http://[::]:").expect("some port is free"));
    }

    let variables = [
        ("PORT", "invalid, but unused"),
        ("HTTPOOL_LISTEN", "127.0.0.1:0"),
    ];
    let mut server = Program::start(&[], &variables);
    let line = server.expect_line("listening on");
    assert!(line.contains("http://127.0.0.1:"), "{line}");
}

#[test]
fn malformed_address_error_shows_the_right_form() {
    #[track_caller]
    fn check(address: &str, part: &str) {
        run(&["--listen", address], &[]).expect_line(MISUSED, part);
        run(&["--check", "--admin", address], &[]).expect_line(MISUSED, part);
    }
    check(
        "8080",
        "write localhost:8080 for this machine only, or *:8080",
    );
    check("http://localhost:8080", "write host and port alone");
    check("unix:/run/x?mode=rw", "?mode=660");
    check("unix:/run/x?owner=me", "?mode=660&group=www-data");
    let long = format!("unix:/{}", "x".repeat(200));
    check(&long, "at most 107 bytes");
}

#[test]
fn regular_file_at_a_socket_path_is_kept() {
    let paths = ["public", "admin"].map(|name| scratch(&format!("{name}.sock")));
    let [public, admin] = [&paths[0], &paths[1]].map(|path| format!("unix:{}", path.display()));
    let arguments = ["--listen", &public, "--admin", &admin];
    let mut server = Program::start(&arguments, &[]);
    server.expect_line("listening on unix:");
    for path in &paths {
        fs::remove_file(path).expect("the file exists");
        fs::write(path, "precious").expect("the path is free");
    }
    server.signal(Signal::TERM);
    server.expect_exit(CLEAN);
    for path in &paths {
        let content = fs::read_to_string(path).expect("the file still exists");
        assert_eq!(content, "precious");
        fs::remove_file(path).expect("the file exists");
    }
}

#[test]
fn admin_and_redirect_sockets_get_their_modes() {
    let paths = ["public", "admin"].map(|name| scratch(&format!("mode-{name}.sock")));
    let public = format!("unix:{}?mode=660", paths[0].display());
    let admin = format!("unix:{}?mode=600", paths[1].display());
    let arguments = ["--listen", &public, "--admin", &admin];
    let mut server = Program::start(&arguments, &[]);
    server.expect_line("listening on unix:");
    let modes = paths.each_ref().map(|path| {
        let file = fs::symlink_metadata(path).expect("the file exists");
        file.permissions().mode() & 0o7777
    });
    assert_eq!(modes, [0o660, 0o600]);
    server.signal(Signal::TERM);
    server.expect_exit(CLEAN);
}

#[test]
fn json_log_is_one_object_per_line() {
    let arguments = [
        "--listen=127.0.0.1:0",
        "--log-format=json",
        "--log-level=trace",
    ];
    let mut server = Program::start(&arguments, &[]);
    let line = server.expect_line("listening on");
    let value: serde_json::Value = serde_json::from_str(&line).expect("the line is JSON");
    assert_eq!(value["level"], "info");
    assert!(
        value["ts"].as_str().is_some_and(|ts| ts.ends_with('Z')),
        "{line}"
    );
}

#[test]
fn start_errors_have_error_priority_in_the_journal() {
    #[track_caller]
    fn check(code: i32, arguments: &[&str], start: &str) {
        let exit = run_with_journal(arguments);
        exit.expect_line(code, start);
        assert!(exit.errors.starts_with(start), "{exit:?}");
    }
    let log = scratch("journal.log");
    let missing = ["--root", "/nonexistent"];
    check(MISUSED, &["--workers", "0"], "<3>httpool: --workers");
    check(MISUSED, &["--listing"], "<3>httpool: --listing");
    check(
        FAILED,
        &["--log-file", "/no/such/folder"],
        "<3>httpool: --log-file /no/such/folder: ",
    );
    check(FAILED, &missing, "<3>--root /nonexistent: ");
    check(
        FAILED,
        &[&missing[..], &["--log-file", text(&log)]].concat(),
        "<3>httpool: --root /nonexistent: ",
    );
    check(
        FAILED,
        &[&missing[..], &["--check"]].concat(),
        "<3>httpool: --root /nonexistent: ",
    );
}

#[test]
fn log_file_replaces_standard_error() {
    let log = scratch("only-here.log");
    fs::write(&log, "from before\n").expect("Cargo's folder is writable");
    let manager = Manager::new("log-file");
    let server = Program::start(
        &["--listen=127.0.0.1:0", "--log-file", text(&log)],
        &[manager.variable()],
    );
    manager.expect("READY=1");
    server.signal(Signal::TERM);
    assert_eq!(server.expect_exit(CLEAN).errors, "");
    let logged = fs::read_to_string(&log).expect("the log was written");
    for part in [
        "from before\n",
        "listening on",
        "shutting down",
        "shutdown complete",
    ] {
        assert!(logged.contains(part), "{part:?} is not in {logged}");
    }
}

#[test]
fn service_manager_is_notified_of_start_and_drain() {
    let manager = Manager::new("life");
    // The drain lasts until the second signal: its delay is too long to wait for.
    let server = Program::start(
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
            draining.contains("STATUS=draining: 0 connections,"),
            "{draining}"
        );
        assert!(draining.contains("EXTEND_TIMEOUT_USEC="), "{draining}");
    }
    // The second status came a second after the first one, so this is not a duplicated signal.
    server.signal(Signal::TERM);
    server.expect_exit(CLEAN);
}
