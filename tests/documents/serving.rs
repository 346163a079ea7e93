//! Programs that serve, while they do.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a program may take to listen, answer or end: what a failure costs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that listens. It is killed when this is dropped.
pub(crate) struct Serving {
    child: Child,
    pub(crate) port: u16,
}

/// A port on which nobody listens.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    listener.local_addr().expect("it is bound").port()
}

impl Serving {
    /// Starts a program that listens on this port, and waits until it does.
    #[track_caller]
    pub(crate) fn start(command: &mut Command, port: u16) -> Self {
        let child = command.spawn().expect("it can be started");
        let mut serving = Self { child, port };
        let deadline = Instant::now() + PATIENCE;
        while serving.connect().is_err() {
            let ended = serving.child.try_wait().expect("it is ours");
            assert!(ended.is_none(), "{command:?} has ended: {ended:?}");
            assert!(
                Instant::now() < deadline,
                "{command:?} does not listen on {port}"
            );
            thread::sleep(Duration::from_millis(10));
        }
        serving
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    #[track_caller]
    pub(crate) fn expect_ok(&mut self, target: &str) {
        let mut stream = self.connect().expect("it listens");
        let head = format!("GET {target} HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("it is received");
        let mut response = String::new();
        stream
            .read_to_string(&mut response)
            .expect("there is a response");
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A request of which a part has been received before SIGTERM gets its response, and then the program
/// ends by itself.
#[track_caller]
pub(crate) fn expect_drain(mut serving: Serving) {
    let mut stream = serving.connect().expect("it listens");
    let request = b"GET / HTTP/1.1\r\nHost: it\r\n\r\n";
    let (part, rest) = request.split_at(20);
    // The part of the second one comes with the first, whose response tells that both are here.
    stream
        .write_all(&[request, part].concat())
        .expect("they are received");
    let mut first = Vec::new();
    while !first.ends_with(b"hello\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("there is a response");
        first.push(byte[0]);
    }
    let pid = i32::try_from(serving.child.id()).expect("it is a process id");
    let pid = Pid::from_raw(pid).expect("it is not zero");
    kill_process(pid, Signal::TERM).expect("it runs");
    let deadline = Instant::now() + PATIENCE;
    while serving.connect().is_ok() {
        assert!(
            Instant::now() < deadline,
            "SIGTERM does not close the listener"
        );
        thread::sleep(Duration::from_millis(10));
    }
    stream.write_all(rest).expect("the connection is open");
    let mut second = String::new();
    stream
        .read_to_string(&mut second)
        .expect("there is a response");
    assert!(second.ends_with("\r\n\r\nhello\n"), "{second}");
    let status = serving.wait();
    assert!(status.success(), "{status}");
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
