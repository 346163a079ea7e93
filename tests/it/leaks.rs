use std::fs;

use httpool::{Request, Server};

use crate::support::{
    BoundServer, Client, TempPath, TestServer, describe, eventually, in_own_process,
    open_descriptors, request,
};

fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc is mounted");
    tasks.count()
}

/// Runs a server with clients in every state of a connection.
fn run_server(path: &TempPath) {
    let server = Server::builder()
        .listen(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))
        .listen(path.as_ref())
        .workers(4)
        .drain_idle(std::time::Duration::ZERO)
        .bind()
        .expect("the addresses are free");
    let addresses = server.local_addrs().to_vec();
    let server = BoundServer::from(server).run(|request: Request| {
        assert_ne!(request.uri(), "/panic", "a test asked for this");
        describe(request)
    });
    let mut clients = Vec::new();
    for address in &addresses {
        let mut idle = Client::connect(address);
        idle.get("/").expect_body("GET / ");
        Client::connect(address)
            .get_and_close("/")
            .expect_status(200);
        Client::connect(address).get("/panic").expect_status(500);
        Client::connect(address)
            .send("nonsense\r\n\r\n")
            .expect_status(400);
        let mut resetting = Client::connect(address);
        resetting.send(request::post_head("/", 5)).send("x");
        resetting.reset();
        clients.extend([idle, Client::connect(address)]);
    }
    server.shut_down();
}

#[test]
fn fifty_servers_leak_nothing() {
    in_own_process("leaks::fifty_servers_leak_nothing", || {
        let path = TempPath::new("leaks.sock");
        // The first run allocates what a process needs once.
        run_server(&path);
        let descriptors = open_descriptors();
        let threads_before = threads();
        for _ in 0..50 {
            run_server(&path);
        }
        assert_eq!(open_descriptors(), descriptors);
        // A joined thread may be listed for a moment longer.
        eventually("as many threads as before", || threads() == threads_before);
    });
}

#[test]
fn a_server_that_never_ran_leaks_nothing() {
    in_own_process("leaks::a_server_that_never_ran_leaks_nothing", || {
        let descriptors = open_descriptors();
        for _ in 0..3 {
            drop(BoundServer::new(|builder| builder));
        }
        assert_eq!(open_descriptors(), descriptors);
    });
}

#[test]
fn an_abandoned_worker_ends_with_its_handler() {
    use crate::support::{Gate, SOON};
    in_own_process("leaks::an_abandoned_worker_ends_with_its_handler", || {
        let (descriptors, threads_before) = (open_descriptors(), threads());
        let gate = Gate::new();
        let waiter = gate.waiter();
        let server = TestServer::spawn(
            |builder| builder.drain_timeout(SOON),
            move |_: Request| waiter.wait(),
        );
        let mut client = server.connect();
        client.get("/");
        gate.expect_arrived(1);
        assert_eq!(server.shut_down().abandoned_workers, 1);
        gate.open();
        drop(client);
        eventually("as many threads as before", || threads() == threads_before);
        assert_eq!(open_descriptors(), descriptors);
    });
}
