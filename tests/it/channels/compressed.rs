//! Content from other threads that a layer compresses.

use std::io::{self, Read};

use crossbeam_channel::unbounded;
use flate2::read::GzDecoder;
use httpool::http::header::CONTENT_TYPE;
use httpool::http::{HeaderMap, HeaderValue};
use httpool::layers::Compression;
use httpool::{Body, Layered, Request};

use super::LIMIT;
use crate::sse::expect_head;
use crate::support::{Client, TIMEOUT, TestServer, eventually};

#[test]
fn compressed_content_arrives_at_once_too() {
    let (new, senders) = unbounded();
    let handler = Layered::new(move |_: Request| {
        let (sender, body) = Body::channel(LIMIT);
        new.send(sender).expect("the test waits for it");
        let text = HeaderValue::from_static("text/plain");
        (HeaderMap::from_iter([(CONTENT_TYPE, text)]), body)
    });
    let server = TestServer::spawn(
        |builder| builder.workers(1),
        handler.layer(Compression::new()),
    );
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: it\r\nAccept-Encoding: gzip\r\n\r\n");
    let head = expect_head(&mut client);
    assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
    let sender = senders.recv_timeout(TIMEOUT);
    let sender = sender.expect("the handler is called");
    sender.send("one").expect("the client is there");
    // It reads the head of the coding.
    let mut decoder = GzDecoder::new(Chunks(&mut client, Vec::new()));
    for part in ["one", "two", "three"] {
        eventually("no worker is busy", || server.handle().snapshot().busy == 0);
        if part != "one" {
            sender.send(part).expect("the client is there");
        }
        let mut decoded = vec![0; part.len()];
        let read = decoder.read_exact(&mut decoded);
        read.expect("the part can be decoded");
        assert_eq!(decoded, part.as_bytes());
    }
    drop(sender);
    let rest = decoder.read(&mut [0]);
    assert_eq!(rest.expect("the content is complete"), 0);
}

/// Reads chunks, one after the other.
struct Chunks<'a>(&'a mut Client, Vec<u8>);

impl Read for Chunks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Self(client, chunk) = self;
        if chunk.is_empty() {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.extend(client.expect_bytes(1));
            }
            let size = String::from_utf8_lossy(&line[..line.len() - 2]);
            let size = usize::from_str_radix(&size, 16).expect("a chunk has a size");
            *chunk = client.expect_bytes(size + 2);
            chunk.truncate(size);
        }
        let count = chunk.len().min(buffer.len());
        buffer[..count].copy_from_slice(&chunk[..count]);
        chunk.drain(..count);
        Ok(count)
    }
}
