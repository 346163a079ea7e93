//! `--print-config`: each setting with its source, in the form of a configuration file.

use std::ffi::OsStr;
use std::fmt::{Display, Write as _};
use std::path;

use clap::{Arg, ArgAction};

use super::document::{IN_ROOT, NOT_IN_FILES};
use super::{Config, Given, Host, Origin, Setting, UnknownHost, settings};
use crate::cli;
use crate::environment;
use crate::rules::{Rule, Rules};

/// Flags whose values are not printed. The output may be kept or shown.
pub(super) const SECRETS: [&str; 1] = ["inspect-token"];

/// The configuration as a file that `--config` can read. `port` is the value of `PORT`, which is no
/// setting, but counts if there is no address.
pub(crate) fn print(config: &Config, port: Option<&OsStr>) -> String {
    let mut command = cli::command();
    command.build();
    let mut text = String::from("# The settings of httpool, as a file for --config.\n");
    let mut heading = None;
    // Flags of one part of --help may be apart.
    let mut flags: Vec<(&Arg, &str)> = environment::flags(&command)
        .filter(|(_, name)| !NOT_IN_FILES.contains(name))
        .collect();
    let mut headings: Vec<Option<&str>> = Vec::new();
    for (flag, _) in &flags {
        if !headings.contains(&flag.get_help_heading()) {
            headings.push(flag.get_help_heading());
        }
    }
    flags.sort_by_key(|(flag, _)| {
        let mut headings = headings.iter();
        headings.position(|heading| *heading == flag.get_help_heading())
    });
    for (flag, name) in flags {
        if heading != Some(flag.get_help_heading()) {
            heading = Some(flag.get_help_heading());
            line(
                &mut text,
                format_args!("\n# {}", flag.get_help_heading().unwrap_or("Other")),
            );
        }
        match config.settings.find(name) {
            Some(setting) => self::setting(&mut text, flag, setting),
            None => default(&mut text, flag, name),
        }
    }
    let port = port.filter(|port| !port.is_empty() && !config.args.names_addresses());
    if let Some(port) = port {
        let port = port.to_string_lossy();
        line(
            &mut text,
            format_args!("\n# The server listens on *:{}  # PORT", escaped(&port)),
        );
    }
    if config.unknown_host == UnknownHost::Reject {
        text.push_str("\n# Hosts\nunknown-host = \"reject\"\n");
    }
    if let Some(rules) = &config.rules {
        self::rules(&mut text, "", rules);
    }
    for host in &config.hosts {
        self::host(&mut text, &command, config, host);
    }
    text
}

fn host(text: &mut String, command: &clap::Command, config: &Config, host: &Host) {
    line(text, "\n[[host]]");
    line(text, format_args!("name = {}", list(&host.names)));
    for setting in host.own.iter() {
        if let Some(flag) = settings::find(command, &setting.flag) {
            self::setting(text, flag, setting);
        }
    }
    if let Some(rules) = host
        .rules
        .as_ref()
        .filter(|rules| Some(*rules) != config.rules.as_ref())
    {
        self::rules(text, "host.", rules);
    }
}

fn rules(text: &mut String, place: &str, rules: &Rules) {
    let mut rule = |kind: &str, rule: &Rule| {
        let (from, to) = (quoted(&rule.from), quoted(&rule.to));
        line(
            text,
            format_args!("\n[[{place}{kind}]]\nfrom = {from}\nto = {to}"),
        );
        if kind == "redirect" {
            line(text, format_args!("status = {}", rule.status.as_str()));
        }
    };
    rules
        .redirects
        .iter()
        .for_each(|redirect| rule("redirect", redirect));
    rules
        .rewrites
        .iter()
        .for_each(|rewrite| rule("rewrite", rewrite));
}

/// A setting with its source.
fn setting(text: &mut String, flag: &Arg, setting: &Setting) {
    let name = &setting.flag;
    let source = match &setting.origin {
        Origin::CommandLine => "command line",
        Origin::Variable(variable) => variable,
        Origin::File(lines) => lines.first().map_or("", String::as_str),
    };
    let value = match &setting.given {
        Given::Bare => "true".into(),
        Given::Off => "false".into(),
        Given::Values(_) if SECRETS.contains(&name.as_str()) => {
            return line(
                text,
                format_args!("# {name} is set, and not printed  # {}", escaped(source)),
            );
        }
        Given::Values(_) | Given::Positional(_) => {
            let values = match &setting.given {
                Given::Positional(value) => std::slice::from_ref(value),
                Given::Values(values) => values,
                Given::Bare | Given::Off => &[],
            };
            let values: Option<Vec<String>> = values
                .iter()
                .map(|value| Some(shown(flag, name, value.to_str()?)))
                .collect();
            match (values, flag.get_action()) {
                (None, _) => {
                    let reason = "is not UTF-8, so it can't be in a file";
                    return line(
                        text,
                        format_args!("# {name} {reason}  # {}", escaped(source)),
                    );
                }
                (Some(values), ArgAction::Append) => list(&values),
                (Some(values), _) => value(values.first().map_or("", String::as_str)),
            }
        }
    };
    line(
        text,
        format_args!("{name} = {value}  # {}", escaped(source)),
    );
}

/// A setting that no source has.
fn default(text: &mut String, flag: &Arg, name: &str) {
    let values: Vec<String> = flag
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy().into_owned())
        .collect();
    match (flag.get_action(), values.first()) {
        (ArgAction::SetTrue, _) => line(text, format_args!("{name} = false  # default")),
        (_, Some(first)) => line(text, format_args!("{name} = {}  # default", value(first))),
        (_, None) => {
            let help = flag
                .get_long_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let default = help
                .split_once("[default: ")
                .and_then(|(_, rest)| rest.split_once(']'));
            match default {
                Some((default, _)) => line(
                    text,
                    format_args!("# {name} is not set; default: {default}"),
                ),
                None => line(text, format_args!("# {name} is not set")),
            }
        }
    }
}

/// The value of a flag. A path gets the folder in which it begins.
fn shown(flag: &Arg, name: &str, text: &str) -> String {
    let is_relative = settings::is_path(flag) && !IN_ROOT.contains(&name) && text != "-";
    let absolute = is_relative.then(|| path::absolute(text).ok()).flatten();
    let absolute = absolute.and_then(|path| path.to_str().map(String::from));
    absolute.unwrap_or_else(|| text.to_owned())
}

/// A number, or a text in quotation marks.
fn value(text: &str) -> String {
    match text.parse::<i64>() {
        Ok(number) if number.to_string() == text => text.to_owned(),
        _ => quoted(text),
    }
}

fn list(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    format!("[{}]", values.join(", "))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            _ if character.is_control() => {
                write!(quoted, "\\u{:04X}", u32::from(character))
                    .expect("writing to a String can't fail");
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// The name of a file without line breaks.
fn escaped(text: &str) -> String {
    text.escape_debug().to_string()
}

fn line(text: &mut String, line: impl Display) {
    writeln!(text, "{line}").expect("writing to a String can't fail");
}
