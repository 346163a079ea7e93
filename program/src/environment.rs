//! Settings from the environment: `HTTPOOL_…` for each flag, and `PORT`.
//!
//! Each variable becomes a setting of its flag, which is parsed with those of the command line and
//! of the configuration file. So there is one parser, one set of rules, and no list of variables to
//! maintain.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command, ValueHint};
use httpool::ListenAddr;

use super::config::{Given, Origin, Setting};

/// The variable of the flag with this long name.
pub(crate) fn variable(flag: &str) -> String {
    format!("HTTPOOL_{}", flag.replace('-', "_").to_uppercase())
}

/// The flags that have a variable: all except `--help` and `--version`.
pub(crate) fn flags(command: &Command) -> impl Iterator<Item = (&Arg, &str)> {
    command
        .get_arguments()
        .filter(|flag| !matches!(flag.get_action(), ArgAction::Help | ArgAction::Version))
        .filter_map(|flag| Some((flag, flag.get_long()?)))
}

/// The settings of the environment.
///
/// Variables without a flag are ignored; [`nearest`] finds those that are misspelt.
pub(crate) fn settings(
    command: &Command,
    lookup: impl Fn(&str) -> Option<OsString>,
) -> impl Iterator<Item = Setting> {
    flags(command).filter_map(move |(flag, name)| {
        let variable = variable(name);
        let is_set = |value: &OsString| !value.is_empty() && !is_discovery(name, value);
        let value = lookup(&variable).filter(is_set)?;
        let given = match flag.get_action() {
            ArgAction::SetTrue if is_no(&value) => Given::Off,
            ArgAction::SetTrue if is_yes(&value) => Given::Bare,
            // The values have spaces and commas themselves.
            ArgAction::Append if flag.get_value_hint() == ValueHint::Other => {
                Given::Values(lines(&value).collect())
            }
            ArgAction::Append => Given::Values(pieces(&value).collect()),
            // The parser rejects the value of a switch that is neither yes nor no.
            _ => Given::Values(vec![value]),
        };
        Some(Setting {
            flag: name.to_owned(),
            given,
            origin: Origin::Variable(variable),
        })
    })
}

/// The variable of a flag with a name similar to this one, unless a flag has exactly this variable.
pub(crate) fn nearest(command: &Command, name: &str) -> Option<String> {
    let rest = name.strip_prefix("HTTPOOL_")?;
    let is_discovery = rest == "PORT" || rest.starts_with("PORT_") || rest.starts_with("SERVICE_");
    let variables: Vec<String> = flags(command).map(|(_, flag)| variable(flag)).collect();
    if is_discovery || variables.iter().any(|variable| variable == name) {
        return None;
    }
    let flag = format!("--{}", rest.replace('_', "-").to_lowercase());
    let error = command
        .clone()
        .try_get_matches_from(["httpool", &flag])
        .err()?;
    let Some(ContextValue::String(near)) = error.get(ContextKind::SuggestedArg) else {
        return None;
    };
    let near = variable(near.trim_start_matches('-'));
    variables.contains(&near).then_some(near)
}

/// The address that `PORT` asks for, if it is set: every interface, over IPv4 and IPv6, as
/// platforms that set it expect.
pub(crate) fn port(
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<ListenAddr>, String> {
    let Some(value) = lookup("PORT").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    match value.to_str().map(str::parse) {
        Some(Ok(port)) => Ok(Some(ListenAddr::Tcp {
            host: "*".into(),
            port,
        })),
        _ => Err(format!("PORT {value:?}: not a number from 0 to 65535")),
    }
}

/// Whether this is the address of a service named httpool, for example `tcp://10.0.0.1:80`, which
/// Kubernetes and Docker put into `HTTPOOL_PORT`.
fn is_discovery(flag: &str, value: &OsStr) -> bool {
    flag == "port" && value.to_str().is_some_and(|value| value.contains("://"))
}

/// The parts of a list with commas or spaces. A value that is not UTF-8 stays whole, and the parser
/// rejects it.
fn pieces(list: &OsStr) -> impl Iterator<Item = OsString> {
    let parts: Vec<OsString> = match list.to_str() {
        Some(text) => text
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|part| !part.is_empty())
            .map(OsString::from)
            .collect(),
        None => vec![list.to_owned()],
    };
    parts.into_iter()
}

/// The lines of a list. Everything but the line feeds between them stays, and the parser judges it.
fn lines(list: &OsStr) -> impl Iterator<Item = OsString> {
    let lines = list.as_bytes().split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    lines.map(|line| OsStr::from_bytes(line).to_owned())
}

fn is_yes(value: &OsStr) -> bool {
    ["1", "true", "yes", "on"]
        .iter()
        .any(|yes| value.eq_ignore_ascii_case(yes))
}

fn is_no(value: &OsStr) -> bool {
    ["0", "false", "no", "off"]
        .iter()
        .any(|no| value.eq_ignore_ascii_case(no))
}
