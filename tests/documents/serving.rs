//! Programs that serve, while they run.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a program may take to listen, to answer or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that listens. It is killed on drop.
pub(crate) struct Serving {
    child: Child,
    pub(crate) port: u16,
}

/// A port on which no program listens.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    listener.local_addr().expect("the listener is bound").port()
}

impl Serving {
    /// Starts a program that listens on this port, and waits until it does.
    #[track_caller]
    pub(crate) fn start(command: &mut Command, port: u16) -> Self {
        let child = command.spawn().expect("the program can be started");
        let mut serving = Self { child, port };
        let deadline = Instant::now() + PATIENCE;
        while serving.connect().is_err() {
            let ended = serving
                .child
                .try_wait()
                .expect("the child can be waited for");
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
        let mut stream = self.connect().expect("the server listens");
        let head = format!("GET {target} HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n");
        stream
            .write_all(head.as_bytes())
            .expect("the server reads the request");
        let mut response = String::new();
        stream
            .read_to_string(&mut response)
            .expect("the server responds");
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "the program does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Expects that a request received in part before SIGTERM gets its response, and that the program
/// then ends by itself.
#[track_caller]
pub(crate) fn expect_drain(mut serving: Serving) {
    let mut stream = serving.connect().expect("the server listens");
    let request = b"GET / HTTP/1.1\r\nHost: it\r\n\r\n";
    let (part, rest) = request.split_at(20);
    // Part of the second request is sent with the first one, whose response shows that both were
    // received.
    stream
        .write_all(&[request, part].concat())
        .expect("the server reads the bytes");
    let mut first = Vec::new();
    while !first.ends_with(b"hello\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("the server responds");
        first.push(byte[0]);
    }
    let pid = i32::try_from(serving.child.id()).expect("the process id fits");
    let pid = Pid::from_raw(pid).expect("the process id is not zero");
    kill_process(pid, Signal::TERM).expect("the program is running");
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
        .expect("the server responds");
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
