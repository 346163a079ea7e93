//! Runs tests and programs in processes of their own.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::TIMEOUT;

/// Longest time for a test in its own process.
const OWN_PROCESS_TIMEOUT: Duration = Duration::from_secs(60);

/// Set in a process that runs one test.
const IN_OWN_PROCESS: &str = "HTTPOOL_TEST_IN_OWN_PROCESS";

/// Runs a test, named as `cargo test` names it, in its own process. For tests that count
/// descriptors or threads, or need many: those of other tests would disturb them.
#[track_caller]
pub(crate) fn in_own_process(test: &str, body: impl FnOnce()) {
    if env::var_os(IN_OWN_PROCESS).is_some() {
        return body();
    }
    let (code, output, errors) =
        run_tests(&[test, "--exact", "--nocapture"], &[(IN_OWN_PROCESS, "")]);
    println!("{output}");
    assert!(
        code == Some(0) && output.contains("1 passed"),
        "{test} ended with {code:?}:\n{errors}"
    );
}

/// Runs a module's tests again, except one, in a process that inherits the restrictions of the
/// caller.
#[track_caller]
pub(crate) fn rerun_module(module: &str, except: &str) {
    let (code, output, errors) = run_tests(&[module, "--skip", except], &[]);
    assert!(
        code == Some(0) && !output.contains(" 0 passed"),
        "the tests of {module} ended with {code:?}:\n{output}{errors}"
    );
}

/// Runs tests of this executable in another process. Returns the exit code, standard output and
/// standard error.
#[track_caller]
fn run_tests(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env::current_exe().expect("the executable is known"));
    command.args(arguments).envs(variables.iter().copied());
    let mut process = Process::spawn(&mut command);
    let code = process.wait(OWN_PROCESS_TIMEOUT);
    let [output, errors] = [process.output.rest(), process.errors.rest()].map(str::to_owned);
    (code, output, errors)
}

/// Resident memory of this process in bytes.
#[track_caller]
pub(crate) fn resident_memory() -> u64 {
    memory(std::process::id(), "VmRSS:")
}

#[track_caller]
pub(super) fn memory(process: u32, key: &str) -> u64 {
    let amount = status(process, key);
    let amount = amount
        .strip_suffix("kB")
        .and_then(|amount| amount.trim().parse::<u64>().ok());
    amount.expect("the unit is kB") * 1024
}

/// A value of `/proc/PID/status`.
#[track_caller]
fn status(process: u32, key: &str) -> String {
    let file = format!("/proc/{process}/status");
    let status = fs::read_to_string(file).expect("the process exists");
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.expect("the line exists").trim().to_owned()
}

/// Whether a signal is in one of a process's signal masks, for example `SigCgt:`.
#[track_caller]
pub(super) fn is_in_mask(process: u32, mask: &str, signal: rustix::process::Signal) -> bool {
    let mask = u64::from_str_radix(&status(process, mask), 16).expect("masks are hexadecimal");
    mask & (1 << (signal.as_raw() - 1)) != 0
}

/// Whether this process, and so its child processes, ignores a signal.
#[track_caller]
pub(crate) fn ignores_signal(signal: rustix::process::Signal) -> bool {
    is_in_mask(std::process::id(), "SigIgn:", signal)
}

/// A child process, killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) child: Child,
    /// Becomes readable when the process ends.
    end: OwnedFd,
    pub(super) output: Lines,
    pub(super) errors: Lines,
}

/// Lines that a process writes.
#[derive(Debug)]
pub(super) struct Lines {
    receiver: Receiver<String>,
    pub(super) seen: String,
}

impl Process {
    #[track_caller]
    pub(super) fn spawn(command: &mut Command) -> Self {
        Self::spawn_with(command, Stdio::null())
    }

    #[track_caller]
    pub(super) fn spawn_with(command: &mut Command, input: Stdio) -> Self {
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let pid = Pid::from_child(&child);
        let end = pidfd_open(pid, PidfdFlags::empty()).expect("pidfd_open works");
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        Self {
            child,
            end,
            output: Lines::of(output.expect("stdout and stderr are pipes")),
            errors: Lines::of(errors.expect("stdout and stderr are pipes")),
        }
    }

    /// Waits for the exit code. `None` after `timeout`, or if a signal killed the process.
    #[track_caller]
    pub(super) fn wait(&mut self, timeout: Duration) -> Option<i32> {
        if !self.has_ended(timeout) {
            return None;
        }
        self.child
            .wait()
            .expect("the child can be waited for")
            .code()
    }

    #[track_caller]
    pub(super) fn has_ended(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).expect("the timeout is short");
            match poll(&mut [PollFd::new(&self.end, PollFlags::IN)], Some(&left)) {
                Ok(ready) => return ready > 0,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("polling the pidfd failed: {error}"),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process has normally ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (send, receiver) = unbounded();
        thread::spawn(move || {
            let lines = BufReader::new(pipe).lines().map_while(io::Result::ok);
            lines.map_while(|line| send.send(line).ok()).for_each(drop);
        });
        Self {
            receiver,
            seen: String::new(),
        }
    }

    /// The next line; `None` after a timeout or at the end.
    pub(super) fn next(&mut self) -> Option<String> {
        let line = self.receiver.recv_timeout(TIMEOUT).ok()?;
        self.seen.push_str(&line);
        self.seen.push('\n');
        Some(line)
    }

    /// Everything written. Call this once the process has ended.
    pub(super) fn rest(&mut self) -> &str {
        while self.next().is_some() {}
        &self.seen
    }
}
