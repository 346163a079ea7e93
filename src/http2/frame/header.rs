//! The nine bytes before each payload (RFC 9113 section 4.1).

use super::number_at;
use crate::http2::StreamId;

/// The length of a frame header.
pub(super) const LENGTH: usize = 9;

/// The flag of SETTINGS and PING.
pub(super) const ACK: u8 = 0x1;
/// The flag of DATA and HEADERS.
pub(super) const END_STREAM: u8 = 0x1;
/// The flag of HEADERS and CONTINUATION.
pub(super) const END_HEADERS: u8 = 0x4;
/// The flag of DATA and HEADERS.
pub(super) const PADDED: u8 = 0x8;
/// The flag of HEADERS.
pub(super) const PRIORITY: u8 = 0x20;

/// The type of PRIORITY_UPDATE (RFC 9218 section 7.1).
const PRIORITY_UPDATE: u8 = 0x10;

/// The type of a frame (RFC 9113 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    PushPromise,
    Ping,
    Goaway,
    WindowUpdate,
    Continuation,
    PriorityUpdate,
    Unknown(u8),
}

impl Kind {
    const KNOWN: [Self; 10] = [
        Self::Data,
        Self::Headers,
        Self::Priority,
        Self::RstStream,
        Self::Settings,
        Self::PushPromise,
        Self::Ping,
        Self::Goaway,
        Self::WindowUpdate,
        Self::Continuation,
    ];

    fn from_number(number: u8) -> Self {
        if number == PRIORITY_UPDATE {
            return Self::PriorityUpdate;
        }
        let known = Self::KNOWN.get(usize::from(number));
        known.copied().unwrap_or(Self::Unknown(number))
    }

    fn number(self) -> u8 {
        match self {
            Self::Data => 0,
            Self::Headers => 1,
            Self::Priority => 2,
            Self::RstStream => 3,
            Self::Settings => 4,
            Self::PushPromise => 5,
            Self::Ping => 6,
            Self::Goaway => 7,
            Self::WindowUpdate => 8,
            Self::Continuation => 9,
            Self::PriorityUpdate => PRIORITY_UPDATE,
            Self::Unknown(number) => number,
        }
    }
}

/// A frame header. The reserved bit of the stream is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The length of the payload, 24 bits.
    pub(super) length: u32,
    pub(super) kind: Kind,
    pub(super) flags: u8,
    /// `None` is the connection.
    pub(super) stream: Option<StreamId>,
}

impl Header {
    /// The header at the start of the input, if it has arrived whole.
    pub(super) fn parse(input: &[u8]) -> Option<Self> {
        let bytes = input.first_chunk::<LENGTH>()?;
        Some(Self {
            length: u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]),
            kind: Kind::from_number(bytes[3]),
            flags: bytes[4],
            stream: StreamId::new(number_at(bytes, 5)),
        })
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes());
    }

    pub(super) fn bytes(self) -> [u8; LENGTH] {
        let [_, a, b, c] = self.length.to_be_bytes();
        let [d, e, f, g] = self.stream.map_or(0, StreamId::get).to_be_bytes();
        [a, b, c, self.kind.number(), self.flags, d, e, f, g]
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_keeps_its_number() {
        for number in 0..=255 {
            assert_eq!(Kind::from_number(number).number(), number);
        }
    }

    #[test]
    fn header_needs_nine_bytes_and_ignores_the_reserved_bit() {
        let bytes = [0xff, 0xff, 0xfe, 0x01, 0x25, 0x80, 0, 0, 3];
        for length in 0..LENGTH {
            assert_eq!(Header::parse(&bytes[..length]), None);
        }
        let header = Header::parse(&bytes).expect("the header is whole");
        assert_eq!(header.length, 0xff_fffe);
        assert_eq!(header.kind, Kind::Headers);
        assert_eq!(header.stream, StreamId::new(3));
        let mut written = Vec::new();
        header.write(&mut written);
        assert_eq!(written, [0xff, 0xff, 0xfe, 0x01, 0x25, 0, 0, 0, 3]);
    }
}
