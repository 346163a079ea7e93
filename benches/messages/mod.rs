//! The measured messages, and the buffers that a worker reuses.

use std::hint::black_box;
use std::time::SystemTime;

use httpool::http::HeaderName;
use httpool::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, LAST_MODIFIED, VARY};
use httpool::http1::{self, Date, Decoder, Ending, Event, Input, Limits, RequestBuffer};
use httpool::{Body, Response};

const LIMITS: Limits = Limits {
    head: 16 * 1024,
    body: 1024 * 1024,
};

pub(crate) const CURL_GET: &str = "GET /index.html HTTP/1.1\r\n\
    Host: localhost:4000\r\n\
    User-Agent: curl/8.5.0\r\n\
    Accept: */*\r\n\r\n";

pub(crate) const BROWSER_GET: &str = "GET /assets/app.js?v=20 HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://www.example.com/somewhere/else?with=query\r\n\
    DNT: 1\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=5f2b7c9d8e1a4f6b9c3d2e1f0a9b8c7d; theme=dark; consent=necessary\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    If-None-Match: \"33a64df551425fcc55e4d42a148795d9f25f89d4\"\r\n\
    Cache-Control: max-age=0\r\n\r\n";

/// The posted body: one KiB.
pub(crate) const BODY: [u8; 1024] = [b'x'; 1024];

/// A post of [`BODY`], whole or in chunks of this many bytes.
pub(crate) fn post(chunk: Option<usize>) -> Vec<u8> {
    let mut message = b"POST /items HTTP/1.1\r\n\
        Host: localhost:4000\r\n\
        User-Agent: curl/8.5.0\r\n\
        Accept: */*\r\n\
        Content-Type: application/octet-stream\r\n"
        .to_vec();
    let Some(chunk) = chunk else {
        message.extend(b"Content-Length: 1024\r\n\r\n");
        message.extend(BODY);
        return message;
    };
    message.extend(b"Transfer-Encoding: chunked\r\n\r\n");
    for data in BODY.chunks(chunk) {
        message.extend(format!("{:x}\r\n", data.len()).into_bytes());
        message.extend(data);
        message.extend(b"\r\n");
    }
    message.extend(b"0\r\n\r\n");
    message
}

/// A few bytes of text.
pub(crate) fn plain_response() -> Response {
    let mut plain = Response::new(Body::from("Hello, World!"));
    let fields = plain.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    plain
}

/// A page with headers for caches.
pub(crate) fn rich_response() -> Response {
    let mut rich = Response::new(Body::from(BODY.to_vec()));
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=3600"),
        (ETAG, "\"33a64df551425fcc55e4d42a148795d9f25f89d4\""),
        (LAST_MODIFIED, "Wed, 21 Oct 2015 07:28:00 GMT"),
        (VARY, "accept-encoding"),
        (HeaderName::from_static("x-request-id"), "7b2f1c9e4d"),
    ] {
        let value = HeaderValue::from_static(value);
        rich.headers_mut().insert(name, value);
    }
    rich
}

/// Bytes into requests, with reused buffers.
pub(crate) struct Decoding {
    decoder: Decoder,
    pub(crate) buffer: RequestBuffer,
    input: Input,
}

impl Decoding {
    pub(crate) fn new() -> Self {
        Self {
            decoder: Decoder::default(),
            buffer: RequestBuffer::default(),
            input: Input::with_capacity(16 * 1024),
        }
    }

    /// Decodes a message that is one request.
    pub(crate) fn decode(&mut self, message: &[u8]) {
        // Receiving copies the bytes too, from the kernel.
        self.input.room().extend_from_slice(message);
        let event = self
            .decoder
            .decode(&mut self.input, &mut self.buffer, &LIMITS);
        assert_eq!(event, Ok(Event::Request));
        black_box(&self.buffer.request);
    }
}

/// Responses into bytes, in response to curl's `GET`, with a reused buffer.
pub(crate) struct Encoding {
    asked: RequestBuffer,
    date: Date,
    output: Vec<u8>,
}

impl Encoding {
    pub(crate) fn new() -> Self {
        let mut decoding = Decoding::new();
        decoding.decode(CURL_GET.as_bytes());
        Self {
            asked: decoding.buffer,
            date: Date::new(SystemTime::now()),
            output: Vec::with_capacity(4 * 1024),
        }
    }

    pub(crate) fn encode(&mut self, response: &Response) {
        self.output.clear();
        let context = black_box(&self.asked.context);
        let content = http1::encode(
            response,
            context,
            Ending::KeepAlive,
            &self.date,
            &mut self.output,
        );
        let _ = black_box(content);
        black_box(&self.output);
    }
}
