//! Starts and observes the program.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use httpool::ListenAddr;
use rustix::process::{Pid, Signal, kill_process};

use super::process::{Process, is_in_mask, memory};
use super::{Client, SOON, TIMEOUT, expect_refused, unique_loopback};

/// Path of the program, in the suite that tests it.
const PROGRAM: Option<&str> = option_env!("CARGO_BIN_EXE_httpool");

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

    /// Runs a shell script, which may set limits, and starts the program in the same process.
    #[track_caller]
    pub(crate) fn spawn_after(script: &str, arguments: &[&str]) -> Self {
        Self::spawn_after_script(script, Stdio::null(), arguments)
    }

    /// Kills the program, and waits until it has ended.
    #[track_caller]
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.process.wait(TIMEOUT);
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
