//! Remembers which passwords were right, without the passwords.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::hash::Hash;
use crate::sync::ignore_poison;

/// How long a password is remembered.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// How many passwords are remembered. Each takes about 50 bytes.
const MAX_ENTRIES: usize = 1024;

pub(super) struct Cache {
    /// Only this process knows it, so nothing can be learned from an entry.
    key: Hmac<Sha256>,
    entries: Mutex<HashMap<Entry, Instant>>,
}

/// A keyed hash of a password and the hash that it fits. A user with another hash has other entries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Entry([u8; 32]);

impl Cache {
    pub(super) fn new() -> Self {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).expect("the system has random bytes");
        Self {
            key: Hmac::new_from_slice(&secret).expect("a key may have any length"),
            entries: Mutex::default(),
        }
    }

    pub(super) fn entry(&self, hash: &Hash, password: &str) -> Entry {
        let mac = self.key.clone().chain_update(hash.text());
        // A hash has no NUL, so no other pair has the same bytes.
        let mac = mac.chain_update([0]).chain_update(password);
        Entry(mac.finalize().into_bytes().into())
    }

    pub(super) fn contains(&self, entry: &Entry, now: Instant) -> bool {
        let entries = ignore_poison(self.entries.lock());
        entries
            .get(entry)
            .is_some_and(|since| is_fresh(*since, now))
    }

    pub(super) fn insert(&self, entry: Entry, now: Instant) {
        let mut entries = ignore_poison(self.entries.lock());
        if entries.len() >= MAX_ENTRIES {
            entries.retain(|_, since| is_fresh(*since, now));
        }
        if entries.len() >= MAX_ENTRIES {
            let oldest = entries.iter().min_by_key(|(_, since)| **since);
            let oldest = oldest.map(|(entry, _)| entry.clone());
            oldest.map(|oldest| entries.remove(&oldest));
        }
        entries.insert(entry, now);
    }
}

fn is_fresh(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < LIFETIME
}

#[cfg(test)]
mod tests {
    use super::super::hash::tests::bcrypt;
    use super::*;

    #[test]
    fn entries_expire() {
        let (cache, now) = (Cache::new(), Instant::now());
        let entry = cache.entry(&bcrypt(), "a");
        assert!(!cache.contains(&entry, now));
        cache.insert(entry.clone(), now);
        assert!(cache.contains(&entry, now));
        assert!(!cache.contains(&cache.entry(&bcrypt(), "b"), now));
        assert!(!cache.contains(&entry, now + LIFETIME));
    }

    #[test]
    fn oldest_entry_makes_room() {
        let (cache, start) = (Cache::new(), Instant::now());
        let entry = |number: usize| Entry(std::array::from_fn(|index| (number >> index) as u8));
        for number in 0..=MAX_ENTRIES {
            let now = start + Duration::from_millis(number as u64);
            cache.insert(entry(number), now);
        }
        let now = start + Duration::from_secs(10);
        assert!(!cache.contains(&entry(0), now));
        assert!(cache.contains(&entry(1), now));
        assert!(cache.contains(&entry(MAX_ENTRIES), now));
        assert_eq!(ignore_poison(cache.entries.lock()).len(), MAX_ENTRIES);
    }
}
