//! A WebSocket echo: what is sent to `/echo` comes back, and a drain says goodbye.
//!
//! httpool knows nothing of WebSocket. tungstenite speaks it, on the stream that an upgrade hands
//! over; each connection holds a worker for as long as it lasts. The server stops when Enter is
//! pressed, or its standard input ends.
//!
//! Run it with `cargo run --example websocket [ADDR]`, then open `http://localhost:4000` in a
//! browser, or: `curl -N ws://localhost:4000/echo`.

use std::env;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::thread;
use std::time::{Duration, Instant};

use httpool::http::StatusCode;
use httpool::http::header::{
    HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
};
use httpool::{Html, IntoResponse, Problem, Router, Server, Stream, Upgrade};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

const PAGE: &str = r#"<!doctype html>
<title>Echo</title>
<input id="line" autofocus placeholder="Say something, and press Enter">
<pre id="log"></pre>
<script>
const socket = new WebSocket(`ws://${location.host}/echo`);
socket.onmessage = ({data}) => { log.textContent += data + "\n"; };
socket.onclose = ({code, reason}) => { log.textContent += `closed: ${code} ${reason}\n`; };
line.onchange = () => { socket.send(line.value); line.value = ""; };
</script>
"#;

/// How often a quiet connection looks whether the server stops, and how long a goodbye may take.
const LOOK: Duration = Duration::from_millis(500);

/// Largest message.
const MESSAGE: usize = 64 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let router: Router = Router::new().get("/", || Html(PAGE)).get("/echo", open);
    let address = env::args().nth(1).unwrap_or("localhost:4000".into());
    let server = Server::builder()
        .listen(address)
        // So many may talk at a time.
        .workers(64)
        .bind()?;
    println!("listening on http://{}", server.local_addrs()[0]);

    let handle = server.handle();
    thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        handle.shutdown();
    });
    let report = server.run(router)?;
    println!("{report}");
    Ok(())
}

/// The server's half of the opening handshake (RFC 6455 section 4.2.2). Whether it was asked for an
/// upgrade at all is seen to by httpool.
fn open(mut fields: HeaderMap) -> Result<impl IntoResponse, Problem> {
    let is_known = fields
        .get(SEC_WEBSOCKET_VERSION)
        .is_some_and(|version| version == "13");
    let key = fields.remove(SEC_WEBSOCKET_KEY).filter(|_| is_known);
    let key = key.ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST).detail("here WebSocket is spoken, in version 13")
    })?;
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = Upgrade::new("websocket", |stream| {
        if let Err(why) = echo(stream) {
            eprintln!("a connection failed: {why}");
        }
    });
    Ok(([(SEC_WEBSOCKET_ACCEPT, accept)], upgrade))
}

/// Gives back messages until the client wants no more, or the server stops.
fn echo(mut stream: Stream) -> Result<(), tungstenite::Error> {
    stream.set_read_timeout(Some(LOOK));
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE));
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, Some(config));
    // Whether it stops is asked before each message: who sends without end is told, too.
    while !socket.get_ref().is_draining() {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message)?,
            // tungstenite answers pings and goodbyes itself.
            Ok(_) => {}
            Err(tungstenite::Error::ConnectionClosed) => return Ok(()),
            Err(tungstenite::Error::Io(why)) if why.kind() == ErrorKind::WouldBlock => {}
            Err(why) => return Err(why),
        }
    }
    say_goodbye(socket)
}

/// Tells the client that the server stops, and gives him a moment to say goodbye himself.
fn say_goodbye(mut socket: WebSocket<Stream>) -> Result<(), tungstenite::Error> {
    socket.close(Some(CloseFrame {
        code: CloseCode::Away,
        reason: "the server stops".into(),
    }))?;
    let until = Instant::now() + LOOK;
    while Instant::now() < until {
        match socket.read() {
            // It was sent before he knew.
            Ok(_) => {}
            Err(tungstenite::Error::ConnectionClosed) => return Ok(()),
            Err(tungstenite::Error::Io(why)) if why.kind() == ErrorKind::WouldBlock => break,
            Err(why) => return Err(why),
        }
    }
    Ok(())
}
