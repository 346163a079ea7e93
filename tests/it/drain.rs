use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use httpool::{ListenAddr, Phase, Request, Server};

use crate::support::{
    BoundServer, Client, End, Gate, GateWaiter, HUGE, NEVER, SOON, TestServer, describe,
    expect_refused, mirror, request, unique_loopback,
};

/// Waits at the gate, then describes the request.
fn gated(waiter: GateWaiter) -> impl Fn(Request) -> String {
    move |request: Request| {
        waiter.wait();
        describe(request)
    }
}

#[test]
fn drain_finishes_a_request_in_progress() {
    let gate = Gate::new();
    let server = TestServer::spawn(|builder| builder, gated(gate.waiter()));
    let mut client = server.connect();
    client.post("/", "under way");
    gate.expect_arrived(1);
    server.begin_drain();
    gate.open();
    assert!(client.expect_body("POST / under way").announces_close());
    client.expect_closed();
    let report = server.expect_end();
    assert_eq!(
        (report.accepted, report.answered, report.aborted),
        (1, 1, 0)
    );
    assert_eq!(report.abandoned_workers, 0);
}

#[test]
fn drain_finishes_pipelined_requests_and_closes_after_the_last() {
    const REQUESTS: usize = 200;
    let gate = Gate::new();
    let server = TestServer::spawn(|builder| builder, gated(gate.waiter()));
    let mut client = server.connect();
    let requests: Vec<u8> = (0..REQUESTS)
        .flat_map(|number| request::post(&format!("/{number}"), "x"))
        .collect();
    client.send(requests);
    gate.expect_arrived(1);
    server.begin_drain();
    gate.open();
    for number in 0..REQUESTS {
        let response = client.expect_body(format!("POST /{number} x"));
        assert_eq!(
            response.announces_close(),
            number == REQUESTS - 1,
            "{number}"
        );
    }
    client.expect_closed();
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (REQUESTS as u64, 0));
}

#[test]
fn drain_answers_a_request_sent_during_a_handler() {
    let gate = Gate::new();
    let server = TestServer::spawn(|builder| builder, gated(gate.waiter()));
    let mut client = server.connect();
    client.post("/", "first");
    gate.expect_arrived(1);
    server.begin_drain();
    client.post("/", "second");
    gate.open();
    assert!(!client.expect_body("POST / first").announces_close());
    assert!(client.expect_body("POST / second").announces_close());
    client.expect_closed();
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (2, 0));
}

#[test]
fn drain_finishes_a_large_response() {
    let gate = Gate::new();
    let waiter = gate.waiter();
    let server = TestServer::spawn(
        |builder| builder,
        move |_: Request| {
            waiter.wait();
            vec![b'x'; HUGE]
        },
    );
    let mut client = server.connect();
    client.get("/");
    gate.expect_arrived(1);
    gate.open();
    server.begin_drain();
    let response = client.expect_status(200);
    assert!(response.body == vec![b'x'; HUGE], "the body is complete");
    client.finish_sending().expect_closed();
    assert_eq!(server.expect_end().aborted, 0);
}

#[test]
fn drain_closes_idle_connections() {
    let server = TestServer::spawn(|builder| builder, describe);
    let mut used = server.connect();
    used.get("/").expect_body("GET / ");
    let mut fresh = server.connect();
    server.expect_open(2);
    let report = server.shut_down();
    used.expect_closed();
    fresh.expect_closed();
    assert_eq!(
        (report.accepted, report.answered, report.aborted),
        (2, 1, 0)
    );
}

#[test]
fn drain_answers_a_request_within_the_idle_grace() {
    let server = TestServer::spawn(
        |builder| builder.drain_idle(NEVER).body_timeout(SOON),
        describe,
    );
    let mut used = server.connect();
    used.get("/").expect_body("GET / ");
    let (mut fresh, mut late) = (server.connect(), server.connect());
    server.expect_open(3);
    server.begin_drain();
    // Another client's timeout shows that time has passed.
    late.send(request::post_head("/", 1)).expect_status(408);
    late.expect_closed();
    for client in [&mut used, &mut fresh] {
        client.get("/late");
        assert!(client.expect_body("GET /late ").announces_close());
        client.expect_closed();
    }
    assert_eq!(server.expect_end().aborted, 0);
}

#[test]
fn drain_answers_clients_in_the_accept_queue() {
    const CLIENTS: usize = 300;
    let server = BoundServer::new(|builder| builder.max_connections(10));
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.get(&format!("/{number}"));
    }
    let mut silent = server.connect();
    // Shutdown begins before the server has accepted any of them.
    server.handle().shutdown();
    let server = server.run(describe);
    for (number, client) in clients.iter_mut().enumerate() {
        assert!(
            client
                .expect_body(format!("GET /{number} "))
                .announces_close()
        );
        client.expect_closed();
    }
    silent.expect_closed();
    let report = server.expect_end();
    assert_eq!(report.accepted, CLIENTS as u64 + 1);
    assert_eq!((report.answered, report.aborted), (CLIENTS as u64, 0));
}

#[test]
fn drain_waits_for_partial_requests() {
    let server = TestServer::spawn(|builder| builder, describe);
    let halves = [
        ("GET /head HT", "TP/1.1\r\nHost: it\r\n\r\n", "GET /head "),
        (
            "POST /body HTTP/1.1\r\nHost: it\r\nContent-Length: 8\r\n\r\nhalf",
            "half",
            "POST /body halfhalf",
        ),
        (
            "POST /chunks HTTP/1.1\r\nHost: it\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf",
            "half\r\n0\r\n\r\n",
            "POST /chunks halfhalf",
        ),
    ];
    let mut clients = halves.map(|(half, ..)| {
        let mut client = server.connect();
        client.send(half);
        client
    });
    let mut idle = server.connect();
    server.expect_open(4);
    server.begin_drain();
    // The grace for idle connections is over; partial requests have longer.
    idle.expect_closed();
    for (client, (_, half, response)) in clients.iter_mut().zip(halves) {
        client.send(half);
        assert!(client.expect_body(response).announces_close());
        client.expect_closed();
    }
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (3, 0));
}

#[test]
fn drain_counts_a_stuck_handler() {
    let gate = Gate::new();
    let server = TestServer::spawn(|builder| builder.drain_timeout(SOON), gated(gate.waiter()));
    let mut client = server.connect();
    client.get("/");
    gate.expect_arrived(1);
    let report = server.shut_down();
    assert_eq!((report.aborted, report.abandoned_workers), (1, 1));
    assert_eq!(report.answered, 0);
    assert!(
        report.to_string().contains(", 1 aborted (1 in handlers)"),
        "{report}"
    );
}

#[test]
fn drain_counts_requests_queued_behind_a_stuck_handler() {
    let gate = Gate::new();
    let server = TestServer::spawn(
        |builder| builder.workers(1).drain_timeout(SOON),
        gated(gate.waiter()),
    );
    let mut first = server.connect();
    first.get("/");
    gate.expect_arrived(1);
    let mut second = server.connect();
    second.get("/");
    server.expect_open(2);
    let report = server.shut_down();
    assert_eq!((report.aborted, report.abandoned_workers), (2, 1));
}

#[test]
fn drain_aborts_and_counts_requests_at_the_deadline() {
    #[track_caller]
    fn check(sent: &[u8]) {
        // Allocated first, since that may take longer than the drain.
        let response = Bytes::from(vec![b'x'; HUGE]);
        let server = TestServer::spawn(
            |builder| builder.drain_timeout(SOON).write_timeout(NEVER),
            move |_: Request| response.clone(),
        );
        let (mut client, _idle) = (server.connect(), server.connect());
        client.send(sent);
        server.expect_open(2);
        let report = server.shut_down();
        assert_eq!(report.aborted, 1, "{}", String::from_utf8_lossy(sent));
        assert_eq!((report.answered, report.abandoned_workers), (0, 0));
        let (received, _) = client.read_rest();
        assert!(received.len() < HUGE);
    }
    // The client does not read the response.
    check(&request::get("/"));
    // The request is incomplete.
    check(b"GET / HT");
    check(&request::post_head("/", 1));
    check(&request::chunked_head("/"));
}

#[test]
fn shutdown_now_aborts_at_once() {
    let gate = Gate::new();
    let server = TestServer::spawn(
        |builder| builder.drain_timeout(NEVER).drain_idle(NEVER),
        gated(gate.waiter()),
    );
    let mut held = server.connect();
    held.get("/");
    gate.expect_arrived(1);
    let (mut half, mut idle) = (server.connect(), server.connect());
    half.send("GET / HT");
    server.expect_open(3);
    server.handle().shutdown_now();
    let report = server.expect_end();
    assert_eq!((report.aborted, report.abandoned_workers), (2, 1));
    idle.read_rest();
    half.read_rest();
}

#[test]
fn shutdown_now_ends_a_drain() {
    let server = TestServer::spawn(|builder| builder.drain_timeout(NEVER), describe);
    let mut half = server.connect();
    half.send(request::post_head("/", 1));
    server.expect_open(1);
    server.begin_drain();
    server.handle().shutdown_now();
    assert_eq!(server.expect_end().aborted, 1);
}

#[test]
fn drain_delay_serves_and_announces_close() {
    let server = TestServer::spawn(|builder| builder.drain_delay(NEVER), describe);
    let mut before = server.connect();
    assert!(!before.get("/").expect_body("GET / ").announces_close());
    server.handle().shutdown();
    assert_eq!(server.handle().snapshot().phase, Phase::Announcing);
    assert!(before.get("/").expect_body("GET / ").announces_close());
    before.expect_closed();
    for _ in 0..3 {
        let mut client = server.connect();
        assert!(
            client
                .get("/new")
                .expect_body("GET /new ")
                .announces_close()
        );
        client.expect_closed();
    }
    server.handle().shutdown_now();
    assert_eq!(server.expect_end().aborted, 0);
}

#[test]
fn drain_delay_ends() {
    let server = TestServer::spawn(|builder| builder.drain_delay(SOON), describe);
    let mut idle = server.connect();
    idle.get("/").expect_body("GET / ");
    let report = server.shut_down();
    idle.expect_closed();
    assert_eq!((report.accepted, report.answered), (1, 1));
}

#[test]
fn a_handle_works_after_its_server_ended() {
    let server = TestServer::spawn(|builder| builder, describe);
    server.expect_serving();
    let handle = server.handle().clone();
    server.shut_down();
    handle.shutdown();
    handle.shutdown_now();
    let snapshot = handle.snapshot();
    assert_eq!((snapshot.phase, snapshot.open), (Phase::Stopped, 0));
    assert_eq!((snapshot.accepted, snapshot.answered), (1, 1));
}

#[test]
fn drain_refuses_new_clients() {
    let gate = Gate::new();
    let server = BoundServer::at(&format!("{}:0", unique_loopback()), |builder| builder);
    let server = server.run(gated(gate.waiter()));
    let address = server.address().to_string();
    let mut client = server.connect();
    client.get("/");
    gate.expect_arrived(1);
    server.begin_drain();
    expect_refused(address.parse().expect("the address is numeric"));
    gate.open();
    client.expect_status(200);
    server.expect_end();
}

#[test]
fn one_port_can_be_bound_two_hundred_times_in_a_row() {
    let mut address = SocketAddr::from((unique_loopback(), 0));
    for round in 0..200 {
        let server = Server::builder()
            .listen(address)
            .workers(2)
            .drain_idle(Duration::ZERO)
            .bind()
            .expect("the address is free");
        if let ListenAddr::Tcp { port, .. } = &server.local_addrs()[0] {
            address.set_port(*port);
        }
        let server = BoundServer::from(server).run(describe);
        let mut client = server.connect();
        client.get(&format!("/{round}"));
        client.expect_body(format!("GET /{round} "));
        // The server closes first, which leaves its port in TIME_WAIT.
        let report = server.shut_down();
        assert_eq!(
            (report.accepted, report.answered, report.aborted),
            (1, 1, 0)
        );
        client.expect_closed();
        expect_refused(address);
    }
}

#[test]
fn drain_covers_every_listener() {
    let (first, second) = (unique_loopback(), unique_loopback());
    let any_port = |ip: Ipv4Addr| SocketAddr::from((ip, 0));
    let server = Server::builder()
        .listen(any_port(first))
        .listen(any_port(second))
        .bind()
        .expect("the addresses are free");
    let addresses = server.local_addrs().to_vec();
    let mut clients: Vec<Client> = addresses.iter().map(Client::connect).collect();
    for client in &mut clients {
        client.get("/");
    }
    server.handle().shutdown();
    let server = BoundServer::from(server).run(describe);
    for client in &mut clients {
        assert!(client.expect_body("GET / ").announces_close());
    }
    assert_eq!(server.expect_end().answered, 2);
    for address in addresses {
        expect_refused(address.to_string().parse().expect("the address is numeric"));
    }
}

#[test]
fn late_client_bytes_do_not_reset_the_last_response() {
    let gate = Gate::new();
    let server = TestServer::spawn(|builder| builder, gated(gate.waiter()));
    let mut client = server.connect();
    client.get("/");
    gate.expect_arrived(1);
    server.begin_drain();
    gate.open();
    assert!(client.expect_body("GET / ").announces_close());
    // A request that crosses the last response is lost, but without a reset.
    client.get("/late").finish_sending();
    assert_eq!(client.read_rest(), (Vec::new(), End::Closed));
    assert_eq!(server.expect_end().aborted, 0);
}

#[test]
fn drain_reads_bodies_to_their_end() {
    let server = TestServer::spawn(|builder| builder, mirror);
    let body = vec![b'x'; 5 * 1024 * 1024];
    let mut client = server.connect();
    client.send(request::post_head("/", body.len())).send("x");
    server.expect_open(1);
    server.begin_drain();
    let sending = client.send_in_background(body[1..].to_vec());
    assert!(client.expect_body(&body).announces_close());
    let sent = sending.join().expect("sending does not panic");
    sent.expect("the whole body is sent");
    assert_eq!(server.expect_end().aborted, 0);
}
