//! How long the keys of a connection last.

use std::io;

use rustls::SupportedCipherSuite;

use super::HEADER;

/// The most content of a record (RFC 8446 section 5.1).
const MAX_RECORD: usize = 16 * 1024;

/// Kept for records without content, which rustls makes by itself: the end of the handshake, and
/// alerts.
const RESERVED: u64 = 16;

/// How many records may still be sent with the keys of a connection.
///
/// A cipher hides what is encrypted with one key for so many records; with AES-GCM rustls says 2^24
/// (RFC 8446 section 5.5). In TLS 1.3 it goes on with other keys then. TLS 1.2 has none: there it
/// drops what it is to encrypt, without an error, and tells the client that this was all. So it is
/// not asked to.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Content of a record.
    record: usize,
    life: Life,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Others come when they are used up.
    Unlimited,
    /// So many records, and half of what it was at first: from there on the next answer should be the
    /// last, which has as much again.
    Left { records: u64, half: u64 },
    /// Something was to be sent that they did not last for.
    Exhausted,
}

impl Keys {
    /// Of a connection whose handshake has not come to its end. `largest` is the size of a record, if
    /// it is not the usual one.
    pub(crate) fn new(largest: Option<usize>) -> Self {
        Self {
            record: largest.map_or(MAX_RECORD, |size| size - HEADER),
            life: Life::Unlimited,
        }
    }

    /// This is agreed on.
    pub(crate) fn set_cipher_suite(&mut self, suite: Option<SupportedCipherSuite>) {
        if let Some(SupportedCipherSuite::Tls12(suite)) = suite {
            let records = suite.common.confidentiality_limit.saturating_sub(RESERVED);
            let half = records / 2;
            self.life = Life::Left { records, half };
        }
    }

    /// So much content is to be encrypted.
    ///
    /// # Errors
    ///
    /// If they don't last for that; and then always.
    pub(crate) fn take(&mut self, content: usize) -> io::Result<()> {
        if let Life::Left { records, half } = self.life {
            let left = records.checked_sub(content.div_ceil(self.record) as u64);
            self.life = left.map_or(Life::Exhausted, |records| Life::Left { records, half });
        }
        self.check()
    }

    /// Whether what is to be sent so far could be.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self.life {
            Life::Unlimited | Life::Left { .. } => Ok(()),
            Life::Exhausted => Err(io::Error::other("its keys are used up")),
        }
    }

    /// Whether the next answer should be the last.
    pub(crate) fn are_near_limit(&self) -> bool {
        match self.life {
            Life::Unlimited => false,
            Life::Left { records, half } => records < half,
            Life::Exhausted => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::ring::cipher_suite;

    use super::*;

    const GIB: usize = 1024 * 1024 * 1024;

    fn agreed(suite: SupportedCipherSuite) -> Keys {
        let mut keys = Keys::new(None);
        keys.set_cipher_suite(Some(suite));
        keys
    }

    /// How many GiB leave before keys are worn, and before they are used up.
    fn life(mut keys: Keys) -> (usize, usize) {
        let [mut fresh, mut all] = [0; 2];
        while all < 1000 && keys.take(GIB).is_ok() {
            fresh += usize::from(!keys.are_near_limit());
            all += 1;
        }
        (fresh, all)
    }

    #[test]
    fn keys_last_as_long_as_their_cipher_hides_what_they_encrypt() {
        // 2^24 records of 2^14 bytes, but for what is kept.
        let limited = (127, 255);
        let unlimited = (1000, 1000);
        for (suite, expected) in [
            (
                cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                limited,
            ),
            (cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, limited),
            (
                cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                unlimited,
            ),
            (cipher_suite::TLS13_AES_128_GCM_SHA256, unlimited),
            (cipher_suite::TLS13_AES_256_GCM_SHA384, unlimited),
        ] {
            assert_eq!(life(agreed(suite)), expected, "{suite:?}");
        }
    }

    #[test]
    fn a_record_is_one_however_little_it_brings() {
        let mut keys = Keys::new(Some(105));
        keys.life = Life::Left {
            records: 10,
            half: 5,
        };
        keys.take(1).expect("there are 10");
        keys.take(100).expect("there are 9");
        keys.take(101).expect("there are 8");
        assert!(!keys.are_near_limit());
        keys.take(200).expect("there are 6");
        assert!(keys.are_near_limit());
        keys.take(401).expect_err("there are 4");
        keys.take(1).expect_err("something was not sent before it");
        keys.check().expect_err("it was not");
    }
}
