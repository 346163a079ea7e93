//! What a configuration file says: settings, hosts, redirects and rewrites.

use std::ffi::OsString;
use std::ops::Range;

use clap::{Arg, ArgAction, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::settings::{self, Given, Origin, Setting};
use super::source::{FileError, Source};
use super::suggest;
use crate::cli_error::renamed;
use crate::rules::{Rules, RulesBuilder};

/// Flags that only a command line or a variable can have.
pub(super) const NOT_IN_FILES: [&str; 3] = ["check", "config", "print-config"];

/// The parts of `--help` whose flags a host can have.
const HOST_HEADINGS: [&str; 3] = ["Files", "Responses", "Access"];

/// Flags of those parts that count for the whole server.
const NOT_IN_HOSTS: [&str; 2] = ["request-ids", "server-timing"];

/// Flags of other parts that a host can have.
const ALSO_IN_HOSTS: [&str; 3] = ["error-pages", "tls-cert", "tls-key"];

/// Paths that are relative to the served folder.
pub(super) const IN_ROOT: [&str; 1] = ["fallback"];

/// Keys beside those of the flags.
const HOST: &str = "host";
const NAME: &str = "name";
const REDIRECT: &str = "redirect";
const REWRITE: &str = "rewrite";
const UNKNOWN_HOST: &str = "unknown-host";

/// Why a key is wrong in a host.
const ONLY_TOP: &str = "belongs to the top of the file, because it counts for all hosts";

/// The content of a configuration file.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) top: Section,
    pub(crate) hosts: Vec<HostSection>,
    pub(crate) unknown_host: UnknownHost,
}

/// The settings of the top or of one host.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) settings: Vec<Setting>,
    /// `None` if there is no redirect and no rewrite.
    pub(crate) rules: Option<Rules>,
}

#[derive(Debug)]
pub(crate) struct HostSection {
    /// `FILE:LINE` of the table.
    pub(crate) at: String,
    /// The names with their lines.
    pub(crate) names: Vec<(String, String)>,
    pub(crate) section: Section,
}

/// The response to a request for a host that has no table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum UnknownHost {
    /// That of the site at the top.
    #[default]
    Default,
    /// 421 (Misdirected Request).
    Reject,
}

/// A table of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Host,
}

type Key<'a> = (&'a str, Range<usize>);
type Table<'a> = DeTable<'a>;
type Value<'a> = Spanned<DeValue<'a>>;

/// Reads a file with the flags of `command`.
pub(crate) fn read(source: &Source, command: &Command) -> Result<Document, FileError> {
    let root = source.parse()?;
    let mut reader = Reader {
        source,
        command,
        document: Document::default(),
    };
    let section = reader.section(root.get_ref(), Place::Top)?;
    reader.document.top = section;
    Ok(reader.document)
}

struct Reader<'a> {
    source: &'a Source,
    command: &'a Command,
    document: Document,
}

impl Reader<'_> {
    fn section(&mut self, table: &Table<'_>, place: Place) -> Result<Section, FileError> {
        let mut section = Section::default();
        let mut rules = RulesBuilder::default();
        for ((key, at), value) in entries(table) {
            match (key, place) {
                (HOST, Place::Top) => {
                    for table in self.tables((key, at), value)? {
                        let host = self.host(table)?;
                        self.document.hosts.push(host);
                    }
                }
                (UNKNOWN_HOST, Place::Top) => {
                    self.document.unknown_host = self.unknown_host(value)?;
                }
                (NAME, Place::Host) => {}
                (NAME, Place::Top) => {
                    return Err(self
                        .source
                        .error(at, format!("{key}: belongs into a [[host]]")));
                }
                (HOST | UNKNOWN_HOST, Place::Host) => {
                    return Err(self.source.error(at, format!("{key}: {ONLY_TOP}")));
                }
                (REDIRECT | REWRITE, _) => {
                    for table in self.tables((key, at), value)? {
                        self.rule(key, table, &mut rules)?;
                    }
                }
                _ => section
                    .settings
                    .push(self.setting((key, at), value, place)?),
            }
        }
        let built = rules.build();
        section.rules = built.map_err(|(at, reason)| self.source.error(at, reason))?;
        Ok(section)
    }

    fn host(&mut self, table: &Value<'_>) -> Result<HostSection, FileError> {
        let at = table.span();
        let Some(content) = table.get_ref().as_table() else {
            return Err(self.source.error(at, "host: write [[host]]"));
        };
        let names = match entries(content)
            .into_iter()
            .find(|((key, _), _)| *key == NAME)
        {
            Some((_, value)) => self.texts(NAME, value)?,
            None => Vec::new(),
        };
        if names.is_empty() {
            let reason = "host: needs a name, for example name = \"example.org\"";
            return Err(self.source.error(at, reason));
        }
        let section = self.section(content, Place::Host)?;
        Ok(HostSection {
            at: self.source.at(at),
            names,
            section,
        })
    }

    /// A text or several, each with its line.
    fn texts(&self, key: &str, value: &Value<'_>) -> Result<Vec<(String, String)>, FileError> {
        let values = match value.get_ref() {
            DeValue::Array(values) => values.iter().collect(),
            _ => vec![value],
        };
        let texts = values.into_iter().map(|value| match value.get_ref() {
            DeValue::String(text) => Ok((text.to_string(), self.source.at(value.span()))),
            _ => Err(self
                .source
                .error(value.span(), format!("{key}: not a text"))),
        });
        texts.collect()
    }

    /// The tables of a key that is written with two brackets.
    fn tables<'v, 'i>(
        &self,
        (key, at): Key<'_>,
        value: &'v Value<'i>,
    ) -> Result<Vec<&'v Value<'i>>, FileError> {
        match value.get_ref() {
            DeValue::Array(tables) if tables.iter().all(|table| table.get_ref().is_table()) => {
                Ok(tables.iter().collect())
            }
            _ => Err(self.source.error(
                at,
                format!("{key}: write [[{key}]], because there may be several"),
            )),
        }
    }

    fn unknown_host(&self, value: &Value<'_>) -> Result<UnknownHost, FileError> {
        match value.get_ref().as_str() {
            Some("default") => Ok(UnknownHost::Default),
            Some("reject") => Ok(UnknownHost::Reject),
            _ => {
                let reason = format!("{UNKNOWN_HOST}: not one of default, reject");
                Err(self.source.error(value.span(), reason))
            }
        }
    }

    /// Adds a redirect or a rewrite.
    fn rule(
        &self,
        kind: &str,
        table: &Value<'_>,
        rules: &mut RulesBuilder,
    ) -> Result<(), FileError> {
        let at = table.span();
        let (mut from, mut to, mut status) = (None, None, None);
        let content = table.get_ref().as_table().map(entries).unwrap_or_default();
        for ((key, at), value) in content {
            match (key, value.get_ref()) {
                ("from", DeValue::String(text)) => from = Some((text.as_ref(), value.span())),
                ("to", DeValue::String(text)) => to = Some((text.as_ref(), value.span())),
                ("status", DeValue::Integer(number)) if kind == REDIRECT => {
                    status = Some((number.to_string(), value.span()));
                }
                ("from" | "to", _) => {
                    return Err(self
                        .source
                        .error(value.span(), format!("{kind}: {key}: not a text")));
                }
                ("status", _) if kind == REDIRECT => {
                    let reason = format!("{kind}: status: not a number");
                    return Err(self.source.error(value.span(), reason));
                }
                _ => {
                    let known = match kind {
                        REDIRECT => "from, to, status",
                        _ => "from, to",
                    };
                    let key = suggest::quoted(key);
                    let reason = format!("{kind}: {key}: no such setting, there are {known}");
                    return Err(self.source.error(at, reason));
                }
            }
        }
        let (Some(from), Some(to)) = (from, to) else {
            return Err(self.source.error(at, format!("{kind}: needs from and to")));
        };
        let added = match kind {
            REDIRECT => rules.redirect(from, to, status),
            _ => rules.rewrite(from, to),
        };
        added.map_err(|(at, reason)| self.source.error(at, format!("{kind}: {reason}")))
    }

    /// The setting of a flag.
    fn setting(
        &self,
        (key, at): Key<'_>,
        value: &Value<'_>,
        place: Place,
    ) -> Result<Setting, FileError> {
        let name = suggest::quoted(key);
        let error = |reason: &str| self.source.error(at.clone(), format!("{name}: {reason}"));
        let Some(flag) = settings::find(self.command, key) else {
            return Err(match renamed(key) {
                Some(new) => error(&format!("renamed, use {new}")),
                None => error(&suggest::unknown(self.command, key)),
            });
        };
        if NOT_IN_FILES.contains(&key) {
            return Err(error("belongs to the command line"));
        }
        if place == Place::Host && !is_of_host(flag, key) {
            return Err(error(ONLY_TOP));
        }
        let mut lines = vec![self.source.at(at.clone())];
        let given = match (value.get_ref(), flag.get_action()) {
            (DeValue::Boolean(true), ArgAction::SetTrue) => Given::Bare,
            (DeValue::Boolean(false), ArgAction::SetTrue) => Given::Off,
            (DeValue::Array(_) | DeValue::Table(_), ArgAction::SetTrue) => {
                return Err(error("not true or false"));
            }
            (value, ArgAction::SetTrue) => {
                let value = scalar(value).unwrap_or_default();
                return Err(error(&format!("{value:?}: not true or false")));
            }
            (DeValue::Boolean(is_on), _) if is_switch(flag) => {
                let word = if *is_on { "on" } else { "off" };
                Given::Values(vec![word.into()])
            }
            (DeValue::Boolean(false), _) => Given::Off,
            (DeValue::Boolean(true), _) if takes_no_value(flag) => Given::Bare,
            (DeValue::Array(values), ArgAction::Append) => {
                let mut texts = Vec::new();
                for value in values {
                    texts.push(self.text(flag, key, value)?);
                    lines.push(self.source.at(value.span()));
                }
                match texts.is_empty() {
                    true => Given::Off,
                    false => Given::Values(texts),
                }
            }
            (DeValue::Array(_), _) => return Err(error("takes one value")),
            _ => {
                lines.push(self.source.at(value.span()));
                Given::Values(vec![self.text(flag, key, value)?])
            }
        };
        Ok(Setting {
            flag: key.to_owned(),
            given,
            origin: Origin::File(lines),
        })
    }

    /// The value of a flag. Relative paths begin at the folder of the file.
    fn text(&self, flag: &Arg, key: &str, value: &Value<'_>) -> Result<OsString, FileError> {
        let text = scalar(value.get_ref()).ok_or_else(|| {
            let reason = format!("{key}: not a text or a number");
            self.source.error(value.span(), reason)
        })?;
        let is_relative = settings::is_path(flag) && !IN_ROOT.contains(&key);
        match text.as_str() {
            // Standard output, and no path at all.
            "-" | "" => Ok(text.into()),
            // A path with a NUL would be cut.
            _ if text.contains('\0') => Err(self
                .source
                .error(value.span(), format!("{key}: contains a NUL character"))),
            _ if is_relative => Ok(self.source.folder().join(text).into()),
            _ => Ok(text.into()),
        }
    }
}

/// The entries of a table in the order of the file.
fn entries<'t, 'i>(table: &'t Table<'i>) -> Vec<(Key<'t>, &'t Value<'i>)> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| ((key.get_ref().as_ref(), key.span()), value))
        .collect();
    entries.sort_by_key(|((_, at), _)| at.start);
    entries
}

/// A text or a number as a flag would have it.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        DeValue::Integer(number) => {
            let parsed = i128::from_str_radix(number.as_str(), number.radix());
            parsed.map_or_else(|_| number.to_string(), |parsed| parsed.to_string())
        }
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(is_on) => is_on.to_string(),
        _ => return None,
    })
}

/// Whether the values of this flag are `on` and `off`.
fn is_switch(flag: &Arg) -> bool {
    let values = flag.get_possible_values();
    ["on", "off"]
        .iter()
        .all(|word| values.iter().any(|value| value.matches(word, false)))
}

/// Whether the flag may stand without a value.
fn takes_no_value(flag: &Arg) -> bool {
    let number = flag.get_num_args();
    number.is_some_and(|number| number.min_values() == 0)
}

/// Whether a host can have this flag.
pub(crate) fn is_of_host(flag: &Arg, name: &str) -> bool {
    let is_listed = flag
        .get_help_heading()
        .is_some_and(|heading| HOST_HEADINGS.contains(&heading));
    is_listed && !NOT_IN_HOSTS.contains(&name) || ALSO_IN_HOSTS.contains(&name)
}
