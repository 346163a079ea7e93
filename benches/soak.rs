//! Runs ten minutes of all kinds of client behaviour, and checks that nothing grows.
//!
//! Good clients use kept and single connections, pipeline, post with lengths and in chunks, and
//! check every response. They also wait for delayed responses and events, speak another protocol
//! after an upgrade, and send many requests at once with HTTP/2. Beside them other clients are slow,
//! send too much or invalid bytes, or leave early, some while their response waits. The bench prints
//! the server's memory, descriptors and threads over time. It fails if a good response is wrong, if
//! descriptors or threads do not return to their start, or if memory keeps growing.
//!
//! `cargo bench --bench soak` takes ten minutes, `SOAK_SECONDS=30 cargo bench --bench soak` half a
//! minute.

mod http2;
#[path = "soak/http2.rs"]
mod http2_clients;
#[path = "../tests/support/random.rs"]
mod random;
mod serving;

use std::env;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use httpool::sse::{Broadcast, Event};
use httpool::{
    DrivenProtocol, DrivenStream, Handler, IntoResponse as _, Later, NextStep, Request, Response,
    Upgrade,
};
use random::Random;
use serving::{Bench, ECHO, GET, HELLO, Serving};

/// Clients at a time, each a thread that plays one part after another.
const CLIENTS: usize = 24;

/// Timeout of everything for a good client.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Rows of the table.
const SAMPLES: u32 = 20;

/// How much memory the last third may use above the first: the allocator needs some until it has
/// seen the worst mixture, and nothing may grow with requests.
const GROWTH: u64 = 8 * 1024 * 1024;

/// Time for the server to close its clients' connections.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The behaviour of a client on one connection, or on a few.
type Part = fn(SocketAddr, &mut Random) -> io::Result<()>;

/// Parts whose every response must be right.
const GOOD: [(&str, Part); 9] = [
    ("kept", kept),
    ("closed", closed),
    ("pipelined", pipelined),
    ("posted", posted),
    ("in chunks", in_chunks),
    ("delayed", delayed),
    ("listening", listening),
    ("upgraded", upgraded),
    ("multiplexed", http2_clients::multiplexed),
];

/// Parts in which anything may fail.
const BAD: [(&str, Part); 13] = [
    ("slow head", slow_head),
    ("slow body", slow_body),
    ("long head", long_head),
    ("large body", large_body),
    ("nonsense", nonsense),
    ("half-closed", half_closed),
    ("reset", reset),
    ("never read", never_read),
    ("left waiting", left_waiting),
    ("cancelled", http2_clients::cancelled),
    ("without window", http2_clients::without_window),
    ("half a head", http2_clients::half_a_head),
    ("frames of nonsense", http2_clients::nonsense),
];

/// Requests a response after [`DELAY`].
const DELAYED: &str = "/delayed";

const DELAY: Duration = Duration::from_millis(50);

/// Requests a response that never comes.
const NEVER: &str = "/never";

/// Requests events, one every [`EVENT_GAP`].
const EVENTS: &str = "/events";

const EVENT_GAP: Duration = Duration::from_millis(10);

/// Requests an upgrade to a protocol that returns every byte.
const UPGRADE: &str = "/upgrade";

/// Serves responses that wait, too.
struct Waits(Broadcast);

/// Returns every byte.
struct Echo;

#[derive(Default)]
struct Counts {
    counts: [AtomicUsize; GOOD.len() + BAD.len()],
    wrong: AtomicUsize,
    is_over: AtomicBool,
}

/// A sample of the server.
#[derive(Debug, Clone, Copy)]
struct Sample {
    resident: u64,
    descriptors: usize,
    threads: usize,
}

fn main() -> ExitCode {
    serving::serve_if_asked_with(Waits::start);
    let seconds = env::var("SOAK_SECONDS")
        .ok()
        .and_then(|seconds| seconds.parse().ok());
    let usual = if serving::is_trial() { 1.5 } else { 600.0 };
    let duration = Duration::from_secs_f64(seconds.unwrap_or(usual));
    let settings = [
        "workers=8",
        "http2=1",
        "head_timeout=1000",
        "body_timeout=1000",
        "write_timeout=1000",
        "idle_timeout=2000",
        "max_body=200000",
    ];
    let server = Serving::start_with(&settings.map(str::to_owned));
    let rest = Sample::at_rest(&server).expect("the server responds");
    // Memory that a server uses after its first responses, it keeps.
    for _ in 0..100 {
        kept(server.address(), &mut Random::new(0)).expect("the server responds");
    }
    assert!(rest.wait_until_restored(&server), "clients leave nothing");
    let rest = Sample::at(&server);
    println!(
        "{:>7} {:>9} {:>11} {:>7} {:>9}",
        "seconds", "KiB", "descriptors", "threads", "parts"
    );
    println!("{}", rest.row(Duration::ZERO, 0));

    let counts = Arc::new(Counts::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|seed| {
            let (counts, address) = (Arc::clone(&counts), server.address());
            thread::spawn(move || counts.play(address, Random::new(seed as u64)))
        })
        .collect();
    let began = Instant::now();
    let mut samples = Vec::new();
    for number in 1..=SAMPLES {
        thread::sleep((duration * number / SAMPLES).saturating_sub(began.elapsed()));
        let sample = Sample::at(&server);
        println!("{}", sample.row(began.elapsed(), counts.played()));
        samples.push(sample);
    }
    counts.is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("a client does not panic");
    }
    let settled = rest.wait_until_restored(&server);
    counts.print();

    let third = samples.len() / 3;
    let most = |samples: &[Sample]| {
        samples
            .iter()
            .map(|sample| sample.resident)
            .max()
            .unwrap_or(0)
    };
    let growth = most(&samples[2 * third..]).saturating_sub(most(&samples[..third]));
    println!(
        "memory of the last third above that of the first: {} KiB",
        growth / 1024
    );
    let wrong = counts.wrong.load(Ordering::Relaxed);
    let errors = [
        (
            wrong > 0,
            format!("{wrong} good clients got a wrong response"),
        ),
        (
            !settled,
            format!(
                "descriptors or threads remain: {:?} instead of {rest:?}",
                Sample::at(&server)
            ),
        ),
        (growth > GROWTH, "memory grows".to_owned()),
    ];
    for (_, error) in errors.iter().filter(|(is_so, _)| *is_so) {
        println!("failed: {error}");
    }
    ExitCode::from(u8::from(errors.iter().any(|(is_so, _)| *is_so)))
}

impl Waits {
    fn start() -> Self {
        let events = Broadcast::new();
        let sender = events.clone();
        thread::spawn(move || {
            loop {
                sender.send(Event::data("event"));
                thread::sleep(EVENT_GAP);
            }
        });
        Self(events)
    }
}

impl Handler for Waits {
    fn handle(&self, request: &mut Request) -> Response {
        match request.uri().path() {
            DELAYED => Later::after(DELAY, HELLO).into_response(),
            NEVER => {
                let (responder, later) = Later::new();
                let responder = Arc::new(Mutex::new(Some(responder)));
                let kept = Arc::clone(&responder);
                if let Ok(responder) = responder.lock()
                    && let Some(responder) = &*responder
                {
                    // It is kept until its client has left.
                    responder.on_cancel(move || drop(kept));
                }
                later.into_response()
            }
            EVENTS => self.0.subscribe(None).into_response(),
            UPGRADE => Upgrade::driven("echo", |_| Echo).into_response(),
            _ => Bench.handle(request),
        }
    }
}

impl DrivenProtocol for Echo {
    fn ready(&mut self, stream: &mut DrivenStream<'_>) -> NextStep {
        let mut buffer = [0; 1024];
        loop {
            match stream.read(&mut buffer) {
                Ok(count @ 1..) if stream.write_all(&buffer[..count]).is_ok() => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return NextStep::Wait,
                _ => return NextStep::Close,
            }
        }
    }
}

impl Counts {
    /// Plays parts until the time is over.
    fn play(&self, address: SocketAddr, mut random: Random) {
        while !self.is_over.load(Ordering::Relaxed) {
            let part = random.below(GOOD.len() + BAD.len());
            if let Some((name, good)) = GOOD.get(part) {
                if let Err(error) = good(address, &mut random) {
                    println!("{name}: {error}");
                    self.wrong.fetch_add(1, Ordering::Relaxed);
                }
            } else {
                // The server may close it at any point.
                let _ = BAD[part - GOOD.len()].1(address, &mut random);
            }
            self.counts[part].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn played(&self) -> usize {
        let counts = self.counts.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    fn print(&self) {
        let names = GOOD.iter().chain(&BAD).map(|(name, _)| name);
        let played = names.zip(&self.counts);
        let played =
            played.map(|(name, count)| format!("{name} {}", count.load(Ordering::Relaxed)));
        println!("parts: {}", played.collect::<Vec<_>>().join(", "));
    }
}

impl Sample {
    fn at(server: &Serving) -> Self {
        Self {
            resident: server.resident(),
            descriptors: server.descriptors(),
            threads: server.threads(),
        }
    }

    /// The server without connections. It has opened and started all that it needs when it responds,
    /// and this connection is its only one.
    fn at_rest(server: &Serving) -> io::Result<Self> {
        let mut stream = connect(server.address())?;
        stream.write_all(GET)?;
        expect(&mut stream, HELLO)?;
        let sample = Self::at(server);
        let descriptors = sample.descriptors - 1;
        Ok(Self {
            descriptors,
            ..sample
        })
    }

    fn row(self, since: Duration, parts: usize) -> String {
        let Self {
            resident,
            descriptors,
            threads,
        } = self;
        let (seconds, kib) = (since.as_secs_f64(), resident / 1024);
        format!("{seconds:>7.1} {kib:>9} {descriptors:>11} {threads:>7} {parts:>9}")
    }

    /// Whether descriptors and threads return to their start.
    fn wait_until_restored(self, server: &Serving) -> bool {
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        loop {
            let now = Self::at(server);
            if (now.descriptors, now.threads) == (self.descriptors, self.threads) {
                return true;
            }
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// Reads one response, which has this body.
fn expect(stream: &mut TcpStream, body: &[u8]) -> io::Result<()> {
    let mut response = Vec::new();
    loop {
        let end = response.windows(4).position(|part| part == b"\r\n\r\n");
        if let Some(end) = end.filter(|end| response.len() >= end + 4 + body.len()) {
            let is_right = response.starts_with(b"HTTP/1.1 200 ") && response[end + 4..] == *body;
            let wrong =
                || io::Error::other(format!("{:?}", String::from_utf8_lossy(&response[..end])));
            return if is_right { Ok(()) } else { Err(wrong()) };
        }
        // Only this response, because another may follow it.
        let missing = end.map_or(1, |end| end + 4 + body.len() - response.len());
        let mut part = vec![0; missing];
        match stream.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => response.extend_from_slice(&part[..count]),
        }
    }
}

fn kept(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let mut stream = connect(address)?;
    let requests = 1 + random.below(50);
    for _ in 0..requests {
        stream.write_all(GET)?;
        expect(&mut stream, HELLO)?;
    }
    Ok(())
}

fn closed(address: SocketAddr, _: &mut Random) -> io::Result<()> {
    let mut stream = connect(address)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n")?;
    expect(&mut stream, HELLO)?;
    match stream.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(io::Error::other("unexpected bytes after the last response")),
    }
}

fn pipelined(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let mut stream = connect(address)?;
    let requests = 1 + random.below(200);
    stream.write_all(&GET.repeat(requests))?;
    (0..requests).try_for_each(|_| expect(&mut stream, HELLO))
}

fn posted(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let mut stream = connect(address)?;
    for _ in 0..3 {
        let length = random.below(100_000);
        let body = random.bytes(length);
        write!(
            stream,
            "POST {ECHO} HTTP/1.1\r\nHost: soak\r\nContent-Length: {length}\r\n\r\n"
        )?;
        stream.write_all(&body)?;
        expect(&mut stream, &body)?;
    }
    Ok(())
}

fn in_chunks(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let mut stream = connect(address)?;
    let length = 1 + random.below(20_000);
    let body = random.bytes(length);
    let mut request =
        format!("POST {ECHO} HTTP/1.1\r\nHost: soak\r\nTransfer-Encoding: chunked\r\n\r\n")
            .into_bytes();
    for chunk in body.chunks(1 + random.below(3_000)) {
        request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        request.extend([chunk, b"\r\n"].concat());
    }
    request.extend(b"0\r\nX-Sum: 1\r\n\r\n");
    for piece in request.chunks(1 + random.below(5_000)) {
        stream.write_all(piece)?;
    }
    expect(&mut stream, &body)
}

/// Sends a byte now and then until the server closes the connection.
fn trickle(mut stream: TcpStream, start: &[u8], random: &mut Random) -> io::Result<()> {
    stream.write_all(start)?;
    let pause = Duration::from_millis(50 + random.below(200) as u64);
    for _ in 0..8 {
        thread::sleep(pause);
        stream.write_all(b"x")?;
    }
    Ok(())
}

fn slow_head(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    trickle(connect(address)?, b"GET / HTTP/1.1\r\nX: ", random)
}

fn slow_body(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let start = b"POST / HTTP/1.1\r\nHost: soak\r\nContent-Length: 100000\r\n\r\n";
    trickle(connect(address)?, start, random)
}

fn long_head(address: SocketAddr, _: &mut Random) -> io::Result<()> {
    let mut stream = connect(address)?;
    stream.write_all(b"GET / HTTP/1.1\r\n")?;
    stream.write_all(&b"X: 0123456789\r\n".repeat(5_000))?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

fn large_body(address: SocketAddr, _: &mut Random) -> io::Result<()> {
    let mut stream = connect(address)?;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: soak\r\nContent-Length: 300000\r\n\r\n")?;
    stream.write_all(&vec![b'x'; 300_000])?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

fn nonsense(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let mut stream = connect(address)?;
    let length = 1 + random.below(3_000);
    stream.write_all(&random.bytes(length))?;
    stream.shutdown(Shutdown::Write)?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

fn half_closed(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let mut stream = connect(address)?;
    let length = random.below(GET.len());
    stream.write_all(&GET.repeat(3))?;
    stream.write_all(&GET[..length])?;
    stream.shutdown(Shutdown::Write)?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

/// Resets the connection, with unread bytes or without.
fn reset(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let stream = connect(address)?;
    let sent = GET.repeat(3);
    let length = random.below(sent.len());
    (&stream).write_all(&sent[..length])?;
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    Ok(())
}

fn never_read(address: SocketAddr, _: &mut Random) -> io::Result<()> {
    let mut stream = connect(address)?;
    let request = format!("GET {} HTTP/1.1\r\nHost: soak\r\n\r\n", serving::LARGE);
    stream.write_all(request.repeat(40).as_bytes())?;
    thread::sleep(Duration::from_millis(300));
    Ok(())
}

fn delayed(address: SocketAddr, _: &mut Random) -> io::Result<()> {
    let mut stream = connect(address)?;
    stream.write_all(request_for(DELAYED).as_bytes())?;
    expect(&mut stream, HELLO)
}

/// Reads a few events and leaves.
fn listening(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let mut stream = connect(address)?;
    stream.write_all(request_for(EVENTS).as_bytes())?;
    expect_events(&mut stream, 1 + random.below(5))
}

fn expect_events(stream: &mut TcpStream, count: usize) -> io::Result<()> {
    let mut received = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&received);
        if text.matches("data: event\n\n").count() >= count {
            return Ok(());
        }
        let mut part = [0; 1024];
        match stream.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => received.extend_from_slice(&part[..count]),
        }
    }
}

fn upgraded(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let mut stream = connect(address)?;
    let upgrade = format!(
        "GET {UPGRADE} HTTP/1.1\r\nHost: soak\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let sent = vec![b'x'; 1 + random.below(4096)];
    stream.write_all(&sent)?;
    let mut returned = vec![0; sent.len()];
    stream.read_exact(&mut returned)?;
    match head.starts_with(b"HTTP/1.1 101 ") && returned == sent {
        true => Ok(()),
        false => Err(io::Error::other("the bytes are not those that were sent")),
    }
}

/// Leaves while the response waits, in order or by a reset.
fn left_waiting(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let mut stream = connect(address)?;
    let paths = [NEVER, EVENTS, DELAYED, UPGRADE];
    stream.write_all(request_for(paths[random.below(paths.len())]).as_bytes())?;
    thread::sleep(Duration::from_millis(random.below(20) as u64));
    if random.below(2) == 0 {
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    }
    Ok(())
}

fn request_for(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: soak\r\n\r\n")
}
