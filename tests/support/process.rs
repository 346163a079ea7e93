//! Tests and programs in processes of their own.

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

/// The program, for the suite that tests it.
const PROGRAM: Option<&str> = option_env!("CARGO_BIN_EXE_httpool");

/// How long a test may take that runs alone.
const ALONE: Duration = Duration::from_secs(60);

/// Tells a process that it runs one test alone.
const MARK: &str = "HTTPOOL_TEST_ALONE";

/// Runs a test, named as `cargo test` names it, in a process of its own: one that counts
/// descriptors or threads, or needs many, must not meet those of other tests.
#[track_caller]
pub(crate) fn in_own_process(test: &str, body: impl FnOnce()) {
    if env::var_os(MARK).is_some() {
        return body();
    }
    let (code, output, errors) = run_tests(&[test, "--exact", "--nocapture"], &[(MARK, "")]);
    println!("{output}");
    assert!(
        code == Some(0) && output.contains("1 passed"),
        "alone, {test} ended with {code:?}:\n{errors}"
    );
}

/// Runs the tests of a module again, but for this one: for who has changed where they run.
#[track_caller]
pub(crate) fn rerun_module(module: &str, but_for: &str) {
    let (code, output, errors) = run_tests(&[module, "--skip", but_for], &[]);
    assert!(
        code == Some(0) && !output.contains(" 0 passed"),
        "the tests of {module} ended with {code:?}:\n{output}{errors}"
    );
}

/// How this program, asked for some of its tests in a process of their own, has ended, and what it
/// has said.
#[track_caller]
fn run_tests(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env::current_exe().expect("a process has a program"));
    command.args(arguments).envs(variables.iter().copied());
    let mut process = Process::spawn(&mut command);
    let code = process.wait(ALONE);
    let [output, errors] = [process.output.rest(), process.errors.rest()].map(str::to_owned);
    (code, output, errors)
}

/// How many bytes of memory this process uses.
#[track_caller]
pub(crate) fn resident_memory() -> u64 {
    memory(std::process::id(), "VmRSS:")
}

#[track_caller]
fn memory(process: u32, what: &str) -> u64 {
    let amount = status(process, what);
    let amount = amount
        .strip_suffix("kB")
        .and_then(|amount| amount.trim().parse::<u64>().ok());
    amount.expect("Linux tells it in kB") * 1024
}

/// One line of what Linux tells of a process.
#[track_caller]
fn status(process: u32, what: &str) -> String {
    let file = format!("/proc/{process}/status");
    let status = fs::read_to_string(file).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    line.expect("Linux tells it").trim().to_owned()
}

/// Whether a signal is in one of a process's masks, such as `SigCgt:`.
#[track_caller]
fn is_in_mask(process: u32, mask: &str, signal: rustix::process::Signal) -> bool {
    let mask = u64::from_str_radix(&status(process, mask), 16).expect("Linux writes it in hex");
    mask & (1 << (signal.as_raw() - 1)) != 0
}

/// Whether this process, and so what it starts, ignores a signal.
#[track_caller]
pub(crate) fn ignores_signal(signal: rustix::process::Signal) -> bool {
    is_in_mask(std::process::id(), "SigIgn:", signal)
}

/// A child process. It does not outlive this.
#[derive(Debug)]
struct Process {
    child: Child,
    /// Becomes readable when it ends.
    end: OwnedFd,
    output: Lines,
    errors: Lines,
}

/// What a process writes.
#[derive(Debug)]
struct Lines {
    coming: Receiver<String>,
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
        let end = pidfd_open(pid, PidfdFlags::empty()).expect("a child can be watched");
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        Self {
            child,
            end,
            output: Lines::of(output.expect("it is a pipe")),
            errors: Lines::of(errors.expect("it is a pipe")),
        }
    }

    /// Its exit code; `None` if it has not ended by then, or not by itself.
    #[track_caller]
    fn wait(&mut self, patience: Duration) -> Option<i32> {
        if !self.has_ended(patience) {
            return None;
        }
        self.child.wait().expect("it can be waited for").code()
    }

    #[track_caller]
    fn has_ended(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).expect("patience is limited");
            match poll(&mut [PollFd::new(&self.end, PollFlags::IN)], Some(&left)) {
                Ok(ready) => return ready > 0,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("it can't be watched: {error}"),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already if all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (send, coming) = unbounded();
        thread::spawn(move || {
            let lines = BufReader::new(pipe).lines().map_while(io::Result::ok);
            lines.map_while(|line| send.send(line).ok()).for_each(drop);
        });
        Self {
            coming,
            seen: String::new(),
        }
    }

    /// The next line; `None` if there is none in time.
    fn next(&mut self) -> Option<String> {
        let line = self.coming.recv_timeout(TIMEOUT).ok()?;
        self.seen.push_str(&line);
        self.seen.push('\n');
        Some(line)
    }

    /// Everything that has been written, once the process has ended.
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

    /// The program, running.
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

    /// Runs the program until it ends by itself, with these variables and no others.
    #[track_caller]
    pub(crate) fn run_program(arguments: &[&str], variables: &[(&str, &str)]) -> Exit {
        exit(Process::spawn(&mut command(arguments, variables)))
    }

    /// The same, where standard error is the stream to a service manager's journal.
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
        /// It ended with this code, and said this in one line and nothing else.
        #[track_caller]
        pub(crate) fn expect_line(&self, code: i32, part: &str) {
            assert_eq!(self.code, Some(code), "{self:?}");
            assert_eq!(self.output, "", "{self:?}");
            assert_eq!(self.errors.lines().count(), 1, "{self:?}");
            assert!(self.errors.contains(part), "{part:?} is not in {self:?}");
        }
    }

    impl Program {
        /// Starts it with these variables and no others.
        #[track_caller]
        pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
            Self {
                process: Process::spawn(&mut command(arguments, variables)),
                address: None,
            }
        }

        /// Starts it on a port of its own where HUP and INT are ignored, as `nohup` and a shell's `&`
        /// do, and waits until it says that it listens.
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

        /// Starts it on a port of its own with this socket as standard output, as a service manager
        /// does, and waits until it says that it listens.
        #[track_caller]
        pub(crate) fn spawn_with_output(output: UnixStream, arguments: &[&str]) -> Self {
            let input = Stdio::from(OwnedFd::from(output));
            Self::spawn_after_script("exec 1>&0 0</dev/null", input, arguments)
        }

        /// Starts it on a port of its own where it may have so many descriptors, and waits until it
        /// says that it listens.
        #[track_caller]
        pub(crate) fn spawn_with_descriptor_limit(descriptors: u32, arguments: &[&str]) -> Self {
            let script = format!("ulimit -n {descriptors}");
            Self::spawn_after_script(&script, Stdio::null(), arguments)
        }

        /// The same after these commands of a shell.
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

        /// Starts it on a port of its own, and waits until it says that it listens.
        #[track_caller]
        pub(crate) fn spawn(arguments: &[&str]) -> Self {
            Self::spawn_with(arguments, &[])
        }

        /// The same with these variables.
        #[track_caller]
        pub(crate) fn spawn_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
            let listen = format!("{}:0", unique_loopback());
            let arguments = [&["--listen", &listen], arguments].concat();
            let mut program = Self::start(&arguments, variables);
            program.expect_listening();
            program
        }

        /// Waits until it says that it listens, and where.
        #[track_caller]
        pub(crate) fn expect_listening(&mut self) {
            let line = self.expect_line("listening on http://");
            self.address = Some(address_in(&line));
        }

        /// The next line that it logs with this part.
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

        /// Starts it with a listener that someone else keeps, as a service manager does, and waits
        /// until it says that it listens.
        #[track_caller]
        pub(crate) fn spawn_with_listener(listener: &TcpListener, arguments: &[&str]) -> Self {
            Self::spawn_with_named_listener(listener, "", arguments)
        }

        /// The same with a listener that has this name there.
        #[track_caller]
        pub(crate) fn spawn_with_named_listener(
            listener: &TcpListener,
            name: &str,
            arguments: &[&str],
        ) -> Self {
            // It comes as standard input, and takes the number of the first socket passed in.
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
            address.expect("it was spawned on a port of its own")
        }

        #[track_caller]
        pub(crate) fn connect(&self) -> Client {
            Client::connect(self.address())
        }

        #[track_caller]
        pub(crate) fn signal(&self, signal: Signal) {
            let pid = Pid::from_child(&self.process.child);
            kill_process(pid, signal).expect("the program is there");
        }

        /// Whether it catches a signal.
        #[track_caller]
        pub(crate) fn catches(&self, signal: Signal) -> bool {
            is_in_mask(self.process.child.id(), "SigCgt:", signal)
        }

        /// The most bytes of memory that it has used at a time.
        #[track_caller]
        pub(crate) fn peak_memory(&self) -> u64 {
            memory(self.process.child.id(), "VmHWM:")
        }

        /// Sends the signal again and again until the program has ended.
        #[track_caller]
        pub(crate) fn signal_until_exit(&self, signal: Signal) {
            let tries = TIMEOUT.as_millis() / SOON.as_millis();
            let has_ended = (0..tries).any(|_| {
                self.signal(signal);
                self.process.has_ended(SOON)
            });
            assert!(has_ended, "{signal:?} again and again does not end it");
        }

        /// Waits until its port is released.
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

    /// The first address that a line names.
    #[track_caller]
    pub(crate) fn address_in(line: &str) -> ListenAddr {
        let (_, rest) = line.split_once("://").expect("the line says so");
        let end = |c: char| !(c.is_ascii_alphanumeric() || ".:[]".contains(c));
        let address = rest.split(end).next().unwrap_or_default();
        address.parse().expect("it says a valid address")
    }

    #[track_caller]
    fn exit(mut process: Process) -> Exit {
        let code = process.wait(TIMEOUT);
        assert!(code.is_some(), "it ends by itself: {}", process.errors.seen);
        Exit {
            code,
            output: process.output.rest().to_owned(),
            errors: process.errors.rest().to_owned(),
        }
    }

    fn program() -> &'static str {
        PROGRAM.expect("the tests of the program are in its package")
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
