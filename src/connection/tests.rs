use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{Node, Request};

/// A connection of a server that answers everything, and the client's end of it.
fn connect(now: Instant) -> (Connection, UnixStream, Service) {
    connect_to(now, |_: Request| "yes")
}

fn connect_to(now: Instant, handler: impl Handler) -> (Connection, UnixStream, Service) {
    let (client, ours) = UnixStream::pair().expect("a pair of sockets can be made");
    ours.set_nonblocking(true)
        .expect("a socket can be made non-blocking");
    let service = Service {
        handler: Box::new(handler),
        config: Config::default(),
        phase: Arc::new(PhaseCell::new()),
        budget: Arc::new(Budget::new(usize::MAX)),
        observers: Observers::default(),
    };
    let connection = Connection::new(Socket::new(ours.into()), Node::UNIX, now, &service);
    (connection, client, service)
}

#[test]
fn a_hang_up_is_heard_after_the_deadline_too() {
    let now = Instant::now();
    let (mut connection, mut client, service) = connect(now);
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("a request is sent");
    client
        .shutdown(Shutdown::Write)
        .expect("a client may finish sending");
    // The wake-up came in time, but nobody was free to act on it.
    let late = now + service.config.head_timeout;
    let verdict = connection.drive(Wake::HungUp, late, &mut Desk::new(0), &service);
    assert!(
        matches!(verdict, Verdict::Close(Why::ClientDone)),
        "{verdict:?}"
    );
}

/// Whoever owes us reading is not to pay for the time of handlers.
#[test]
fn no_handler_runs_while_an_answer_is_owed() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let now = Instant::now();
    let (mut connection, mut client, service) = connect_to(now, move |_: Request| {
        counted.fetch_add(1, Ordering::Relaxed);
        vec![b'x'; 300]
    });
    let requests = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3000);
    client.write_all(&requests).expect("the requests are sent");
    let mut desk = Desk::new(0);
    let mut drive = || connection.drive(Wake::Ready, now, &mut desk, &service);
    let verdict = loop {
        match drive() {
            Verdict::Requeue => {}
            verdict => break verdict,
        }
    };
    let waits_for_room = |verdict: &Verdict| match verdict {
        Verdict::Park(wait) => wait.what == What::Room,
        _ => false,
    };
    assert!(waits_for_room(&verdict), "{verdict:?}");
    let before = calls.load(Ordering::Relaxed);
    let verdict = drive();
    assert!(waits_for_room(&verdict), "{verdict:?}");
    assert_eq!(calls.load(Ordering::Relaxed), before);
}
