//! Settings with their sources: command line, environment and configuration file.
//!
//! Settings of all sources become arguments of one command line. So there is one parser, and a value
//! means the same wherever it is written.

use std::any::TypeId;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::cli_error::{self, Named};
use crate::environment;

/// The flag that the positional folder stands for.
const ROOT: &str = "root";

/// A flag that is set, with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The long name of the flag.
    pub(crate) flag: String,
    pub(crate) given: Given,
    pub(crate) origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Given {
    /// The flag without a value.
    Bare,
    Values(Vec<OsString>),
    /// The argument without a flag.
    Positional(OsString),
    /// Not set, although a source of lower precedence may set it.
    Off,
}

/// Where a setting comes from, beginning with the highest precedence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    CommandLine,
    /// The name of the variable.
    Variable(String),
    /// The name of the file and the line of each value; the first is that of the key.
    File(Vec<String>),
}

/// The settings of one site or server, each flag once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings(Vec<Setting>);

impl Settings {
    /// The settings on a command line that was parsed.
    pub(crate) fn typed(command: &Command, matches: &ArgMatches) -> Self {
        let is_typed = |flag: &&Arg| {
            let source = matches.value_source(flag.get_id().as_str());
            source == Some(ValueSource::CommandLine)
        };
        let settings = command.get_arguments().filter(is_typed).map(|flag| {
            let values = matches.get_raw(flag.get_id().as_str());
            let mut values = values.into_iter().flatten().map(OsString::from);
            let given = match (flag.get_action(), flag.get_long()) {
                (ArgAction::SetTrue, _) => Given::Bare,
                (_, None) => values.next().map_or(Given::Off, Given::Positional),
                (_, Some(_)) => Given::Values(values.collect()),
            };
            Setting {
                flag: flag.get_long().unwrap_or(ROOT).to_owned(),
                given,
                origin: Origin::CommandLine,
            }
        });
        Self(settings.collect())
    }

    /// Adds the settings of a source of lower precedence.
    pub(crate) fn over(mut self, lower: impl IntoIterator<Item = Setting>) -> Self {
        for setting in lower {
            if self.find(&setting.flag).is_none() {
                self.0.push(setting);
            }
        }
        self
    }

    pub(crate) fn find(&self, flag: &str) -> Option<&Setting> {
        self.0.iter().find(|setting| setting.flag == flag)
    }

    /// Whether one of these settings can't be used together with this flag.
    pub(crate) fn exclude(&self, command: &Command, flag: &str) -> bool {
        let conflict = |one: &str, other: &str| {
            let of_one = find(command, one).map(|flag| command.get_arg_conflicts_with(flag));
            let mut of_one = of_one.into_iter().flatten();
            of_one.any(|flag| flag.get_long() == Some(other))
        };
        let mut set = self.0.iter().filter(|setting| setting.given != Given::Off);
        set.any(|setting| conflict(&setting.flag, flag) || conflict(flag, &setting.flag))
    }

    /// The value of a flag that is a path.
    pub(crate) fn path(&self, flag: &str) -> Option<PathBuf> {
        match &self.find(flag)?.given {
            Given::Values(values) => values.first().map(PathBuf::from),
            Given::Positional(value) => Some(value.into()),
            Given::Bare | Given::Off => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter()
    }

    /// The command line that has these settings.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec![OsString::from("httpool")];
        for Setting { flag, given, .. } in &self.0 {
            match given {
                Given::Bare => arguments.push(format!("--{flag}").into()),
                Given::Off | Given::Positional(_) => {}
                Given::Values(values) => arguments.extend(values.iter().map(|value| {
                    let mut argument = OsString::from(format!("--{flag}="));
                    argument.push(value);
                    argument
                })),
            }
        }
        for setting in &self.0 {
            if let Given::Positional(value) = &setting.given {
                arguments.extend(["--".into(), value.clone()]);
            }
        }
        arguments
    }

    /// The name of a flag as its source writes it, for messages. `value` chooses the line of a file
    /// if the flag has several values.
    pub(crate) fn name(&self, flag: &str, value: &str) -> Named {
        let Some(setting) = self.find(flag) else {
            return Named::Flag(format!("--{flag}"));
        };
        match &setting.origin {
            Origin::CommandLine => Named::Flag(format!("--{flag}")),
            Origin::Variable(variable) => Named::Variable(variable.clone()),
            Origin::File(lines) => {
                let index = match &setting.given {
                    Given::Values(values) => values.iter().position(|other| other == value),
                    _ => None,
                };
                let line = index.and_then(|index| lines.get(index + 1));
                let line = line.or(lines.first()).map_or("", String::as_str);
                Named::Key(format!("{line}: {flag}"))
            }
        }
    }

    /// One line about a wrong command line that these settings make.
    pub(crate) fn explain(&self, error: &clap::Error) -> String {
        cli_error::one_line(error, |flag, value| self.name(flag, value))
    }

    /// A message that begins with `--flag` as the source of that flag writes it.
    pub(crate) fn relocate(&self, line: String) -> String {
        let Some(rest) = line.strip_prefix("--") else {
            return line;
        };
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        let (flag, reason) = rest.split_at(end.unwrap_or(rest.len()));
        match self.name(flag, "") {
            // Flags in the reason are keys of the file too.
            Named::Key(key) => format!("{key}{}", reason.replace(" --", " ")),
            Named::Flag(_) | Named::Variable(_) => line,
        }
    }
}

/// Whether the value of this flag is a path.
pub(crate) fn is_path(flag: &Arg) -> bool {
    flag.get_value_parser().type_id() == TypeId::of::<PathBuf>()
}

/// The flag with this long name that may have a variable or a key.
pub(crate) fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let mut flags = environment::flags(command);
    flags.find(|(_, long)| *long == name).map(|(flag, _)| flag)
}
