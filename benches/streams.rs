//! Measures quick requests beside slow ones on one connection of HTTP/2.
//!
//! Requests are due at a fixed rate, up to a hundred at once, and one in twenty takes 50 ms in its
//! handler. The times of the others show whether a handler that blocks delays the streams beside
//! it. `cargo bench --bench streams`.

mod http2;
mod serving;

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use http2::FrameReader;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serving::{PAUSE, Serving};

/// As many streams as a server usually allows.
const STREAMS: usize = 100;

/// One request in this many is slow.
const SLOW_EACH: u32 = 20;

/// How long to wait for responses after the last due moment.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Credit for responses, given now and then.
const CREDIT: u32 = 1 << 30;

fn main() {
    serving::serve_if_asked();
    let duration = Duration::from_secs_f64(if serving::is_trial() { 0.3 } else { 10.0 });
    println!(
        "what                                     rate/s   requests    p50 us    p99 us  p99.9 us    max us"
    );
    // At 400 requests a second one handler is slow on average, at 1,000 between two and three.
    for (handlers, rate) in [(None, 400.0), (Some(8), 400.0), (Some(8), 1_000.0)] {
        let mut settings = vec!["workers=8".to_owned(), "http2=1".to_owned()];
        settings.extend(handlers.map(|handlers| format!("handlers_per_connection={handlers}")));
        let server = Serving::start_with(&settings);
        let named = match handlers {
            None => "half of 8 workers".to_owned(),
            Some(handlers) => format!("{handlers} of 8 workers"),
        };
        for slow in [None, Some(SLOW_EACH)] {
            let kind = slow.map_or("none slow".into(), |each| {
                format!("1 of {each} takes 50 ms")
            });
            let load = Load {
                rate,
                duration,
                slow,
            };
            let times = load.run(server.address()).expect("the server responds");
            print_row(&format!("{named}, {kind}"), rate, times);
        }
    }
}

fn print_row(named: &str, rate: f64, mut times: Vec<Duration>) {
    times.sort_unstable();
    let within = |share: f64| {
        let rank = (times.len() as f64 * share).ceil() as usize;
        let time = times.get(rank.clamp(1, times.len().max(1)) - 1);
        time.copied().unwrap_or_default().as_secs_f64() * 1e6
    };
    println!(
        "{named:<40} {rate:>7.0} {:>10} {:>9.0} {:>9.0} {:>9.0} {:>9.0}",
        times.len(),
        within(0.5),
        within(0.99),
        within(0.999),
        within(1.0),
    );
}

/// The parameters of a load.
#[derive(Debug, Clone, Copy)]
struct Load {
    /// Requests a second.
    rate: f64,
    duration: Duration,
    /// One request in this many is slow.
    slow: Option<u32>,
}

/// A connection and its open streams.
struct Connection {
    stream: TcpStream,
    reader: FrameReader,
    /// When the request of each open stream was due, and whether it is slow.
    open: HashMap<u32, (Instant, bool)>,
    requests: u32,
    /// Times of quick requests.
    times: Vec<Duration>,
}

impl Load {
    /// Returns the times of the quick requests, from their due moments.
    fn run(self, address: SocketAddr) -> io::Result<Vec<Duration>> {
        let mut connection = Connection::new(address)?;
        let gap = Duration::from_secs_f64(1.0 / self.rate);
        let total = (self.duration.as_secs_f64() * self.rate) as u32;
        let began = Instant::now();
        let end = began + self.duration + TIMEOUT;
        while connection.requests < total || !connection.open.is_empty() {
            let now = Instant::now();
            if now > end {
                return Err(ErrorKind::TimedOut.into());
            }
            let has_room = connection.open.len() < STREAMS;
            let due = began + gap * connection.requests;
            let is_left = connection.requests < total && has_room;
            if is_left && due <= now {
                let number = connection.requests;
                let is_slow = self.slow.is_some_and(|each| number.is_multiple_of(each));
                connection.send(due, is_slow)?;
                continue;
            }
            let until = if is_left { due } else { end };
            connection.receive(until.saturating_duration_since(now))?;
        }
        Ok(connection.times)
    }
}

impl Connection {
    fn new(address: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let start = [
            http2::preface(http2::MAX_WINDOW),
            http2::window_update(0, CREDIT),
        ];
        stream.write_all(&start.concat())?;
        Ok(Self {
            stream,
            reader: FrameReader::default(),
            open: HashMap::new(),
            requests: 0,
            times: Vec::new(),
        })
    }

    fn send(&mut self, due: Instant, is_slow: bool) -> io::Result<()> {
        let id = 2 * self.requests + 1;
        self.requests += 1;
        self.open.insert(id, (due, is_slow));
        let path = if is_slow { PAUSE } else { "/" };
        self.stream.write_all(&http2::get(id, path))
    }

    /// Receives what arrives within this time.
    fn receive(&mut self, wait: Duration) -> io::Result<()> {
        let wait = Timespec::try_from(wait).map_err(|_| ErrorKind::InvalidInput)?;
        let mut polled = [PollFd::new(&self.stream, PollFlags::IN)];
        match poll(&mut polled, Some(&wait)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut buffer = [0; 16 * 1024];
        let count = self.stream.read(&mut buffer)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let now = Instant::now();
        let (mut has_settings, mut failure) = (false, None);
        let (open, times) = (&mut self.open, &mut self.times);
        self.reader.read(&buffer[..count], |frame| {
            has_settings |= frame.is_settings();
            failure = failure.take().or(frame.end());
            if frame.ends(frame.stream)
                && let Some((due, is_slow)) = open.remove(&frame.stream)
                && !is_slow
            {
                times.push(now - due);
            }
        });
        if has_settings {
            self.stream.write_all(&http2::settings_ack())?;
        }
        match failure {
            Some(failure) => Err(io::Error::other(failure)),
            None => Ok(()),
        }
    }
}
