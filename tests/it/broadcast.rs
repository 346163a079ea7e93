use httpool::http2::ErrorCode;
use httpool::sse::{self, Broadcast, Event, EventSender, last_event_id};
use httpool::{Handler, IntoResponse, Request, Response};

use crate::support::http2::{Http2Client, request_fields};
use crate::support::{
    BoundServer, Client, End, NEVER, SOON, TestServer, Transport, eventually, over_every_transport,
};

over_every_transport! {
    crowd_of_listeners_receives_each_event,
    reconnected_listener_receives_what_it_missed,
    slow_listener_is_dropped_and_counted,
    silent_listener_is_sent_comments,
    half_closed_listener_is_sent_a_comment,
    listener_that_leaves_is_removed,
    closed_broadcast_ends_its_streams_on_drain,
}

/// Requests events.
const LISTEN: &str = "GET /events HTTP/1.1\r\nHost: it\r\n\r\n";

/// Responds to `/events` with the events of the broadcast, and with text otherwise.
fn serving(news: &Broadcast) -> impl Handler {
    let news = news.clone();
    move |request: Request| -> Response {
        match request.uri().path() {
            "/events" => news
                .subscribe(last_event_id(request.headers()))
                .keep_alive(NEVER)
                .into_response(),
            "/restless" => news.subscribe(None).keep_alive(SOON).into_response(),
            _ => "hello".into_response(),
        }
    }
}

/// Sends a request for events and reads the head of the response.
#[track_caller]
fn listen(server: &TestServer, request: &str) -> Client {
    let mut client = server.connect();
    client.send(request);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(client.expect_bytes(1));
    }
    assert!(head.starts_with(b"HTTP/1.1 200 OK\r\n"));
    client
}

/// Reads one chunk, the last of which is empty.
#[track_caller]
fn read_chunk(client: &mut Client) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.extend(client.expect_bytes(1));
    }
    let line = String::from_utf8(line).expect("a length is ASCII");
    let length = usize::from_str_radix(line.trim_end(), 16).expect("a chunk has a length");
    let mut chunk = client.expect_bytes(length + 2);
    chunk.truncate(length);
    String::from_utf8(chunk).expect("events are text")
}

/// Reads as much as these events, which may arrive in any number of chunks.
#[track_caller]
fn expect_events(client: &mut Client, expected: &str) {
    let mut events = String::new();
    while events.len() < expected.len() {
        events += &read_chunk(client);
    }
    assert_eq!(events, expected);
}

fn event(id: u64) -> Event {
    Event::data("news").id(id)
}

/// The events with these ids as they are sent.
fn encoded(ids: impl IntoIterator<Item = u64>) -> String {
    ids.into_iter().map(|id| event(id).to_string()).collect()
}

#[track_caller]
fn expect_listeners(news: &Broadcast, count: usize) {
    eventually(&format!("{count} clients listen"), || {
        news.listeners() == count
    });
}

fn crowd_of_listeners_receives_each_event(transport: Transport) {
    let news = Broadcast::new();
    let server = transport.spawn(|builder| builder.workers(1), serving(&news));
    let mut clients: Vec<_> = (0..100).map(|_| listen(&server, LISTEN)).collect();
    assert_eq!(news.listeners(), 100);
    for id in 1..=3 {
        news.send(event(id));
        server.expect_serving();
    }
    for client in &mut clients {
        expect_events(client, &encoded(1..=3));
    }
    assert_eq!(news.dropped(), 0);
}

#[test]
fn thousand_listeners_leave_their_one_worker_free() {
    let news = Broadcast::new();
    let server = TestServer::spawn(|builder| builder.workers(1), serving(&news));
    let mut clients: Vec<_> = (0..1000).map(|_| listen(&server, LISTEN)).collect();
    server.expect_serving();
    for id in 1..=5 {
        news.send(event(id));
    }
    server.expect_serving();
    for client in &mut clients {
        expect_events(client, &encoded(1..=5));
    }
    drop(clients);
    expect_listeners(&news, 0);
    server.expect_open(0);
}

#[test]
fn thousand_streams_of_http2_receive_each_event() {
    let news = Broadcast::new();
    let server = TestServer::spawn(|builder| builder.workers(1), serving(&news));
    let mut clients: Vec<_> = (0..10)
        .map(|_| {
            let mut client = Http2Client::connect(&server);
            let streams: Vec<u32> = (0..100).map(|_| client.get("/events")).collect();
            client.settle();
            (client, streams)
        })
        .collect();
    expect_listeners(&news, 1000);
    for id in 1..=5 {
        news.send(event(id));
    }
    server.expect_serving();
    news.close();
    for (client, streams) in &mut clients {
        for stream in streams {
            client.expect_body(*stream, encoded(1..=5));
        }
    }
    assert_eq!((news.listeners(), news.dropped()), (0, 0));
}

fn reconnected_listener_receives_what_it_missed(transport: Transport) {
    let news = Broadcast::new();
    let server = transport.spawn(|builder| builder, serving(&news));
    let mut client = listen(&server, LISTEN);
    news.send(event(1));
    expect_events(&mut client, &encoded([1]));
    client.reset();
    (2..=3).for_each(|id| news.send(event(id)));
    let again = "GET /events HTTP/1.1\r\nHost: it\r\nLast-Event-ID: 1\r\n\r\n";
    let mut client = listen(&server, again);
    expect_events(&mut client, &encoded(2..=3));
    news.send(event(4));
    expect_events(&mut client, &encoded([4]));
}

fn slow_listener_is_dropped_and_counted(transport: Transport) {
    let news = Broadcast::with_history(4, usize::MAX);
    // The client reads nothing until all events are sent.
    let server = transport.spawn(
        |builder| builder.write_timeout(NEVER).min_rate_grace(NEVER),
        serving(&news),
    );
    let mut slow = listen(&server, LISTEN);
    // More than all buffers between the server and its client.
    let large = Event::data("x".repeat(512 * 1024));
    for id in 1..=64 {
        news.send(large.clone().id(id));
    }
    let mut events = 0;
    while !read_chunk(&mut slow).is_empty() {
        events += 1;
    }
    assert!((0..64).contains(&events), "{events} events");
    assert_eq!((news.dropped(), news.listeners()), (1, 0));
    // The connection is kept, and the listener continues with the history.
    let again = "GET /events HTTP/1.1\r\nHost: it\r\nLast-Event-ID: 1\r\n\r\n";
    let mut again = listen(&server, again);
    let mut text = read_chunk(&mut again);
    text.truncate(7);
    assert_eq!(text, "id: 61\n");
}

#[test]
fn slow_stream_of_http2_is_dropped_and_counted() {
    let news = Broadcast::with_history(4, usize::MAX);
    let server = TestServer::spawn(|builder| builder, serving(&news));
    let mut client = Http2Client::connect(&server).without_credit();
    let slow = client.get("/events");
    expect_listeners(&news, 1);
    // The window of the stream has room for one of them.
    let text = "x".repeat(40_000);
    for id in 1..=2 {
        news.send(Event::data(&text).id(id));
        client.settle();
    }
    (3..=10).for_each(|id| news.send(Event::data(&text).id(id)));
    client.settle();
    assert_eq!(news.listeners(), 1, "it waits for credit");
    client.give_credit(0, 1 << 20).give_credit(slow, 1 << 20);
    let response = client.expect_status(slow, 200);
    assert!(response.body.starts_with(b"id: 1\n"));
    assert_eq!((news.dropped(), news.listeners()), (1, 0));
}

fn silent_listener_is_sent_comments(transport: Transport) {
    let news = Broadcast::new();
    let server = transport.spawn(|builder| builder.workers(1), serving(&news));
    let mut client = listen(&server, "GET /restless HTTP/1.1\r\nHost: it\r\n\r\n");
    expect_events(&mut client, ": \n\n: \n\n");
    server.expect_serving();
}

#[test]
fn silent_stream_of_http2_is_sent_comments() {
    let news = Broadcast::new();
    let server = TestServer::spawn(|builder| builder.workers(1), serving(&news));
    let mut client = Http2Client::connect(&server);
    let stream = client.request(&request_fields("GET", "/restless"));
    client.read_until("two comments", |client| {
        client.reply(stream).body_length() >= 8
    });
    news.close();
    let response = client.expect_status(stream, 200);
    assert!(response.body.starts_with(b": \n\n: \n\n"));
}

fn half_closed_listener_is_sent_a_comment(transport: Transport) {
    let news = Broadcast::new();
    let server = transport.spawn(|builder| builder, serving(&news));
    let mut client = listen(&server, LISTEN);
    client.finish_sending();
    expect_events(&mut client, ": \n\n");
    news.send(event(1));
    expect_events(&mut client, &encoded([1]));
    news.close();
    assert_eq!(read_chunk(&mut client), "");
}

fn listener_that_leaves_is_removed(transport: Transport) {
    let news = Broadcast::new();
    let server = transport.spawn(|builder| builder, serving(&news));
    let clients = [(); 4].map(|()| listen(&server, LISTEN));
    expect_listeners(&news, 4);
    let [first, second, _third, _fourth] = clients;
    first.reset();
    // A closed connection looks half-closed until something is sent.
    drop(second);
    expect_listeners(&news, 2);
    server.expect_open(2);
}

#[test]
fn stream_of_http2_that_is_reset_is_removed() {
    let news = Broadcast::new();
    let server = TestServer::spawn(|builder| builder, serving(&news));
    let mut client = Http2Client::connect(&server);
    let streams = [(); 3].map(|()| client.get("/events"));
    expect_listeners(&news, 3);
    client.reset(streams[0], ErrorCode::Cancel);
    expect_listeners(&news, 2);
    client.disconnect();
    expect_listeners(&news, 0);
}

fn closed_broadcast_ends_its_streams_on_drain(transport: Transport) {
    let news = Broadcast::new();
    let server = transport.spawn(|builder| builder, serving(&news));
    let mut clients = [(); 20].map(|()| listen(&server, LISTEN));
    server.begin_drain();
    news.send(event(1));
    news.close();
    for client in &mut clients {
        expect_events(client, &encoded([1]));
        let (rest, end) = client.read_rest();
        assert_eq!((&*rest, end), (&b"0\r\n\r\n"[..], End::Closed));
    }
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (20, 0));
}

#[test]
fn drain_ends_a_thousand_streams_in_order() {
    let news = Broadcast::new();
    let server = TestServer::spawn(|builder| builder.workers(2), serving(&news));
    let mut clients: Vec<_> = (0..1000).map(|_| listen(&server, LISTEN)).collect();
    let streams = news.clone();
    server.handle().on_shutdown(move || streams.close());
    server.handle().shutdown();
    for client in &mut clients {
        assert_eq!(client.read_rest(), (b"0\r\n\r\n".to_vec(), End::Closed));
    }
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (1000, 0));
    assert_eq!((news.listeners(), news.dropped()), (0, 0));
}

/// Half of them by a reset, the others as programs that end.
#[test]
fn thousand_listeners_leave_at_once() {
    let news = Broadcast::new();
    let server = TestServer::spawn(|builder| builder.workers(2), serving(&news));
    for _ in 0..2 {
        let clients: Vec<_> = (0..1000).map(|_| listen(&server, LISTEN)).collect();
        expect_listeners(&news, 1000);
        for (index, client) in clients.into_iter().enumerate() {
            match index % 2 {
                0 => client.reset(),
                _ => drop(client),
            }
        }
        expect_listeners(&news, 0);
        server.expect_open(0);
        let snapshot = server.handle().snapshot();
        assert_eq!((snapshot.busy, snapshot.buffered), (0, 0));
        server.expect_serving();
    }
}

#[test]
fn open_broadcast_is_aborted_at_the_drain_deadline() {
    let news = Broadcast::new();
    let server = TestServer::spawn(|builder| builder.drain_timeout(SOON), serving(&news));
    let _clients = [(); 3].map(|()| listen(&server, LISTEN));
    server.handle().shutdown();
    let report = server.expect_end();
    assert_eq!((report.aborted, report.abandoned_workers), (3, 0));
    assert_eq!(news.listeners(), 0);
    // The broadcast outlives its server.
    news.send(event(1));
    news.close();
}

/// Both clients' events come from one thread.
#[test]
fn events_of_a_channel_come_from_any_thread() {
    let (streams, opened) = std::sync::mpsc::channel::<EventSender>();
    let server = BoundServer::new(|builder| builder.workers(1));
    let server = server.run(move |request: Request| -> Response {
        if request.uri() != "/events" {
            return "hello".into_response();
        }
        let (sender, events) = sse::channel();
        streams.send(sender).expect("the test runs");
        events.keep_alive(NEVER).into_response()
    });
    let mut clients = [(); 2].map(|()| listen(&server, LISTEN));
    let senders = [(); 2].map(|()| opened.recv().expect("each request opens a stream"));
    for id in 1..=2 {
        for sender in &senders {
            sender.send(event(id)).expect("the client listens");
        }
        for client in &mut clients {
            expect_events(client, &encoded([id]));
        }
        server.expect_serving();
    }
    let [first, mut second] = clients;
    first.reset();
    eventually("the sender learns it", || senders[0].is_closed());
    drop(senders);
    assert_eq!(read_chunk(&mut second), "");
}
