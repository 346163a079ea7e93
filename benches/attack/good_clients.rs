//! Good clients beside the attackers: they send requests at a fixed rate and follow every rule.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::serving::GET;

/// The number of good clients. Each has one request open at a time.
const CLIENTS: u32 = 10;

/// Time between two requests of one client.
const INTERVAL: Duration = Duration::from_millis(50);

/// One request in this many uses a connection of its own.
const NEWCOMERS: u32 = 10;

/// Timeout of a response.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The good clients of one attack.
pub(crate) struct GoodClients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<GoodResults>>,
}

/// The results of the good clients.
#[derive(Debug, Default)]
pub(crate) struct GoodResults {
    /// Times of requests on keep-alive connections.
    pub(crate) kept: Vec<Duration>,
    /// Times of requests on their own connections, including the connect.
    pub(crate) new: Vec<Duration>,
    /// Reasons of failed requests.
    pub(crate) failures: Vec<io::Error>,
}

/// Whether clients open new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionUse {
    /// Clients stay on their first connections.
    Keep,
    /// Some requests use new connections.
    Renew,
}

impl GoodClients {
    pub(crate) fn begin(address: SocketAddr, connections: ConnectionUse) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..CLIENTS).map(|number| {
            let mut kept = connect(address).expect("the server listens");
            send_request(&mut kept).expect("the server responds");
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                thread::sleep(INTERVAL * number / CLIENTS);
                visit(address, kept, connections, &stop)
            })
        });
        Self {
            threads: threads.collect(),
            stop,
        }
    }

    pub(crate) fn leave(self) -> GoodResults {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = GoodResults::default();
        for thread in self.threads {
            let one = thread.join().expect("good clients do not panic");
            all.kept.extend(one.kept);
            all.new.extend(one.new);
            all.failures.extend(one.failures);
        }
        all
    }
}

/// Connects, sends one request, and disconnects.
pub(crate) fn request_once(address: SocketAddr) -> io::Result<()> {
    send_request(&mut connect(address)?)
}

fn visit(
    address: SocketAddr,
    mut kept: TcpStream,
    connections: ConnectionUse,
    stop: &AtomicBool,
) -> GoodResults {
    let mut good = GoodResults::default();
    let mut due = Instant::now();
    for number in 1.. {
        due += INTERVAL;
        let ahead = due.saturating_duration_since(Instant::now());
        thread::sleep(ahead);
        if stop.load(Ordering::Relaxed) {
            break;
        }
        // The time of a request counts from when it was due, even if the one before it delayed it.
        let began = if ahead.is_zero() { due } else { Instant::now() };
        let (times, asked) = if connections == ConnectionUse::Renew && number % NEWCOMERS == 0 {
            (&mut good.new, request_once(address))
        } else {
            (&mut good.kept, send_request(&mut kept))
        };
        match asked {
            Ok(()) => times.push(began.elapsed()),
            Err(error) => {
                good.failures.push(error);
                if let Ok(again) = connect(address) {
                    kept = again;
                }
            }
        }
    }
    good
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

fn send_request(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(GET)?;
    let mut response = Vec::new();
    let mut buffer = [0; 1024];
    while !response.ends_with(b"\r\n\r\nHello, World!") {
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => response.extend_from_slice(&buffer[..count]),
        }
    }
    if response.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(io::Error::other(response.escape_ascii().to_string()))
}
