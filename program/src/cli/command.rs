//! The `clap` command of the flags, and the part of `--help` after them.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, CommandFactory as _, ValueHint};

use super::Args;
use crate::environment;
use crate::exit::Exit;

/// The flag `-h`. It has a name of its own, because its help has another form than that of `--help`.
pub(crate) const SHORT_HELP_FLAG: &str = "short-help";

/// The flags of `-h`, each with one line. `--help` describes all flags at length.
pub(super) const SHORT_HELP: &[(&str, &str)] = &[
    ("port", "Port to listen on [default: 4000]"),
    (
        "listen",
        "Host to listen on, '*' for every interface [default: localhost]",
    ),
    ("workers", "Threads that run handlers"),
    ("quiet", "Print no line for each request on a terminal"),
    ("qr", "Print a QR code of an address for other devices"),
    ("open", "Open the server in a browser"),
    ("check", "Validate the configuration and exit"),
    ("config", "File with settings, virtual hosts and redirects"),
    ("listing", "List folders without an index file"),
    (
        "precompressed",
        "Send FILE.br, FILE.zst or FILE.gz instead of FILE",
    ),
    ("spa", "Send index.html for paths without a file"),
    ("inspect", "Show clients what they sent"),
    ("listen-tls", "Address to listen on for TLS"),
    ("tls-cert", "Certificate as PEM"),
    ("tls-key", "Private key of the certificate as PEM"),
    ("access-log", "File to append a line to for each request"),
    ("log-file", "File to append messages to"),
];

/// The flags under the headings of `--help`, as one list.
pub(crate) fn short_help() -> String {
    let command = command().mut_args(|flag| flag.help_heading(None));
    command.clone().render_help().to_string()
}

/// The flags as a `clap` command, with the additions that are the same for all of them.
pub(crate) fn command() -> clap::Command {
    let command = Args::command();
    let variables: Vec<(String, String, String)> = environment::flags(&command)
        .map(|(flag, name)| {
            let variable = environment::variable(name);
            (flag.get_id().to_string(), name.to_owned(), variable)
        })
        .collect();
    let command = variables
        .into_iter()
        .fold(command, |command, (id, name, variable)| {
            command.mut_arg(id, |flag| {
                let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
                // `-1` is a wrong value of its flag, not an unknown flag. The value of a path may
                // be missing by mistake, and then the next flag must not become the path.
                let is_value =
                    flag.get_action().takes_values() && flag.get_value_hint() == ValueHint::Unknown;
                let short = SHORT_HELP.iter().find(|(flag, _)| *flag == name);
                let short = short.map(|(_, help)| *help);
                flag.hide_short_help(short.is_none())
                    .help(short.map_or_else(|| help.clone(), str::to_owned))
                    .long_help(format!("{help} [env: {variable}]"))
                    .allow_hyphen_values(is_value)
            })
        });
    command
        .next_help_heading(None)
        .arg(
            Arg::new(SHORT_HELP_FLAG)
                .short('h')
                .action(ArgAction::SetTrue)
                .help("Print these flags")
                .long_help("Print the common flags, each with one line"),
        )
        .arg(
            Arg::new("help")
                .long("help")
                .action(ArgAction::Help)
                .help("Describe all flags, variables, signals and exit codes"),
        )
        .after_long_help(after_help())
}

fn after_help() -> String {
    let mut text = format!(
        "Environment:\n  \
         Each flag is also an environment variable, shown beside it. The command line takes precedence over \
         variables, and variables over the file of --config. An empty variable counts as unset. {} and the variables of all other repeatable flags take \
         several values, separated by commas or spaces, and \
         {} by line breaks.\n\n  \
         PORT            Listen on *:PORT if no address is given\n  \
         LISTEN_FDS      Sockets passed in by systemd, which replace PORT and the default;\n                  \
         LISTEN_FDNAMES says how each is used: proxied as by --listen-proxy-protocol,\n                  \
         tls as by --listen-tls, tls-proxied as by --listen-tls-proxy-protocol\n  \
         NOTIFY_SOCKET   Where to send readiness and the progress of a shutdown: a path, or\n                  \
         @name for an abstract socket; failures are logged as a warning\n  \
         JOURNAL_STREAM  Set by systemd; if standard error is the journal, text messages have\n                  \
         priorities instead of times\n\n\
         Signals:\n  \
         SIGTERM and SIGINT start a shutdown: every request already received gets its response. A \
         second signal aborts open requests. SIGHUP and SIGUSR1 reopen log files and the folder, and \
         reload certificates, passwords, error pages and the file of --config. A signal that was ignored at the start stays \
         ignored.\n\n\
         Exit codes:\n",
        environment::variable("listen"),
        environment::variable("header")
    );
    for exit in Exit::ALL {
        writeln!(text, "  {}  {}", exit.code(), exit.meaning())
            .expect("writing to a String can't fail");
    }
    text.truncate(text.trim_end().len());
    text
}
