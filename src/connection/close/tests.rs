use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use super::*;
use crate::connection::tests::{serve, tls};
use crate::connection::{Admission, WaitFor, WakeReason};
use crate::message::{Body, PeerAddr, Request};
use crate::net::ListenerProtocol;
use crate::net::transport::Socket;

/// The end of an answer that leaves no room in its client's socket.
struct Crowd(UnixStream);

impl Read for Crowd {
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
fn a_goodbye_for_which_there_is_no_room_waits_for_it_until_its_deadline() {
    let now = Instant::now();
    for has_room_later in [false, true] {
        let (config, believing) = tls::parties();
        let mut client = tls::client(&believing);
        let (mut socket, ours) = non_blocking_pair();
        let theirs = ours.try_clone().expect("a socket can be cloned");
        let service = serve(move |_: Request| {
            let crowd = Crowd(theirs.try_clone().expect("a socket can be cloned"));
            Body::from_reader(crowd)
        });
        let ours = Socket::new(ours.into()).with_tls(config.config());
        let opening = ListenerProtocol::default().over(config);
        let ours = ours.expect("the configuration is right");
        let mut connection = Connection::new(ours, PeerAddr::UNIX, &opening, now, &service);
        let mut buffers = WorkerBuffers::new(0);
        let mut drive =
            |wake, now| connection.drive(wake, Admission::Handle, now, &mut buffers, &service);

        let request = client.writer().write_all(b"GET / HTTP/1.0\r\n\r\n");
        request.expect("it has room");
        let wait = loop {
            while client.wants_write() {
                client.write_tls(&mut socket).expect("there is room");
            }
            match drive(WakeReason::Ready, now) {
                DriveResult::Park(wait) if wait.what == WaitFor::Room => break wait,
                DriveResult::Close(why) => panic!("{why}"),
                _ => {}
            }
            match client.read_tls(&mut socket) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => assert_ne!(read.expect("it is there"), 0),
            }
            let processed = client.process_new_packets();
            processed.expect("the server makes sense");
        };

        match drive(WakeReason::Ready, now) {
            DriveResult::Park(again) => assert_eq!(again, wait),
            verdict => panic!("{verdict:?}"),
        }
        if has_room_later {
            let mut all = [0; 4096];
            while socket.read(&mut all).is_ok() {}
            let verdict = drive(WakeReason::Ready, now);
            assert!(
                matches!(verdict, DriveResult::Close(CloseReason::Answered)),
                "{verdict:?}"
            );
            let goodbye = socket.read(&mut all).expect("it is said");
            assert!(goodbye > 0, "it is said");
        } else {
            let verdict = drive(WakeReason::Expired, wait.deadline);
            assert!(
                matches!(verdict, DriveResult::Close(CloseReason::SlowReader)),
                "{verdict:?}"
            );
        }
    }
}
