//! What `--help` and the man page say beside the flags: variables, signals and exit codes.

use std::fmt::Write as _;

use crate::environment;
use crate::exit::Exit;

/// The column at which the texts of a list begin.
const INDENT: usize = 18;

/// A section, with a list below its text.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) text: String,
    pub(super) list: Vec<(String, String)>,
}

/// All sections. A line break in a text of a list is for `--help` only.
pub(super) fn all() -> [Section; 3] {
    [environment(), signals(), exit_codes()]
}

fn environment() -> Section {
    let variables = [
        (
            "PORT",
            "Listen on *:PORT if no address and no --port is given",
        ),
        (
            "LISTEN_FDS",
            "Sockets passed in by systemd, which replace PORT and the default;\n\
             LISTEN_FDNAMES says how each is used: proxied as by --listen-proxy-protocol,\n\
             tls as by --listen-tls, tls-proxied as by --listen-tls-proxy-protocol",
        ),
        (
            "NOTIFY_SOCKET",
            "Where to send readiness and the progress of a shutdown: a path, or\n\
             @name for an abstract socket; failures are logged as a warning",
        ),
        (
            "JOURNAL_STREAM",
            "Set by systemd; if standard error is the journal, text messages have\n\
             priorities instead of times",
        ),
    ];
    Section {
        title: "Environment",
        text: format!(
            "Each flag is also an environment variable, shown beside it. The command line takes \
             precedence over variables, and variables over the file of --config. An empty variable \
             counts as unset. {} and the variables of all other repeatable flags take several \
             values, separated by commas or spaces, and {} by line breaks.",
            environment::variable("listen"),
            environment::variable("header")
        ),
        list: variables
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into(),
    }
}

fn signals() -> Section {
    Section {
        title: "Signals",
        text: "SIGTERM and SIGINT start a shutdown: every request already received gets its \
               response. A second signal aborts open requests. SIGHUP and SIGUSR1 reopen log files \
               and the folder, and reload certificates, passwords, error pages and the file of \
               --config. A signal that was ignored at the start stays ignored."
            .into(),
        list: Vec::new(),
    }
}

fn exit_codes() -> Section {
    Section {
        title: "Exit codes",
        text: String::new(),
        list: Exit::ALL
            .map(|exit| (exit.code().to_string(), exit.meaning().to_owned()))
            .into(),
    }
}

/// The part of `--help` after the flags.
pub(super) fn long_help() -> String {
    let sections = all().map(|section| section.long_help());
    sections.join("\n\n")
}

impl Section {
    fn long_help(&self) -> String {
        let mut help = format!("{}:", self.title);
        if !self.text.is_empty() {
            push(&mut help, format_args!("\n  {}", self.text));
        }
        if !self.text.is_empty() && !self.list.is_empty() {
            help.push('\n');
        }
        let longest = self.list.iter().map(|(name, _)| name.len()).max();
        for (name, text) in &self.list {
            let text = text.replace('\n', &format!("\n{:INDENT$}", ""));
            let width = longest.unwrap_or_default();
            push(&mut help, format_args!("\n  {name:width$}  {text}"));
        }
        help
    }
}

fn push(help: &mut String, text: std::fmt::Arguments<'_>) {
    help.write_fmt(text)
        .expect("writing to a String can't fail");
}
