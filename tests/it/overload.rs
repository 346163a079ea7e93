use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{BoundServer, Client, alone, open_descriptors, tell};

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
