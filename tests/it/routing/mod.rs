//! What a router adds to handlers: extensions, the path of the route, and choices for single routes.

mod extensions;
mod header_arguments;
mod json_errors;
mod matched_paths;
mod max_body;
mod router_choices;

use crate::support::http2::{END_STREAM, Http2Client, request_fields};
use crate::support::request::Field;
use crate::support::{Response, TestServer};

/// The protocol of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    const BOTH: [Self; 2] = [Self::Http1, Self::Http2];

    /// Sends a request on a connection of its own, and returns the response.
    #[track_caller]
    fn send(
        self,
        server: &TestServer,
        (method, target): (&str, &str),
        headers: &[Field<'_>],
        body: &[u8],
    ) -> Response {
        let length = body.len().to_string();
        match self {
            Self::Http1 => {
                let mut request = format!("{method} {target} HTTP/1.1\r\nHost: it\r\n");
                for (name, value) in headers.iter().chain([&("Content-Length", &*length)]) {
                    request += &format!("{name}: {value}\r\n");
                }
                let request = [request.as_bytes(), b"\r\n", body].concat();
                let mut client = server.connect();
                // A body that is too large may be rejected before it is sent.
                let _ = client.try_send(request);
                client.expect_response()
            }
            Self::Http2 => {
                let mut client = Http2Client::connect(server);
                let mut fields = request_fields(method, target);
                fields.extend(headers);
                if body.is_empty() {
                    let stream = client.request(&fields);
                    return client.expect_response(stream);
                }
                fields.push(("content-length", &length));
                let stream = client.open(&fields);
                client.send_body(stream, body, END_STREAM);
                client.expect_response(stream)
            }
        }
    }

    #[track_caller]
    fn get(self, server: &TestServer, target: &str) -> Response {
        self.send(server, ("GET", target), &[], b"")
    }
}
