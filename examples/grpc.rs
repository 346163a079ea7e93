//! Serves gRPC: a method with one reply, and a method with a stream of replies.
//!
//! A gRPC call is a POST request over HTTP/2. The bodies contain messages, each behind its length,
//! and the status of the call is in the trailers of the response. This example implements a part
//! of `helloworld.proto`, which is in the repository of gRPC, so every client of that service can
//! call it:
//!
//! ```proto
//! package helloworld;
//!
//! service Greeter {
//!   rpc SayHello (HelloRequest) returns (HelloReply) {}
//!   rpc SayHelloStreamReply (HelloRequest) returns (stream HelloReply) {}
//! }
//!
//! message HelloRequest { string name = 1; }
//! message HelloReply { string message = 1; }
//! ```
//!
//! Run it with `cargo run --example grpc --features http2 [ADDR]`, then call it:
//!
//! ```sh
//! grpcurl -plaintext -proto helloworld.proto -d '{"name": "Ada"}' \
//!     localhost:4000 helloworld.Greeter/SayHello
//! printf '\0\0\0\0\5\n\3Ada' | curl -i --http2-prior-knowledge -o - --data-binary @- \
//!     -H 'Content-Type: application/grpc' localhost:4000/helloworld.Greeter/SayHelloStreamReply
//! ```
//!
//! The two messages are encoded by hand, to keep the example small. A service with more messages
//! would use a crate for protocol buffers, for example prost. Press Enter to shut the server down.

#![allow(
    clippy::needless_pass_by_value,
    reason = "handlers own the values that they take from a request"
)]

use std::error::Error;
use std::io;
use std::time::Duration;
use std::{env, str, thread};

use httpool::http::StatusCode;
use httpool::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use httpool::{Body, IntoResponse, Next, Request, Response, Router, Server};

const GRPC: &str = "application/grpc";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Number of replies in a stream, and the time before each.
const REPLIES: u32 = 5;
const INTERVAL: Duration = Duration::from_millis(100);

/// Bytes of replies that may wait for a slow client.
const QUEUED: usize = 64 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("localhost:4000".into());
    let server = Server::builder().listen(address).bind()?;
    println!("listening on http://{}", server.local_addrs()[0]);

    let handle = server.handle();
    thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        handle.shutdown();
    });

    // For an unknown method, clients translate the router's 404 to the status UNIMPLEMENTED.
    let router: Router = Router::new()
        .layer(require_grpc)
        .post("/helloworld.Greeter/SayHello", say_hello)
        .post("/helloworld.Greeter/SayHelloStreamReply", say_hello_often);
    let report = server.run(router)?;
    println!("{report}");
    Ok(())
}

fn say_hello(request: Request) -> Result<Response, Status> {
    let name = decode_name(&request)?;
    let reply = encode_reply(&format!("Hello, {name}!"));
    Ok(respond(Body::from(reply)))
}

/// The replies come from a thread of their own, so the call occupies no worker. If the client cancels
/// it, the next reply can't be sent.
fn say_hello_often(request: Request) -> Result<Response, Status> {
    let name = decode_name(&request)?;
    let (sender, messages) = Body::channel(QUEUED);
    let greet = move |number| {
        thread::sleep(INTERVAL);
        sender.send(encode_reply(&format!(
            "Hello, {name}! ({number} of {REPLIES})"
        )))
    };
    thread::spawn(move || (1..=REPLIES).try_for_each(greet));
    Ok(respond(messages))
}

/// A response to a successful call. The status follows its last message.
fn respond(messages: Body) -> Response {
    (
        [(CONTENT_TYPE, GRPC)],
        messages.with_trailers(|| Status::OK.to_headers()),
    )
        .into_response()
}

/// The status of a call.
struct Status {
    code: u8,
    /// Printable ASCII without `%`; other characters would have to be percent-encoded.
    message: &'static str,
}

impl Status {
    const OK: Self = Self::new(0, "");

    const fn new(code: u8, message: &'static str) -> Self {
        Self { code, message }
    }

    const fn invalid_argument(message: &'static str) -> Self {
        Self::new(3, message)
    }

    const fn unimplemented(message: &'static str) -> Self {
        Self::new(12, message)
    }

    fn to_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(self.code)));
        if !self.message.is_empty() {
            headers.insert(GRPC_MESSAGE, HeaderValue::from_static(self.message));
        }
        headers
    }
}

/// A call without replies has its status in the header, because no message precedes it.
impl IntoResponse for Status {
    fn into_response(self) -> Response {
        let empty = ([(CONTENT_TYPE, GRPC)], Body::empty());
        (self.to_headers(), empty).into_response()
    }
}

fn require_grpc(request: Request, next: Next<'_>) -> Response {
    let content_type = request.headers().get(CONTENT_TYPE);
    if content_type.is_some_and(|value| value.as_bytes().starts_with(GRPC.as_bytes())) {
        next.run(request)
    } else {
        StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response()
    }
}

/// The name in a call with one `HelloRequest`.
fn decode_name(request: &Request) -> Result<String, Status> {
    let message = match request.body().as_bytes() {
        // One byte tells whether the message is compressed, four bytes are its length.
        [0, a, b, c, d, message @ ..]
            if usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])) == Ok(message.len()) =>
        {
            message
        }
        [1, ..] => return Err(Status::unimplemented("compression is not supported")),
        _ => return Err(Status::invalid_argument("the body is not one message")),
    };
    let name = find_text(message).and_then(|text| str::from_utf8(text).ok());
    let name = name.ok_or(Status::invalid_argument("the message is malformed"))?;
    Ok(name.to_owned())
}

/// Encodes a `HelloReply` with this text, behind its length.
fn encode_reply(text: &str) -> Vec<u8> {
    let mut message = vec![FIRST_FIELD_TEXT];
    write_varint(text.len(), &mut message);
    message.extend(text.as_bytes());
    let length = u32::try_from(message.len()).expect("a request is smaller than 4 GiB");
    [&[0], &length.to_be_bytes()[..], &message].concat()
}

/// The tag of field 1 with a text: the number of the field, shifted, and wire type 2.
const FIRST_FIELD_TEXT: u8 = 1 << 3 | 2;

/// The text of field 1, empty if the message does not have that field. Returns `None` if the
/// message is malformed. Other fields are skipped, as protocol buffers require.
fn find_text(mut message: &[u8]) -> Option<&[u8]> {
    let mut text = &[][..];
    while !message.is_empty() {
        let tag = read_varint(&mut message)?;
        let length = match tag & 7 {
            0 => {
                read_varint(&mut message)?;
                0
            }
            1 => 8,
            2 => usize::try_from(read_varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let value = message.split_off(..length)?;
        if tag == u64::from(FIRST_FIELD_TEXT) {
            text = value;
        }
    }
    Some(text)
}

/// Takes an integer of up to ten bytes, each with seven bits and the lowest bits first.
fn read_varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *message.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn write_varint(mut value: usize, message: &mut Vec<u8>) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}
