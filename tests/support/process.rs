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

/// Path of the program, in the suite that tests it.
const PROGRAM: Option<&str> = option_env!("CARGO_BIN_EXE_httpool");

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
fn memory(process: u32, key: &str) -> u64 {
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
fn is_in_mask(process: u32, mask: &str, signal: rustix::process::Signal) -> bool {
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
struct Process {
    child: Child,
    /// Becomes readable when the process ends.
    end: OwnedFd,
    output: Lines,
    errors: Lines,
}

/// Lines that a process writes.
#[derive(Debug)]
struct Lines {
    receiver: Receiver<String>,
    seen: String,
}

impl Process {
    #[track_caller]
    fn spawn(command: &mut Command) -> Self {
        Self::spawn_with(command, Stdio::null())
    }

    #[track_caller]
    fn spawn_with(command: &mut Command, input: Stdio) -> Self {
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
    fn wait(&mut self, timeout: Duration) -> Option<i32> {
        if !self.has_ended(timeout) {
            return None;
        }
        self.child
            .wait()
            .expect("the child can be waited for")
            .code()
    }

    #[track_caller]
    fn has_ended(&self, timeout: Duration) -> bool {
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
    fn next(&mut self) -> Option<String> {
        let line = self.receiver.recv_timeout(TIMEOUT).ok()?;
        self.seen.push_str(&line);
        self.seen.push('\n');
        Some(line)
    }

    /// Everything written. Call this once the process has ended.
    fn rest(&mut self) -> &str {
        while self.next().is_some() {}
        &self.seen
    }
}

pub(crate) use program::{Program, address_in, run_program, run_with_journal};

mod program {
    use std::net::TcpListener;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::process::{Command, Stdio};

    use httpool::ListenAddr;
    use rustix::process::{Pid, Signal, kill_process};

    use super::super::{Client, SOON, TIMEOUT, expect_refused, unique_loopback};
    use super::{PROGRAM, Process, is_in_mask, memory};

    /// The running program.
    #[derive(Debug)]
    pub(crate) struct Program {
        process: Process,
        address: Option<ListenAddr>,
    }

    /// How the program ended.
    #[derive(Debug)]
    pub(crate) struct Exit {
        pub(crate) code: Option<i32>,
        pub(crate) output: String,
        pub(crate) errors: String,
    }

    /// Runs the program until it ends, with these environment variables and no others.
    #[track_caller]
    pub(crate) fn run_program(arguments: &[&str], variables: &[(&str, &str)]) -> Exit {
        exit(Process::spawn(&mut command(arguments, variables)))
    }

    /// Runs the program with standard error as the stream to the systemd journal.
    #[track_caller]
    pub(crate) fn run_with_journal(arguments: &[&str]) -> Exit {
        let script = "export JOURNAL_STREAM=$(stat -Lc %d:%i /dev/fd/2); exec \"$0\" \"$@\"";
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script, program()])
            .args(arguments)
            .env_clear();
        exit(Process::spawn(&mut command))
    }

    impl Exit {
        /// Checks that the program ended with this code and wrote one line containing `part` to
        /// standard error, and nothing else.
        #[track_caller]
        pub(crate) fn expect_line(&self, code: i32, part: &str) {
            assert_eq!(self.code, Some(code), "{self:?}");
            assert_eq!(self.output, "", "{self:?}");
            assert_eq!(self.errors.lines().count(), 1, "{self:?}");
            assert!(self.errors.contains(part), "{part:?} is not in {self:?}");
        }
    }

    impl Program {
        /// Starts the program with these environment variables and no others.
        #[track_caller]
        pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
            Self {
                process: Process::spawn(&mut command(arguments, variables)),
                address: None,
            }
        }

        /// Starts the program on its own port with HUP and INT ignored, as `nohup` and a shell's
        /// `&` do, and waits until it listens.
        #[track_caller]
        pub(crate) fn spawn_ignoring_signals() -> Self {
            let script = "trap '' HUP INT; exec \"$0\" --listen \"$1\"";
            let listen = format!("{}:0", unique_loopback());
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script, program(), &listen]).env_clear();
            let mut program = Self {
                process: Process::spawn(&mut command),
                address: None,
            };
            program.expect_listening();
            program
        }

        /// Starts the program on its own port with this socket as standard output, as a service
        /// manager does, and waits until it listens.
        #[track_caller]
        pub(crate) fn spawn_with_output(output: UnixStream, arguments: &[&str]) -> Self {
            let input = Stdio::from(OwnedFd::from(output));
            Self::spawn_after_script("exec 1>&0 0</dev/null", input, arguments)
        }

        /// Starts the program on its own port with this limit on open descriptors, and waits until
        /// it listens.
        #[track_caller]
        pub(crate) fn spawn_with_descriptor_limit(descriptors: u32, arguments: &[&str]) -> Self {
            let script = format!("ulimit -n {descriptors}");
            Self::spawn_after_script(&script, Stdio::null(), arguments)
        }

        /// Runs a shell script, starts the program on its own port, and waits until it listens.
        #[track_caller]
        fn spawn_after_script(script: &str, input: Stdio, arguments: &[&str]) -> Self {
            let script = format!("{script}; exec \"$0\" \"$@\"");
            let listen = format!("{}:0", unique_loopback());
            let mut command = Command::new("/bin/sh");
            command
                .args(["-c", &script, program()])
                .args(["--listen", &listen])
                .args(arguments)
                .env_clear();
            let mut program = Self {
                process: Process::spawn_with(&mut command, input),
                address: None,
            };
            program.expect_listening();
            program
        }

        /// Starts the program on its own port and waits until it listens.
        #[track_caller]
        pub(crate) fn spawn(arguments: &[&str]) -> Self {
            Self::spawn_with(arguments, &[])
        }

        /// Starts the program on its own port with these environment variables, and waits until it
        /// listens.
        #[track_caller]
        pub(crate) fn spawn_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
            let listen = format!("{}:0", unique_loopback());
            let arguments = [&["--listen", &listen], arguments].concat();
            let mut program = Self::start(&arguments, variables);
            program.expect_listening();
            program
        }

        /// Waits until the program listens, and takes its address from the log.
        #[track_caller]
        pub(crate) fn expect_listening(&mut self) {
            let line = self.expect_line("listening on http://");
            self.address = Some(address_in(&line));
        }

        /// The next line of the log that contains `part`.
        #[track_caller]
        pub(crate) fn expect_line(&mut self, part: &str) -> String {
            let errors = &mut self.process.errors;
            loop {
                match errors.next() {
                    Some(line) if line.contains(part) => return line,
                    Some(_) => {}
                    None => panic!("no line with {part:?} in {}", errors.seen),
                }
            }
        }

        /// Starts the program with an inherited listener, as systemd does for socket activation,
        /// and waits until it listens.
        #[track_caller]
        pub(crate) fn spawn_with_listener(listener: &TcpListener, arguments: &[&str]) -> Self {
            Self::spawn_with_named_listener(listener, "", arguments)
        }

        /// Starts the program with an inherited listener that has a name (`LISTEN_FDNAMES`).
        #[track_caller]
        pub(crate) fn spawn_with_named_listener(
            listener: &TcpListener,
            name: &str,
            arguments: &[&str],
        ) -> Self {
            // The socket arrives as standard input and moves to descriptor 3, the first for
            // inherited sockets.
            let script = "exec 3<&0 0</dev/null; export LISTEN_PID=$$; exec \"$0\" \"$@\"";
            let listener = listener.try_clone().expect("a socket can be cloned");
            let mut command = Command::new("/bin/sh");
            command
                .args(["-c", script, program()])
                .args(arguments)
                .env_clear()
                .env("LISTEN_FDS", "1")
                .env("LISTEN_FDNAMES", name);
            let input = Stdio::from(OwnedFd::from(listener));
            let mut program = Self {
                process: Process::spawn_with(&mut command, input),
                address: None,
            };
            program.expect_line("listening on http");
            program
        }

        pub(crate) fn address(&self) -> &ListenAddr {
            let address = self.address.as_ref();
            address.expect("the program has its own port")
        }

        #[track_caller]
        pub(crate) fn connect(&self) -> Client {
            Client::connect(self.address())
        }

        #[track_caller]
        pub(crate) fn signal(&self, signal: Signal) {
            let pid = Pid::from_child(&self.process.child);
            kill_process(pid, signal).expect("the program runs");
        }

        /// Whether the program has a handler for a signal.
        #[track_caller]
        pub(crate) fn catches(&self, signal: Signal) -> bool {
            is_in_mask(self.process.child.id(), "SigCgt:", signal)
        }

        /// Peak memory of the program in bytes.
        #[track_caller]
        pub(crate) fn peak_memory(&self) -> u64 {
            memory(self.process.child.id(), "VmHWM:")
        }

        /// Sends a signal repeatedly until the program has ended.
        #[track_caller]
        pub(crate) fn signal_until_exit(&self, signal: Signal) {
            let tries = TIMEOUT.as_millis() / SOON.as_millis();
            let has_ended = (0..tries).any(|_| {
                self.signal(signal);
                self.process.has_ended(SOON)
            });
            assert!(has_ended, "{signal:?} does not end the program");
        }

        /// Waits until the program's port is released.
        #[track_caller]
        pub(crate) fn expect_refused(&self) {
            let address = self.address().to_string();
            expect_refused(address.parse().expect("the address is numeric"));
        }

        #[track_caller]
        pub(crate) fn expect_exit(self, code: i32) -> Exit {
            let exit = exit(self.process);
            assert_eq!(exit.code, Some(code), "{exit:?}");
            exit
        }
    }

    /// The first address in a line.
    #[track_caller]
    pub(crate) fn address_in(line: &str) -> ListenAddr {
        let (_, rest) = line.split_once("://").expect("the line contains a URL");
        let end = |c: char| !(c.is_ascii_alphanumeric() || ".:[]".contains(c));
        let address = rest.split(end).next().unwrap_or_default();
        address.parse().expect("the address is valid")
    }

    #[track_caller]
    fn exit(mut process: Process) -> Exit {
        let code = process.wait(TIMEOUT);
        assert!(
            code.is_some(),
            "the program did not end: {}",
            process.errors.seen
        );
        Exit {
            code,
            output: process.output.rest().to_owned(),
            errors: process.errors.rest().to_owned(),
        }
    }

    fn program() -> &'static str {
        PROGRAM.expect("only the program's package builds the program")
    }

    fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .env_clear()
            .envs(variables.iter().copied());
        command
    }
}
