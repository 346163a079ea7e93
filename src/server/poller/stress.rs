//! Races workers and peers against each other, to find a lost wake-up.

use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::tests::{HOUR, drain, pair, send, until};
use super::*;

const WORKERS: usize = 4;
const PEERS: usize = 8;
const BYTES: usize = 500;
const TIMEOUT: Duration = Duration::from_secs(30);

/// A connection that reports every byte to the peer that sent it.
struct Connection {
    stream: UnixStream,
    peer: usize,
    token: Token,
    read_bytes: Sender<usize>,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn drive(poller: &Poller<Connection>, mut connection: Connection) {
    loop {
        let (count, is_open) = drain(&connection.stream);
        for _ in 0..count {
            // The receiver is gone once the test has failed.
            let _ = connection.read_bytes.send(connection.peer);
        }
        if !is_open {
            return poller.release(connection.token);
        }
        match poller.park(
            connection.token,
            connection,
            until(WaitFor::NextRequest, HOUR),
        ) {
            Parked::Waiting => return,
            Parked::Ready(ready, _, _) => connection = ready,
            Parked::Failed(_, error) => panic!("the connection can't be registered: {error}"),
        }
    }
}

fn work(poller: &Poller<Connection>, is_done: &AtomicBool) {
    let mut events = Events::with_capacity(3);
    while !is_done.load(Ordering::Relaxed) {
        // Polling again does not bring a lost event back, because events are edge-triggered.
        poller
            .wait(&mut events, Some(Duration::from_millis(10)))
            .expect("epoll can be waited for");
        while let Some((connection, _)) = poller.next_ready(&mut events) {
            drive(poller, connection);
        }
    }
}

fn exchange(
    peers: &[UnixStream],
    read_bytes: &Receiver<usize>,
) -> Result<(), mpsc::RecvTimeoutError> {
    let mut left = [BYTES; PEERS];
    peers.iter().for_each(send);
    for _ in 0..PEERS * BYTES {
        let peer = read_bytes.recv_timeout(TIMEOUT)?;
        left[peer] -= 1;
        if left[peer] > 0 {
            send(&peers[peer]);
        }
    }
    Ok(())
}

/// Runs workers that race for events and for parking. Each peer sends its next byte as soon as the
/// previous one was read, which is about when its connection parks. One lost wake-up stops its peer
/// for good.
#[test]
fn no_wake_up_is_lost() {
    let waker = Waker::new().expect("the system has descriptors");
    let poller = Poller::new(PEERS, &waker).expect("the system has descriptors");
    let (read_bytes, received) = mpsc::channel();
    let peers: Vec<_> = (0..PEERS)
        .map(|peer| {
            let (stream, other) = pair();
            let token = poller.reserve().expect("the poller has a free slot");
            let read_bytes = read_bytes.clone();
            let connection = Connection {
                stream,
                peer,
                token,
                read_bytes,
            };
            drive(&poller, connection);
            other
        })
        .collect();
    drop(read_bytes);

    let is_done = AtomicBool::new(false);
    let (exchanged, left) = thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| work(&poller, &is_done));
        }
        let exchanged = exchange(&peers, &received);
        drop(peers);
        // Every connection sees the end of its peer and drops its sender.
        let left = received.recv_timeout(TIMEOUT);
        is_done.store(true, Ordering::Relaxed);
        (exchanged, left)
    });
    assert_eq!(exchanged, Ok(()));
    assert_eq!(left, Err(mpsc::RecvTimeoutError::Disconnected));
}
