//! Nonces that the server recognises by their signatures: a time and a number, signed by a key of the
//! process.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::nonce_counts::{NonceCounts, Use};

/// How long a nonce is valid.
const LIFETIME: Duration = Duration::from_secs(300);

/// The digits of a time or a number.
const DIGITS: usize = 16;

/// The state of a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nonce {
    Fresh,
    /// It is too old, or was used with this count before. The client need not ask its user again.
    Stale,
    /// This process has not made it.
    Foreign,
}

struct Key {
    secret: [u8; 32],
    start: Instant,
    /// The uses of its nonces.
    counts: NonceCounts,
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
        counts: NonceCounts::default(),
    }
});

/// A new nonce.
pub(super) fn new() -> String {
    let millis = KEY.start.elapsed().as_millis();
    sign(u64::try_from(millis).unwrap_or(u64::MAX), KEY.counts.add())
}

/// The nonce of this time and number.
fn sign(millis: u64, number: u64) -> String {
    // Two rounds, so that nothing can be appended to what is signed.
    let inner = Sha256::new()
        .chain_update(KEY.secret)
        .chain_update(millis.to_le_bytes())
        .chain_update(number.to_le_bytes())
        .finalize();
    let outer = Sha256::new()
        .chain_update(KEY.secret)
        .chain_update(inner)
        .finalize();
    let signature = u128::from_le_bytes(outer[..16].try_into().unwrap_or_default());
    format!("{millis:016x}{number:016x}{signature:032x}")
}

/// The state of a nonce that valid credentials use with this count. The use is noted.
pub(super) fn check(nonce: &str, count: u32) -> Nonce {
    let digits = |start| {
        let digits = nonce.get(start..start + DIGITS)?;
        u64::from_str_radix(digits, 16).ok()
    };
    let parts = digits(0).zip(digits(DIGITS));
    let Some((millis, number)) = parts.filter(|(millis, number)| sign(*millis, *number) == nonce)
    else {
        return Nonce::Foreign;
    };
    let made = Duration::from_millis(millis);
    let age = KEY.start.elapsed().saturating_sub(made);
    match KEY.counts.note(number, count) {
        Use::First if age <= LIFETIME => Nonce::Fresh,
        Use::First | Use::Replayed => Nonce::Stale,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonce_is_recognised() {
        let nonce = new();
        assert_eq!((check(&nonce, 1), nonce.len()), (Nonce::Fresh, 64));
        assert_eq!(check(&nonce, 1), Nonce::Stale);
        assert_ne!(new(), new());
        let changed = nonce.replace(&nonce[63..], if nonce.ends_with('0') { "1" } else { "0" });
        for foreign in [
            "",
            "0",
            &nonce[..63],
            &changed,
            &format!("{nonce}0"),
            &"é".repeat(32),
        ] {
            assert_eq!(check(foreign, 1), Nonce::Foreign, "{foreign}");
        }
    }
}
