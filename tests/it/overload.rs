use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use httpool::{
    Body, BodyMode, Builder, Handler, IntoResponse, Observer, Outcome, Overload, Request,
    RequestRecord, Response,
};

use crate::support::{
    BoundServer, Client, Gate, GateWaiter, HUGE, NEVER, SOON, TempDir, TestServer, describe,
    eventually, in_own_process, open_descriptors, request,
};

/// Descriptors that a server opens at start.
const SERVER: u64 = 4;

/// Limits this process to `more` descriptors beyond those that are open now.
fn limit_descriptors(more: u64) {
    let limit = Rlimit {
        current: Some(open_descriptors() as u64 + more),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).expect("lowering a limit is allowed");
}

#[test]
fn accept_resumes_after_descriptors_run_out() {
    in_own_process("overload::accept_resumes_after_descriptors_run_out", || {
        let server = BoundServer::new(|builder| builder);
        let mut clients: Vec<Client> = (0..30).map(|_| server.connect()).collect();
        limit_descriptors(SERVER + 5);
        let server = server.run(describe);
        for mut client in clients.drain(..) {
            client.get("/").expect_body("GET / ");
        }
        assert_eq!(server.handle().snapshot().accepted, 30);
        server.expect_open(0);
    });
}

/// Each connection may also hold a file open.
#[test]
fn descriptor_limit_bounds_open_connections() {
    const LIMIT: usize = 200;
    const SPARE: usize = 64;
    let limit_to = |current| {
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current, maximum })
            .expect("the limit is below the maximum");
    };
    let check = |descriptors: usize| {
        let folder = TempDir::new();
        folder.sparse("file", HUGE as u64);
        limit_to(Some(LIMIT as u64));
        let server = BoundServer::new(|builder| {
            let builder = builder.descriptors_per_connection(descriptors);
            builder.write_timeout(NEVER).min_rate_grace(NEVER)
        });
        // The clients are in the same process.
        limit_to(getrlimit(Resource::Nofile).maximum);
        let server = server.run(move |_: Request| File::open(folder.path("file")));
        let mut clients: Vec<Client> = (0..LIMIT).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.get("/");
        }
        let most = (LIMIT - SPARE) / descriptors;
        for client in &mut clients[..most] {
            client.expect_bytes(1);
        }
        assert_eq!(server.handle().snapshot().accepted, most as u64);
        let open = open_descriptors() - clients.len();
        for client in clients.drain(..most) {
            client.reset();
        }
        // Closed connections make room for others.
        clients[0].expect_bytes(1);
        open
    };
    in_own_process("overload::descriptor_limit_bounds_open_connections", || {
        assert!(check(2) <= LIMIT);
        assert!(check(1) > LIMIT);
    });
}

/// The request arrives when no descriptor is left to open the file.
#[test]
fn file_without_a_free_descriptor_is_503_with_retry_after() {
    in_own_process(
        "overload::file_without_a_free_descriptor_is_503_with_retry_after",
        || {
            let folder = TempDir::new();
            folder.file("file", "content");
            let files = httpool::ServeDir::new(&folder).expect("the folder can be served");
            let server = TestServer::spawn(|builder| builder, files);
            let mut client = server.connect();
            client.get("/none").expect_status(404);
            limit_descriptors(10);
            let open = || File::open(folder.path("file")).ok();
            let taken: Vec<File> = std::iter::from_fn(open).collect();
            let response = client.get("/file").expect_status(503);
            assert_eq!(response.header("retry-after"), Some("1"), "{response:?}");
            assert!(!response.announces_close(), "{response:?}");
            drop(taken);
            client.get("/file").expect_body("content");
        },
    );
}

/// The last accept fails for lack of descriptors, although no client is waiting. No client arrives
/// later to end the acceptor's pause.
#[test]
fn server_is_idle_after_descriptors_ran_out() {
    in_own_process("overload::server_is_idle_after_descriptors_ran_out", || {
        // With one of these counts, the last client takes the last descriptor.
        for clients in 5..=5 + SERVER {
            let server = BoundServer::new(|builder| builder);
            let mut clients: Vec<Client> = (0..clients).map(|_| server.connect()).collect();
            limit_descriptors(SERVER + 5);
            let server = server.run(describe);
            for mut client in clients.drain(..) {
                client.get("/").expect_body("GET / ");
            }
            server.expect_open(0);
            // Measures processor time: a thread that spins uses all of it.
            let before = processor_time();
            thread::sleep(4 * SOON);
            let used = processor_time() - before;
            assert!(
                used < 2 * SOON,
                "an idle server used {used:?} of processor time"
            );
            server.expect_serving();
            drop(server);
            limit_descriptors(1000);
        }
    });
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("time is not negative")
}

#[test]
fn drain_without_free_descriptors_loses_nothing() {
    in_own_process(
        "overload::drain_without_free_descriptors_loses_nothing",
        || {
            let server = BoundServer::new(|builder| builder);
            let mut clients: Vec<Client> = (0..30).map(|_| server.connect()).collect();
            for client in &mut clients {
                client.get("/");
            }
            limit_descriptors(SERVER + 5);
            server.handle().shutdown();
            let server = server.run(describe);
            for mut client in clients.drain(..) {
                assert!(client.expect_body("GET / ").announces_close());
            }
            let report = server.expect_end();
            assert_eq!(
                (report.accepted, report.answered, report.aborted),
                (30, 30, 0)
            );
        },
    );
}

/// A server whose two workers are blocked until the gate opens, and the clients that block them.
#[track_caller]
fn server_with_blocked_workers(
    configure: impl FnOnce(Builder) -> Builder,
) -> (TestServer, Gate, [Client; 2]) {
    server_with_blocked_handler(configure, |waiter| {
        move |request: Request| {
            if request.uri() == "/gate" {
                waiter.wait();
            }
            describe(request)
        }
    })
}

/// Like [`server_with_blocked_workers`], with a handler that waits at the gate for `/gate`.
#[track_caller]
fn server_with_blocked_handler<H: Handler>(
    configure: impl FnOnce(Builder) -> Builder,
    handler: impl FnOnce(GateWaiter) -> H,
) -> (TestServer, Gate, [Client; 2]) {
    let gate = Gate::new();
    let server = TestServer::spawn(configure, handler(gate.waiter()));
    let mut clients = [(); 2].map(|()| server.connect());
    for client in &mut clients {
        client.get("/gate");
    }
    gate.expect_arrived(clients.len());
    (server, gate, clients)
}

#[track_caller]
fn expect_queued(server: &TestServer, connections: usize) {
    eventually(&format!("{connections} connections are queued"), || {
        server.handle().snapshot().queued == connections
    });
}

#[test]
fn queue_length_is_visible_while_workers_are_blocked() {
    let gone = {
        let (server, gate, mut held) = server_with_blocked_workers(|builder| builder);
        let mut kept = server.connect();
        let mut waiting: Vec<Client> = (0..5).map(|_| server.connect()).collect();
        for client in &mut waiting {
            client.get("/");
        }
        expect_queued(&server, waiting.len());
        // Its connection is parked, and no worker is free to poll it.
        kept.get("/");
        expect_queued(&server, waiting.len() + 1);
        gate.open();
        for client in held.iter_mut().chain(&mut waiting).chain([&mut kept]) {
            client.expect_status(200);
        }
        expect_queued(&server, 0);
        let waits = server.handle().queue_times();
        assert!(waits.count >= 8, "{waits:?}");
        assert!(!waits.total.is_zero(), "{waits:?}");
        server.handle().clone()
    };
    assert_eq!(gone.snapshot().queued, 0);
}

#[test]
fn requests_are_shed_while_all_workers_are_blocked() {
    let (server, gate, held) = server_with_blocked_workers(|builder| builder.queue_timeout(SOON));
    let mut client = server.connect();
    // Both are received in one read and have waited equally long.
    client.send([request::post("/", "body"), request::get("/")].concat());
    for _ in 0..2 {
        expect_shed(&mut client);
    }
    // The next request on the same connection has its own queue time.
    client.get("/");
    expect_shed(&mut client);
    expect_shed_counts(&server, (3, 0));
    eventually("shed requests count as answered", || {
        server.handle().snapshot().answered == 3
    });
    assert_eq!(server.handle().snapshot().busy, 2);
    gate.open();
    for mut client in held {
        client.expect_status(200);
    }
    client.get("/").expect_body("GET / ");
}

#[test]
fn shed_request_gets_no_100_continue() {
    let outcomes = Arc::new(Outcomes::default());
    let observer = Arc::clone(&outcomes);
    let (server, _gate, _held) =
        server_with_blocked_workers(|builder| builder.queue_timeout(SOON).observer(observer));
    let mut client = server.connect();
    let head = "PUT / HTTP/1.1\r\nHost: it\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n";
    let response = client.send(head).expect_status(503);
    assert_eq!(response.header("retry-after"), Some("1"), "{response:?}");
    assert!(response.announces_close(), "{response:?}");
    client.finish_sending().expect_closed();
    expect_shed_counts(&server, (1, 0));
    let outcomes = outcomes.0.lock().expect("no thread panicked");
    assert_eq!(*outcomes, [Outcome::Rejected(Overload::Late.into())]);
}

/// Reads streamed bodies of up to 10 bytes.
struct Reading(GateWaiter);

impl Handler for Reading {
    fn handle(&self, request: &mut Request) -> Response {
        if request.uri() == "/gate" {
            self.0.wait();
        }
        io::read_to_string(request.body_mut()).into_response()
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        BodyMode::Streaming { most: 10 }
    }
}

/// Only the handler knows whether the body is buffered and how large it may be.
#[test]
fn shedding_does_not_wait_for_a_streamed_body() {
    let (server, gate, held) =
        server_with_blocked_handler(|builder| builder.queue_timeout(SOON), Reading);
    let chunked = request::chunked_head("/");
    let starts = [
        request::post_head("/", 9),
        [&request::post_head("/", 9)[..], b"half"].concat(),
        [&chunked[..], b"4\r\nhalf\r\n"].concat(),
        request::post_head("/", HUGE),
    ];
    for start in &starts {
        let mut client = server.connect();
        client.send(start);
        let response = client.expect_status(503);
        assert_eq!(response.header("retry-after"), Some("1"), "{response:?}");
        assert!(response.announces_close(), "{response:?}");
        // Bytes sent before the client sees the 503 do not matter.
        client.send("whole").finish_sending().expect_closed();
    }
    // This request is complete.
    let mut client = server.connect();
    client.post("/", "whole");
    expect_shed(&mut client);
    expect_shed_counts(&server, (starts.len() as u64 + 1, 0));
    gate.open();
    for mut client in held {
        client.expect_status(200);
    }
    client.post("/", "whole").expect_body("whole");
    client.post("/", "too much of it").expect_status(413);
}

/// Records the outcome of each request.
#[derive(Default)]
struct Outcomes(Mutex<Vec<Outcome>>);

impl Observer for Outcomes {
    fn on_response(&self, record: &RequestRecord<'_>) {
        let mut outcomes = self.0.lock().expect("no thread panicked");
        outcomes.push(record.outcome());
    }
}

#[test]
fn full_queue_sheds_the_oldest_requests() {
    let (server, gate, held) =
        server_with_blocked_workers(|builder| builder.queue_timeout(NEVER).queue_limit(2));
    let mut waiting = Vec::new();
    for number in 0..5usize {
        let mut client = server.connect();
        client.get("/");
        waiting.push(client);
        if let Some(oldest) = number.checked_sub(2) {
            expect_shed(&mut waiting[oldest]);
        }
        expect_queued(&server, waiting.len().min(2));
    }
    expect_shed_counts(&server, (0, 3));
    gate.open();
    for mut client in held.into_iter().chain(waiting.drain(3..)) {
        client.expect_status(200);
    }
}

#[test]
fn drain_sheds_nothing() {
    let (server, gate, held) = server_with_blocked_workers(|builder| {
        // The two requests that block the workers may have to wait for a worker, too.
        let builder = builder.queue_timeout(SOON).queue_limit(2);
        builder.drain_idle(NEVER).drain_timeout(NEVER)
    });
    let mut clients = [(); 3].map(|()| server.connect());
    server.expect_open(5);
    server.begin_drain();
    for client in &mut clients {
        client.get("/");
    }
    expect_queued(&server, clients.len());
    // Sleeps: without a drain, the requests would be shed by then.
    thread::sleep(2 * SOON);
    gate.open();
    for client in &mut clients {
        assert!(client.expect_body("GET / ").announces_close());
    }
    for mut client in held {
        client.expect_status(200);
    }
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (5, 0));
}

/// An endless reader that reports each read and checks that it runs on a worker thread.
struct ReportingReader(GateWaiter);

impl Read for ReportingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let thread = thread::current();
        let name = thread.name().unwrap_or("nobody");
        assert!(name.starts_with("httpool-"), "{name}");
        self.0.wait();
        buffer.fill(b'x');
        Ok(buffer.len())
    }
}

#[test]
fn body_readers_run_on_worker_threads_only() {
    let (gate, reads) = (Gate::new(), Gate::new());
    reads.open();
    let (waiter, reported) = (gate.waiter(), reads.waiter());
    let server = TestServer::spawn(
        |builder| builder.queue_timeout(SOON).write_timeout(NEVER),
        move |request: Request| {
            if request.uri() == "/gate" {
                waiter.wait();
                return Body::empty();
            }
            Body::from_sized_reader(ReportingReader(reported.clone()), HUGE as u64)
        },
    );
    let mut reader = server.connect();
    reader.get("/reader");
    reads.expect_arrived(1);
    eventually("the socket buffers are full", || {
        server.handle().snapshot().busy == 0
    });
    let mut held = [(); 2].map(|()| server.connect());
    for client in &mut held {
        client.get("/gate");
    }
    gate.expect_arrived(2);
    // The socket becomes writable, and no worker is free to read more of the body.
    eventually("the reader's connection is queued", || {
        reader.expect_bytes(16 * 1024);
        server.handle().snapshot().queued == 1
    });
    // New requests are shed meanwhile.
    let mut client = server.connect();
    client.get("/");
    expect_shed(&mut client);
    expect_queued(&server, 1);
    gate.open();
    reader.expect_bytes(HUGE / 2);
    for client in &mut held {
        client.expect_status(200);
    }
}

/// Waits until this many requests were shed for (queue timeout, queue limit).
#[track_caller]
fn expect_shed_counts(server: &TestServer, requests: (u64, u64)) {
    eventually(&format!("{requests:?} requests are shed"), || {
        let progress = server.handle().snapshot();
        (progress.shed_late, progress.shed_full) == requests
    });
}

#[track_caller]
fn expect_shed(client: &mut Client) {
    let response = client.expect_status(503);
    assert_eq!(response.header("retry-after"), Some("1"), "{response:?}");
    assert!(!response.announces_close(), "{response:?}");
}
