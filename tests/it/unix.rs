use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;

use httpool::sse::{Event, Events};
use httpool::{Body, Handler, Request};

use crate::support::{BoundServer, End, HUGE, NEVER, TempPath, TestServer};

/// A server on a Unix socket.
#[track_caller]
fn serve(path: &TempPath, handler: impl Handler) -> TestServer {
    let address = format!("unix:{}", path.as_ref().display());
    let server = BoundServer::at(&address, |builder| builder.write_timeout(NEVER));
    server.run(handler)
}

#[test]
fn router_serves_over_a_unix_socket() {
    use httpool::ClientInfo;
    use httpool::Router;
    use httpool::extract::{Path, State};

    let router: Router = Router::new()
        .get("/users/{id}", |Path(id): Path<u64>| format!("user {id}"))
        .post(
            "/state",
            |State(state): State<&'static str>, text: String| format!("{state} {text}"),
        )
        .get("/who", |client_info: ClientInfo| {
            client_info.peer().to_string()
        })
        .with_state("shared");
    let path = TempPath::new("router.sock");
    let server = serve(&path, router);
    let mut client = server.connect();
    client.get("/users/7").expect_body("user 7");
    client.post("/state", "text").expect_body("shared text");
    client.get("/who").expect_body("unix");
    client.get("/users/x").expect_status(400);
    let not_allowed = client.post("/users/7", "").expect_status(405);
    assert_eq!(not_allowed.header("allow"), Some("GET, HEAD, OPTIONS"));
    client.get_and_close("/nothing").expect_status(404);
    client.expect_closed();
}

#[test]
fn drain_finishes_a_stream_that_is_read() {
    let path = TempPath::new("streams.sock");
    let server = serve(&path, |request: Request| match request.uri().path() {
        "/" => Body::from_reader(io::repeat(b'x').take(HUGE as u64)),
        _ => Body::from("beside"),
    });
    let mut client = server.connect();
    client.get("/");
    client.expect_bytes(1);
    // Slow clients occupy no worker here either.
    let mut slow: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for client in &mut slow {
        client.get("/");
        client.expect_bytes(1);
    }
    server.expect_serving();
    server.begin_drain();
    let (rest, end) = client.read_rest();
    assert!(rest.ends_with(b"\r\n0\r\n\r\n"));
    assert_eq!(end, End::Closed);
}

#[test]
fn events_are_sent_at_once() {
    let (sender, receiver) = sync_channel(0);
    let receiver = Mutex::new(Some(receiver));
    let path = TempPath::new("sse.sock");
    let server = serve(&path, move |_: Request| {
        let receiver = receiver.lock().expect("no thread panicked").take();
        Events::received(receiver.expect("there is one request"))
    });
    let mut client = server.connect();
    client.get("/");
    let mut received = Vec::new();
    for event in ["data: a\n\n", "data: b\n\n"] {
        let data = event.trim_start_matches("data: ").trim_end();
        sender.send(Event::data(data)).expect("the stream is open");
        while !received.ends_with(format!("\r\n9\r\n{event}\r\n").as_bytes()) {
            received.extend(client.expect_bytes(1));
        }
    }
    drop(sender);
    assert_eq!(client.expect_bytes(5), b"0\r\n\r\n");
    server.expect_open(1);
}
