//! Counts the connected clients that are reset when a server shuts down under a flood of
//! connections, with both versions of HTTP. `cargo bench --bench drain` takes some seconds.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use httpool::http2::PREFACE;
use httpool::{Request, Server};

const DRAINS: usize = 60;

/// Longer than a response takes, and shorter than the second after which a SYN is retransmitted.
const TIMEOUT: Duration = Duration::from_millis(500);

/// The result of one client, whose requests each use their own connection.
#[derive(Debug, Default)]
struct Counts {
    answered: u64,
    reset: u64,
}

/// Sends a request on a new connection. Returns whether its response arrived.
type Send = fn(TcpStream) -> io::Result<bool>;

fn main() {
    let versions: [(&str, Send); 2] = [("HTTP/1.1", send_request), ("HTTP/2", send_stream)];
    for (version, send) in versions {
        for clients in [8, 64] {
            let mut total = Counts::default();
            for _ in 0..DRAINS {
                let counts = drain(clients, send);
                total.answered += counts.answered;
                total.reset += counts.reset;
            }
            println!(
                "{version}, {clients} clients, {DRAINS} drains: {} answered, {} reset after they \
                 had connected",
                total.answered, total.reset
            );
        }
    }
}

/// Floods a server, shuts it down, and returns what its clients saw.
fn drain(clients: usize, send: Send) -> Counts {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::builder().listen(address).http2(true).bind();
    let server = server.expect("a port is free");
    let address: SocketAddr = server.local_addrs()[0]
        .to_string()
        .parse()
        .expect("the address is numeric");
    let handle = server.handle();
    let server = thread::spawn(move || server.run(|_: Request| "ok"));
    let flood: Vec<_> = (0..clients)
        .map(|_| thread::spawn(move || request_until_refused(address, send)))
        .collect();
    while handle.snapshot().answered < 500 {
        thread::yield_now();
    }
    handle.shutdown();
    let report = server.join().expect("the server does not panic");
    assert_eq!(report.expect("the server does not fail").aborted, 0);
    let mut total = Counts::default();
    for client in flood {
        let counts = client.join().expect("a client does not panic");
        total.answered += counts.answered;
        total.reset += counts.reset;
    }
    total
}

fn request_until_refused(address: SocketAddr, send: Send) -> Counts {
    let mut counts = Counts::default();
    loop {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(client) => match send(client) {
                Ok(true) => counts.answered += 1,
                _ => counts.reset += 1,
            },
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return counts,
            // It never connected.
            Err(_) => {}
        }
    }
}

fn send_request(mut client: TcpStream) -> io::Result<bool> {
    client.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut response = Vec::new();
    client.read_to_end(&mut response)?;
    Ok(response.starts_with(b"HTTP/1.1 200"))
}

/// Sends a request of HTTP/2 and reads until its stream ends.
fn send_stream(mut client: TcpStream) -> io::Result<bool> {
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    // Ends the stream. GET, http, / and the host, by their numbers in the static table of HPACK.
    const REQUEST: &[u8] = b"\0\0\x0a\x01\x05\0\0\0\x01\x82\x86\x84\x01\x05bench";
    const DATA: u8 = 0;
    const END_STREAM: u8 = 1;
    client.write_all(&[&PREFACE[..], SETTINGS, REQUEST].concat())?;
    loop {
        let mut head = [0; 9];
        client.read_exact(&mut head)?;
        let [_, high, low, kind, flags, ..] = head;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let mut payload = vec![0; length];
        client.read_exact(&mut payload)?;
        if kind == DATA && flags & END_STREAM != 0 {
            return Ok(payload == b"ok");
        }
    }
}
