//! Limits how much is encrypted with the keys of a connection.

use std::io;

use rustls::SupportedCipherSuite;

use super::HEADER;

/// Maximum content of a record (RFC 8446 section 5.1).
const MAX_RECORD: usize = 16 * 1024;

/// Records reserved for those that rustls sends by itself: the end of the handshake, and alerts.
const RESERVED: u64 = 16;

/// Counts the records that may still be sent with the keys of a connection.
///
/// A key is safe for a limited number of records: rustls uses 2^24 for AES-GCM (RFC 8446 section
/// 5.5). TLS 1.3 then changes keys. TLS 1.2 cannot: rustls silently drops further content and sends
/// `close_notify`, as if it were complete. So the connection stops sending before that.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Maximum content of a record on this connection.
    max_content: usize,
    lifetime: Lifetime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lifetime {
    /// The keys are replaced when they are used up.
    Unlimited,
    /// The remaining records, and half of the initial number. Below half, the next response should
    /// be the last one, so it has as many records again.
    Left { records: u64, half: u64 },
    /// Content was to be sent for which the keys did not last.
    Exhausted,
}

impl Keys {
    /// Creates the keys of a connection before its handshake completes. `largest` is the record
    /// size if it is not the default.
    pub(crate) fn new(largest: Option<usize>) -> Self {
        Self {
            max_content: largest.map_or(MAX_RECORD, |size| size - HEADER),
            lifetime: Lifetime::Unlimited,
        }
    }

    /// Sets the cipher suite that the handshake chose.
    pub(crate) fn set_cipher_suite(&mut self, suite: Option<SupportedCipherSuite>) {
        if let Some(SupportedCipherSuite::Tls12(suite)) = suite {
            let records = suite.common.confidentiality_limit.saturating_sub(RESERVED);
            let half = records / 2;
            self.lifetime = Lifetime::Left { records, half };
        }
    }

    /// Accounts for content that is to be encrypted.
    ///
    /// # Errors
    ///
    /// Returns an error if the keys do not last for the content, and on every later call.
    pub(crate) fn take(&mut self, content: usize) -> io::Result<()> {
        if let Lifetime::Left { records, half } = self.lifetime {
            let left = records.checked_sub(content.div_ceil(self.max_content) as u64);
            self.lifetime = left.map_or(Lifetime::Exhausted, |records| Lifetime::Left {
                records,
                half,
            });
        }
        self.check()
    }

    /// Fails if earlier content could not be sent.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self.lifetime {
            Lifetime::Unlimited | Lifetime::Left { .. } => Ok(()),
            Lifetime::Exhausted => Err(io::Error::other("the keys of the connection are used up")),
        }
    }

    /// Whether the next response should be the last one.
    pub(crate) fn are_near_limit(&self) -> bool {
        match self.lifetime {
            Lifetime::Unlimited => false,
            Lifetime::Left { records, half } => records < half,
            Lifetime::Exhausted => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::ring::cipher_suite;

    use super::*;

    const GIB: usize = 1024 * 1024 * 1024;

    fn keys_of(suite: SupportedCipherSuite) -> Keys {
        let mut keys = Keys::new(None);
        keys.set_cipher_suite(Some(suite));
        keys
    }

    /// How many GiB can be sent before the keys are near their limit, and in all.
    fn life(mut keys: Keys) -> (usize, usize) {
        let [mut fresh, mut all] = [0; 2];
        while all < 1000 && keys.take(GIB).is_ok() {
            fresh += usize::from(!keys.are_near_limit());
            all += 1;
        }
        (fresh, all)
    }

    #[test]
    fn keys_last_until_the_limit_of_the_cipher() {
        // 2^24 records of 2^14 bytes, less the reserved records.
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
            assert_eq!(life(keys_of(suite)), expected, "{suite:?}");
        }
    }

    #[test]
    fn short_content_counts_as_a_whole_record() {
        let mut keys = Keys::new(Some(105));
        keys.lifetime = Lifetime::Left {
            records: 10,
            half: 5,
        };
        keys.take(1).expect("10 records are left");
        keys.take(100).expect("9 records are left");
        keys.take(101).expect("8 records are left");
        assert!(!keys.are_near_limit());
        keys.take(200).expect("6 records are left");
        assert!(keys.are_near_limit());
        keys.take(401).expect_err("4 records are left");
        keys.take(1).expect_err("earlier content was not sent");
        keys.check().expect_err("earlier content was not sent");
    }
}
