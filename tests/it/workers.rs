use std::io::Read;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Sender, bounded};
use httpool::http::header::UPGRADE;
use httpool::{BodyMode, Handler, IntoResponse, Request, Response, Upgrade};
use rustix::process::{Resource, getrlimit};

use crate::support::{
    Client, Gate, GateWaiter, NEVER, Random, TIMEOUT, TestServer, describe, in_own_process, mirror,
    request, wakeups,
};

/// Waits at the gate for `/gate`, and echoes the body.
fn gated(waiter: GateWaiter) -> impl Fn(Request) -> Vec<u8> {
    move |request: Request| {
        if request.uri() == "/gate" {
            waiter.wait();
        }
        mirror(request)
    }
}

#[test]
fn one_free_worker_responds_while_the_others_block() {
    const WORKERS: usize = 8;
    let gate = Gate::new();
    let server = TestServer::spawn(|builder| builder.workers(WORKERS), gated(gate.waiter()));
    let mut held: Vec<Client> = (1..WORKERS)
        .map(|number| {
            let mut client = server.connect();
            client.post("/gate", number.to_string());
            client
        })
        .collect();
    gate.expect_arrived(WORKERS - 1);
    let mut client = server.connect();
    for round in 0..100 {
        let body = format!("round {round}");
        client.post("/", &body).expect_body(&body);
        server.expect_serving();
    }
    gate.open();
    for (client, number) in held.iter_mut().zip(1..) {
        client.expect_body(format!("{number}"));
    }
}

#[test]
fn no_request_waits_behind_a_blocking_handler() {
    for _ in 0..10 {
        let gate = Gate::new();
        let server = TestServer::spawn(|builder| builder, gated(gate.waiter()));
        let mut clients: Vec<Client> = (0..40).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.post("/", "before").expect_body("before");
        }
        // All requests arrive together, and one in the middle blocks its worker.
        let blocked = clients.len() / 2;
        for (number, client) in clients.iter_mut().enumerate() {
            let target = if number == blocked { "/gate" } else { "/" };
            client.post(target, number.to_string());
        }
        gate.expect_arrived(1);
        for (number, client) in clients.iter_mut().enumerate() {
            if number != blocked {
                client.expect_body(number.to_string());
            }
        }
        gate.open();
        clients[blocked].expect_body(blocked.to_string());
    }
}

#[test]
fn every_worker_is_used() {
    const WORKERS: usize = 16;
    let gate = Gate::new();
    let server = TestServer::spawn(|builder| builder.workers(WORKERS), gated(gate.waiter()));
    for _ in 0..3 {
        server.expect_serving();
    }
    let mut clients: Vec<Client> = (0..WORKERS).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.post("/gate", "all at once");
    }
    gate.expect_arrived(WORKERS);
    gate.open();
    for client in &mut clients {
        client.expect_body("all at once");
    }
}

#[test]
fn two_workers_hold_thousands_of_idle_connections() {
    const IDLE: usize = 2_000;
    const HALF: usize = 200;
    /// Both ends of each connection are in this process; the rest is for everything else.
    const DESCRIPTORS: u64 = 5_000;
    in_own_process(
        "workers::two_workers_hold_thousands_of_idle_connections",
        || {
            let limit = getrlimit(Resource::Nofile).current;
            if limit.is_some_and(|limit| limit < DESCRIPTORS) {
                println!("skipped: needs {DESCRIPTORS} descriptors, and may have {limit:?}");
                return;
            }
            let server = TestServer::spawn(
                |builder| builder.head_timeout(NEVER).idle_timeout(NEVER),
                describe,
            );
            let mut idle: Vec<Client> = (0..IDLE).map(|_| server.connect()).collect();
            for client in &mut idle {
                client.get("/first").expect_body("GET /first ");
            }
            let mut half: Vec<Client> = (0..HALF).map(|_| server.connect()).collect();
            for client in &mut half {
                client.send("GET /half HTTP/1.1\r\nHo");
            }
            server.expect_open(IDLE + HALF);
            for _ in 0..50 {
                server.expect_serving();
            }
            for client in idle.iter_mut().step_by(7) {
                client.get("/again").expect_body("GET /again ");
            }
            for client in &mut half {
                client.send("st: it\r\n\r\n").expect_body("GET /half ");
            }
            let report = server.shut_down();
            assert_eq!((report.accepted, report.aborted), (2_250, 0));
            for client in &mut idle {
                client.expect_closed();
            }
        },
    );
}

#[test]
fn slow_readers_hold_no_worker() {
    const READERS: usize = 12;
    const SIZE: usize = 8 * 1024 * 1024;
    let gate = Gate::new();
    gate.open();
    let waiter = gate.waiter();
    let content = Arc::new(Random::new(8).bytes(SIZE));
    let response = Arc::clone(&content);
    let server = TestServer::spawn(
        |builder| builder.write_timeout(NEVER),
        move |request: Request| {
            if request.uri() != "/large" {
                return Vec::new();
            }
            waiter.wait();
            response.to_vec()
        },
    );
    let mut readers: Vec<Client> = (0..READERS).map(|_| server.connect()).collect();
    for reader in &mut readers {
        reader.get("/large");
    }
    // Two workers have answered all of them, and no client has read a byte.
    gate.expect_arrived(READERS);
    for _ in 0..10 {
        server.expect_serving();
    }
    for reader in &mut readers {
        reader.expect_body(&**content);
        reader.get("/").expect_body("");
    }
    let report = server.shut_down();
    assert_eq!((report.aborted, report.abandoned_workers), (0, 0));
}

#[test]
fn slow_senders_hold_no_worker() {
    let server = TestServer::spawn(|builder| builder, mirror);
    let mut with_length: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    let mut in_chunks: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    for client in &mut with_length {
        client.send(request::post_head("/", 8)).send("half");
    }
    for client in &mut in_chunks {
        client.send(request::chunked_head("/")).send("8\r\nhalf");
    }
    server.expect_open(16);
    for _ in 0..10 {
        server.expect_serving();
    }
    for client in &mut with_length {
        client.send("half").expect_body("halfhalf");
    }
    for client in &mut in_chunks {
        client.send("half\r\n0\r\n\r\n").expect_body("halfhalf");
    }
}

#[test]
fn bytes_of_different_clients_never_mix() {
    const CLIENTS: u64 = 8;
    const REQUESTS: usize = 40;
    let server = TestServer::spawn(|builder| builder, mirror);
    thread::scope(|scope| {
        for seed in 0..CLIENTS {
            let mut client = server.connect();
            scope.spawn(move || {
                let mut random = Random::new(seed);
                for _ in 0..REQUESTS {
                    let size = match random.below(4) {
                        0 => random.below(300 * 1024),
                        1 => random.below(20 * 1024),
                        _ => random.below(200),
                    };
                    let body = random.bytes(size);
                    let request = match random.below(2) {
                        0 => request::post("/", &body),
                        _ => request::post_chunked("/", &body, 1 + random.below(10_000)),
                    };
                    let sending = client.send_in_background(request);
                    client.expect_body(&body);
                    let sent = sending.join().expect("sending does not panic");
                    sent.expect("the server reads the whole body");
                }
            });
        }
    });
    let report = server.shut_down();
    assert_eq!(report.answered, CLIENTS * REQUESTS as u64);
}

#[test]
fn reused_buffers_leak_nothing_to_the_next_request() {
    /// Borrows the request: a function handler would own it and could not see leftovers.
    struct Show;

    impl Handler for Show {
        fn handle(&self, request: &mut Request) -> Response {
            let (headers, body) = (request.headers(), request.body().as_bytes());
            format!("{} {headers:?} {body:?}", request.uri()).into_response()
        }
    }

    let server = TestServer::spawn(|builder| builder.workers(1), Show);
    let secret = "POST /secret HTTP/1.1\r\nHost: it\r\nSecret: 1\r\nContent-Length: 1\r\n\r\n!";
    let secret_response = r#"/secret {"host": "it", "secret": "1", "content-length": "1"} [33]"#;
    let plain_response = r#"/ {"host": "it"} []"#;
    let mut client = server.connect();
    client.send(secret).expect_body(secret_response);
    client.get("/").expect_body(plain_response);
    // In one piece, so that both are read at once.
    client.send([secret.as_bytes(), &request::get("/")].concat());
    client.expect_body(secret_response);
    client.expect_body(plain_response);
    server.connect().get("/").expect_body(plain_response);
}

/// Reads a body or an upgraded stream byte by byte, and sends the name of the reading thread.
struct ByteByByte(Sender<String>);

impl Handler for ByteByByte {
    fn handle(&self, request: &mut Request) -> Response {
        let sender = self.0.clone();
        let read = move |from: &mut dyn Read| {
            let thread = thread::current();
            while let Ok(1) = from.read(&mut [0]) {
                let name = thread.name().unwrap_or_default().to_owned();
                sender.send(name).expect("the test listens");
            }
        };
        if request.headers().contains_key(UPGRADE) {
            return Upgrade::new("bytes", move |mut stream| read(&mut stream)).into_response();
        }
        read(request.body_mut());
        "read".into_response()
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        BodyMode::STREAMING
    }
}

#[test]
fn blocking_read_in_a_handler_wakes_no_other_worker() {
    const BYTES: usize = 300;
    let upgrade = b"GET / HTTP/1.1\r\nHost: it\r\nConnection: upgrade\r\nUpgrade: bytes\r\n\r\n";
    in_own_process(
        "workers::blocking_read_in_a_handler_wakes_no_other_worker",
        || {
            for head in [request::post_head("/", BYTES), upgrade.to_vec()] {
                let (sender, receiver) = bounded(0);
                let server = TestServer::spawn(|builder| builder, ByteByByte(sender));
                let mut client = server.connect();
                // After its first request, the connection is parked and polled.
                client.get("/").expect_body("read");
                client.send(head);
                let mut before = None;
                for _ in 0..BYTES {
                    client.send("x");
                    let reader = receiver
                        .recv_timeout(TIMEOUT)
                        .expect("the handler reads the byte");
                    let others = |name: &str| name.starts_with("httpool-") && name != reader;
                    let woken = wakeups(others);
                    let woken = woken - *before.get_or_insert(woken);
                    assert!(woken < BYTES / 10, "others were woken {woken} times");
                }
            }
        },
    );
}
