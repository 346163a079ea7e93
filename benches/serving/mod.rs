//! A server in a process of its own, so that measurements do not include the client.

#![allow(dead_code, reason = "each bench needs a part of it")]

pub(crate) mod process;
mod settings;

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use httpool::{Handle, Handler, ListenAddr, Request, Response, Server};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};

/// The argument that makes a bench the server.
const SERVE: &str = "serve";

/// How long a program may take until it listens.
const START: Duration = Duration::from_secs(10);

/// How long a server may take to end.
const END: Duration = Duration::from_secs(3);

/// The usual request.
pub(crate) const GET: &[u8] =
    b"GET / HTTP/1.1\r\nHost: localhost:4000\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";

/// A server, stopped on drop.
pub(crate) struct Serving {
    child: Child,
    address: SocketAddr,
}

/// Requests the nanoseconds that the server's threads have run, in the kernel too.
pub(crate) const CPU: &str = "/cpu";

/// Requests the resident memory of the server in bytes.
pub(crate) const MEMORY: &str = "/memory";

/// Requests the request's own body.
pub(crate) const ECHO: &str = "/echo";

/// The response to any other request.
pub(crate) const HELLO: &[u8] = b"Hello, World!";

/// Requests a large response.
pub(crate) const LARGE: &str = "/large";

/// The size of that response.
pub(crate) const LARGE_SIZE: usize = 256 * 1024;

/// Requests a response that takes [`SLOW_TIME`].
pub(crate) const SLOW: &str = "/slow";

/// The time of a slow database query.
const SLOW_TIME: Duration = Duration::from_millis(20);

/// Requests a response that takes [`PAUSE_TIME`].
pub(crate) const PAUSE: &str = "/pause";

/// The time of a call to another server.
pub(crate) const PAUSE_TIME: Duration = Duration::from_millis(50);

/// Requests a response that takes [`QUERY_TIME`].
pub(crate) const QUERY: &str = "/query";

/// The time of a database query with an index.
pub(crate) const QUERY_TIME: Duration = Duration::from_millis(5);

/// Requests a response that takes [`QUERY_TIME`] of processor time.
pub(crate) const SUM: &str = "/sum";

/// Responds with few or many bytes, or with its own measurements.
pub(crate) struct Bench;

impl Handler for Bench {
    fn handle(&self, request: &mut Request) -> Response {
        Response::new(match request.uri().path() {
            CPU => cpu().to_string().into(),
            MEMORY => memory().to_string().into(),
            ECHO => std::mem::take(request.body_mut()),
            LARGE => vec![b'x'; LARGE_SIZE].into(),
            SLOW => {
                thread::sleep(SLOW_TIME);
                HELLO.into()
            }
            PAUSE => {
                thread::sleep(PAUSE_TIME);
                HELLO.into()
            }
            QUERY => {
                thread::sleep(QUERY_TIME);
                HELLO.into()
            }
            SUM => {
                compute(QUERY_TIME);
                HELLO.into()
            }
            _ => HELLO.into(),
        })
    }
}

/// Uses this much processor time on this thread.
fn compute(time: Duration) {
    let had = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let end = had() + time;
    while had() < end {
        std::hint::black_box((0..1_000_u64).sum::<u64>());
    }
}

/// Turns this process into the server if it was started as one. Call it first in every bench.
pub(crate) fn serve_if_asked() {
    serve_if_asked_with(|| Bench);
}

/// The same for a server with this handler.
pub(crate) fn serve_if_asked_with<H: Handler>(handler: impl FnOnce() -> H) {
    serve_if_asked_by(|_| handler());
}

/// The same for a handler that controls its server.
pub(crate) fn serve_if_asked_by<H: Handler>(handler: impl FnOnce(Handle) -> H) {
    if env::args().nth(1).as_deref() != Some(SERVE) {
        return;
    }
    let builder = Server::builder().listen(
        "127.0.0.1:0"
            .parse::<ListenAddr>()
            .expect("the address is valid"),
    );
    let server = settings::bind(builder, env::args().skip(2));
    println!("{}", server.local_addrs()[0]);
    let handler = handler(server.handle());
    let handle = server.handle();
    thread::spawn(move || {
        // The server ends with the process that started it.
        let _ = io::stdin().read(&mut [0]);
        handle.shutdown_now();
    });
    let report = server.run(handler).expect("the server can run");
    std::process::exit(i32::from(report.aborted > 0));
}

/// Whether this is a trial run of `cargo test --benches`, and not `cargo bench`.
pub(crate) fn is_trial() -> bool {
    !env::args().any(|argument| argument == "--bench")
}

impl Serving {
    /// A server with the defaults.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// A server with these [settings].
    pub(crate) fn start_with(settings: &[String]) -> Self {
        let mut child = Command::new(env::current_exe().expect("a bench knows its path"))
            .arg(SERVE)
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the bench can be started again");
        let mut line = String::new();
        let output = child.stdout.take().expect("stdout is piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the output is text");
        Self {
            child,
            address: line.trim().parse().expect("the server prints its address"),
        }
    }

    /// Another server, which is started as `PROGRAM PORT THREADS`.
    pub(crate) fn start_program(program: &str, threads: usize) -> Self {
        Self::start_listening(|address| {
            let mut command = Command::new(program);
            command
                .arg(address.port().to_string())
                .arg(threads.to_string());
            command
        })
    }

    /// Another server, which this command starts on the address.
    pub(crate) fn start_listening(command: impl FnOnce(SocketAddr) -> Command) -> Self {
        let address = {
            // The port is free again, and no other program is likely to take it.
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
            listener.local_addr().expect("the listener has an address")
        };
        let mut command = command(address);
        let child = command.stdin(Stdio::piped()).spawn();
        let child = child.expect("the program can be started");
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "{command:?} does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        Self { child, address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the server listens");
        stream.set_nodelay(true).expect("the option exists for TCP");
        stream
    }

    /// Whether the server ends within this time, without an aborted request.
    pub(crate) fn ends_within(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        loop {
            match self.child.try_wait().expect("the server can be waited for") {
                Some(status) => return status.success(),
                None if Instant::now() > deadline => return false,
                None => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// [`CPU`], [`MEMORY`] or another number.
    pub(crate) fn figure(&self, path: &str) -> u64 {
        let mut stream = self.connect();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
        )
        .expect("the server takes a request");
        let mut response = String::new();
        stream
            .read_to_string(&mut response)
            .expect("the server responds");
        let number = response
            .rsplit('\n')
            .next()
            .and_then(|last| last.parse().ok());
        number.expect("the response is a number")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // A peer ends the processes that it has started. All of this fails if the server has ended
        // already, which is fine.
        if let Some(id) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(id, Signal::TERM);
        }
        let deadline = Instant::now() + END;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends the request, receives the response, and returns its length.
pub(crate) fn send_request(stream: &mut TcpStream) -> usize {
    stream.write_all(GET).expect("the server takes a request");
    let mut buffer = [0; 1024];
    let count = stream.read(&mut buffer).expect("the server responds");
    // The server sends the whole response with one call, and one call receives it.
    assert!(buffer[..count].ends_with(b"\r\n\r\nHello, World!"));
    count
}

fn cpu() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).expect("time goes forward")
}

fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the file exists on Linux");
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"))
        .and_then(|amount| amount.trim().parse::<u64>().ok());
    resident.expect("the value is in kB") * 1024
}
