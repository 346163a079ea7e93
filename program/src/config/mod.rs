//! The configuration: command line, environment and file together.
//!
//! Each setting of the file is a flag under its long name. All settings become arguments of one
//! command line (`settings.rs`), in which the command line precedes the environment, and the
//! environment precedes the file. A host of the file has the settings of the top and its own.

mod document;
mod print;
mod reload;
mod settings;
mod source;
mod suggest;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Command;
use clap::FromArgMatches as _;

pub(crate) use self::document::UnknownHost;
use self::document::{Document, HostSection, NOT_IN_FILES};
pub(crate) use self::print::print;
pub(crate) use self::reload::Reloader;
pub(crate) use self::settings::{Given, Origin, Setting, Settings};
use self::source::{FileError, Source};
use crate::cli::{self, Args, CliExit};
use crate::cli_error::renamed_variable;
use crate::environment;
use crate::flag_rules;
use crate::hosts::{HostName, HostTable};
use crate::rules::Rules;
use crate::uploads;

/// The part of `--help` whose flags make another site of a host's folder.
const INSPECT: &str = "Inspect";

/// Certificates and their keys. Those of all hosts belong to one server.
const CERTIFICATES: [&str; 2] = ["tls-cert", "tls-key"];

/// All settings of the server and its sites.
#[derive(Debug)]
pub(crate) struct Config {
    /// The settings of the server and of the site at the top, with the certificates of all hosts.
    pub(crate) args: Args,
    pub(crate) settings: Settings,
    pub(crate) rules: Option<Rules>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) table: HostTable,
    pub(crate) unknown_host: UnknownHost,
    /// The configuration file, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// Why clients of other machines may reach the server, if they may.
    pub(crate) reach: Option<String>,
}

/// A virtual host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) names: Vec<String>,
    /// The settings of the top, except those that the host has itself.
    pub(crate) args: Args,
    pub(crate) settings: Settings,
    pub(crate) rules: Option<Rules>,
    /// The settings in its own table.
    own: Settings,
}

/// Reads the command line, the environment for flags that are not on it, and the configuration file
/// for flags that are in neither.
pub(crate) fn load(
    typed: impl IntoIterator<Item = OsString>,
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Result<Config, CliExit> {
    let mut command = cli::command();
    command.build();
    let none = Settings::default();
    let matches = command
        .clone()
        .try_get_matches_from(typed)
        .map_err(|error| CliExit::new(&error, &none))?;
    if matches.get_flag(cli::SHORT_HELP_FLAG) {
        return Err(CliExit::Print(cli::short_help()));
    }
    if let Some(exit) = cli::subcommand(&matches) {
        return Err(exit);
    }
    let is_set = |name: &str| lookup(name).is_some_and(|value| !value.is_empty());
    if let Some(line) = renamed_variable(is_set) {
        return Err(CliExit::Error(line));
    }
    let settings =
        Settings::typed(&command, &matches).over(environment::settings(&command, lookup));
    // A wrong variable is reported before the file is read.
    parse(&command, &settings)?;
    let Some(path) = settings.path("config") else {
        return Config::new(&command, settings, Document::default(), None);
    };
    let document = Source::read(&path).and_then(|source| document::read(&source, &command))?;
    Config::new(&command, settings, document, Some(path))
}

impl Config {
    fn new(
        command: &Command,
        given: Settings,
        document: Document,
        file: Option<PathBuf>,
    ) -> Result<Self, CliExit> {
        let settings = given.over(document.top.settings);
        let args = parse(command, &settings)?;
        let mut config = Self {
            args,
            settings,
            rules: document.top.rules,
            hosts: Vec::new(),
            table: HostTable::default(),
            unknown_host: document.unknown_host,
            file,
            reach: None,
        };
        for section in document.hosts {
            config.add_host(command, section)?;
        }
        config.collect_certificates()?;
        Ok(config)
    }

    fn add_host(&mut self, command: &Command, section: HostSection) -> Result<(), CliExit> {
        let number = self.hosts.len();
        let HostSection { at, names, section } = section;
        for (name, at) in &names {
            let parsed = HostName::parse(name);
            let parsed = parsed
                .map_err(|reason| CliExit::Error(format!("{at}: name {name:?}: {reason}")))?;
            if let Some(other) = self.table.add(parsed, number) {
                let other = match other == number {
                    true => "this host",
                    false => &format!("the host {}", self.hosts[other].names.join(" ")),
                };
                return Err(CliExit::Error(format!(
                    "{at}: name {name:?}: {other} has it already"
                )));
            }
        }
        let own = Settings::default().over(section.settings);
        let settings = own.clone().over(self.inherited(command, &own));
        let args = parse(command, &settings)?;
        if args.tls_cert.len() != args.tls_key.len() {
            let line = format!("{at}: host: give one tls-key for each tls-cert");
            return Err(CliExit::Error(line));
        }
        self.hosts.push(Host {
            names: names.into_iter().map(|(name, _)| name).collect(),
            args,
            settings,
            rules: section.rules.or_else(|| self.rules.clone()),
            own,
        });
        Ok(())
    }

    /// The settings of the top that count for a host with these settings of its own. Certificates
    /// are chosen by the names in them, so a host does not inherit them. A host with a folder is no
    /// inspector, and what a host sets replaces what it excludes, as `spa` does with `fallback`.
    fn inherited<'a>(
        &'a self,
        command: &'a Command,
        own: &'a Settings,
    ) -> impl Iterator<Item = Setting> + 'a {
        let has_root = own.find("root").is_some();
        let is_inherited = move |setting: &&Setting| {
            let flag = settings::find(command, &setting.flag);
            let is_inspect = flag.and_then(|flag| flag.get_help_heading()) == Some(INSPECT);
            !(CERTIFICATES.contains(&setting.flag.as_str())
                || has_root && is_inspect
                || own.exclude(command, &setting.flag))
        };
        self.settings.iter().filter(is_inherited).cloned()
    }

    /// Gives the server the certificates of all hosts, after its own.
    fn collect_certificates(&mut self) -> Result<(), CliExit> {
        for host in &mut self.hosts {
            self.args.tls_cert.append(&mut host.args.tls_cert);
            self.args.tls_key.append(&mut host.args.tls_key);
        }
        for host in &mut self.hosts {
            host.args.tls_cert.clone_from(&self.args.tls_cert);
            host.args.tls_key.clone_from(&self.args.tls_key);
        }
        Ok(())
    }

    /// Rejects flags that have no effect without others. `has_tls_socket` says whether a socket for
    /// TLS was passed in.
    pub(crate) fn check(&self, has_tls_socket: bool) -> Result<(), String> {
        let check = |args| {
            let checked = flag_rules::check(args, has_tls_socket);
            checked.and_then(|()| uploads::check(args, self.reach.as_deref()))
        };
        check(&self.args).map_err(|line| self.settings.relocate(line))?;
        for host in &self.hosts {
            let checked = check(&host.args);
            checked.map_err(|line| host.settings.relocate(line))?;
        }
        Ok(())
    }
}

impl From<FileError> for CliExit {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Unreadable(line) => Self::Failed(line),
            FileError::Wrong(line) => Self::Error(line),
        }
    }
}

fn parse(command: &Command, settings: &Settings) -> Result<Args, CliExit> {
    let mut args = command
        .clone()
        .try_get_matches_from(settings.arguments())
        .and_then(|matches| Args::from_arg_matches(&matches))
        .map_err(|error| CliExit::new(&error, settings))?;
    args.root = args.root.or_else(|| args.folder.clone());
    Ok(args)
}

#[cfg(test)]
mod tests;
