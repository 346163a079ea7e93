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
use std::io::{self, ErrorKind, Read as _};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use httpool::http::StatusCode;
use httpool::http::header::{
    HOST, HeaderMap, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use httpool::{Html, IntoResponse, Response, Router, Server, Stream, Upgrade};
use tungstenite::error::ProtocolError;
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

/// The server's half of the opening handshake (RFC 6455 sections 4.2.2 and 4.4). Whether it was asked
/// for an upgrade at all is seen to by httpool.
fn open(mut fields: HeaderMap) -> Response {
    if fields
        .get(SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        let wanted = [(UPGRADE, "websocket"), (SEC_WEBSOCKET_VERSION, "13")];
        return (
            StatusCode::UPGRADE_REQUIRED,
            wanted,
            "WebSocket 13 is spoken here",
        )
            .into_response();
    }
    if is_foreign(&fields) {
        return (
            StatusCode::FORBIDDEN,
            "pages of other sites have no business here",
        )
            .into_response();
    }
    let Some(key) = fields.remove(SEC_WEBSOCKET_KEY).filter(is_key) else {
        return (StatusCode::BAD_REQUEST, "the key is not 16 bytes in base64").into_response();
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = Upgrade::new("websocket", |stream| {
        if let Err(why) = echo(stream) {
            eprintln!("a connection failed: {why}");
        }
    });
    ([(SEC_WEBSOCKET_ACCEPT, accept)], upgrade).into_response()
}

/// Whether a page of another origin asks (RFC 6455 section 10.2). Browsers let every page open a
/// WebSocket to every server, and send what cookies they have for it along: without this, any site
/// could talk here in the name of whoever visits it. Who is no browser says no origin.
fn is_foreign(fields: &HeaderMap) -> bool {
    let Some(origin) = fields.get(ORIGIN) else {
        return false;
    };
    let origin = origin.to_str().unwrap_or_default();
    let (_, authority) = origin.split_once("://").unwrap_or_default();
    fields.get(HOST).is_none_or(|host| host != authority)
}

fn is_key(value: &HeaderValue) -> bool {
    BASE64_STANDARD
        .decode(value)
        .is_ok_and(|key| key.len() == 16)
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
            Err(why) => return fail(socket, why),
        }
    }
    send_close_notify(socket)
}

/// Closes a connection whose client has broken the protocol, and tells it so (RFC 6455 sections
/// 7.1.7 and 7.4.1). Any other failure means that the client is gone.
fn fail(mut socket: WebSocket<Stream>, why: tungstenite::Error) -> Result<(), tungstenite::Error> {
    let (code, reason) = match &why {
        tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            return Err(why);
        }
        tungstenite::Error::Protocol(_) => (CloseCode::Protocol, "the frame is malformed"),
        tungstenite::Error::Utf8(_) => (CloseCode::Invalid, "the text is not UTF-8"),
        tungstenite::Error::Capacity(_) => (CloseCode::Size, "the message is too large"),
        _ => return Err(why),
    };
    let reason = reason.into();
    socket.close(Some(CloseFrame { code, reason }))?;
    let stream = socket.get_mut();
    stream.finish()?;
    // Where the next frame begins can't be told. What is left unread would have the system reset
    // the connection, and destroy the close frame on its way.
    let until = Instant::now() + LOOK;
    let mut rest = [0; 4096];
    while Instant::now() < until && stream.read(&mut rest).is_ok_and(|count| count > 0) {}
    Err(why)
}

/// Tells the client that the server stops, and gives him a moment to say goodbye himself.
fn send_close_notify(mut socket: WebSocket<Stream>) -> Result<(), tungstenite::Error> {
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
