/// Two that speak TLS.
#[cfg(feature = "_tls")]
pub(super) mod tls;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::message::Overload;
use crate::message::{BodyMode, IntoResponse, PeerAddr, Request, Response};

/// The head of a request with a body of five bytes.
const UPLOAD: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n";

/// Reads bodies while they come, and gives them back.
struct Reader;

impl Handler for Reader {
    fn handle(&self, request: &mut Request) -> Response {
        let mut content = Vec::new();
        let read = request.body_mut().read_to_end(&mut content);
        read.map(|_| content).into_response()
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        BodyMode::STREAMING
    }
}

/// A connection of a server that answers everything, and the client's end of it.
fn connect(now: Instant) -> (Connection, UnixStream, Service) {
    connect_to(now, |_: Request| "yes")
}

fn connect_to(now: Instant, handler: impl Handler) -> (Connection, UnixStream, Service) {
    connect_as(&ListenerProtocol::default(), now, handler)
}

fn connect_as(
    opening: &ListenerProtocol,
    now: Instant,
    handler: impl Handler,
) -> (Connection, UnixStream, Service) {
    let (client, ours) = UnixStream::pair().expect("a pair of sockets can be made");
    ours.set_nonblocking(true)
        .expect("a socket can be made non-blocking");
    let service = serve(handler);
    let connection = Connection::new(
        Socket::new(ours.into()),
        PeerAddr::UNIX,
        opening,
        now,
        &service,
    );
    (connection, client, service)
}

pub(super) fn serve(handler: impl Handler) -> Service {
    Service {
        handler: Box::new(handler),
        config: Config::default(),
        phase: Arc::new(PhaseCell::new()),
        grace: Grace::new(Config::default().drain_idle),
        budget: Arc::new(Budget::new(usize::MAX)),
        observers: Observers::default(),
        error_pages: Pages::default(),
        default_headers: DefaultHeaders::default(),
        log_limits: LogLimits::new(),
    }
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
    let verdict = connection.drive(
        WakeReason::HungUp,
        Admission::Handle,
        late,
        &mut WorkerBuffers::new(0),
        &service,
    );
    assert!(
        matches!(verdict, DriveResult::Close(CloseReason::ClientClosed)),
        "{verdict:?}"
    );
}

/// Its time is not its client's: neither for the next request nor for taking the answer.
#[test]
fn a_wait_begins_when_the_handler_has_ended() {
    for (length, what) in [(3, WaitFor::NextRequest), (10_000_000, WaitFor::Room)] {
        let began = Instant::now();
        // As long ago as if the handler had taken all this time.
        let long_ago = began - Duration::from_secs(200);
        let (mut connection, mut client, service) =
            connect_to(long_ago, move |_: Request| vec![b'x'; length]);
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .expect("a request is sent");
        let mut buffers = WorkerBuffers::new(0);
        match connection.drive(
            WakeReason::Ready,
            Admission::Handle,
            long_ago,
            &mut buffers,
            &service,
        ) {
            DriveResult::Park(wait) => {
                assert_eq!(wait.what, what);
                assert!(wait.deadline > began, "{what:?}");
            }
            verdict => panic!("{what:?}: {verdict:?}"),
        }
    }
}

/// However late in a drain it is admitted.
#[test]
fn a_new_connection_has_the_whole_grace_of_a_drain() {
    let start = Instant::now();
    let (_, _client, service) = connect(start);
    service.phase.advance(Phase::Draining);
    let late = start + Duration::from_secs(60);
    let (ours, mut client) = UnixStream::pair().expect("a pair of sockets can be made");
    ours.set_nonblocking(true)
        .expect("a socket can be made non-blocking");
    let socket = Socket::new(ours.into());
    let mut connection = Connection::new(
        socket,
        PeerAddr::UNIX,
        &ListenerProtocol::default(),
        late,
        &service,
    );
    let mut buffers = WorkerBuffers::new(0);
    let mut drive = |after: Duration| {
        let now = late + after;
        connection.drive(
            WakeReason::Ready,
            Admission::Handle,
            now,
            &mut buffers,
            &service,
        )
    };
    let grace = service.config.drain_idle;
    let verdict = drive(grace - Duration::from_nanos(1));
    assert!(matches!(verdict, DriveResult::Park(_)), "{verdict:?}");
    // What has come by then is answered.
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("a request is sent");
    let verdict = drive(grace);
    assert!(
        matches!(
            verdict,
            DriveResult::Park(Pending {
                what: WaitFor::Goodbye,
                ..
            })
        ),
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
    let mut buffers = WorkerBuffers::new(0);
    let mut drive = || {
        connection.drive(
            WakeReason::Ready,
            Admission::Handle,
            now,
            &mut buffers,
            &service,
        )
    };
    let verdict = loop {
        match drive() {
            DriveResult::Requeue => {}
            verdict => break verdict,
        }
    };
    let waits_for_room = |verdict: &DriveResult| match verdict {
        DriveResult::Park(wait) => wait.what == WaitFor::Room,
        _ => false,
    };
    assert!(waits_for_room(&verdict), "{verdict:?}");
    let before = calls.load(Ordering::Relaxed);
    let verdict = drive();
    assert!(waits_for_room(&verdict), "{verdict:?}");
    assert_eq!(calls.load(Ordering::Relaxed), before);
}

/// Every part that comes would wake somebody who has nothing to do with it.
#[test]
fn a_body_that_has_not_come_is_read_where_nobody_is_told_of_it() {
    let now = Instant::now();
    let mut buffers = WorkerBuffers::new(0);
    for here in 0..=5 {
        let (mut connection, mut client, service) = connect_to(now, Reader);
        let mut drive =
            |wake| connection.drive(wake, Admission::Handle, now, &mut buffers, &service);
        let (start, end) = b"hello".split_at(here);
        client
            .write_all(&[UPLOAD, start].concat())
            .expect("a part is sent");
        let mut verdict = drive(WakeReason::Ready);
        if here < 5 {
            assert!(
                matches!(verdict, DriveResult::Unwatch),
                "{here}: {verdict:?}"
            );
            client.write_all(end).expect("the rest is sent");
            verdict = drive(WakeReason::Unwatched);
        }
        assert!(
            matches!(verdict, DriveResult::Requeue),
            "{here}: {verdict:?}"
        );
        let verdict = drive(WakeReason::Ready);
        assert!(
            matches!(verdict, DriveResult::Park(_)),
            "{here}: {verdict:?}"
        );
        let mut answer = [0; 1024];
        let count = client.read(&mut answer).expect("there is an answer");
        assert!(answer[..count].ends_with(b"hello"), "{here}");
    }
}

/// Nothing of the handler's may run that could say how it would take the body.
#[test]
fn a_body_that_has_not_come_is_not_waited_for_when_it_is_shed() {
    let now = Instant::now();
    let late = Admission::Shed(Overload::Late);
    for (wakes, sent) in [
        (vec![(WakeReason::Ready, late)], ""),
        (vec![(WakeReason::Ready, late)], "hell"),
        // It was to be read while it comes, and its worker had others to drive first.
        (
            vec![
                (WakeReason::Ready, Admission::Handle),
                (WakeReason::Unwatched, late),
            ],
            "hell",
        ),
    ] {
        let (mut connection, mut client, service) = connect_to(now, Reader);
        let sent = [UPLOAD, sent.as_bytes()].concat();
        client.write_all(&sent).expect("a part is sent");
        let mut buffers = WorkerBuffers::new(0);
        let verdicts = wakes.iter().map(|(wake, treatment)| {
            connection.drive(*wake, *treatment, now, &mut buffers, &service)
        });
        let verdict = verdicts.last();
        assert!(matches!(verdict, Some(DriveResult::Park(_))), "{verdict:?}");
        let mut answer = Vec::new();
        let read = client.read_to_end(&mut answer);
        read.expect("the connection ends in order");
        assert!(answer.starts_with(b"HTTP/1.1 503 "), "{answer:?}");
        assert_eq!(buffers.take_overload(), 1);
    }
}

/// A client that waits to be told to go on, and leaves no room to tell it.
fn connect_full(handler: impl Handler) -> (Connection, UnixStream, Service) {
    let (connection, mut client, service) = connect_to(Instant::now(), handler);
    let ours = connection.as_fd().try_clone_to_owned();
    let mut ours = UnixStream::from(ours.expect("a descriptor can be copied"));
    while ours.write(&[0; 4096]).is_ok() {}
    let expecting = b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    let head = [b"POST / HTTP/1.1\r\nHost: x\r\n", &expecting[..]].concat();
    client.write_all(&head).expect("a head is sent");
    (connection, client, service)
}

/// Reads until this has come.
fn read_until(mut client: &UnixStream, end: &[u8]) {
    let deadlines = client.set_read_timeout(Some(Duration::from_secs(10)));
    deadlines.expect("a socket can have a time limit");
    let (mut received, mut part) = (Vec::new(), [0; 4096]);
    while !received.ends_with(end) {
        let count = client.read(&mut part).expect("more comes");
        assert!(count > 0, "this is the end");
        received.extend_from_slice(&part[..count]);
    }
}

#[test]
fn who_leaves_no_room_is_told_to_continue_when_there_is_some() {
    let now = Instant::now();
    let mut buffers = WorkerBuffers::new(0);
    let (mut connection, mut client, service) =
        connect_full(|request: Request| request.into_body().into_bytes());
    let mut drive = || {
        connection.drive(
            WakeReason::Ready,
            Admission::Handle,
            now,
            &mut buffers,
            &service,
        )
    };
    for what in [WaitFor::Room, WaitFor::Body, WaitFor::NextRequest] {
        match drive() {
            DriveResult::Park(wait) => assert_eq!(wait.what, what),
            verdict => panic!("{what:?}: {verdict:?}"),
        }
        match what {
            WaitFor::Room => read_until(&client, &[0]),
            WaitFor::Body => {
                read_until(&client, CONTINUE);
                client.write_all(b"hello").expect("a body is sent");
            }
            _ => read_until(&client, b"hello"),
        }
    }
}

#[test]
fn who_is_not_told_to_continue_in_time_is_told_both() {
    let now = Instant::now();
    let mut buffers = WorkerBuffers::new(0);
    let (mut connection, mut client, mut service) = connect_full(Reader);
    service.config.body_timeout = Duration::from_millis(10);
    let mut drive = |wake| connection.drive(wake, Admission::Handle, now, &mut buffers, &service);
    let verdict = drive(WakeReason::Ready);
    assert!(matches!(verdict, DriveResult::Unwatch), "{verdict:?}");
    match drive(WakeReason::Unwatched) {
        DriveResult::Park(wait) => assert_eq!(wait.what, WaitFor::Room),
        verdict => panic!("{verdict:?}"),
    }
    client.set_nonblocking(true).expect("it is a socket");
    while client.read(&mut [0; 4096]).is_ok() {}
    let verdict = drive(WakeReason::Ready);
    assert!(matches!(verdict, DriveResult::Park(_)), "{verdict:?}");
    let mut told = Vec::new();
    let read = client.read_to_end(&mut told);
    read.expect("nothing is sent behind it");
    assert!(told.starts_with(&[CONTINUE, b"HTTP/1.1 408 "].concat()));
}

#[cfg(feature = "proxy")]
mod introduction {
    use super::*;

    const HEADER: &[u8] = b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n";
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    fn connect(now: Instant) -> (Connection, UnixStream, Service) {
        connect_as(
            &ListenerProtocol::default().behind_proxy(),
            now,
            |request: Request| {
                let client = ClientInfo::of(&request).and_then(ClientInfo::client);
                client.map_or_else(String::new, |client| client.to_string())
            },
        )
    }

    #[test]
    fn a_header_and_a_request_may_be_cut_anywhere() {
        let now = Instant::now();
        let all = [HEADER, REQUEST].concat();
        let mut buffers = WorkerBuffers::new(0);
        for end in 0..all.len() {
            let (mut connection, mut client, service) = connect(now);
            for part in [&all[..end], &all[end..]] {
                client.write_all(part).expect("a part is sent");
                let verdict = connection.drive(
                    WakeReason::Ready,
                    Admission::Handle,
                    now,
                    &mut buffers,
                    &service,
                );
                assert!(
                    matches!(verdict, DriveResult::Park(_)),
                    "{end}: {verdict:?}"
                );
            }
            let mut answer = [0; 1024];
            let count = client.read(&mut answer).expect("there is an answer");
            assert!(answer[..count].ends_with(b"[2001:db8::1]:4711"), "{end}");
        }
    }

    #[test]
    fn what_comes_before_a_request_is_none_and_what_follows_may_be_one() {
        let now = Instant::now();
        let mut buffers = WorkerBuffers::new(0);
        let (mut connection, mut client, service) = connect(now);
        client.write_all(&HEADER[..9]).expect("a part is sent");
        connection.drive(
            WakeReason::Ready,
            Admission::Handle,
            now,
            &mut buffers,
            &service,
        );
        assert_eq!(connection.unfinished(), 0);
        client.write_all(&HEADER[9..]).expect("the rest is sent");
        client.write_all(REQUEST).expect("a request is sent");
        assert_eq!(connection.unfinished(), 1);
        connection.drive(
            WakeReason::Ready,
            Admission::Handle,
            now,
            &mut buffers,
            &service,
        );
        assert_eq!(connection.unfinished(), 0);
    }

    #[test]
    fn what_follows_a_header_has_a_time_of_its_own() {
        let begin = Instant::now();
        let mut buffers = WorkerBuffers::new(0);
        let (mut connection, mut client, service) = connect(begin);
        client.write_all(&HEADER[..9]).expect("a part is sent");
        connection.drive(
            WakeReason::Ready,
            Admission::Handle,
            begin,
            &mut buffers,
            &service,
        );
        client.write_all(&HEADER[9..]).expect("the rest is sent");
        // The wake-up came in time, but nobody was free to act on it.
        let late = begin + service.config.head_timeout;
        let verdict = connection.drive(
            WakeReason::Expired,
            Admission::Handle,
            late,
            &mut buffers,
            &service,
        );
        let DriveResult::Park(wait) = verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!(wait.deadline, late + service.config.head_timeout);
    }

    #[test]
    fn a_header_that_comes_in_part_is_no_idle_client() {
        let begin = Instant::now();
        let mut buffers = WorkerBuffers::new(0);
        let (mut connection, mut client, service) = connect(begin);
        client.write_all(&HEADER[..9]).expect("a part is sent");
        let late = begin + service.config.head_timeout;
        let verdict = connection.drive(
            WakeReason::Expired,
            Admission::Handle,
            late,
            &mut buffers,
            &service,
        );
        assert!(
            matches!(verdict, DriveResult::Close(CloseReason::NoProxyHeader)),
            "{verdict:?}"
        );
    }

    #[test]
    fn a_part_of_a_header_counts_against_the_budget() {
        let now = Instant::now();
        let (mut connection, mut client, mut service) = connect(now);
        service.budget = Arc::new(Budget::new(8));
        connection.share = Share::new(&service.budget);
        client.write_all(&HEADER[..8]).expect("a part is sent");
        let mut buffers = WorkerBuffers::new(0);
        let verdict = connection.drive(
            WakeReason::Ready,
            Admission::Handle,
            now,
            &mut buffers,
            &service,
        );
        assert!(matches!(verdict, DriveResult::Park(_)), "{verdict:?}");
        assert_eq!(service.budget.held(), 8);
        client.write_all(&HEADER[8..9]).expect("a part is sent");
        let verdict = connection.drive(
            WakeReason::Ready,
            Admission::Handle,
            now,
            &mut buffers,
            &service,
        );
        assert!(
            matches!(verdict, DriveResult::Close(CloseReason::BufferLimit)),
            "{verdict:?}"
        );
        drop(connection);
        assert_eq!(service.budget.held(), 0);
    }
}
