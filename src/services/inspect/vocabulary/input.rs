//! The values that clients set in queries and paths: numbers, times and sizes, within limits.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use http::{StatusCode, Uri};

use crate::message::Problem;
use crate::services::inspect::pairs::text_pairs;
use crate::services::inspect::random::{Random, random_seed};
use crate::services::inspect::times::parse_seconds;
use crate::web::extract::{FromRequest, Rejection, RequestContext};

/// The names and values of a query, decoded, in their order. Bytes that are not UTF-8 become U+FFFD.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairs(pub(super) Vec<(String, String)>);

/// A 400 with a reason.
pub(super) fn bad(reason: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST).detail(reason.into())
}

impl Pairs {
    pub(super) fn of(uri: &Uri) -> Self {
        Self::parse(uri.query().unwrap_or_default().as_bytes())
    }

    /// Parses the first pairs of `application/x-www-form-urlencoded`.
    pub(super) fn parse(encoded: &[u8]) -> Self {
        Self(text_pairs(encoded))
    }

    /// The first value of this name, in any case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        let found = pairs.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The value of this name as a number.
    pub(super) fn number<T>(&self, name: &str, default: T) -> Result<T, Problem>
    where
        T: FromStr<Err: Display>,
    {
        let Some(value) = self.get(name) else {
            return Ok(default);
        };
        let number = value.parse();
        number.map_err(|error| bad(format!("{name}={value:?}: {error}")))
    }

    /// The value of this name as a time of at most `longest`.
    pub(super) fn time(
        &self,
        name: &str,
        default: Duration,
        longest: Duration,
    ) -> Result<Duration, Problem> {
        match self.get(name) {
            Some(value) => parse_seconds(value, longest)
                .map_err(|error| bad(format!("{name}={value:?}: {error}"))),
            None => Ok(default.min(longest)),
        }
    }

    /// The random numbers that the value of `seed` fixes, if there is one.
    pub(super) fn random(&self) -> Result<Random, Problem> {
        let seed = match self.get("seed") {
            Some(_) => i64::cast_unsigned(self.number("seed", 0)?),
            None => random_seed(),
        };
        Ok(Random::new(seed))
    }
}

impl<S> FromRequest<S> for Pairs {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(Self::of(context.request().uri()))
    }
}

/// Rejects a size above the limit.
pub(super) fn check_size(bytes: u64, most: u64) -> Result<(), Problem> {
    match bytes <= most {
        true => Ok(()),
        false => Err(bad(format!("at most {most} bytes are allowed"))),
    }
}

/// A status that a final response can have.
pub(super) fn status(text: &str) -> Result<StatusCode, Problem> {
    let status = text.parse::<StatusCode>().ok();
    let status = status.filter(|status| !status.is_informational());
    status.ok_or_else(|| bad(format!("{text:?} is not a status of a final response")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_in_any_case() {
        let pairs = Pairs::parse(b"a=1&B=%32&a=3&c&%FF=x");
        assert_eq!(
            (pairs.get("A"), pairs.get("b"), pairs.get("c")),
            (Some("1"), Some("2"), Some(""))
        );
        assert_eq!(pairs.get("\u{fffd}"), Some("x"));
        assert_eq!(pairs.number("b", 0).ok(), Some(2));
        assert!(pairs.number::<u8>("c", 0).is_err());
    }
}
