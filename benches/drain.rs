//! Counts the connected clients that are reset when a server shuts down under a flood of
//! connections. `cargo bench --bench drain` takes some seconds.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

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

fn main() {
    for clients in [8, 64] {
        let mut total = Counts::default();
        for _ in 0..DRAINS {
            let counts = drain(clients);
            total.answered += counts.answered;
            total.reset += counts.reset;
        }
        println!(
            "{clients} clients, {DRAINS} drains: {} answered, {} reset after they had connected",
            total.answered, total.reset
        );
    }
}

/// Floods a server, shuts it down, and returns what its clients saw.
fn drain(clients: usize) -> Counts {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::builder().listen(address).bind();
    let server = server.expect("a port is free");
    let address: SocketAddr = server.local_addrs()[0]
        .to_string()
        .parse()
        .expect("the address is numeric");
    let handle = server.handle();
    let server = thread::spawn(move || server.run(|_: Request| "ok"));
    let flood: Vec<_> = (0..clients)
        .map(|_| thread::spawn(move || request_until_refused(address)))
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

fn request_until_refused(address: SocketAddr) -> Counts {
    let mut counts = Counts::default();
    loop {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(client) => match send_request(client) {
                Ok(response) if response.starts_with(b"HTTP/1.1 200") => counts.answered += 1,
                _ => counts.reset += 1,
            },
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return counts,
            // It never connected.
            Err(_) => {}
        }
    }
}

fn send_request(mut client: TcpStream) -> io::Result<Vec<u8>> {
    client.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut response = Vec::new();
    client.read_to_end(&mut response)?;
    Ok(response)
}
