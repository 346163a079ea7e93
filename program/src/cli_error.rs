//! One line for each wrong flag or value.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use super::environment;

/// Flags that were renamed: the old name and the new name.
pub(crate) const RENAMED_FLAGS: [(&str, &str); 7] = [
    ("listen-proxied", "listen-proxy-protocol"),
    ("listen-tls-proxied", "listen-tls-proxy-protocol"),
    ("shed-after", "queue-timeout"),
    ("rate-grace", "min-rate-grace"),
    ("max-buffered", "max-buffered-memory"),
    ("max-head", "max-header-size"),
    ("json", "echo-json"),
];

/// Values that were renamed: the flag, the old value and the new value.
const RENAMED_VALUES: [(&str, &str, &str); 2] = [
    ("--symlinks", "beneath", "inside"),
    ("--symlinks", "none", "never"),
];

/// The new name of a flag that was renamed.
pub(crate) fn renamed(flag: &str) -> Option<&'static str> {
    let found = RENAMED_FLAGS.iter().find(|(old, _)| *old == flag);
    found.map(|(_, new)| *new)
}

fn renamed_flag(flag: &str) -> Option<&'static str> {
    let flag = flag.strip_prefix("--")?;
    renamed(flag.split('=').next()?)
}

/// Flags of other servers, and the flag that has their effect here.
const FLAGS_OF_OTHER_SERVERS: [(&str, &str); 23] = [
    ("--address", "--listen"),
    ("--auth", "--auth-file"),
    ("--basic-auth", "--auth-file"),
    ("--bind", "--listen"),
    ("--browse", "--listing"),
    ("--compression", "--compress"),
    ("--config-file", "--config"),
    ("--dir", "--root"),
    ("--directory", "--root"),
    ("--directory-listing", "--listing"),
    ("--host", "--listen"),
    ("--index-files", "--index"),
    ("--interfaces", "--listen"),
    ("--page-fallback", "--fallback"),
    ("--single", "--spa"),
    ("--ssl-cert", "--tls-cert"),
    ("--ssl-key", "--tls-key"),
    ("--threads", "--workers"),
    ("--upload-files", "--upload"),
    ("-b", "--listen"),
    ("-d", "--root"),
    ("-i", "--listen"),
    ("-s", "--spa"),
];

fn flag_of_other_server(flag: &str) -> Option<&'static str> {
    let found = FLAGS_OF_OTHER_SERVERS.iter().find(|(of, _)| *of == flag);
    found.map(|(_, here)| *here)
}

fn renamed_value(flag: &str, value: &str) -> Option<&'static str> {
    let flag = flag.split(' ').next()?;
    let found = RENAMED_VALUES
        .iter()
        .find(|(of, old, _)| *of == flag && *old == value);
    found.map(|(_, _, new)| *new)
}

/// The error for the variable of a renamed flag, if it is set.
pub(crate) fn renamed_variable(is_set: impl Fn(&str) -> bool) -> Option<String> {
    RENAMED_FLAGS.iter().find_map(|(old, new)| {
        let (old, new) = (environment::variable(old), environment::variable(new));
        is_set(&old).then(|| format!("{old}: renamed, use {new}"))
    })
}

/// A flag as its source writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    Flag(String),
    Variable(String),
    /// The key of a file, after the name of the file and the line.
    Key(String),
}

impl Named {
    fn as_str(&self) -> &str {
        let (Self::Flag(name) | Self::Variable(name) | Self::Key(name)) = self;
        name
    }
}

/// One line that names the flag, the variable or the line of a file, and says what is wrong with it.
/// `named` names a flag that has this value.
pub(crate) fn one_line(error: &Error, named: impl Fn(&str, &str) -> Named) -> String {
    let flag = text(error, ContextKind::InvalidArg).unwrap_or_default();
    let value = text(error, ContextKind::InvalidValue).unwrap_or_default();
    let source = source_of(&flag, &value, &named);
    let name = source.as_str();
    if let Some(new) = renamed_value(&flag, &value) {
        return format!("{name} {value:?}: renamed, use {new}");
    }
    if let (ErrorKind::UnknownArgument, Some(new)) = (error.kind(), renamed_flag(&flag)) {
        return format!("{name}: renamed, use --{new}");
    }
    match error.kind() {
        ErrorKind::InvalidValue if value.is_empty() => match choices(error) {
            Some(choices) => format!("{name}: needs a value, one of {choices}"),
            None => format!("{name}: needs a value"),
        },
        ErrorKind::InvalidValue => match choices(error) {
            Some(choices) => format!("{name} {value:?}: not one of {choices}"),
            None => format!("{name} {value:?}: not a valid value"),
        },
        ErrorKind::ValueValidation => match error.source() {
            Some(reason) => format!("{name} {value:?}: {reason}"),
            None => format!("{name} {value:?}: not a valid value"),
        },
        ErrorKind::TooManyValues if !matches!(source, Named::Flag(_)) => {
            format!("{name} {value:?}: not true or false")
        }
        ErrorKind::TooManyValues => format!("{name} {value:?}: this flag takes no value"),
        ErrorKind::ArgumentConflict => match text(error, ContextKind::PriorArg) {
            Some(other) if other != flag => {
                let other = source_of(&other, "", &named);
                format!("{name}: excludes {}, give one of them", other.as_str())
            }
            _ => format!("{name}: given more than once"),
        },
        ErrorKind::UnknownArgument if flag.starts_with('-') => {
            let suggested = text(error, ContextKind::SuggestedArg);
            match flag_of_other_server(&flag).or(suggested.as_deref()) {
                Some(near) => format!("{name}: no such flag, did you mean {near}?"),
                None => format!("{name}: no such flag, --help lists them"),
            }
        }
        ErrorKind::UnknownArgument => match flag.parse::<u16>() {
            Ok(port) => format!("{flag:?}: unexpected argument, for a port write -p {port}"),
            Err(_) => format!("{flag:?}: unexpected argument, one folder can be served"),
        },
        ErrorKind::InvalidSubcommand => {
            let word = text(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            format!("{word:?}: unexpected argument, one folder can be served")
        }
        ErrorKind::MissingRequiredArgument => {
            "completions: name a shell, one of bash, elvish, fish, powershell, zsh".to_owned()
        }
        _ => first_line(error),
    }
}

/// The name of an argument, which clap shows with the placeholder of its value.
fn source_of(argument: &str, value: &str, named: impl Fn(&str, &str) -> Named) -> Named {
    let argument = bare(argument.split('=').next().unwrap_or_default());
    match argument.strip_prefix("--") {
        Some(flag) => named(flag, value),
        None => Named::Flag(argument.to_owned()),
    }
}

/// The name of a flag or an argument without the placeholder and the brackets of its usage.
fn bare(usage: &str) -> &str {
    let name = usage.split(' ').next().unwrap_or_default();
    name.trim_matches(|c| "[]<>".contains(c))
}

fn text(error: &Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn choices(error: &Error) -> Option<String> {
    match error.get(ContextKind::ValidValue)? {
        ContextValue::Strings(values) if !values.is_empty() => Some(values.join(", ")),
        _ => None,
    }
}

/// The message of `clap`, without the usage and the hints below it.
fn first_line(error: &Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}
