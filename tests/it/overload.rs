use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use httpool::{Builder, Request};

use crate::support::{
    BoundServer, Client, Gate, SOON, TestServer, alone, eventually, open_descriptors, tell,
};

/// What a server opens when it starts.
const SERVER: u64 = 4;

/// What this process may open beyond what it has open now.
fn limit_descriptors(more: u64) {
    let limit = Rlimit {
        current: Some(open_descriptors() as u64 + more),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).expect("a limit can be lowered");
}

#[test]
fn a_server_out_of_descriptors_waits_for_some() {
    alone(
        "overload::a_server_out_of_descriptors_waits_for_some",
        || {
            let server = BoundServer::new(|builder| builder);
            let mut clients: Vec<Client> = (0..30).map(|_| server.connect()).collect();
            limit_descriptors(SERVER + 5);
            let server = server.run(tell);
            for mut client in clients.drain(..) {
                client.get("/").expect_answer("GET / ");
            }
            assert_eq!(server.handle().progress().accepted, 30);
            server.expect_open(0);
        },
    );
}

/// The last accept finds neither a descriptor nor a client, and when there are descriptors again
/// there is still no client to tell that the pause is over.
#[test]
fn a_server_that_was_out_of_descriptors_rests_when_nobody_comes() {
    alone(
        "overload::a_server_that_was_out_of_descriptors_rests_when_nobody_comes",
        || {
            // For one of these the last client takes the last descriptor.
            for clients in 5..=5 + SERVER {
                let server = BoundServer::new(|builder| builder);
                let mut clients: Vec<Client> = (0..clients).map(|_| server.connect()).collect();
                limit_descriptors(SERVER + 5);
                let server = server.run(tell);
                for mut client in clients.drain(..) {
                    client.get("/").expect_answer("GET / ");
                }
                server.expect_open(0);
                // Time is the subject: a thread that never waits uses all of it.
                let before = processor_time();
                thread::sleep(4 * SOON);
                let used = processor_time() - before;
                assert!(used < 2 * SOON, "{used:?} of processor time for nothing");
                server.expect_serving();
                drop(server);
                limit_descriptors(1000);
            }
        },
    );
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("time is not negative")
}

#[test]
fn a_drain_out_of_descriptors_loses_nothing() {
    alone("overload::a_drain_out_of_descriptors_loses_nothing", || {
        let server = BoundServer::new(|builder| builder);
        let mut clients: Vec<Client> = (0..30).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.get("/");
        }
        limit_descriptors(SERVER + 5);
        server.handle().shutdown();
        let server = server.run(tell);
        for mut client in clients.drain(..) {
            assert!(client.expect_answer("GET / ").says_close());
        }
        let report = server.expect_end();
        assert_eq!((report.accepted, report.answered, report.cut), (30, 30, 0));
    });
}

/// A server whose two workers are held until the gate opens, and the clients that they are with.
#[track_caller]
fn held(configure: impl FnOnce(Builder) -> Builder) -> (TestServer, Gate, [Client; 2]) {
    let gate = Gate::new();
    let door = gate.door();
    let server = TestServer::spawn(configure, move |request: Request| {
        if request.uri() == "/gate" {
            door.pass();
        }
        tell(request)
    });
    let mut clients = [(); 2].map(|()| server.connect());
    for client in &mut clients {
        client.get("/gate");
    }
    gate.expect_arrived(clients.len());
    (server, gate, clients)
}

#[track_caller]
fn expect_queued(server: &TestServer, connections: usize) {
    eventually(&format!("{connections} connections wait"), || {
        server.handle().progress().queued == connections
    });
}

#[test]
fn what_waits_while_all_workers_are_held_is_seen() {
    let gone = {
        let (server, gate, mut held) = held(|builder| builder);
        let mut kept = server.connect();
        let mut waiting: Vec<Client> = (0..5).map(|_| server.connect()).collect();
        for client in &mut waiting {
            client.get("/");
        }
        expect_queued(&server, waiting.len());
        // Its connection is parked, and nobody is there to hear of its request.
        kept.get("/");
        expect_queued(&server, waiting.len() + 1);
        gate.open();
        for client in held.iter_mut().chain(&mut waiting).chain([&mut kept]) {
            client.expect_status(200);
        }
        expect_queued(&server, 0);
        let waits = server.handle().waits();
        assert!(waits.count >= 8, "{waits:?}");
        assert!(!waits.total.is_zero(), "{waits:?}");
        server.handle().clone()
    };
    assert_eq!(gone.progress().queued, 0);
}
