use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use super::*;
use crate::connection::tests::{serve, tls};
use crate::connection::{Admission, Connection, WaitFor, WakeReason};
use crate::message::{Body, PeerAddr, Request};
use crate::net::transport::Socket;
use crate::net::{Alpn, ListenerProtocol};

/// A response body that fills the client's socket at its end.
struct Filler(UnixStream);

impl Read for Filler {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        while self.0.write(&[0; 1000]).is_ok() {}
        Ok(0)
    }
}

fn non_blocking_pair() -> (UnixStream, UnixStream) {
    let (client, ours) = UnixStream::pair().expect("a pair of sockets can be made");
    for socket in [&client, &ours] {
        let set = socket.set_nonblocking(true);
        set.expect("a socket can be made non-blocking");
    }
    (client, ours)
}

#[test]
fn close_notify_waits_for_room_until_the_deadline() {
    let now = Instant::now();
    for has_room_later in [false, true] {
        let (config, client_config) = tls::parties();
        let mut client = tls::client(&client_config);
        let (mut socket, ours) = non_blocking_pair();
        let theirs = ours.try_clone().expect("a socket can be cloned");
        let service = serve(move |_: Request| {
            let filler = Filler(theirs.try_clone().expect("a socket can be cloned"));
            Body::from_reader(filler)
        });
        let ours = Socket::new(ours.into()).with_tls(config.config(Alpn::Http1));
        let opening = ListenerProtocol::default().with_tls(config);
        let ours = ours.expect("the configuration is valid");
        let mut connection = Connection::new(ours, PeerAddr::UNIX, &opening, now, &service);
        let mut buffers = WorkerBuffers::new(0);
        let mut drive =
            |wake, now| connection.drive(wake, Admission::Handle, now, &mut buffers, &service);

        let request = client.writer().write_all(b"GET / HTTP/1.0\r\n\r\n");
        request.expect("the session has room");
        let wait = loop {
            while client.wants_write() {
                client.write_tls(&mut socket).expect("there is room");
            }
            match drive(WakeReason::Ready, now) {
                DriveResult::Park(wait) if wait.wait_for == WaitFor::Room => break wait,
                DriveResult::Close(reason) => panic!("{reason}"),
                _ => {}
            }
            match client.read_tls(&mut socket) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => assert_ne!(read.expect("the server is there"), 0),
            }
            let processed = client.process_new_packets();
            processed.expect("the server sends valid TLS");
        };

        match drive(WakeReason::Ready, now) {
            DriveResult::Park(again) => assert_eq!(again, wait),
            result => panic!("{result:?}"),
        }
        if has_room_later {
            let mut all = [0; 4096];
            while socket.read(&mut all).is_ok() {}
            let result = drive(WakeReason::Ready, now);
            assert!(
                matches!(result, DriveResult::Close(CloseReason::Answered)),
                "{result:?}"
            );
            let count = socket.read(&mut all).expect("close_notify was sent");
            assert!(count > 0, "close_notify was sent");
        } else {
            let result = drive(WakeReason::Expired, wait.deadline);
            assert!(
                matches!(result, DriveResult::Close(CloseReason::SlowReader)),
                "{result:?}"
            );
        }
    }
}
