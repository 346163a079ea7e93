//! A chat: what one client says, all clients of `/chat` get.
//!
//! A WebSocket holds no worker between two messages, so two workers serve thousands of clients. The
//! server shuts down when Enter is pressed or its standard input ends, and closes every WebSocket.
//!
//! Run it with `cargo run --features websocket --example websocket [ADDR]`, then open
//! `http://localhost:4000` in two windows of a browser. With a certificate, browsers open their
//! WebSockets over HTTP/2, beside the request for the page:
//!
//! `cargo run --features http2,tls,websocket --example websocket CERTIFICATE KEY [ADDR]`

use std::env;
use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use httpool::websocket::{Close, HandshakeError, Message, Options, TrySendError, WebSocketSender};
use httpool::{Html, Request, Response, Router, Server, Tls};

const PAGE: &str = r#"<!doctype html>
<title>Chat</title>
<input id="line" autofocus placeholder="Say something, and press Enter">
<pre id="log"></pre>
<script>
const socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/chat`);
socket.onmessage = ({data}) => { log.textContent += data + "\n"; };
socket.onclose = ({code, reason}) => { log.textContent += `closed: ${code} ${reason}\n`; };
line.onchange = () => { socket.send(line.value); line.value = ""; };
</script>
"#;

/// Largest message, in bytes.
const MAX_MESSAGE: usize = 64 * 1024;

/// The clients that listen.
#[derive(Clone, Default)]
struct Room(Arc<Mutex<Vec<WebSocketSender>>>);

impl Room {
    /// Opens the WebSocket of another client.
    fn join(&self, request: &Request) -> Result<Response, HandshakeError> {
        let room = self.clone();
        let socket = Options::new().max_message(MAX_MESSAGE).accept(request)?;
        Ok(socket.serve(|sender| {
            room.members().push(sender);
            move |message| room.say(&message)
        }))
    }

    /// Sends a message to all. Those who have left are forgotten, and those who read too slowly have
    /// to leave.
    fn say(&self, message: &Message) {
        self.members()
            .retain(|member| match member.try_send(message.clone()) {
                Ok(()) => true,
                Err(TrySendError::Closed(_)) => false,
                Err(TrySendError::Full(_)) => {
                    member.close(Close::new(Close::POLICY, "too slow"));
                    false
                }
            });
    }

    fn members(&self) -> MutexGuard<'_, Vec<WebSocketSender>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let room = Room::default();
    let router: Router = Router::new()
        .get("/", || Html(PAGE))
        .get("/chat", move |request: Request| room.join(&request));
    let arguments: Vec<_> = env::args().skip(1).collect();
    let builder = Server::builder()
        .workers(2)
        // No response comes from a file, so twice as many clients fit the limit of descriptors.
        .descriptors_per_connection(1);
    let (builder, scheme) = match &arguments[..] {
        [] => (builder.listen("localhost:4000"), "http"),
        [address] => (builder.listen(address.as_str()), "http"),
        [certificate, key, address @ ..] => {
            let tls = Tls::builder().certificate_files(certificate, key).build()?;
            let address = address.first().map_or("localhost:4443", String::as_str);
            (builder.listen_tls(address, tls), "https")
        }
    };
    let server = builder.bind()?;
    println!("listening on {scheme}://{}", server.local_addrs()[0]);

    let handle = server.handle();
    thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        handle.shutdown();
    });
    let report = server.run(router)?;
    println!("{report}");
    Ok(())
}
