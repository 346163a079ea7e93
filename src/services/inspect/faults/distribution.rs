//! How long responses wait.

use std::fmt;
use std::time::Duration;

use super::values::number;
use crate::services::inspect::times::{parse as time, write as write_time};

/// The delays of many responses.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Distribution {
    /// Each response waits this long.
    Fixed(Duration),
    /// Every time between these is as likely as another.
    Uniform(Duration, Duration),
    /// Times with the share of responses that wait no longer, both ascending.
    Quantiles(Vec<Quantile>),
}

/// A share of responses in percent, and the longest time that any of them waits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Quantile {
    percent: f64,
    time: Duration,
}

impl Distribution {
    /// Parses `100ms`, `10ms..200ms` or `p50:20ms,p99:1s`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if is_quantile(text) {
            return quantiles(text).map(Self::Quantiles);
        }
        let Some((least, most)) = text.split_once("..") else {
            return time(text).map(Self::Fixed);
        };
        match (time(least)?, time(most)?) {
            (least, most) if least <= most => Ok(Self::Uniform(least, most)),
            _ => Err(format!("{text:?} ends before it begins")),
        }
    }

    /// The delay at this point of the distribution, from 0 to 1.
    ///
    /// Between two quantiles, equal steps multiply the time by equal factors, as the delays of real
    /// servers do. Below the first quantile the time grows evenly from nothing, and above the last
    /// one it stays, so that nothing waits longer than is written.
    pub(super) fn at(&self, point: f64) -> Duration {
        match self {
            Self::Fixed(time) => *time,
            Self::Uniform(least, most) => *least + (*most - *least).mul_f64(point),
            Self::Quantiles(quantiles) => at(quantiles, point * 100.0),
        }
    }
}

fn at(quantiles: &[Quantile], percent: f64) -> Duration {
    let above = quantiles.partition_point(|quantile| quantile.percent <= percent);
    let below = above.checked_sub(1).map(|index| quantiles[index]);
    match (below, quantiles.get(above)) {
        (None, None) => Duration::ZERO,
        (None, Some(first)) => first.time.mul_f64(percent / first.percent),
        (Some(last), None) => last.time,
        (Some(below), Some(above)) => {
            let part = (percent - below.percent) / (above.percent - below.percent);
            // A time of zero can't be multiplied.
            let [low, high] = [below.time, above.time].map(|time| time.as_secs_f64().max(1e-6));
            Duration::from_secs_f64(low * (high / low).powf(part)).min(above.time)
        }
    }
}

/// Whether this text begins like a quantile, for example `p99:1s`.
pub(super) fn is_quantile(text: &str) -> bool {
    let Some(("p", rest)) = text.split_at_checked(1) else {
        return false;
    };
    rest.starts_with(|first: char| first.is_ascii_digit())
}

fn quantiles(text: &str) -> Result<Vec<Quantile>, String> {
    let parts: Result<Vec<_>, _> = text.split(',').map(|part| quantile(part.trim())).collect();
    let quantiles = parts?;
    let ascends =
        |pair: &[Quantile]| pair[0].percent < pair[1].percent && pair[0].time <= pair[1].time;
    match quantiles.windows(2).all(ascends) {
        true => Ok(quantiles),
        false => Err(format!("{text:?} must ascend in percent and time")),
    }
}

fn quantile(text: &str) -> Result<Quantile, String> {
    let wrong = || format!("{text:?} is not a quantile: write p50:20ms, for example");
    let (percent, text_time) = text
        .strip_prefix('p')
        .and_then(|rest| rest.split_once(':'))
        .ok_or_else(wrong)?;
    let percent = number(percent).filter(|percent| *percent > 0.0 && *percent <= 100.0);
    Ok(Quantile {
        percent: percent.ok_or_else(wrong)?,
        time: time(text_time)?,
    })
}

/// Writes the form that is parsed.
impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(time) => f.write_str(&write_time(*time)),
            Self::Uniform(least, most) => {
                write!(f, "{}..{}", write_time(*least), write_time(*most))
            }
            Self::Quantiles(quantiles) => {
                for (index, Quantile { percent, time }) in quantiles.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}p{percent}:{}", write_time(*time))?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn distribution(text: &str) -> Distribution {
        Distribution::parse(text).expect("it is a distribution")
    }

    #[test]
    fn uniform_delay_covers_its_range() {
        let delays = distribution("10ms..210ms");
        for (point, expected) in [(0.0, 10), (0.5, 110), (1.0, 210)] {
            assert_eq!(delays.at(point), millis(expected));
        }
        assert_eq!(distribution("100ms").at(0.9), millis(100));
    }

    #[test]
    fn quantiles_are_met_and_bound_the_rest() {
        let delays = distribution("p50:20ms,p99:1s");
        assert_eq!(delays.at(0.0), Duration::ZERO);
        assert_eq!(delays.at(0.25), millis(10));
        assert_eq!(delays.at(0.5), millis(20));
        // Half of the way: the geometric mean of both.
        let middle = delays.at(0.745).as_secs_f64();
        assert!((middle - 0.141_421).abs() < 1e-4, "{middle}");
        assert_eq!(delays.at(0.99), millis(1000));
        assert_eq!(delays.at(1.0), millis(1000));
    }

    #[test]
    fn wrong_distributions_name_their_part() {
        for (text, part) in [
            ("20ms..10ms", "\"20ms..10ms\" ends before"),
            ("10ms..x", "\"x\" is not a time"),
            ("p50:20ms,p40:30ms", "must ascend"),
            ("p50:20ms,p99:10ms", "must ascend"),
            ("p0:1s", "\"p0:1s\" is not a quantile"),
            ("p50", "\"p50\" is not a quantile"),
            ("p50:1s,x", "\"x\" is not a quantile"),
        ] {
            let error = Distribution::parse(text).expect_err("it is wrong");
            assert!(error.contains(part), "{error}");
        }
    }

    proptest! {
        #[test]
        fn delays_ascend_and_stay_below_the_last(
            times in proptest::collection::vec(0_u64..10_000, 1..6),
            points in proptest::collection::vec(0.0..=1.0, 2..20),
        ) {
            let (mut times, mut points): (Vec<u64>, Vec<f64>) = (times, points);
            times.sort_unstable();
            points.sort_by(f64::total_cmp);
            let text: Vec<_> = times.iter().enumerate()
                .map(|(index, time)| format!("p{}:{time}ms", (index + 1) * 15))
                .collect();
            let delays = distribution(&text.join(","));
            let drawn: Vec<_> = points.iter().map(|point| delays.at(*point)).collect();
            prop_assert!(drawn.is_sorted(), "{drawn:?}");
            let last = Duration::from_millis(times[times.len() - 1]);
            prop_assert!(drawn.iter().all(|delay| *delay <= last), "{drawn:?}");
            prop_assert_eq!(distribution(&delays.to_string()), delays);
        }
    }
}
