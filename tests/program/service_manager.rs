use std::fs::File;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, unbounded};
use rustix::process::Signal;

use crate::access_log::spawn_with_unread_log;
use crate::support::{
    Gate, Program, TIMEOUT, TempDir, TempPath, TestServer, eventually, run_program,
};

/// A service manager's notify socket. Like a manager it always receives: the sender blocks until
/// its message is read.
struct Manager {
    path: TempPath,
    messages: Receiver<String>,
}

/// A notify socket with an abstract name.
struct Abstract {
    name: String,
    messages: Receiver<String>,
}

impl Manager {
    fn new(name: &str) -> Self {
        let path = TempPath::new(name);
        let socket = UnixDatagram::bind(&path).expect("the path is free");
        let messages = listen(socket);
        Self { path, messages }
    }

    #[track_caller]
    fn expect(&self, start: &str) {
        expect_message(&self.messages, start);
    }
}

impl Abstract {
    fn new(name: &str) -> Self {
        let name = format!("httpool-it-{}-{name}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("the name is short");
        let socket = UnixDatagram::bind_addr(&address).expect("the name is free");
        Self {
            name: format!("@{name}"),
            messages: listen(socket),
        }
    }
}

/// Receives the messages that are sent to this socket.
fn listen(socket: UnixDatagram) -> Receiver<String> {
    let (sender, messages) = unbounded();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count) = socket.recv(&mut buffer) {
            let message = String::from_utf8_lossy(&buffer[..count]).into_owned();
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    messages
}

/// Waits for a message with a line that begins with `start`.
#[track_caller]
fn expect_message(messages: &Receiver<String>, start: &str) {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match messages.recv_deadline(deadline) {
            Ok(message) if message.lines().any(|line| line.starts_with(start)) => return,
            Ok(_) => {}
            Err(error) => panic!("no {start:?}: {error}"),
        }
    }
}

#[test]
fn abstract_notify_socket_is_supported() {
    let Abstract { name, messages } = Abstract::new("abstract");
    let variables = [("NOTIFY_SOCKET", &*name), ("WATCHDOG_USEC", "60000")];
    let program = Program::spawn_with(&[], &variables);
    for part in ["READY=1", "STATUS=serving", "WATCHDOG=1"] {
        expect_message(&messages, part);
    }
    program.signal(Signal::HUP);
    expect_message(&messages, "RELOADING=1");
    expect_message(&messages, "READY=1");
    program.signal(Signal::TERM);
    expect_message(&messages, "STOPPING=1");
    program.expect_exit(0);
}

#[test]
fn unreachable_notify_socket_is_a_warning() {
    #[track_caller]
    fn check(variables: &[(&str, &str)], part: &str) {
        let mut program = Program::spawn_with(&["--drain-idle", "0"], variables);
        program.expect_line(part);
        program.signal(Signal::TERM);
        let errors = program.expect_exit(0).errors;
        assert_eq!(errors.matches("[WARN]").count(), 1, "once: {errors}");
    }
    let unbound = format!("@httpool-it-{}-unbound", std::process::id());
    let long = format!("/{}", "x".repeat(200));
    for socket in [&*unbound, "/nonexistent/socket", "vsock:2:1234", "@", &long] {
        let part = format!("NOTIFY_SOCKET {socket:?}: ");
        check(
            &[("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", "60000")],
            &part,
        );
    }
    check(&[("WATCHDOG_USEC", "60000")], "NOTIFY_SOCKET is not");
    let usec = [("NOTIFY_SOCKET", ""), ("WATCHDOG_USEC", "1min")];
    check(&usec, "WATCHDOG_USEC \"1min\": not a number");
}

#[test]
fn service_manager_gets_status_and_watchdog() {
    let manager = Manager::new("hears");
    let path = manager.path.text();
    let variables = [("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "60000")];
    let program = Program::spawn_with(&["--workers", "3", "--drain-delay", "1h"], &variables);
    manager.expect("READY=1");
    manager.expect("WATCHDOG=1");
    let mut client = program.connect();
    client.post("/", "one").expect_body("one");
    let answered = "STATUS=serving: 1 connections, 0 of 3 workers busy, 1 responses";
    manager.expect(answered);
    manager.expect("WATCHDOG=1");
    program.signal(Signal::TERM);
    manager.expect("STOPPING=1");
    manager.expect("EXTEND_TIMEOUT_USEC=");
    // A drain may take as long as its timeout allows.
    manager.expect("WATCHDOG=1");
    manager.expect("STATUS=draining: 1 connections,");
    program.signal_until_exit(Signal::TERM);
    program.expect_exit(0);
}

#[test]
fn stuck_reload_does_not_delay_shutdown() {
    let (manager, folder) = (Manager::new("stops"), TempDir::new());
    let path = manager.path.text();
    let variables = [("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "60000")];
    let arguments = ["--drain-timeout", "1s"];
    let (mut program, _ends) = spawn_with_unread_log(&folder, &arguments, &variables);
    manager.expect("READY=1");
    // The log cannot be reopened while a write to it is blocked.
    program.signal(Signal::USR1);
    manager.expect("RELOADING=1");
    manager.expect("WATCHDOG=1");
    program.connect().get("/").expect_status(200);
    program.signal(Signal::TERM);
    manager.expect("STOPPING=1");
    program.expect_line(", 1001 responses, 0 aborted");
    program.expect_exit(0);
}

#[test]
fn unread_log_file_is_not_waited_for() {
    let (manager, folder) = (Manager::new("pipe"), TempDir::new());
    let path = manager.path.text();
    let pipe = folder.pipe("pipe").path("pipe");
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--log-file",
        pipe.to_str().expect("the path is UTF-8"),
    ];
    let ends = File::options().read(true).write(true).open(&pipe);
    let program = Program::start(&arguments, &[("NOTIFY_SOCKET", path)]);
    manager.expect("READY=1");
    drop(ends.expect("the pipe can be opened"));
    program.signal(Signal::USR1);
    manager.expect("RELOADING=1");
    manager.expect("READY=1");
    program.signal(Signal::TERM);
    program.expect_exit(0);
    let exit = run_program(&arguments, &[]);
    exit.expect_line(1, "--log-file ");
}

#[test]
fn stuck_workers_stop_the_watchdog() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let server = TestServer::spawn(
        |builder| builder,
        move |_: httpool::Request| {
            waiter.wait();
            "passed"
        },
    );
    let handle = server.handle();
    let start = handle.heartbeat();
    eventually("an idle server makes progress", || {
        handle.heartbeat().moved_since(&start)
    });
    let mut clients = [(); 2].map(|()| server.connect());
    clients.iter_mut().for_each(|client| {
        client.get("/");
    });
    gate.expect_arrived(2);
    assert_eq!(handle.snapshot().busy, 2);
    let stuck = handle.heartbeat();
    // The acceptor still runs.
    let extra = server.connect();
    server.expect_open(3);
    assert!(!handle.heartbeat().moved_since(&stuck));
    gate.open();
    eventually("the server makes progress again", || {
        handle.heartbeat().moved_since(&stuck)
    });
    for mut client in clients {
        client.expect_body("passed");
    }
    drop(extra);
    assert_eq!(server.shut_down().aborted, 0);
}
