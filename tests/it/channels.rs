#[cfg(feature = "gzip")]
mod compressed;
/// How responses end that are not complete, and what their senders learn.
mod ends;
mod limits;

use std::io::Read;
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};
use httpool::http::{HeaderMap, HeaderValue};
use httpool::{Body, BodyMode, BodySender, Builder, Handler, IntoResponse, Request, Response};

use crate::sse::expect_head;
use crate::support::{
    Client, TIMEOUT, TestServer, Transport, eventually, over_every_transport, request,
};

over_every_transport! {
    content_arrives_at_once_while_all_workers_are_free,
    large_content_arrives_whole,
    requests_behind_a_waiting_response_keep_their_order,
    half_closed_client_gets_the_rest,
    streamed_body_can_be_answered_with_a_channel,
}

/// Bytes that wait in a channel.
const LIMIT: usize = 64 * 1024;

/// A server whose responses to `/wait` come from the senders.
struct Channels {
    server: TestServer,
    senders: Receiver<BodySender>,
}

impl Channels {
    fn spawn(transport: Transport, configure: impl FnOnce(Builder) -> Builder) -> Self {
        let (new, senders) = unbounded();
        let handler = move |request: Request| match request.uri().path() {
            "/wait" => {
                let (sender, body) = Body::channel(LIMIT);
                new.send(sender).expect("the test waits for it");
                body
            }
            _ => Body::from("beside"),
        };
        Self {
            server: transport.spawn(configure, handler),
            senders,
        }
    }

    /// The sender of the next response.
    #[track_caller]
    fn sender(&self) -> BodySender {
        let sender = self.senders.recv_timeout(TIMEOUT);
        sender.expect("the handler is called")
    }

    /// Requests a response and reads its head.
    #[track_caller]
    fn open(&self) -> (Client, BodySender) {
        let mut client = self.server.connect();
        client.get("/wait");
        expect_head(&mut client);
        (client, self.sender())
    }

    #[track_caller]
    fn expect_busy(&self, workers: usize) {
        eventually(&format!("{workers} workers are busy"), || {
            self.server.handle().snapshot().busy == workers
        });
    }
}

#[track_caller]
fn expect_chunk(client: &mut Client, content: &str) {
    let chunk = format!("{:x}\r\n{content}\r\n", content.len());
    let received = client.expect_bytes(chunk.len());
    assert_eq!(String::from_utf8_lossy(&received), chunk);
}

#[track_caller]
fn expect_last_chunk(client: &mut Client) {
    assert_eq!(client.expect_bytes(5), b"0\r\n\r\n");
}

fn content_arrives_at_once_while_all_workers_are_free(transport: Transport) {
    let channels = Channels::spawn(transport, |builder| builder.workers(1));
    let mut client = channels.server.connect();
    for _ in 0..2 {
        client.get("/wait");
        expect_head(&mut client);
        let sender = channels.sender();
        // Each part arrives before the next one is sent.
        for part in ["one", "two", "three"] {
            channels.expect_busy(0);
            channels.server.expect_serving();
            sender.send(part).expect("the client is there");
            expect_chunk(&mut client, part);
        }
        drop(sender);
        expect_last_chunk(&mut client);
    }
    // The connection is kept.
    client.get_and_close("/beside").expect_body("beside");
    client.expect_closed();
}

fn large_content_arrives_whole(transport: Transport) {
    let channels = Channels::spawn(transport, |builder| builder.workers(1));
    let mut client = channels.server.connect();
    client.get("/wait");
    let sender = channels.sender();
    let sizes = [1, 8 * 1024, 8 * 1024 + 1, LIMIT, 3_000_000, 7, 700_000];
    let content = sizes.map(|size| vec![b'a' + (size % 26) as u8; size]);
    let parts = content.clone();
    let thread = thread::spawn(move || {
        for part in parts {
            sender.send(part).expect("the client reads");
        }
    });
    client.expect_body(content.concat());
    thread.join().expect("sending does not panic");
}

fn requests_behind_a_waiting_response_keep_their_order(transport: Transport) {
    let channels = Channels::spawn(transport, |builder| builder.workers(1));
    let mut client = channels.server.connect();
    client.send([request::get("/wait"), request::get("/wait")].concat());
    let first = channels.sender();
    expect_head(&mut client);
    channels.expect_busy(0);
    // It arrives while the connection waits for another thread.
    client.get("/beside");
    first.send("first").expect("the client is there");
    expect_chunk(&mut client, "first");
    channels.expect_busy(0);
    assert!(
        channels.senders.is_empty(),
        "the first response is not complete"
    );
    drop(first);
    expect_last_chunk(&mut client);
    let second = channels.sender();
    second.send("second").expect("the client is there");
    drop(second);
    client.expect_body("second");
    client.expect_body("beside");
}

#[test]
fn hundreds_of_responses_wait_without_a_worker() {
    const RESPONSES: usize = 200;
    let channels = Channels::spawn(Transport::Tcp, |builder| builder.workers(1));
    let mut waiting: Vec<_> = (0..RESPONSES).map(|_| channels.open()).collect();
    channels.expect_busy(0);
    channels.server.expect_serving();
    for _ in 0..3 {
        for (_, sender) in &waiting {
            sender.send("to all").expect("the client is there");
        }
        for (client, _) in &mut waiting {
            expect_chunk(client, "to all");
        }
        channels.server.expect_serving();
    }
    for (mut client, sender) in waiting {
        drop(sender);
        expect_last_chunk(&mut client);
    }
    assert_eq!(channels.server.handle().snapshot().buffered, 0);
}

fn half_closed_client_gets_the_rest(transport: Transport) {
    let channels = Channels::spawn(transport, |builder| builder.workers(1));
    let (mut client, sender) = channels.open();
    client.finish_sending();
    for part in ["one", "two"] {
        channels.expect_busy(0);
        sender.send(part).expect("the client reads");
        expect_chunk(&mut client, part);
    }
    drop(sender);
    expect_last_chunk(&mut client);
    client.expect_closed();
}

#[test]
fn trailers_are_those_of_the_sender() {
    let channels = Channels::spawn(Transport::Tcp, |builder| builder);
    let (mut client, sender) = channels.open();
    let trailers = |count: u32| {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-count", HeaderValue::from(count));
        trailers
    };
    sender.set_trailers(trailers(1));
    sender.send("hello").expect("the client is there");
    sender.set_trailers(trailers(5));
    drop(sender);
    expect_chunk(&mut client, "hello");
    let end = b"0\r\nx-count: 5\r\n\r\n";
    assert_eq!(client.expect_bytes(end.len()), end);
}

#[test]
fn http10_content_ends_with_the_connection() {
    let channels = Channels::spawn(Transport::Tcp, |builder| builder);
    let mut client = channels.server.connect();
    client.send("GET /wait HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let sender = channels.sender();
    expect_head(&mut client);
    for part in ["one", "two"] {
        sender.send(part).expect("the client is there");
        assert_eq!(client.expect_bytes(3), part.as_bytes());
    }
    drop(sender);
    client.expect_closed();
}

#[test]
fn response_without_content_drops_its_body() {
    let channels = Channels::spawn(Transport::Tcp, |builder| builder);
    let mut client = channels.server.connect();
    client.send("HEAD /wait HTTP/1.1\r\nHost: it\r\n\r\n");
    let response = client.expect_response_to_head();
    assert_eq!(response.header("transfer-encoding"), Some("chunked"));
    let sender = channels.sender();
    eventually("the body is dropped", || sender.is_closed());
    client.get("/beside").expect_body("beside");
}

/// Echoes a streamed request body through a channel.
struct Echo(Sender<BodySender>);

impl Handler for Echo {
    fn handle(&self, request: &mut Request) -> Response {
        let mut content = String::new();
        let read = request.body_mut().read_to_string(&mut content);
        read.expect("the body arrives");
        let (sender, body) = Body::channel(LIMIT);
        sender.send(content).expect("the body is open");
        self.0.send(sender).expect("the test waits for it");
        body.into_response()
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        BodyMode::Streaming { most: u64::MAX }
    }
}

fn streamed_body_can_be_answered_with_a_channel(transport: Transport) {
    let (new, senders) = unbounded();
    let server = transport.spawn(|builder| builder.workers(1), Echo(new));
    let mut client = server.connect();
    for content in ["one", "two"] {
        // The body arrives after the handler was called.
        client.send(request::post_head("/", content.len()));
        client.send(content);
        expect_head(&mut client);
        expect_chunk(&mut client, content);
        let sender = senders.recv_timeout(TIMEOUT);
        let sender = sender.expect("the handler is called");
        sender.send("more").expect("the client is there");
        expect_chunk(&mut client, "more");
        drop(sender);
        expect_last_chunk(&mut client);
    }
}
