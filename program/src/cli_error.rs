//! One clear line for a wrong flag or a wrong value, whatever it is that is wrong.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use super::environment;

/// Where a wrong value came from, and so what the line has to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueSource {
    CommandLine,
    Environment,
}

/// Says in one line what is wrong, and with which flag or variable.
pub(crate) fn one_line(error: &Error, origin: ValueSource) -> String {
    let flag = text(error, ContextKind::InvalidArg).unwrap_or_default();
    let name = name(&flag, origin);
    let value = text(error, ContextKind::InvalidValue).unwrap_or_default();
    match error.kind() {
        ErrorKind::InvalidValue if value.is_empty() => match choices(error) {
            Some(choices) => format!("{name}: needs a value, one of {choices}"),
            None => format!("{name}: needs a value"),
        },
        ErrorKind::InvalidValue => match choices(error) {
            Some(choices) => format!("{name} {value:?}: not one of {choices}"),
            None => format!("{name} {value:?}: not a value of this flag"),
        },
        ErrorKind::ValueValidation => match error.source() {
            Some(reason) => format!("{name} {value:?}: {reason}"),
            None => format!("{name} {value:?}: not a value of this flag"),
        },
        ErrorKind::TooManyValues if origin == ValueSource::Environment => {
            format!("{name} {value:?}: neither true nor false")
        }
        ErrorKind::TooManyValues => format!("{name} {value:?}: this flag takes no value"),
        ErrorKind::ArgumentConflict => format!("{name}: given more than once"),
        ErrorKind::UnknownArgument if flag.starts_with('-') => {
            match text(error, ContextKind::SuggestedArg) {
                Some(near) => format!("{name}: no such flag, did you mean {near}?"),
                None => format!("{name}: no such flag, --help lists them"),
            }
        }
        ErrorKind::UnknownArgument => {
            format!("{flag:?}: unexpected, the program takes flags only")
        }
        _ => first_line(error),
    }
}

/// The flag's name without the placeholder of its value, or its variable's.
fn name(flag: &str, origin: ValueSource) -> String {
    let name = flag.split(' ').next().unwrap_or_default();
    match origin {
        ValueSource::CommandLine => name.to_owned(),
        ValueSource::Environment => environment::variable(name.trim_start_matches('-')),
    }
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

/// What `clap` itself says, without the usage and the hints that follow.
fn first_line(error: &Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}
