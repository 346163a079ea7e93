//! The nearest name for an unknown one.

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command};

/// Keys of a file beside those of the flags.
const TABLES: [&str; 5] = ["host", "name", "redirect", "rewrite", "unknown-host"];

/// Flags that a file cannot set.
const NO_SETTINGS: [&str; 2] = ["help", "version"];

/// The reason why an unknown key is wrong.
pub(crate) fn unknown(command: &Command, key: &str) -> String {
    match nearest(command, key) {
        Some(near) => format!("no such setting, did you mean {near}?"),
        None => "no such setting, httpool --help lists them".into(),
    }
}

/// A key as a message shows it: on one line.
pub(crate) fn quoted(key: &str) -> String {
    match is_plain(key) {
        true => key.to_owned(),
        false => format!("{key:?}"),
    }
}

fn is_plain(key: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !key.is_empty() && key.bytes().all(is_letter)
}

fn nearest(command: &Command, key: &str) -> Option<String> {
    // clap compares this with all flags, whatever their number.
    const LONGEST: usize = 64;
    if !is_plain(key) || key.len() > LONGEST {
        return None;
    }
    let key = key.replace('_', "-").to_lowercase();
    if NO_SETTINGS.contains(&&*key) {
        return None;
    }
    let tables = TABLES.map(|name| Arg::new(name).long(name));
    let known = tables.iter().any(|table| table.get_long() == Some(&key));
    if known
        || command
            .get_arguments()
            .any(|flag| flag.get_long() == Some(&key))
    {
        return Some(key);
    }
    // People write tables in the plural.
    if let Some(table) = TABLES
        .iter()
        .find(|table| key.strip_suffix('s') == Some(**table))
    {
        return Some((*table).to_owned());
    }
    let error = command
        .clone()
        .args(tables)
        .try_get_matches_from(["httpool", &format!("--{key}")])
        .err()?;
    match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(near)) => Some(near.trim_start_matches('-').to_owned()),
        _ => None,
    }
}
