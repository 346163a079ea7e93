//! A rate of `--rate-limit`.

use std::str::FromStr;
use std::time::Duration;

use super::super::value_parsers::{Span, limit};

/// A number of requests in a time, for example `100/1m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(super) requests: u32,
    pub(super) time: Duration,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || "not N/TIME, for example 100/1m for 100 requests in a minute".to_owned();
        let (requests, time) = text.split_once('/').ok_or_else(error)?;
        let requests: u32 = requests.trim().parse().map_err(|_| error())?;
        let Span(time) = limit(time)?;
        match time.checked_div(requests) {
            None => Err("the number of requests must be greater than zero".into()),
            Some(Duration::ZERO) => Err("more than one request in a nanosecond".into()),
            Some(_) => Ok(Self { requests, time }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_a_number_in_a_time() {
        let rate = |requests, seconds| Rate {
            requests,
            time: Duration::from_secs(seconds),
        };
        assert_eq!("100/1m".parse(), Ok(rate(100, 60)));
        assert_eq!("1 / 1h".parse(), Ok(rate(1, 3600)));
        for (text, reason) in [
            ("", "not N/TIME"),
            ("100", "not N/TIME"),
            ("x/1m", "not N/TIME"),
            ("-1/1m", "not N/TIME"),
            ("1.5/1m", "not N/TIME"),
            ("99999999999/1m", "not N/TIME"),
            ("0/1m", "greater than zero"),
            ("1/0", "greater than zero"),
            ("1/1", "no unit"),
            ("1/m", "not a time"),
            ("1/2y", "longer than one year"),
            ("2/1ns", "nanosecond"),
        ] {
            let error = text.parse::<Rate>().expect_err("it is no rate");
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
