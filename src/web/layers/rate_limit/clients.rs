//! The used quotas, and the clock by which they recover.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use governor::clock::Clock;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;

use super::key::Key;
use crate::sync::ignore_poison;

/// Largest number of clients that are counted one by one. Each takes about 50 bytes, while it has
/// used a part of its quota.
pub(super) const MAX_CLIENTS: usize = 65_536;

/// Number of groups into which further clients are hashed once [`MAX_CLIENTS`] is reached. The
/// clients of a group share one quota. With several groups, one busy client cannot use up the quota
/// of all others. A group takes as much memory as a client.
pub(super) const GROUPS: u16 = 4096;

/// The used quota of each client.
#[derive(Debug, Default)]
pub(super) struct Clients(Mutex<HashMap<Key, Nanos>>);

/// The time since the layer was created.
#[derive(Debug, Clone, Copy)]
pub(super) struct LayerClock(pub(super) Instant);

impl Clients {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Nanos>> {
        ignore_poison(self.0.lock())
    }
}

impl StateStore for Clients {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, client: &Key, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut clients = self.lock();
        let client = match clients.len() {
            MAX_CLIENTS.. if !clients.contains_key(client) => {
                let hash = clients.hasher().hash_one(client);
                Key::Group((hash % u64::from(GROUPS)) as u16)
            }
            _ => *client,
        };
        let (outcome, used) = measure(clients.get(&client).copied())?;
        clients.insert(client, used);
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<Key> for Clients {
    fn retain_recent(&self, drop_below: Nanos) {
        self.lock().retain(|_, used| *used > drop_below);
    }

    fn len(&self) -> usize {
        self.lock().len()
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

impl Clock for LayerClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}
