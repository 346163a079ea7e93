//! Nonces that the server recognises without keeping them: a time, signed by a key of the process.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

/// How long a nonce is valid.
const LIFETIME: Duration = Duration::from_secs(300);

/// The state of a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nonce {
    Fresh,
    /// It is too old. The client need not ask its user again.
    Stale,
    /// This process has not made it.
    Foreign,
}

struct Key {
    secret: [u8; 32],
    start: Instant,
}

/// The key of this process. The hash keys of the standard library come from the system's generator.
static KEY: LazyLock<Key> = LazyLock::new(|| {
    let mut secret = Sha256::new();
    for part in 0..4_u64 {
        secret.update(RandomState::new().hash_one(part).to_le_bytes());
    }
    Key {
        secret: secret.finalize().into(),
        start: Instant::now(),
    }
});

/// A new nonce.
pub(super) fn new() -> String {
    let millis = KEY.start.elapsed().as_millis();
    sign(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// The nonce of this time.
fn sign(millis: u64) -> String {
    // Two rounds, so that nothing can be appended to what is signed.
    let inner = Sha256::new()
        .chain_update(KEY.secret)
        .chain_update(millis.to_le_bytes())
        .finalize();
    let outer = Sha256::new()
        .chain_update(KEY.secret)
        .chain_update(inner)
        .finalize();
    let signature = u128::from_le_bytes(outer[..16].try_into().unwrap_or_default());
    format!("{millis:016x}{signature:032x}")
}

pub(super) fn check(nonce: &str) -> Nonce {
    let millis = nonce
        .get(..16)
        .and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let Some(millis) = millis.filter(|millis| sign(*millis) == nonce) else {
        return Nonce::Foreign;
    };
    match KEY
        .start
        .elapsed()
        .checked_sub(Duration::from_millis(millis))
    {
        Some(age) if age > LIFETIME => Nonce::Stale,
        _ => Nonce::Fresh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonce_is_recognised() {
        let nonce = new();
        assert_eq!((check(&nonce), nonce.len()), (Nonce::Fresh, 48));
        let changed = nonce.replace(&nonce[47..], if nonce.ends_with('0') { "1" } else { "0" });
        for foreign in [
            "",
            "0",
            &nonce[..47],
            &changed,
            &format!("{nonce}0"),
            &"é".repeat(24),
        ] {
            assert_eq!(check(foreign), Nonce::Foreign, "{foreign}");
        }
    }
}
