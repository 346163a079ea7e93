//! Settings that contradict each other.

use std::fmt;
use std::time::Duration;

use super::Config;
use crate::connection::defaults;

/// A setting of a [`Builder`](crate::Builder) that another setting makes ineffective.
///
/// The server runs nevertheless, with the [`consequence`](Self::consequence).
///
/// ```
/// use httpool::Server;
///
/// let builder = Server::builder().max_body(1 << 30).max_buffered_memory(1 << 20);
/// let conflict = &builder.conflicts()[0];
/// assert_eq!((conflict.setting(), conflict.other()), ("max_body", "max_buffered_memory"));
/// println!("warning: {conflict}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    setting: Setting,
    other: Setting,
    consequence: &'static str,
}

/// The name of a setter, and its value for display.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    name: &'static str,
    value: String,
}

/// A setting that must not exceed another one, and the consequence if it does.
struct Rule {
    setting: &'static str,
    other: &'static str,
    /// Both values, if the first one exceeds the second.
    over: fn(&Config) -> Option<(String, String)>,
    consequence: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        setting: "max_body",
        other: "max_buffered_memory",
        over: |config| over(config.max_body, config.max_buffered_memory),
        consequence: "a body over max_buffered_memory is rejected with 413",
    },
    Rule {
        setting: "max_header_size",
        other: "max_buffered_memory",
        over: |config| over(config.max_header_size, config.max_buffered_memory),
        consequence: "a head over max_buffered_memory is rejected with 431 if it arrives in parts",
    },
    Rule {
        setting: "drain_idle",
        other: "drain_timeout",
        over: |config| later(config.drain_idle, config.drain_timeout),
        consequence: "a drain closes idle connections at drain_timeout",
    },
    Rule {
        setting: "min_rate_grace",
        other: "body_timeout",
        over: |config| match config.min_rate {
            0 => None,
            _ => later(config.min_rate_grace, config.body_timeout),
        },
        consequence: "min_rate has no effect on request bodies",
    },
    Rule {
        setting: "queue_limit",
        other: "max_connections",
        over: |config| match config.queue_limit {
            // The default means that there is no limit.
            defaults::QUEUE_LIMIT => None,
            limit => over(limit, config.max_connections),
        },
        consequence: "queue_limit has no effect",
    },
    Rule {
        setting: "workers",
        other: "max_connections",
        over: |config| over(config.workers, config.max_connections),
        consequence: "some workers never have a connection",
    },
    #[cfg(feature = "http2")]
    Rule {
        setting: "handlers_per_connection",
        other: "workers",
        over: |config| match config.http2 {
            true => over(config.handlers_per_connection(), config.workers),
            false => None,
        },
        consequence: "handlers_per_connection has no effect",
    },
    #[cfg(feature = "http2")]
    Rule {
        setting: "stream_window",
        other: "connection_window",
        over: |config| {
            let windows = [config.stream_window, config.connection_window];
            let [stream, connection] = windows.map(|window| window as usize);
            match config.http2 {
                true => over(stream, connection),
                false => None,
            }
        },
        consequence: "connection_window limits the body of a single stream",
    },
];

impl Config {
    pub(crate) fn conflicts(&self) -> Vec<Conflict> {
        let conflicts = RULES.iter().filter_map(|rule| {
            let (value, limit) = (rule.over)(self)?;
            Some(Conflict {
                setting: Setting {
                    name: rule.setting,
                    value,
                },
                other: Setting {
                    name: rule.other,
                    value: limit,
                },
                consequence: rule.consequence,
            })
        });
        conflicts.collect()
    }
}

impl Conflict {
    /// The name of the setting that exceeds the [other](Self::other).
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting.name
    }

    /// The name of the setting that limits it.
    #[must_use]
    pub fn other(&self) -> &'static str {
        self.other.name
    }

    /// The effect of the contradiction.
    #[must_use]
    pub fn consequence(&self) -> &'static str {
        self.consequence
    }

    /// Describes the conflict like [`Display`](fmt::Display), with `name` applied to the names of the
    /// settings. A program can pass the names of its flags.
    ///
    /// ```
    /// use httpool::Server;
    ///
    /// let builder = Server::builder().max_body(2_000_000).max_buffered_memory(1_000_000);
    /// let flag = |name: &str| format!("--{}", name.replace('_', "-"));
    /// assert_eq!(
    ///     builder.conflicts()[0].named(flag),
    ///     "--max-body 2000000 exceeds --max-buffered-memory 1000000: \
    ///      a body over --max-buffered-memory is rejected with 413"
    /// );
    /// ```
    #[must_use]
    pub fn named(&self, name: impl Fn(&str) -> String) -> String {
        let (Setting { value, .. }, Setting { value: limit, .. }) = (&self.setting, &self.other);
        let words = self
            .consequence
            .split(' ')
            .map(|word| match word.contains('_') {
                true => name(word),
                false => word.to_owned(),
            });
        let consequence = words.collect::<Vec<_>>().join(" ");
        let (setting, other) = (name(self.setting.name), name(self.other.name));
        format!("{setting} {value} exceeds {other} {limit}: {consequence}")
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named(str::to_owned))
    }
}

fn over(value: usize, limit: usize) -> Option<(String, String)> {
    (value > limit).then(|| (value.to_string(), limit.to_string()))
}

fn later(time: Duration, limit: Duration) -> Option<(String, String)> {
    (time > limit).then(|| (format!("{time:?}"), format!("{limit:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Config), expected: &[&str]) {
        let mut config = Config::default();
        change(&mut config);
        let conflicts: Vec<_> = config.conflicts().iter().map(Conflict::to_string).collect();
        assert_eq!(conflicts, expected);
    }

    #[test]
    fn defaults_have_no_conflict() {
        check(|config| config.workers = 1, &[]);
    }

    #[test]
    fn each_conflict_names_its_consequence() {
        check(
            |config| {
                (
                    config.max_body,
                    config.max_header_size,
                    config.max_buffered_memory,
                ) = (30, 20, 10);
            },
            &[
                "max_body 30 exceeds max_buffered_memory 10: a body over max_buffered_memory is rejected with 413",
                "max_header_size 20 exceeds max_buffered_memory 10: \
                 a head over max_buffered_memory is rejected with 431 if it arrives in parts",
            ],
        );
        let seconds = Duration::from_secs;
        check(
            |config| (config.drain_idle, config.drain_timeout) = (seconds(2), seconds(1)),
            &["drain_idle 2s exceeds drain_timeout 1s: \
               a drain closes idle connections at drain_timeout"],
        );
        check(
            |config| (config.min_rate_grace, config.body_timeout) = (seconds(2), seconds(1)),
            &[
                "min_rate_grace 2s exceeds body_timeout 1s: min_rate has no effect on request bodies",
            ],
        );
        check(
            |config| {
                (config.min_rate_grace, config.body_timeout) = (seconds(2), seconds(1));
                config.min_rate = 0;
            },
            &[],
        );
        check(
            |config| {
                (config.queue_limit, config.max_connections) = (3, 2);
                config.workers = 4;
            },
            &[
                "queue_limit 3 exceeds max_connections 2: queue_limit has no effect",
                "workers 4 exceeds max_connections 2: some workers never have a connection",
            ],
        );
    }

    #[cfg(feature = "http2")]
    #[test]
    fn settings_of_http2_conflict_only_with_http2() {
        for (http2, expected) in [
            (
                true,
                &[
                    "handlers_per_connection 3 exceeds workers 2: \
                     handlers_per_connection has no effect",
                    "stream_window 70001 exceeds connection_window 70000: \
                     connection_window limits the body of a single stream",
                ][..],
            ),
            (false, &[]),
        ] {
            let change = |config: &mut Config| {
                config.http2 = http2;
                (config.workers, config.handlers_per_connection) = (2, Some(3));
                (config.stream_window, config.connection_window) = (70_001, 70_000);
            };
            check(change, expected);
        }
    }
}
