//! Echoes WebSocket messages at `/echo`, and closes every connection properly on shutdown.
//!
//! httpool does not implement WebSocket. tungstenite does, on the stream of an upgraded connection.
//! Each WebSocket connection occupies a worker until it closes. The server shuts down when Enter is
//! pressed or its standard input ends.
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

/// How often an idle connection checks for shutdown, and the timeout of a closing handshake.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Largest message, in bytes.
const MAX_MESSAGE: usize = 64 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let router: Router = Router::new().get("/", || Html(PAGE)).get("/echo", open);
    let address = env::args().nth(1).unwrap_or("localhost:4000".into());
    let server = Server::builder()
        .listen(address)
        // The number of connections that can be open at a time.
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

/// Performs the server's half of the opening handshake (RFC 6455 sections 4.2.2 and 4.4). httpool
/// itself checks that the request asks for an upgrade.
fn open(mut headers: HeaderMap) -> Response {
    if headers
        .get(SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        let wanted = [(UPGRADE, "websocket"), (SEC_WEBSOCKET_VERSION, "13")];
        return (
            StatusCode::UPGRADE_REQUIRED,
            wanted,
            "WebSocket version 13 is required",
        )
            .into_response();
    }
    if is_foreign(&headers) {
        return (StatusCode::FORBIDDEN, "the page comes from another origin").into_response();
    }
    let Some(key) = headers.remove(SEC_WEBSOCKET_KEY).filter(is_key) else {
        return (StatusCode::BAD_REQUEST, "the key is not 16 bytes in base64").into_response();
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = Upgrade::new("websocket", |stream| {
        if let Err(error) = echo(stream) {
            eprintln!("a connection failed: {error}");
        }
    });
    ([(SEC_WEBSOCKET_ACCEPT, accept)], upgrade).into_response()
}

/// Whether the request comes from a page of another origin (RFC 6455 section 10.2).
///
/// Browsers let every page open a WebSocket to every server, and send the server's cookies with it.
/// Without this check, any site could use this server in a visitor's name. Clients that are not
/// browsers send no `Origin`.
fn is_foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    let origin = origin.to_str().unwrap_or_default();
    let (_, authority) = origin.split_once("://").unwrap_or_default();
    headers.get(HOST).is_none_or(|host| host != authority)
}

fn is_key(value: &HeaderValue) -> bool {
    BASE64_STANDARD
        .decode(value)
        .is_ok_and(|key| key.len() == 16)
}

/// Echoes messages until the client closes the connection or the server shuts down.
fn echo(mut stream: Stream) -> Result<(), tungstenite::Error> {
    stream.set_read_timeout(Some(CHECK_INTERVAL));
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE));
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, Some(config));
    // Checked before each message, so that a client that sends constantly is closed too.
    while !socket.get_ref().is_draining() {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message)?,
            // tungstenite responds to ping and close frames itself.
            Ok(_) => {}
            Err(tungstenite::Error::ConnectionClosed) => return Ok(()),
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return fail(socket, error),
        }
    }
    close(socket)
}

/// Closes the connection after a protocol violation, with a matching close code (RFC 6455 sections
/// 7.1.7 and 7.4.1). After any other error the client is gone.
fn fail(
    mut socket: WebSocket<Stream>,
    error: tungstenite::Error,
) -> Result<(), tungstenite::Error> {
    let (code, reason) = match &error {
        tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            return Err(error);
        }
        tungstenite::Error::Protocol(_) => (CloseCode::Protocol, "the frame is malformed"),
        tungstenite::Error::Utf8(_) => (CloseCode::Invalid, "the text is not UTF-8"),
        tungstenite::Error::Capacity(_) => (CloseCode::Size, "the message is too large"),
        _ => return Err(error),
    };
    let reason = reason.into();
    socket.close(Some(CloseFrame { code, reason }))?;
    let stream = socket.get_mut();
    stream.finish()?;
    // The next frame boundary is unknown. Closing a socket with unread bytes would reset the
    // connection and could destroy the close frame, so discard them first.
    let until = Instant::now() + CHECK_INTERVAL;
    let mut rest = [0; 4096];
    while Instant::now() < until && stream.read(&mut rest).is_ok_and(|count| count > 0) {}
    Err(error)
}

/// Sends a close frame, and waits up to `CHECK_INTERVAL` for the client's.
fn close(mut socket: WebSocket<Stream>) -> Result<(), tungstenite::Error> {
    socket.close(Some(CloseFrame {
        code: CloseCode::Away,
        reason: "the server shuts down".into(),
    }))?;
    let until = Instant::now() + CHECK_INTERVAL;
    while Instant::now() < until {
        match socket.read() {
            // The client sent this before it received the close frame.
            Ok(_) => {}
            Err(tungstenite::Error::ConnectionClosed) => return Ok(()),
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
