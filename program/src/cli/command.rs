//! The `clap` command of the flags.

use clap::{Arg, ArgAction, CommandFactory as _, ValueHint};

use super::{Args, generate, sections};
use crate::environment;

/// The forms of the command line.
const USAGE: &str = "httpool [OPTIONS] [DIR]
       httpool completions <SHELL>
       httpool man";

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
    ("archive", "Send folders as tar, tar.gz or zip"),
    ("upload", "Take uploads into the folder"),
    ("pretty-urls", "Send about.html for /about"),
    ("spa", "Send index.html for paths without a file"),
    ("inspect", "Show clients what they sent"),
    ("auth-file", "File with users, as of htpasswd"),
    ("cors", "Origin whose pages may read responses"),
    ("header", "Header of all responses, 'Name: value'"),
    ("compress", "Compress responses"),
    ("listen-tls", "Address to listen on for TLS"),
    ("tls-cert", "Certificate as PEM"),
    ("tls-key", "Private key of the certificate as PEM"),
    ("access-log", "File to append a line to for each request"),
];

/// The flags under the headings of `--help`, as one list.
pub(crate) fn short_help() -> String {
    // The usage names the subcommands.
    let mut command = command()
        .mut_args(|flag| flag.help_heading(None))
        .mut_subcommands(|subcommand| subcommand.hide(true));
    command.render_help().to_string()
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
        .subcommands(generate::subcommands())
        .override_usage(USAGE)
        .after_long_help(sections::long_help())
}
