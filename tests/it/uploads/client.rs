use httpool::http2::ErrorCode;

use crate::support::http2::{END_STREAM, request_fields};
use crate::support::{Client, Http2Client, TestServer};

/// How a body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// HTTP/1.1 with `Content-Length`.
    Length,
    /// HTTP/1.1 with the chunked coding.
    Chunked,
    Http2,
}

/// A form with the boundary `b` on its way to `/`.
pub(super) enum Upload {
    Http1 {
        client: Client,
        framing: Framing,
    },
    Http2 {
        client: Box<Http2Client>,
        stream: u32,
    },
}

/// A part that is a text.
pub(super) fn text(name: &str, value: &str) -> Vec<u8> {
    let part = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    part.into_bytes()
}

/// A part that is a file.
pub(super) fn file(name: &str, file_name: &str, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    [head.as_bytes(), content, b"\r\n"].concat()
}

/// The head of an upload over HTTP/1.1.
pub(super) fn head(framing: Framing, content_type: &str, length: usize) -> String {
    let framing = match framing {
        Framing::Length => format!("Content-Length: {length}"),
        _ => "Transfer-Encoding: chunked".into(),
    };
    format!("POST / HTTP/1.1\r\nHost: it\r\nContent-Type: {content_type}\r\n{framing}\r\n\r\n")
}

impl Upload {
    /// Sends the head of a form of this length.
    #[track_caller]
    pub(super) fn begin(server: &TestServer, framing: Framing, length: usize) -> Self {
        Self::begin_as(server, framing, "multipart/form-data; boundary=b", length)
    }

    /// Sends the form with another content type.
    #[track_caller]
    pub(super) fn begin_as(
        server: &TestServer,
        framing: Framing,
        content_type: &str,
        length: usize,
    ) -> Self {
        if framing == Framing::Http2 {
            let mut client = Box::new(Http2Client::connect(server));
            let mut fields = request_fields("POST", "/");
            fields.push(("content-type", content_type));
            let stream = client.open(&fields);
            return Self::Http2 { client, stream };
        }
        let mut client = server.connect();
        client.send(head(framing, content_type, length));
        Self::Http1 { client, framing }
    }

    /// Sends a piece of the body, as one chunk or as the windows allow.
    #[track_caller]
    pub(super) fn send(&mut self, piece: &[u8]) {
        match self {
            Self::Http1 { client, framing } => {
                client.send(coded(*framing, piece));
            }
            Self::Http2 { client, stream } => client.send_body(*stream, piece, 0),
        }
    }

    /// Sends a piece of the body to a server that may have responded already.
    pub(super) fn try_send(&mut self, piece: &[u8]) {
        match self {
            Self::Http1 { client, framing } => drop(client.try_send(coded(*framing, piece))),
            Self::Http2 { client, stream } => {
                for piece in piece.chunks(10_000) {
                    let (stream, length) = (*stream, piece.len() as i64);
                    client.read_until("room or a response", |client| {
                        client.reply(stream).is_over() || client.send_window(stream) >= length
                    });
                    if client.reply(stream).is_over() {
                        return;
                    }
                    client.data(stream, piece, 0);
                }
            }
        }
    }

    /// Ends the body.
    #[track_caller]
    pub(super) fn finish(mut self) -> Self {
        match &mut self {
            Self::Http1 { client, framing } => {
                if *framing == Framing::Chunked {
                    client.send("0\r\n\r\n");
                }
            }
            Self::Http2 { client, stream } => {
                client.data(*stream, "", END_STREAM);
            }
        }
        self
    }

    /// Ends the body, if the server still receives it.
    pub(super) fn try_finish(mut self) -> Self {
        match &mut self {
            Self::Http1 { client, framing } => {
                if *framing == Framing::Chunked {
                    drop(client.try_send("0\r\n\r\n"));
                }
            }
            Self::Http2 { client, stream } => {
                if !client.reply(*stream).is_over() {
                    client.data(*stream, "", END_STREAM);
                }
            }
        }
        self
    }

    /// Stops in the middle of the body.
    #[track_caller]
    pub(super) fn disconnect(self) {
        match self {
            Self::Http1 { client, .. } => client.reset(),
            Self::Http2 { mut client, stream } => {
                client.reset(stream, ErrorCode::Cancel);
            }
        }
    }

    /// The text of the response with this status.
    #[track_caller]
    pub(super) fn expect(self, status: u16) -> String {
        match self {
            Self::Http1 { mut client, .. } => client.expect_status(status).text(),
            Self::Http2 { mut client, stream } => {
                client.read_until("the response", |client| client.reply(stream).is_over());
                let reply = client.reply(stream);
                let response = reply.response.as_ref().expect("a response has headers");
                assert_eq!(response.status, status, "{response:?}");
                response.text()
            }
        }
    }
}

/// A piece of a body as one chunk, if it is chunked.
fn coded(framing: Framing, piece: &[u8]) -> Vec<u8> {
    match framing {
        Framing::Chunked => {
            let size = format!("{:x}\r\n", piece.len());
            [size.as_bytes(), piece, b"\r\n"].concat()
        }
        _ => piece.to_vec(),
    }
}
