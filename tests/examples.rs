//! Each example runs and does what its head comment says.
//!
//! `cargo test` builds the examples, but `cargo test --test examples` does not: run `cargo build
//! --examples` first.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running example. It is killed on drop.
struct Example {
    child: Child,
    /// The lines that it prints; disconnected when it closes its standard output.
    lines: Receiver<String>,
    address: String,
}

struct Response {
    status: u16,
    head: String,
    body: String,
}

impl Example {
    fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    /// Starts the example with these arguments before the address.
    fn start_with(name: &str, arguments: &[&OsStr]) -> Self {
        let mut child = Command::new(path(name))
            .args(arguments)
            .arg("127.0.0.1:0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start, was it built? {error}"));
        let output = child.stdout.take().expect("standard output is piped");
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Fails if the test has ended.
                let _ = sender.send(line);
            }
        });
        let mut example = Self {
            child,
            lines,
            address: String::new(),
        };
        let line = example.line();
        example.address = line
            .strip_prefix("listening on http")
            .map(|rest| rest.trim_start_matches('s'))
            .and_then(|rest| rest.strip_prefix("://"))
            .unwrap_or_else(|| panic!("the first line of {name} is {line:?}"))
            .to_owned();
        example
    }

    /// The next line that it prints.
    fn line(&self) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        line.expect("the example prints a line in time")
    }

    /// Opens a WebSocket.
    fn open_websocket(&self) -> WebSocket<TcpStream> {
        let stream = TcpStream::connect(&self.address).expect("the example listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("the timeout is not zero");
        let url = format!("ws://{}/chat", self.address);
        let (socket, response) =
            tungstenite::client(url, stream).expect("the server accepts the handshake");
        assert_eq!(response.status(), 101);
        socket
    }

    /// The other end of its standard input.
    fn input(&mut self) -> ChildStdin {
        self.child
            .stdin
            .take()
            .expect("standard input is taken once")
    }

    fn get(&self, path: &str) -> Response {
        self.send(&format!("GET {path} HTTP/1.1\r\n"), "")
    }

    fn post(&self, path: &str, body: &str) -> Response {
        let head = format!(
            "POST {path} HTTP/1.1\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        self.send(&head, body)
    }

    fn send(&self, head: &str, body: &str) -> Response {
        let mut stream = TcpStream::connect(&self.address).expect("the example listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("the timeout is not zero");
        let request = format!(
            "{head}Host: {}\r\nConnection: close\r\n\r\n{body}",
            self.address
        );
        stream
            .write_all(request.as_bytes())
            .expect("the example reads the request");
        let mut response = String::new();
        stream
            .read_to_string(&mut response)
            .expect("the example answers in time");
        let (head, body) = response
            .split_once("\r\n\r\n")
            .expect("the response has a head");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Response {
            status: status.expect("the response has a status"),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// Requests events with these headers, and waits for the response head.
    fn listen(&self, headers: &str) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(&self.address).expect("the example listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("the timeout is not zero");
        write!(
            &stream,
            "GET /events HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"
        )
        .expect("the example reads the request");
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            reader
                .read_line(&mut line)
                .expect("the head arrives in time");
        }
        reader
    }

    /// Waits for the example to end by itself, and returns its remaining output.
    #[track_caller]
    fn expect_end(mut self) -> String {
        let mut last = String::new();
        let end = loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => last.extend([&line, "\n"]),
                Err(end) => break end,
            }
        };
        assert_eq!(end, mpsc::RecvTimeoutError::Disconnected);
        // Its output is closed: it has ended or is about to end.
        let status = self.child.wait().expect("the child can be waited for");
        assert!(status.success(), "{status}");
        last
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // Fails if the example has ended, which does not matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next events. Comments are skipped; each arrives in a chunk of its own.
fn read_events(reader: &mut BufReader<TcpStream>, count: usize) -> String {
    let mut events = String::new();
    while events.matches("\n\n").count() < count {
        let mut size = String::new();
        reader
            .read_line(&mut size)
            .expect("a chunk arrives in time");
        let size = usize::from_str_radix(size.trim_end(), 16).expect("a chunk has a size");
        let mut chunk = vec![0; size + 2];
        reader
            .read_exact(&mut chunk)
            .expect("the chunk is complete");
        chunk.truncate(size);
        let chunk = String::from_utf8(chunk).expect("events are text");
        if !chunk.starts_with(':') {
            events += &chunk;
        }
    }
    events
}

/// Tests are built in `deps`, examples in `examples` beside it.
fn path(name: &str) -> PathBuf {
    let test = env::current_exe().expect("the test knows its path");
    let target = test.ancestors().nth(2).expect("the test is in deps");
    target.join("examples").join(name)
}

#[test]
fn hello_greets() {
    let hello = Example::start("hello");
    let response = hello.get("/some/path?x=1");
    assert_eq!(response.status, 200);
    assert_eq!(response.body, "Hello! You asked for /some/path?x=1\n");
}

#[test]
fn uploads_are_parsed_and_saved() {
    let folder = env::temp_dir().join(format!("httpool-uploads-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the folder can be created");
    // The folder follows the address.
    let mut uploads = Example::start_with("uploads", &["127.0.0.1:0".as_ref(), folder.as_ref()]);
    let post = |path: &str, parts: &[(&str, &str)]| {
        let part = |(names, content): &(&str, &str)| {
            format!("--b\r\nContent-Disposition: form-data; name={names}\r\n\r\n{content}\r\n")
        };
        let body = parts.iter().map(part).collect::<String>() + "--b--\r\n";
        let head = format!(
            "POST {path} HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\n\
             Content-Length: {}\r\n",
            body.len()
        );
        let response = uploads.send(&head, &body);
        (response.status, response.body)
    };
    let title = ("title", "Sunset");
    let picture = ("picture; filename=\"../a.jpg\"", "JFIF");
    let answer = post("/pictures", &[title, picture]);
    assert_eq!(answer, (200, "Sunset: \"../a.jpg\" of 4 bytes\n".into()));
    let answer = post("/pictures", &[title, ("picture; filename=\"\"", "")]);
    assert_eq!(answer, (200, "Sunset: no picture\n".into()));
    assert_eq!(post("/pictures", &[picture]).0, 422);
    let answer = post("/files", &[picture]);
    assert_eq!(answer, (201, "a.jpg: 4 bytes\n".into()));
    assert_eq!(post("/files", &[picture]).0, 409);
    let saved = std::fs::read(folder.join("a.jpg")).expect("the file is saved");
    assert_eq!(saved, b"JFIF");
    drop(uploads.child.kill());
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");
}

/// Also over HTTP/1.1, whose chunked coding has trailers too. `tests/clients` has a real client.
#[test]
fn grpc_replies_and_ends_with_a_status() {
    let grpc = Example::start("grpc");
    let call = |method: &str, content_type: &str, body: &str| {
        let length = body.len();
        let head = format!(
            "POST /helloworld.Greeter/{method} HTTP/1.1\r\nContent-Type: {content_type}\r\n\
             Content-Length: {length}\r\n"
        );
        grpc.send(&head, body)
    };
    let ada = "\0\0\0\0\x05\n\x03Ada";
    let response = call("SayHello", "application/grpc", ada);
    assert!(
        response.head.contains("content-type: application/grpc"),
        "{}",
        response.head
    );
    let expected = "12\r\n\0\0\0\0\r\n\x0bHello, Ada!\r\n0\r\ngrpc-status: 0\r\n\r\n";
    assert_eq!(response.body, expected);
    let response = call("SayHelloStreamReply", "application/grpc+proto", ada);
    assert_eq!(response.body.matches("Hello, Ada! (").count(), 5);
    assert!(response.body.ends_with("grpc-status: 0\r\n\r\n"));
    for (body, status) in [
        ("\0\0\0\0\x06\n\x03Ada", 3),
        ("\0\0\0\0\x04\n\x03Ad", 3),
        ("\x01\0\0\0\x05\n\x03Ada", 12),
    ] {
        let response = call("SayHello", "application/grpc", body);
        let header = format!("grpc-status: {status}\r\n");
        assert!(response.head.contains(&header), "{}", response.head);
        assert_eq!(response.body, "");
    }
    assert_eq!(call("SayHello", "text/plain", ada).status, 415);
    assert_eq!(call("SayGoodbye", "application/grpc", ada).status, 404);
}

#[test]
fn json_echo_returns_the_parsed_order() {
    let json_echo = Example::start("json_echo");
    for (body, expected) in [
        (
            r#"{"item": "tea", "cups": 2}"#,
            r#"{"item":"tea","cups":2}"#,
        ),
        (r#"{"item": "tea"}"#, r#"{"item":"tea","cups":1}"#),
    ] {
        let response = json_echo.post("/", body);
        assert_eq!(response.status, 200, "{body}");
        assert!(response.head.contains("content-type: application/json"));
        assert_eq!(response.body, expected);
    }
}

#[test]
fn json_echo_names_mistakes() {
    let json_echo = Example::start("json_echo");
    for (body, mistake) in [
        ("{\"item\": \"tea\",\n \"cups\" 2}", "line 2 column 9"),
        (r#"{"item": "tea", "cups": "two"}"#, "line 1 column 29"),
        (r#"{"cups": 2}"#, "missing field `item`"),
    ] {
        let response = json_echo.post("/", body);
        assert_eq!(response.status, 400, "{body}");
        assert!(
            response
                .head
                .contains("content-type: application/problem+json")
        );
        assert!(response.body.contains(mistake), "{}", response.body);
    }
    let response = json_echo.get("/");
    assert_eq!(response.status, 405);
    assert!(response.head.contains("allow: POST"));
}

#[test]
fn routes_stores_books() {
    let routes = Example::start("routes");
    let response = routes.post("/books", r#"{"title": "Afloat"}"#);
    assert_eq!((response.status, &*response.body), (201, "/books/1\n"));
    assert_eq!(routes.get("/books/1").body, r#"{"title":"Afloat"}"#);
    assert_eq!(routes.get("/books").body, r#"{"1":{"title":"Afloat"}}"#);
    assert_eq!(routes.get("/books?from=2").body, "{}");
    for (response, status, reason) in [
        (routes.get("/books/2"), 404, "book 2 not found"),
        (routes.get("/books/x"), 400, "is not a valid id"),
        (routes.get("/books?from=x"), 400, "invalid query"),
        (routes.post("/books", "{"), 400, "the body is not JSON"),
        (
            routes.post("/books", r#"{"title": 1}"#),
            422,
            "expected a string",
        ),
        (
            routes.post("/books", r#"{"title": ""}"#),
            422,
            "the title is missing",
        ),
        (routes.post("/books/1", ""), 405, ""),
        (routes.get("/"), 200, "/books"),
    ] {
        assert_eq!(response.status, status, "{}", response.body);
        assert!(response.body.contains(reason), "{}", response.body);
    }
}

#[cfg(all(
    feature = "password-hashes",
    feature = "rate-limit",
    feature = "sessions"
))]
#[test]
fn login_shows_each_message_once() {
    let login = Example::start("login");
    let post = |target: &str, cookie: &str, form: &str| {
        let head = format!(
            "POST {target} HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n{cookie}",
            form.len()
        );
        login.send(&head, form)
    };
    let cookie_of = |response: &Response| {
        let mut lines = response.head.lines();
        let cookie = lines.rfind(|line| line.starts_with("set-cookie: "));
        let cookie = cookie.and_then(|line| line.split([' ', ';']).nth(1));
        format!(
            "Cookie: {}\r\n",
            cookie.expect("the response sets a cookie")
        )
    };
    let home = |cookie: &str| login.send(&format!("GET / HTTP/1.1\r\n{cookie}"), "").body;
    assert!(home("").contains("Hello, stranger"));
    let wrong = post("/login", "", "name=ada&password=x");
    let cookie = cookie_of(&wrong);
    assert!(home(&cookie).contains("password is wrong"));
    assert!(!home(&cookie).contains("password is wrong"));
    let right = post("/login", &cookie, "name=ada&password=lovelace");
    assert_eq!(right.status, 303);
    let cookie = cookie_of(&right);
    let page = home(&cookie);
    assert!(
        page.contains("You are logged in.") && page.contains("Hello, ada"),
        "{page}"
    );
    let other_site = format!("{cookie}Origin: https://evil.example\r\n");
    assert_eq!(post("/logout", &other_site, "").status, 403);
    let out = post("/logout", &cookie, "");
    assert!(home(&cookie).contains("Hello, stranger"));
    assert!(home(&cookie_of(&out)).contains("You are logged out."));
}

#[cfg(all(feature = "basic-auth", feature = "gzip", feature = "rate-limit"))]
#[test]
fn middleware_wraps_the_handler() {
    let middleware = Example::start("middleware");
    let response = middleware.get("/");
    assert_eq!((response.status, &*response.body), (200, "hello\n"));
    for header in ["x-took-microseconds: ", "x-content-type-options: nosniff"] {
        assert!(response.head.contains(header), "{}", response.head);
    }
    let response = middleware.get("/poem");
    assert!(response.head.contains("vary: accept-encoding"));
    assert!(response.body.len() > 5000);
    // HEAD, because a compressed body is not text.
    let head = "HEAD /poem HTTP/1.1\r\nAccept-Encoding: gzip\r\n";
    let response = middleware.send(head, "");
    assert!(
        response.head.contains("content-encoding: gzip"),
        "{}",
        response.head
    );
    let response = middleware.get("/admin");
    assert_eq!(response.status, 401);
    let challenge = "www-authenticate: Basic realm=\"Admin\"";
    assert!(response.head.contains(challenge), "{}", response.head);
    let head = "GET /admin HTTP/1.1\r\nAuthorization: Basic YWRhOmxvdmVsYWNl\r\n";
    assert_eq!(middleware.send(head, "").body, "only ada sees this\n");
    let response = middleware.get("/slow");
    assert_eq!(response.status, 503);
    assert!(response.head.contains("retry-after: 1"));
    let response = middleware.get("/broken");
    assert_eq!(response.status, 500);
    assert!(response.body.contains("we are looking into it"));
}

#[test]
fn sse_sends_events_to_every_listener() {
    let mut sse = Example::start("sse");
    let mut listeners = [(); 20].map(|()| sse.listen(""));
    for words in ["hello", "two\nlines"] {
        assert_eq!(sse.post("/say", words).status, 204);
    }
    let mut first_id = String::new();
    for listener in &mut listeners {
        let events = read_events(listener, 2);
        let (id, hello) = without_id(&events);
        let (hello, two) = hello.split_at(hello.find("id: ").expect("there are two events"));
        assert_eq!(hello, "data: hello\n\n");
        assert_eq!(without_id(two).1, "data: two\ndata: lines\n\n");
        first_id = id.to_owned();
    }
    // A client that reconnects gets the events that it missed.
    let mut again = sse.listen(&format!("Last-Event-ID: {first_id}\r\n"));
    assert_eq!(
        without_id(&read_events(&mut again, 1)).1,
        "data: two\ndata: lines\n\n"
    );
    assert!(sse.get("/").body.contains("EventSource"));
    drop(sse.input());
    let report = sse.expect_end();
    assert!(report.contains(", 0 aborted"), "{report}");
}

/// The id of an event, and its other lines.
fn without_id(event: &str) -> (&str, &str) {
    let event = event.strip_prefix("id: ").expect("an event has an id");
    event.split_once('\n').expect("an event has lines")
}

#[test]
fn long_poll_gives_the_next_message_to_all_who_wait() {
    let mut example = Example::start("long_poll");
    assert_eq!(example.get("/messages/2").status, 404);
    let ask = |number: u32| {
        let mut client = TcpStream::connect(&example.address).expect("the example listens");
        let timeout = client.set_read_timeout(Some(PATIENCE));
        timeout.expect("a socket can have a timeout");
        let request = format!("GET /messages/{number} HTTP/1.0\r\nHost: a\r\n\r\n");
        let sent = client.write_all(request.as_bytes());
        sent.expect("the socket has room");
        client
    };
    let response = |mut client: TcpStream| {
        let mut response = String::new();
        let read = client.read_to_string(&mut response);
        read.expect("the connection closes after its response");
        response
    };
    // More clients than workers wait.
    let waiting: Vec<_> = (0..8).map(|_| ask(1)).collect();
    assert_eq!(example.post("/say", "hello").status, 204);
    for client in waiting {
        let response = response(client);
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
        assert!(response.ends_with("\r\nhello"), "{response}");
    }
    let client = ask(2);
    drop(example.input());
    let response = response(client);
    assert!(response.starts_with("HTTP/1.1 204 "), "{response}");
    let report = example.expect_end();
    assert!(report.contains(", 0 aborted"), "{report}");
}

#[test]
fn files_serves_a_folder_next_to_routes() {
    let files = Example::start("files");
    assert!(files.get("/").body.contains("docs/wire.md"));
    let response = files.get("/docs/wire.md");
    assert_eq!(response.status, 200);
    assert!(response.body.starts_with("# What we promise on the wire"));
    let part = files.send("GET /docs/wire.md HTTP/1.1\r\nRange: bytes=2-8\r\n", "");
    assert_eq!((part.status, &*part.body), (206, "What we"));
    assert_eq!(files.get("/docs/../Cargo.toml").status, 404);
}

#[test]
fn websocket_is_a_chat() {
    let example = Example::start("websocket");
    assert!(example.get("/").body.contains("new WebSocket"));
    let mut sockets = Vec::new();
    for name in ["first", "second"] {
        sockets.push(example.open_websocket());
        let newest = sockets.last_mut().expect("one is open");
        newest
            .send(Message::text(name))
            .expect("a message can be sent");
        // The newest has joined when its own message comes back.
        for socket in &mut sockets {
            let message = socket.read().expect("a message arrives");
            assert_eq!(message, Message::text(name));
        }
    }
    let large = "x".repeat(60_000);
    for text in ["", "news", &large] {
        for speaker in 0..sockets.len() {
            let sent = sockets[speaker].send(Message::text(text));
            sent.expect("a message can be sent");
            for socket in &mut sockets {
                let message = socket.read().expect("a message arrives");
                assert_eq!(message, Message::text(text));
            }
        }
    }
    let mut second = sockets.pop().expect("two are open");
    let mut first = sockets.pop().expect("two are open");
    first
        .send(Message::Ping("p".into()))
        .expect("the ping can be sent");
    let pong = first.read().expect("a pong comes back");
    assert_eq!(pong, Message::Pong("p".into()));
    first.close(None).expect("the close frame can be sent");
    let close_frame = first.read().expect("a close frame comes back");
    assert!(close_frame.is_close(), "{close_frame}");
    let end = first.read();
    assert!(matches!(end, Err(tungstenite::Error::ConnectionClosed)));
    // Larger than the example accepts.
    let huge = Message::text("x".repeat(70_000));
    second.send(huge).expect("a message can be sent");
    assert_eq!(close_code(&mut second), CloseCode::Size);
}

/// The code of the next close frame.
#[track_caller]
fn close_code(socket: &mut WebSocket<TcpStream>) -> CloseCode {
    match socket.read().expect("a frame arrives") {
        Message::Close(Some(frame)) => frame.code,
        message => panic!("no close frame with a code: {message}"),
    }
}

#[test]
fn websocket_names_protocol_errors() {
    let example = Example::start("websocket");
    // The mask is zero, so the payload is sent unchanged.
    for (frame, code) in [
        (&b"\x81\x01a"[..], CloseCode::Protocol),
        (b"\xf1\x81\0\0\0\0a", CloseCode::Protocol),
        (b"\x83\x80\0\0\0\0", CloseCode::Protocol),
        (b"\x80\x80\0\0\0\0", CloseCode::Protocol),
        (b"\x09\x80\0\0\0\0", CloseCode::Protocol),
        (b"\x88\x81\0\0\0\0a", CloseCode::Protocol),
        (b"\x81\x81\0\0\0\0\xff", CloseCode::Invalid),
        (b"\x82\xff\0\0\0\x10\0\0\0\0\0\0\0\0", CloseCode::Size),
    ] {
        let mut socket = example.open_websocket();
        // More than the frame; the excess must not destroy the close frame.
        let sent = [frame, &[0x81; 2_000]].concat();
        socket.get_mut().write_all(&sent).expect("a frame is sent");
        let named = close_code(&mut socket);
        assert_eq!(named, code, "{}", frame.escape_ascii());
    }
}

#[test]
fn websocket_handshake_follows_rfc_6455() {
    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAA==";
    let example = Example::start("websocket");
    let upgrade = |version: &str, key: &str, more: &str| {
        let head = format!(
            "GET /chat HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: {version}\r\nSec-WebSocket-Key: {key}\r\n{more}"
        );
        example.send(&head, "")
    };
    for response in [
        example.get("/chat"),
        upgrade("8", KEY, ""),
        upgrade("13, 8", KEY, ""),
    ] {
        assert_eq!(response.status, 426);
        for header in ["sec-websocket-version: 13", "upgrade: websocket"] {
            assert!(response.head.contains(header), "{}", response.head);
        }
    }
    for key in [
        "",
        "x",
        "AAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAA",
        "!AAAAAAAAAAAAAAAAAAAAA==",
    ] {
        assert_eq!(upgrade("13", key, "").status, 400, "{key}");
    }
    for origin in [
        "http://elsewhere.example",
        "null",
        "",
        "http://localhost.example",
    ] {
        let origin = format!("Origin: {origin}\r\n");
        assert_eq!(upgrade("13", KEY, &origin).status, 403, "{origin}");
    }
}

#[test]
fn websocket_closes_quiet_and_busy_clients_on_drain() {
    let mut example = Example::start("websocket");
    let (mut quiet, mut busy) = (example.open_websocket(), example.open_websocket());
    drop(example.input());
    let frame = loop {
        busy.send(Message::text("on and on"))
            .expect("a message can be sent");
        match busy.read().expect("the server responds") {
            Message::Close(frame) => break frame,
            message => assert_eq!(message, Message::text("on and on")),
        }
    };
    let code = frame.map(|frame| frame.code);
    assert_eq!(code, Some(CloseCode::Away));
    while !quiet.read().expect("a close frame arrives").is_close() {}
    drop((quiet, busy));
    let report = example.expect_end();
    assert!(report.contains(", 0 aborted"), "{report}");
}

#[test]
fn graceful_stops_on_request() {
    let graceful = Example::start("graceful");
    assert_eq!(graceful.get("/").body, "still here\n");
    for name in ["ada", "zuse"] {
        let greeting = format!("hello, {name}\n");
        assert_eq!(graceful.get(&format!("/greet/{name}")).body, greeting);
    }
    assert_eq!(graceful.get("/shutdown").body, "goodbye\n");
    let report = graceful.expect_end();
    assert!(report.contains(", 4 responses, 0 aborted"), "{report}");
    let book = "in the book: [\"ada\", \"zuse\"]\n";
    assert!(report.ends_with(book), "{report}");
}

#[test]
fn graceful_stops_on_a_line_of_input() {
    let mut graceful = Example::start("graceful");
    let mut input = graceful.input();
    input.write_all(b"\n").expect("the example reads its input");
    let report = graceful.expect_end();
    assert!(report.contains(", 0 responses, 0 aborted"), "{report}");
}

#[test]
fn graceful_stops_at_end_of_input() {
    let mut graceful = Example::start("graceful");
    drop(graceful.input());
    let report = graceful.expect_end();
    assert!(report.contains(", 0 responses, 0 aborted"), "{report}");
}

#[test]
fn graceful_stops_on_a_signal() {
    let graceful = Example::start("graceful");
    assert_eq!(graceful.get("/").body, "still here\n");
    let process = Pid::from_child(&graceful.child);
    kill_process(process, Signal::TERM).expect("the example runs");
    let report = graceful.expect_end();
    assert!(report.contains(", 1 responses, 0 aborted"), "{report}");
    assert!(report.ends_with("in the book: []\n"), "{report}");
}

mod tls {
    use std::fs;
    use std::sync::Arc;

    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::pki_types::CertificateDer;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

    use super::*;

    /// A certificate for localhost, and its key.
    fn issue() -> CertifiedKey<rcgen::KeyPair> {
        let issued = generate_simple_self_signed(["localhost".into()]);
        issued.expect("the server name is valid")
    }

    /// The response of the example to a client that trusts only this certificate.
    fn get_over_tls(
        tls: &Example,
        trusted: &CertificateDer<'static>,
    ) -> Result<String, std::io::Error> {
        let mut roots = RootCertStore::empty();
        roots
            .add(trusted.clone())
            .expect("the certificate is valid");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports the versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().expect("the server name is valid");
        let client =
            ClientConnection::new(Arc::new(config), name).expect("the configuration is complete");
        let stream = TcpStream::connect(&tls.address).expect("the example listens");
        let mut stream = StreamOwned::new(client, stream);
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        Ok(response)
    }

    #[test]
    fn tls_greets_and_reloads_its_certificate() {
        let folder = env::temp_dir().join(format!("httpool-examples-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the folder is writable");
        let files = [folder.join("cert.pem"), folder.join("key.pem")];
        let write = |issued: &CertifiedKey<rcgen::KeyPair>| {
            fs::write(&files[0], issued.cert.pem()).expect("the folder is writable");
            fs::write(&files[1], issued.signing_key.serialize_pem())
                .expect("the folder is writable");
        };
        let (old, new) = (issue(), issue());
        write(&old);
        let mut tls = Example::start_with("tls", &[files[0].as_os_str(), files[1].as_os_str()]);
        let response = get_over_tls(&tls, old.cert.der()).expect("the certificate is trusted");
        assert!(
            response.contains("hello over TLSv1.3 with TLS13_"),
            "{response}"
        );
        assert!(
            response.ends_with("you know me as localhost\n"),
            "{response}"
        );

        write(&new);
        let mut input = tls.input();
        input.write_all(b"\n").expect("the example reads its input");
        assert_eq!(tls.line(), "certificate reloaded");
        get_over_tls(&tls, new.cert.der()).expect("the certificate is trusted");
        get_over_tls(&tls, old.cert.der()).expect_err("the new certificate is not trusted");
        fs::remove_dir_all(&folder).expect("the folder is writable");
    }
}
