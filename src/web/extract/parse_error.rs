//! The error of a path, query or form that can't be parsed as an argument.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::{Rejection, RejectionKind, RequestContext};

/// Why values can't be parsed as a type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ParseError {
    /// The client sent a wrong value.
    Client(String),
    /// The client sent a wrong value with this name.
    Named { name: Box<str>, reason: String },
    /// The type does not fit any request of the route: a mistake of the program.
    Program(String),
}

impl ParseError {
    /// The rejection of a request whose `part` ("path", "query" or "form") can't be parsed as
    /// `Argument`.
    pub(crate) fn reject<Argument>(
        self,
        kind: RejectionKind,
        part: &str,
        context: &RequestContext<'_, impl Sized>,
    ) -> Rejection {
        match self {
            Self::Client(reason) => Rejection::of_kind(kind, format!("invalid {part}: {reason}")),
            Self::Named { name, reason } => {
                Rejection::of_kind(kind, format!("invalid {part}: {reason}")).named(name)
            }
            Self::Program(reason) => {
                let argument = std::any::type_name::<Argument>();
                Rejection::program_error(context.request(), format_args!("{argument}: {reason}"))
            }
        }
    }
}

/// The field that is missing, if an error of serde says so.
pub(crate) fn missing_field(error: &str) -> Option<&str> {
    let rest = error.strip_prefix("missing field `")?;
    rest.split_once('`').map(|(name, _)| name)
}

/// Errors of serde's visitors. A value is always text, and the route fixes the names: an error
/// about a type or a name holds for every request of the route.
impl de::Error for ParseError {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::Client(reason.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Program(format!(
            "a parameter is text and can't be parsed as {expected}"
        ))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::Program(format!(
            "the path has {length} parameters, but the type needs {expected}"
        ))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Program(format!("the path has no parameter {field:?}"))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::Program(format!(
            "the path has the parameter {field:?}, which is not a field"
        ))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::Program(format!(
            "the path has the parameter {field:?} more than once"
        ))
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(reason) | Self::Named { reason, .. } | Self::Program(reason) => {
                f.write_str(reason)
            }
        }
    }
}

impl std::error::Error for ParseError {}
