//! Reads the configuration again while the server runs.

use std::env;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};

use httpool::Tls;
use httpool::services::inspect::Inspect;

use super::document::is_of_host;
use super::print::SECRETS;
use super::settings::{self, Given, Setting, Settings};
use super::{Config, NOT_IN_FILES, load};
use crate::cli::{self, CliExit};
use crate::hosts::{CurrentSites, Sites};
use crate::https;

/// Settings of the whole server that a reload takes.
const TAKEN: [&str; 3] = ["inspect", "tls-client-ca", "tls-client-auth"];

/// The parts of a running server that a reload replaces.
#[derive(Debug)]
pub(crate) struct Reloader {
    arguments: Vec<OsString>,
    has_tls_socket: bool,
    /// Why clients of other machines may reach the server, if they may.
    reach: Option<String>,
    sites: CurrentSites,
    tls: Option<Tls>,
    inspect: Option<Arc<Inspect>>,
    /// The settings of the server, and those of the last file.
    settings: Mutex<Settings>,
}

impl Reloader {
    /// `config` is what the server has started with.
    pub(crate) fn new(
        config: &Config,
        has_tls_socket: bool,
        sites: CurrentSites,
        tls: Option<Tls>,
        inspect: Option<Arc<Inspect>>,
    ) -> Self {
        Self {
            arguments: env::args_os().collect(),
            has_tls_socket,
            reach: config.reach.clone(),
            sites,
            tls,
            inspect,
            settings: Mutex::new(config.settings.clone()),
        }
    }

    /// Reads everything again, and takes what can change while the server runs. The error is one
    /// line; then nothing has changed. Otherwise the result is a line for each setting that needs a
    /// restart.
    pub(crate) fn reload(&self) -> Result<Vec<String>, String> {
        let arguments = self.arguments.iter().cloned();
        let mut config = load(arguments, |name| env::var_os(name)).map_err(|exit| match exit {
            CliExit::Print(line) | CliExit::Error(line) | CliExit::Failed(line) => line,
        })?;
        config.reach.clone_from(&self.reach);
        config.check(self.has_tls_socket)?;
        if config.args.inspect && self.inspect.is_none() {
            return Err(config
                .settings
                .relocate("--inspect: needs a restart".into()));
        }
        let sites = Sites::open(&config, self.inspect.as_ref())?;
        let tls = https::tls(&config.args).map_err(|line| config.settings.relocate(line))?;
        if let (Some(current), Some(tls)) = (&self.tls, tls) {
            current.replace(tls);
        }
        self.sites.replace(sites);
        let mut old = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let warnings = changes(&old, &config.settings);
        *old = config.settings;
        Ok(warnings)
    }
}

/// The settings that have changed and need a restart.
fn changes(old: &Settings, new: &Settings) -> Vec<String> {
    let command = cli::command();
    let mut names: Vec<&str> = Vec::new();
    for setting in old.iter().chain(new.iter()) {
        if !names.contains(&setting.flag.as_str()) {
            names.push(&setting.flag);
        }
    }
    let changed = names.into_iter().filter_map(|name| {
        let flag = settings::find(&command, name)?;
        let is_taken = is_of_host(flag, name) || TAKEN.contains(&name);
        let [before, after] = [old, new].map(|settings| shown(settings.find(name)));
        if is_taken || NOT_IN_FILES.contains(&name) || before == after {
            return None;
        }
        Some(match SECRETS.contains(&name) {
            true => format!("{name}: changed, needs a restart"),
            false => format!("{name}: changed from {before} to {after}, needs a restart"),
        })
    });
    changed.collect()
}

/// The value of a setting in a message.
fn shown(setting: Option<&Setting>) -> String {
    match setting.map(|setting| &setting.given) {
        None => "the default".into(),
        Some(Given::Off) => "off".into(),
        Some(Given::Bare) => "on".into(),
        Some(Given::Positional(value)) => value.to_string_lossy().escape_debug().to_string(),
        Some(Given::Values(values)) => {
            let values: Vec<_> = values.iter().map(|value| value.to_string_lossy()).collect();
            values.join(" ").escape_debug().to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    fn settings(pairs: &[(&str, Given)]) -> Settings {
        Settings::default().over(pairs.iter().map(|(flag, given)| Setting {
            flag: (*flag).to_owned(),
            given: given.clone(),
            origin: Origin::CommandLine,
        }))
    }

    #[test]
    fn only_settings_of_the_server_need_a_restart() {
        let value = |text: &str| Given::Values(vec![text.into()]);
        let old = settings(&[
            ("workers", value("8")),
            ("root", value("/old")),
            ("reuse-port", Given::Bare),
            ("inspect-token", value("0123456789abcdef")),
            ("max-body", value("1KiB")),
        ]);
        let new = settings(&[
            ("workers", value("16")),
            ("root", value("/new")),
            ("reuse-port", Given::Off),
            ("max-body", value("1KiB")),
            ("listen", Given::Values(vec!["*:80".into(), "*:81".into()])),
        ]);
        assert_eq!(
            changes(&old, &new),
            [
                "workers: changed from 8 to 16, needs a restart",
                "reuse-port: changed from on to off, needs a restart",
                "inspect-token: changed, needs a restart",
                "listen: changed from the default to *:80 *:81, needs a restart",
            ]
        );
    }
}
