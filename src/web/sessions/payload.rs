//! The content of a session as text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

/// The values of a session, and its times in seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Payload {
    pub(super) created: u64,
    pub(super) used: u64,
    pub(super) values: Map<String, Value>,
}

impl Payload {
    pub(super) fn new(now: u64) -> Self {
        Self {
            created: now,
            used: now,
            values: Map::new(),
        }
    }

    pub(super) fn encode(&self) -> String {
        let parts = (self.created, self.used, &self.values);
        serde_json::to_string(&parts).expect("numbers and JSON values can be written")
    }

    pub(super) fn decode(text: &str) -> Option<Self> {
        let (created, used, values) = serde_json::from_str(text).ok()?;
        Some(Self {
            created,
            used,
            values,
        })
    }

    /// When the session ends if it is not used again.
    pub(super) fn ends(&self, idle_timeout: Duration, lifetime: Duration) -> u64 {
        let idle = self.used.saturating_add(idle_timeout.as_secs());
        idle.min(self.created.saturating_add(lifetime.as_secs()))
    }
}

/// The seconds since 1970.
pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

pub(super) fn moment(seconds: u64) -> SystemTime {
    // A time beyond the clock is as good as its end.
    let last = UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX) * 64);
    UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn payload_is_read_back() {
        let mut payload = Payload::new(7);
        payload
            .values
            .insert("a\"".into(), json!({"b": [1, null, "é"]}));
        payload.used = 9;
        assert_eq!(Payload::decode(&payload.encode()), Some(payload));
        for text in [
            "",
            "[]",
            "[1,2]",
            "{}",
            "[1,2,[]]",
            "[-1,2,{}]",
            "[1,2,{},3]",
        ] {
            assert_eq!(Payload::decode(text), None, "{text}");
        }
    }

    #[test]
    fn earlier_of_both_ends_counts() {
        let payload = Payload {
            created: 100,
            used: 150,
            ..Payload::default()
        };
        let ends =
            |idle, lifetime| payload.ends(Duration::from_secs(idle), Duration::from_secs(lifetime));
        assert_eq!((ends(10, 100), ends(100, 60)), (160, 160));
        assert_eq!(ends(u64::MAX, u64::MAX), u64::MAX);
        assert!(moment(u64::MAX) > SystemTime::now());
    }
}
