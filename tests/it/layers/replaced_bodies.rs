//! The client and the raw request behind a layer that replaces the body, over sockets.

use std::io::{self, Read};

use httpool::extract::BodyStream;
use httpool::layers::Decompression;
use httpool::{Body, ClientInfo, Next, RawRequest, Request, Router};

use crate::support::http2::{END_STREAM, Http2Client, request_fields};
use crate::support::{TestServer, request};

/// Describes the peer, the raw request and the body.
fn describe(mut request: Request) -> io::Result<String> {
    let client_info = ClientInfo::of(&request).expect("it came over a connection");
    let peer = client_info.peer().to_string();
    let raw_request = RawRequest::of(&request).expect("it came over a connection");
    let raw_request = raw_request.clone();
    let mut content = String::new();
    if let Some(length) = request.body().length()
        && length == request.body().as_bytes().len() as u64
    {
        content += &String::from_utf8_lossy(request.body().as_bytes());
    } else {
        request.body_mut().read_to_string(&mut content)?;
    }
    let line = String::from_utf8_lossy(raw_request.request_line()).into_owned();
    let is_coding = |name: &[u8]| name.eq_ignore_ascii_case(b"content-encoding");
    let coding = raw_request.header_lines().any(|(name, _)| is_coding(name));
    let chunks = raw_request.chunks().count();
    Ok(format!("{peer} {line} {coding} {chunks} {content}"))
}

/// Converts the content to upper case while it is read.
struct Upper(Body);

impl Read for Upper {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        buffer[..count].make_ascii_uppercase();
        Ok(count)
    }
}

fn upper_case(request: Request, next: Next<'_>) -> httpool::Response {
    next.run(request.map(|body| Body::from_reader(Upper(body))))
}

fn server() -> TestServer {
    let buffered = Router::new()
        .layer(Decompression::new(1000))
        .post("/", describe);
    let streamed = Router::new()
        .layer(upper_case)
        .post("/", |BodyStream(body): BodyStream| {
            describe(Request::new(body)).map(|text| text.replace("POST", "streamed POST"))
        });
    let router: Router = Router::new()
        .nest("/packed", buffered)
        .nest("/streamed", streamed);
    TestServer::spawn(|builder| builder, router)
}

fn packed(content: &str) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(content.as_bytes(), flate2::Compression::fast());
    encoder.read_to_end(&mut packed).expect("it is in memory");
    packed
}

#[test]
fn they_survive_over_http1() {
    let server = server();
    let mut client = server.connect();
    let address = client.local_addr();
    let body = packed("hello");
    let head = format!(
        "POST /packed HTTP/1.1\r\nHost: it\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(head).send(body);
    client.expect_body(format!("{address} POST /packed HTTP/1.1 true 0 hello"));
    client.send(request::chunked_head("/streamed"));
    client.send("2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
    client.expect_body(format!(
        "{address} streamed POST /streamed HTTP/1.1 false 3 ABC"
    ));
}

#[test]
fn they_survive_over_http2() {
    let server = server();
    let mut client = Http2Client::connect(&server);
    let address = client.client().local_addr();
    let mut fields = request_fields("POST", "/packed");
    fields.push(("content-encoding", "gzip"));
    let stream = client.open(&fields);
    client.send_body(stream, packed("hello"), END_STREAM);
    client.expect_body(
        stream,
        format!("{address} POST /packed HTTP/2.0 true 0 hello"),
    );
    let stream = client.post("/streamed", "abc");
    client.expect_body(
        stream,
        format!("{address} streamed POST /streamed HTTP/2.0 false 0 ABC"),
    );
}
