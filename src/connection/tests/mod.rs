mod polled;
#[cfg(feature = "proxy")]
mod proxy_header;
#[cfg(feature = "_tls")]
pub(super) mod tls;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::http1::CONTINUE;
use crate::message::problem::error_pages::CustomErrorPages;
use crate::message::{BodyMode, IntoResponse, Overload, PeerAddr, Request, Response};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// The head of a request with a body of five bytes.
const UPLOAD: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n";

/// A connection, its client and its server.
pub(super) struct Rig {
    pub(super) connection: Connection,
    pub(super) client: UnixStream,
    pub(super) service: Service,
    pub(super) buffers: WorkerBuffers,
}

/// Echoes bodies that it reads while they arrive.
struct StreamingEcho;

impl Handler for StreamingEcho {
    fn handle(&self, request: &mut Request) -> Response {
        let mut content = Vec::new();
        let read = request.body_mut().read_to_end(&mut content);
        read.map(|_| content).into_response()
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        BodyMode::STREAMING
    }
}

impl Rig {
    pub(super) fn new(now: Instant, handler: impl Handler) -> Self {
        Self::with_protocol(&ListenerProtocol::default(), now, handler)
    }

    fn with_protocol(protocol: &ListenerProtocol, now: Instant, handler: impl Handler) -> Self {
        let service = serve(handler);
        let (client, socket) = pair();
        Self {
            connection: Connection::new(socket, PeerAddr::UNIX, protocol, now, &service),
            client,
            service,
            buffers: WorkerBuffers::new(0),
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).expect("the socket has room");
    }

    pub(super) fn drive(&mut self, wake: WakeReason, now: Instant) -> DriveResult {
        self.drive_with(wake, Admission::Handle, now)
    }

    pub(super) fn drive_with(
        &mut self,
        wake: WakeReason,
        admission: Admission,
        now: Instant,
    ) -> DriveResult {
        self.connection
            .drive(wake, admission, now, &mut self.buffers, &self.service)
    }

    /// Everything that the client has received so far.
    pub(super) fn received(&mut self) -> Vec<u8> {
        let mut received = vec![0; 1024];
        let count = self.client.read(&mut received).expect("bytes have arrived");
        received.truncate(count);
        received
    }

    /// Reads until `end` has arrived.
    fn read_until(&mut self, end: &[u8]) {
        let timeout = self.client.set_read_timeout(Some(Duration::from_secs(10)));
        timeout.expect("a socket can have a timeout");
        let (mut received, mut part) = (Vec::new(), [0; 4096]);
        while !received.ends_with(end) {
            let count = self.client.read(&mut part).expect("more arrives");
            assert!(count > 0, "the connection is open");
            received.extend_from_slice(&part[..count]);
        }
    }
}

/// The client's socket and the server's.
pub(super) fn pair() -> (UnixStream, Socket) {
    let (client, socket) = UnixStream::pair().expect("sockets can be created");
    let set = socket.set_nonblocking(true);
    set.expect("a socket can be non-blocking");
    (client, Socket::new(socket.into()))
}

pub(super) fn serve(handler: impl Handler) -> Service {
    Service {
        handler: Box::new(handler),
        config: Config::default(),
        phase: Arc::new(PhaseCell::new()),
        grace: Grace::new(Config::default().drain_idle),
        budget: Arc::new(Budget::new(usize::MAX)),
        observers: Observers::default(),
        error_pages: CustomErrorPages::default(),
        default_headers: DefaultHeaders::default(),
        log_limits: LogLimits::new(),
        streaming: crate::sync::atomic::AtomicUsize::new(0),
        #[cfg(feature = "http2")]
        http2_stats: Arc::default(),
    }
}

/// What the connection waits for.
#[track_caller]
pub(super) fn parked(result: DriveResult) -> Pending {
    match result {
        DriveResult::Park(pending) => pending,
        _ => panic!("{result:?}"),
    }
}

#[track_caller]
pub(super) fn assert_closed(result: DriveResult, expected: CloseReason) {
    assert!(
        matches!(result, DriveResult::Close(reason) if reason == expected),
        "{result:?} instead of {expected:?}"
    );
}

#[test]
fn hang_up_is_noticed_after_the_deadline() {
    let now = Instant::now();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.send(GET);
    let closed = rig.client.shutdown(Shutdown::Write);
    closed.expect("a client can close its side");
    // The event came in time, but all workers were busy.
    let late = now + rig.service.config.head_timeout;
    assert_closed(
        rig.drive(WakeReason::HungUp, late),
        CloseReason::ClientClosed,
    );
}

/// The time of the handler counts neither against the next request nor against the read of the
/// response.
#[test]
fn wait_starts_after_the_handler() {
    for (length, expected) in [(3, WaitFor::NextRequest), (10_000_000, WaitFor::Room)] {
        let began = Instant::now();
        // As if the handler had run since then.
        let long_ago = began - Duration::from_secs(200);
        let mut rig = Rig::new(long_ago, move |_: Request| vec![b'x'; length]);
        rig.send(GET);
        let pending = parked(rig.drive(WakeReason::Ready, long_ago));
        assert_eq!(pending.wait_for, expected);
        assert!(pending.deadline > began, "{expected:?}");
    }
}

#[test]
fn new_connection_has_the_whole_grace_of_a_drain() {
    let start = Instant::now();
    let mut rig = Rig::new(start, |_: Request| "yes");
    rig.service.phase.advance(Phase::Draining);
    let late = start + Duration::from_secs(60);
    let (client, socket) = pair();
    let protocol = ListenerProtocol::default();
    rig.connection = Connection::new(socket, PeerAddr::UNIX, &protocol, late, &rig.service);
    rig.client = client;
    let grace = rig.service.config.drain_idle;
    parked(rig.drive(WakeReason::Ready, late + grace - Duration::from_nanos(1)));
    // A request that has arrived by the end of the grace gets a response.
    rig.send(GET);
    let pending = parked(rig.drive(WakeReason::Ready, late + grace));
    assert_eq!(pending.wait_for, WaitFor::PeerClose);
}

#[test]
fn no_handler_runs_while_a_response_is_unsent() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let now = Instant::now();
    let mut rig = Rig::new(now, move |_: Request| {
        counted.fetch_add(1, Ordering::Relaxed);
        vec![b'x'; 300]
    });
    rig.send(&GET.repeat(3000));
    let result = loop {
        match rig.drive(WakeReason::Ready, now) {
            DriveResult::Requeue => {}
            result => break result,
        }
    };
    assert_eq!(parked(result).wait_for, WaitFor::Room);
    let before = calls.load(Ordering::Relaxed);
    let pending = parked(rig.drive(WakeReason::Ready, now));
    assert_eq!(pending.wait_for, WaitFor::Room);
    assert_eq!(calls.load(Ordering::Relaxed), before);
}

/// Otherwise every part that arrives would wake a worker.
#[test]
fn streamed_body_is_deregistered_if_it_has_not_arrived() {
    let now = Instant::now();
    for here in 0..=5 {
        let mut rig = Rig::new(now, StreamingEcho);
        let (start, end) = b"hello".split_at(here);
        rig.send(&[UPLOAD, start].concat());
        let mut result = rig.drive(WakeReason::Ready, now);
        if here < 5 {
            assert!(
                matches!(result, DriveResult::Deregister),
                "{here}: {result:?}"
            );
            rig.send(end);
            result = rig.drive(WakeReason::Deregistered, now);
        }
        assert!(matches!(result, DriveResult::Requeue), "{here}: {result:?}");
        parked(rig.drive(WakeReason::Ready, now));
        assert!(rig.received().ends_with(b"hello"), "{here}");
    }
}

/// A shed request runs no code of the handler, so its body mode is unknown.
#[test]
fn shed_request_does_not_wait_for_its_body() {
    let now = Instant::now();
    let late = Admission::Shed(Overload::Late);
    for (wakes, sent) in [
        (vec![(WakeReason::Ready, late)], ""),
        (vec![(WakeReason::Ready, late)], "hell"),
        // The body was to be streamed, and the worker had other connections to drive first.
        (
            vec![
                (WakeReason::Ready, Admission::Handle),
                (WakeReason::Deregistered, late),
            ],
            "hell",
        ),
    ] {
        let mut rig = Rig::new(now, StreamingEcho);
        rig.send(&[UPLOAD, sent.as_bytes()].concat());
        let results = wakes
            .iter()
            .map(|(wake, admission)| rig.drive_with(*wake, *admission, now));
        parked(results.last().expect("the connection was driven"));
        let mut response = Vec::new();
        let read = rig.client.read_to_end(&mut response);
        read.expect("the connection is closed in order");
        assert!(response.starts_with(b"HTTP/1.1 503 "), "{response:?}");
        let shed = rig.buffers.take_shed().expect("a request is shed");
        assert_eq!(shed.map(|(_, count)| count).sum::<u64>(), 1);
    }
}

/// A client that expects a 100 response and leaves no room for it.
fn connect_full(handler: impl Handler) -> Rig {
    let mut rig = Rig::new(Instant::now(), handler);
    let socket = rig.connection.as_fd().try_clone_to_owned();
    let mut socket = UnixStream::from(socket.expect("a descriptor can be copied"));
    while socket.write(&[0; 4096]).is_ok() {}
    let expecting = b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    rig.send(&[b"POST / HTTP/1.1\r\nHost: x\r\n", &expecting[..]].concat());
    rig
}

#[test]
fn full_socket_receives_100_once_there_is_room() {
    let now = Instant::now();
    let mut rig = connect_full(|request: Request| request.into_body().into_bytes());
    for expected in [WaitFor::Room, WaitFor::Body, WaitFor::NextRequest] {
        let pending = parked(rig.drive(WakeReason::Ready, now));
        assert_eq!(pending.wait_for, expected);
        match expected {
            WaitFor::Room => rig.read_until(&[0]),
            WaitFor::Body => {
                rig.read_until(CONTINUE);
                rig.send(b"hello");
            }
            _ => rig.read_until(b"hello"),
        }
    }
}

#[test]
fn late_100_is_sent_before_the_408() {
    let now = Instant::now();
    let mut rig = connect_full(StreamingEcho);
    rig.service.config.body_timeout = Duration::from_millis(10);
    let result = rig.drive(WakeReason::Ready, now);
    assert!(matches!(result, DriveResult::Deregister), "{result:?}");
    let pending = parked(rig.drive(WakeReason::Deregistered, now));
    assert_eq!(pending.wait_for, WaitFor::Room);
    let set = rig.client.set_nonblocking(true);
    set.expect("a socket can be non-blocking");
    while rig.client.read(&mut [0; 4096]).is_ok() {}
    parked(rig.drive(WakeReason::Ready, now));
    let mut received = Vec::new();
    let read = rig.client.read_to_end(&mut received);
    read.expect("the connection is closed in order");
    assert!(received.starts_with(&[CONTINUE, b"HTTP/1.1 408 "].concat()));
}
