//! `Date` (RFC 9110 section 6.6.1).

use std::time::SystemTime;

/// The value of a `Date` header (RFC 9110 section 6.6.1), made once a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date([u8; 29]);

impl Date {
    /// The value for this time.
    #[must_use]
    pub fn new(now: SystemTime) -> Self {
        let mut value = [b' '; 29];
        let text = httpdate::fmt_http_date(now.max(SystemTime::UNIX_EPOCH));
        let length = text.len().min(value.len());
        value[..length].copy_from_slice(&text.as_bytes()[..length]);
        Self(value)
    }

    /// The value as text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
