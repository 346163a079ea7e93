use std::os::unix::net::UnixDatagram;
use std::thread;

use crossbeam_channel::{Receiver, unbounded};
use rustix::process::Signal;

use crate::support::{Gate, OwnPath, PATIENCE, Program, TestServer, eventually};

/// A service manager's ear. Like a manager it always listens: who tells it something waits until it
/// has heard.
struct Manager {
    path: OwnPath,
    messages: Receiver<String>,
}

impl Manager {
    fn new(name: &str) -> Self {
        let path = OwnPath::new(name);
        let socket = UnixDatagram::bind(&path).expect("the path is free");
        let (heard, messages) = unbounded();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count) = socket.recv(&mut buffer) {
                let message = String::from_utf8_lossy(&buffer[..count]).into_owned();
                if heard.send(message).is_err() {
                    return;
                }
            }
        });
        Self { path, messages }
    }

    /// Waits for a message with a line that begins like this.
    #[track_caller]
    fn expect(&self, start: &str) {
        loop {
            match self.messages.recv_timeout(PATIENCE) {
                Ok(message) if message.lines().any(|line| line.starts_with(start)) => return,
                Ok(_) => {}
                Err(error) => panic!("no {start:?}: {error}"),
            }
        }
    }
}

#[test]
fn a_manager_hears_how_the_server_is() {
    let manager = Manager::new("hears");
    let path = manager.path.as_ref().to_str().expect("the path is text");
    let variables = [("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "60000")];
    let program = Program::spawn_with(&["--workers", "3", "--drain-delay", "1h"], &variables);
    manager.expect("READY=1");
    manager.expect("WATCHDOG=1");
    let mut client = program.connect();
    client.post("/", "one").expect_answer("one");
    let answered = "STATUS=serving: 1 connections open, 0 of 3 workers busy, 1 requests answered";
    manager.expect(answered);
    manager.expect("WATCHDOG=1");
    program.signal(Signal::TERM);
    manager.expect("STOPPING=1");
    manager.expect("EXTEND_TIMEOUT_USEC=");
    // A drain may take as long as it has been given.
    manager.expect("WATCHDOG=1");
    manager.expect("STATUS=draining: 1 connections open");
    program.insist(Signal::TERM);
    program.expect_exit(0);
}

#[test]
fn a_server_whose_workers_are_all_stuck_does_not_move() {
    let gate = Gate::new();
    let door = gate.door();
    let server = TestServer::spawn(
        |builder| builder,
        move |_: httpool::Request| {
            door.pass();
            "passed"
        },
    );
    let handle = server.handle();
    let start = handle.vitals();
    eventually("an idle server moves", || {
        handle.vitals().moved_since(&start)
    });
    let mut clients = [(); 2].map(|()| server.connect());
    clients.iter_mut().for_each(|client| {
        client.get("/");
    });
    gate.expect_arrived(2);
    assert_eq!(handle.progress().busy, 2);
    let stuck = handle.vitals();
    // Its acceptor goes on.
    let beside = server.connect();
    server.expect_open(3);
    assert!(!handle.vitals().moved_since(&stuck));
    gate.open();
    eventually("it moves again", || handle.vitals().moved_since(&stuck));
    for mut client in clients {
        client.expect_answer("passed");
    }
    drop(beside);
    assert_eq!(server.shut_down().cut, 0);
}
