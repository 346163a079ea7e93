//! How many clients that had connected are reset when a server is shut down under a flood of
//! connections. `cargo bench --bench drain`; it takes some seconds.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use httpool::{Request, Server};

const DRAINS: usize = 60;

/// Longer than an answer takes, and shorter than the second after which a SYN is sent again.
const PATIENCE: Duration = Duration::from_millis(500);

/// What came of one client's requests, each on a connection of its own.
#[derive(Debug, Default)]
struct Tally {
    answered: u64,
    reset: u64,
}

fn main() {
    for clients in [8, 64] {
        let mut total = Tally::default();
        for _ in 0..DRAINS {
            let tally = drain(clients);
            total.answered += tally.answered;
            total.reset += tally.reset;
        }
        println!(
            "{clients} clients, {DRAINS} drains: {} answered, {} reset after they had connected",
            total.answered, total.reset
        );
    }
}

/// Floods a server, shuts it down, and says what its clients saw.
fn drain(clients: usize) -> Tally {
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
        .map(|_| thread::spawn(move || ask_until_refused(address)))
        .collect();
    while handle.snapshot().answered < 500 {
        thread::yield_now();
    }
    handle.shutdown();
    let report = server.join().expect("the server does not panic");
    assert_eq!(report.expect("the server does not fail").aborted, 0);
    let mut total = Tally::default();
    for client in flood {
        let tally = client.join().expect("a client does not panic");
        total.answered += tally.answered;
        total.reset += tally.reset;
    }
    total
}

fn ask_until_refused(address: SocketAddr) -> Tally {
    let mut tally = Tally::default();
    loop {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(client) => match ask(client) {
                Ok(answer) if answer.starts_with(b"HTTP/1.1 200") => tally.answered += 1,
                _ => tally.reset += 1,
            },
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return tally,
            // It never connected.
            Err(_) => {}
        }
    }
}

fn ask(mut client: TcpStream) -> io::Result<Vec<u8>> {
    client.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    client.read_to_end(&mut answer)?;
    Ok(answer)
}
