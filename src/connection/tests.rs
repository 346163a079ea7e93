use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use super::*;
use crate::Request;

/// A connection of a server that answers everything, and the client's end of it.
fn connect(now: Instant) -> (Connection, UnixStream, Service) {
    let (client, ours) = UnixStream::pair().expect("a pair of sockets can be made");
    ours.set_nonblocking(true)
        .expect("a socket can be made non-blocking");
    let service = Service {
        handler: Box::new(|_: Request| "yes"),
        config: Config::default(),
        phase: Arc::new(PhaseCell::new()),
        budget: Arc::new(Budget::new(usize::MAX)),
    };
    let connection = Connection::new(Socket::new(ours.into()), now, &service);
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
    let verdict = connection.drive(Wake::HungUp, late, &mut Desk::new(), &service);
    assert!(
        matches!(verdict, Verdict::Close(Why::ClientDone)),
        "{verdict:?}"
    );
}
