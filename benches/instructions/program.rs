//! The measured program, in a process of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The path of the program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_httpool");

/// Longer than anything here takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The running program, stopped on drop.
pub(crate) struct Program {
    child: Child,
    /// Kept open so that the program can keep writing.
    log: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl Program {
    /// Starts the program with this command, which may be valgrind's with the program as its last
    /// argument.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .args(["--listen", "127.0.0.1:0", "--workers", "1"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let mut log = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let mut said = String::new();
        let address = loop {
            let length = log.read_line(&mut said).expect("the log is text");
            assert_ne!(length, 0, "the server does not listen: {said}");
            let after = said.split_once("listening on http://");
            if let Some(address) = after.and_then(|(_, line)| line.split(' ').next()) {
                break address.parse().expect("the log has an address");
            }
        };
        Self {
            child,
            log,
            address,
        }
    }

    /// A connection whose first request the server already waits for.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the program listens");
        stream.set_nodelay(true).expect("the option exists for TCP");
        stream
            .set_read_timeout(Some(TIMEOUT))
            .expect("the timeout is not zero");
        self.sleep();
        stream
    }

    /// Waits until all threads of the server sleep, so that the next request finds it in the same
    /// state, however the machine schedules client and server.
    pub(crate) fn sleep(&self) {
        let deadline = Instant::now() + TIMEOUT;
        let mut before = self.look();
        loop {
            let now = self.look();
            // Each thread was sampled at another moment. If none has run between two samples, all
            // slept at one moment.
            if now == before && now.iter().all(|thread| thread.sleeps) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "the server sleeps after a response"
            );
            before = now;
        }
    }

    fn look(&self) -> Vec<Thread> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        tasks
            .expect("the server runs")
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok())
            .map(|status| Thread::from_status(&status))
            .collect()
    }

    /// Shuts it down, so that everything is counted.
    pub(crate) fn stop(mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("the program runs");
        let mut said = String::new();
        self.log.read_to_string(&mut said).expect("the log is text");
        let status = self.child.wait().expect("the program is a child");
        assert!(status.success(), "{status}: {said}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // This fails if the server has ended already, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The kernel's statistics of a thread.
#[derive(Debug, PartialEq, Eq)]
struct Thread {
    sleeps: bool,
    /// How often it has stopped running.
    switches: Vec<String>,
}

impl Thread {
    fn from_status(status: &str) -> Self {
        let field = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name));
            value.unwrap_or_default().trim().to_owned()
        };
        Self {
            sleeps: field("State:").starts_with('S'),
            switches: vec![
                field("voluntary_ctxt_switches:"),
                field("nonvoluntary_ctxt_switches:"),
            ],
        }
    }
}
