//! The `clap` command of the flags, and the part of `--help` after them.

use std::fmt::Write as _;

use clap::{CommandFactory as _, ValueHint};

use super::Args;
use crate::environment;
use crate::exit::Exit;

/// The flags as a `clap` command, with the additions that are the same for all of them.
pub(super) fn command() -> clap::Command {
    let command = Args::command();
    let variables: Vec<(String, String)> = environment::flags(&command)
        .map(|(flag, name)| (flag.get_id().to_string(), environment::variable(name)))
        .collect();
    let command = variables
        .into_iter()
        .fold(command, |command, (id, variable)| {
            command.mut_arg(id, |flag| {
                let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
                // `-1` is a wrong value of its flag, not an unknown flag. The value of a path may
                // be missing by mistake, and then the next flag must not become the path.
                let is_value =
                    flag.get_action().takes_values() && flag.get_value_hint() == ValueHint::Unknown;
                flag.help(format!("{help} [env: {variable}]"))
                    .allow_hyphen_values(is_value)
            })
        });
    command.after_help(after_help())
}

fn after_help() -> String {
    let mut text = format!(
        "Environment:\n  \
         Each flag is also an environment variable, shown beside it. The command line takes precedence, and an \
         empty variable counts as unset. {} and the variables of all other repeatable flags take \
         several values, separated by commas or spaces.\n\n  \
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
         reload certificates and error pages. A signal that was ignored at the start stays \
         ignored.\n\n\
         Exit codes:\n",
        environment::variable("listen")
    );
    for exit in Exit::ALL {
        writeln!(text, "  {}  {}", exit.code(), exit.meaning())
            .expect("writing to a String can't fail");
    }
    text.truncate(text.trim_end().len());
    text
}
