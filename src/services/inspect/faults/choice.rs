//! Which faults a response gets.

use std::fmt;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};

use super::spec::{Defect, Fault, FaultList, Rule};
use crate::services::inspect::captured::microseconds;
use crate::services::inspect::random::Random;
use crate::services::inspect::times;

/// The faults of one response.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Chosen {
    pub(super) status: Option<StatusCode>,
    pub(super) delay: Option<Duration>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) size: Option<u64>,
    pub(super) drip: Option<Duration>,
    pub(super) defect: Option<Defect>,
}

/// The longest delay and the largest content that a fault causes. Larger values are reduced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) delay: Duration,
    pub(super) bytes: u64,
}

impl FaultList {
    /// Chooses the faults of a response. Of several faults of a kind, the first chosen one counts.
    ///
    /// Every rule takes two random numbers, so that no choice depends on the results before it.
    pub(super) fn choose(&self, random: &mut Random, limits: Limits) -> Chosen {
        let mut chosen = Chosen::default();
        for Rule { fault, percent } in &self.rules {
            let (share, point) = (random.fraction(), random.fraction());
            if share * 100.0 < *percent {
                chosen.add(fault, point, limits);
            }
        }
        chosen
    }
}

impl Chosen {
    fn add(&mut self, fault: &Fault, point: f64, limits: Limits) {
        match fault {
            Fault::Status(status) => _ = self.status.get_or_insert(*status),
            Fault::Delay(delay) => {
                let delay = delay.at(point).min(limits.delay);
                // No clock of a response is more precise, and the header stays readable.
                let whole = Duration::from_micros(microseconds(delay));
                _ = self.delay.get_or_insert(whole);
            }
            Fault::Header(name, value) => self.headers.push((name.clone(), value.clone())),
            Fault::Size(bytes) => _ = self.size.get_or_insert((*bytes).min(limits.bytes)),
            Fault::Drip(time) => _ = self.drip.get_or_insert((*time).min(limits.delay)),
            Fault::Defect(defect) => _ = self.defect.get_or_insert(*defect),
        }
    }

    /// Whether no fault was chosen.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Writes the faults as a list that causes them.
impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status.map(Fault::Status);
        let delay = self
            .delay
            .map(|delay| format!("delay={}", times::write(delay)));
        let headers = self.headers.iter().cloned();
        let headers = headers.map(|(name, value)| Fault::Header(name, value));
        let texts = (status.into_iter().chain(headers))
            .chain(self.size.map(Fault::Size))
            .chain(self.drip.map(Fault::Drip))
            .chain(self.defect.map(Fault::Defect))
            .map(|fault| fault.to_string())
            .chain(delay);
        let texts: Vec<_> = texts.collect();
        f.write_str(&texts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        delay: Duration::from_secs(60),
        bytes: 1 << 20,
    };

    fn list(text: &str) -> FaultList {
        text.parse().expect("the faults are valid")
    }

    fn texts(text: &str, seed: u64, count: usize) -> Vec<String> {
        let (list, mut random) = (list(text), Random::new(seed));
        let chosen = std::iter::repeat_with(|| list.choose(&mut random, LIMITS));
        chosen
            .take(count)
            .map(|chosen| chosen.to_string())
            .collect()
    }

    #[test]
    fn seed_decides_the_sequence() {
        let of = |seed| texts("reset=20%,delay=p50:20ms,p99:1s", seed, 50);
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
        // It must stay: a test that repeats a run names a seed.
        let first = texts("status=503@50%", 1, 8);
        let failed: String = (first.iter())
            .map(|text| if text.is_empty() { '.' } else { 'x' })
            .collect();
        assert_eq!(failed, ".xxxxxx.");
    }

    #[test]
    fn shares_are_met() {
        let count = |percent: &str| {
            let texts = texts(&format!("reset={percent}"), 3, 10_000);
            texts.iter().filter(|text| !text.is_empty()).count()
        };
        assert_eq!(count("0%"), 0);
        assert_eq!(count("100%"), 10_000);
        for (percent, expected) in [("1%", 100.0), ("20%", 2000.0), ("50%", 5000.0)] {
            let difference = (count(percent) as f64 - expected).abs();
            // Five standard deviations, at most.
            assert!(
                difference < 5.0 * f64::sqrt(expected),
                "{percent}: {difference}"
            );
        }
    }

    #[test]
    fn median_and_99th_percentile_are_those_of_the_list() {
        let (list, mut random) = (list("delay=p50:20ms,p99:1s"), Random::new(5));
        let delays = std::iter::repeat_with(|| list.choose(&mut random, LIMITS).delay);
        let mut delays: Vec<_> = delays.take(10_000).flatten().collect();
        delays.sort_unstable();
        let millis = |index: usize| delays[index].as_secs_f64() * 1e3;
        assert!((18.0..22.0).contains(&millis(5_000)), "{}", millis(5_000));
        assert!(
            (850.0..=1000.0).contains(&millis(9_900)),
            "{}",
            millis(9_900)
        );
    }

    #[test]
    fn first_of_a_kind_counts_and_limits_apply() {
        let text = "status=500,status=503,delay=2m,size=1GiB,drip=5m,never,reset,header=a:b";
        assert_eq!(
            texts(text, 0, 1),
            ["status=500,header=a:b,size=1048576,drip=1m,never,delay=1m"]
        );
        assert_eq!(texts("none", 0, 1), [""]);
    }

    /// A fault that is added behind others changes nothing for them.
    #[test]
    fn defects_have_their_own_shares() {
        let texts = texts("reset@50%,never@50%", 11, 1_000);
        let count = |fault: &str| texts.iter().filter(|text| *text == fault).count();
        assert!((420..580).contains(&count("reset=before")));
        assert!((180..320).contains(&count("never")));
    }
}
