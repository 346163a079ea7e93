//! tiny_http: it reads each connection on a thread of its own; the threads here respond.

use std::thread;

use peer_job::{BYTES, HTML, PAGE};
use tiny_http::{Header, Method, Request, Response, Server};

fn handle(mut request: Request) {
    // A client that has left is not an error.
    let _ = match request.method() {
        Method::Get => request.respond(Response::from_data(PAGE).with_header(content_type(HTML))),
        Method::Post => {
            let is_kind = |field: &&Header| field.field.equiv("Content-Type");
            let kind = request.headers().iter().find(is_kind);
            let kind = content_type(kind.map_or(BYTES, |field| field.value.as_str()));
            let mut body = Vec::with_capacity(request.body_length().unwrap_or(0));
            match request.as_reader().read_to_end(&mut body) {
                // By default it would send long bodies in chunks, unlike the other servers.
                Ok(_) => request.respond(
                    Response::from_data(body)
                        .with_header(kind)
                        .with_chunked_threshold(usize::MAX),
                ),
                Err(_) => request.respond(Response::empty(400)),
            }
        }
        _ => request.respond(Response::empty(405)),
    };
}

fn content_type(value: &str) -> Header {
    Header::from_bytes("Content-Type", value).expect("a field's value stays one")
}

fn main() {
    let (address, threads) = peer_job::arguments();
    let server = Server::http(address).expect("the port is free");
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Ok(request) = server.recv() {
                    handle(request);
                }
            });
        }
    });
}
