//! The numbers of streams (RFC 9113 section 5.1.1).

use std::fmt;
use std::num::NonZeroU32;

/// The number of a stream: 31 bits and never 0, which stands for the connection (RFC 9113 section
/// 5.1.1).
///
/// ```
/// use httpool::http2::StreamId;
///
/// assert_eq!(StreamId::new(1).map(StreamId::get), Some(1));
/// assert_eq!(StreamId::new(0), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(NonZeroU32);

impl StreamId {
    /// The highest number. A GOAWAY with it announces a shutdown and refuses no stream (RFC 9113
    /// section 6.8).
    pub const MAX: Self = Self(NonZeroU32::new(0x7fff_ffff).expect("the number is not 0"));

    /// The stream with this number, without the reserved highest bit. `None` for 0.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number & 0x7fff_ffff) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// Whether a client may open it. Even numbers are for pushes of the server.
    #[must_use]
    pub const fn is_client(self) -> bool {
        self.get() % 2 == 1
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
