use httpool::{Request, Wire};

use crate::support::TestServer;

/// A handler that says how its request was written.
fn describe(request: Request) -> String {
    let wire = Wire::of(&request).expect("it came over a connection");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut told = vec![text(wire.request_line())];
    let field = |(name, value): (&[u8], &[u8])| format!("{}={}", text(name), text(value));
    told.extend(wire.field_lines().map(field));
    told.extend(
        wire.chunks()
            .map(|chunk| format!("{} in {}", chunk.size, text(chunk.line))),
    );
    told.extend(wire.trailer_lines().map(field));
    told.push(format!("{:?}", wire.trailers()));
    told.push(format!("{}", wire.head().ends_with(b"\r\n\r\n")));
    told.join("\n")
}

#[test]
fn a_handler_sees_what_was_sent() {
    let server = TestServer::spawn(|builder| builder, describe);
    let mut client = server.connect();
    client.send(
        "PUT /a?b HTTP/1.1\r\nX-b: 1\r\nHOST: it\r\nx-B:  2 \r\nx-a:\r\n\
         Transfer-Encoding: chunked\r\n\r\n\
         005;name=\"v\"\r\nhello\r\n1 ;x\r\n!\r\n00\r\nX-Sum: 6\r\nx-sum:7\r\n\r\n",
    );
    client.expect_answer(
        "PUT /a?b HTTP/1.1\nX-b=1\nHOST=it\nx-B=2\nx-a=\nTransfer-Encoding=chunked\n\
         5 in 005;name=\"v\"\n1 in 1 ;x\n0 in 00\nX-Sum=6\nx-sum=7\n\
         {\"x-sum\": \"6\", \"x-sum\": \"7\"}\ntrue",
    );
    client.send("GET /next HTTP/1.0\r\nA: b\r\n\r\n");
    client.expect_answer("GET /next HTTP/1.0\nA=b\n{}\ntrue");
}

#[test]
fn a_handler_sees_it_however_late_the_body_comes() {
    let server = TestServer::spawn(|builder| builder, describe);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: it\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    client.expect_status(100);
    client
        .send("hi")
        .expect_answer("POST / HTTP/1.1\nHost=it\nExpect=100-continue\nContent-Length=2\n{}\ntrue");
}

#[test]
fn tiny_chunks_are_counted_and_not_all_kept() {
    let server = TestServer::spawn(
        |builder| builder,
        |request: Request| {
            let wire = Wire::of(&request).expect("it came over a connection");
            format!("{} and {}", wire.chunks().count(), wire.unkept_chunks())
        },
    );
    let mut client = server.connect();
    client.send(crate::support::request::post_chunked(
        "/",
        "x".repeat(10_000),
        1,
    ));
    // A line is three bytes, and 16 KiB of them are kept.
    client.expect_answer(format!(
        "{} and {}",
        16 * 1024 / 3 + 1,
        10_001 - 16 * 1024 / 3 - 1
    ));
}
