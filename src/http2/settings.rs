//! SETTINGS of both sides (RFC 9113 section 6.5).

use super::frame::number_at;
use super::window::{DEFAULT_WINDOW, MAX_WINDOW};
use super::{Error, ErrorCode};

/// The smallest value of SETTINGS_MAX_FRAME_SIZE, which is also its initial value (RFC 9113 section
/// 6.5.2).
pub const MIN_MAX_FRAME_SIZE: u32 = 16_384;

/// The largest value of SETTINGS_MAX_FRAME_SIZE (RFC 9113 section 6.5.2).
pub const MAX_MAX_FRAME_SIZE: u32 = 0xff_ffff;

/// Most entries in one SETTINGS frame. There are eight settings in use, and each entry costs work.
pub(super) const MAX_ENTRIES: u32 = 32;

/// The bytes of one entry.
pub(super) const ENTRY: u32 = 6;

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;
/// RFC 8441 section 3.
const ENABLE_CONNECT_PROTOCOL: u16 = 8;
/// RFC 9218 section 2.1.
const NO_RFC7540_PRIORITIES: u16 = 9;

/// The entries of a SETTINGS frame in their order, known or not.
///
/// ```
/// use httpool::http2::SettingsEntries;
///
/// let entries = SettingsEntries::new(&[0, 4, 0, 1, 0, 0]);
/// assert_eq!(entries.collect::<Vec<_>>(), [(4, 65_536)]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsEntries<'a> {
    payload: &'a [u8],
}

impl<'a> SettingsEntries<'a> {
    /// The entries in this payload. Bytes after the last whole entry are ignored; the decoder
    /// rejects frames that have some.
    #[must_use]
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { payload }
    }
}

impl Iterator for SettingsEntries<'_> {
    /// The identifier and the value.
    type Item = (u16, u32);

    fn next(&mut self) -> Option<Self::Item> {
        let (entry, rest) = self.payload.split_first_chunk::<6>()?;
        self.payload = rest;
        let identifier = u16::from_be_bytes([entry[0], entry[1]]);
        Some((identifier, number_at(entry, 2)))
    }
}

/// What the client has set, as far as a server needs it. A server does not push, so it ignores
/// SETTINGS_ENABLE_PUSH and SETTINGS_MAX_CONCURRENT_STREAMS after checking them.
///
/// ```
/// use httpool::http2::{PeerSettings, SettingsEntries};
///
/// let mut settings = PeerSettings::default();
/// let entries = SettingsEntries::new(&[0, 4, 0, 0, 0, 0]);
/// assert_eq!(settings.apply(entries), Ok(-65_535));
/// assert_eq!(settings.initial_window, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerSettings {
    /// The largest dynamic table that our HPACK encoder may use. We may use a smaller one.
    pub header_table_size: u32,
    /// The send window of new streams.
    pub initial_window: u32,
    /// The longest payload of a frame that we may send.
    pub max_frame_size: u32,
    /// The largest header list that the client accepts, if it has said so. It is advice.
    pub max_header_list_size: Option<u32>,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self {
            header_table_size: 4096,
            initial_window: DEFAULT_WINDOW,
            max_frame_size: MIN_MAX_FRAME_SIZE,
            max_header_list_size: None,
        }
    }
}

impl PeerSettings {
    /// Applies a SETTINGS frame. Returns the change of the initial window, by which to
    /// [shift](super::SendWindow::shift) the window of every stream. Acknowledge the frame
    /// afterwards.
    ///
    /// # Errors
    ///
    /// An error of the connection if a value is out of its range (RFC 9113 section 6.5.2). Unknown
    /// identifiers are ignored.
    pub fn apply(&mut self, entries: SettingsEntries<'_>) -> Result<i64, Error> {
        let before = self.initial_window;
        for (identifier, value) in entries {
            self.set(identifier, value)?;
        }
        Ok(i64::from(self.initial_window) - i64::from(before))
    }

    fn set(&mut self, identifier: u16, value: u32) -> Result<(), Error> {
        match identifier {
            HEADER_TABLE_SIZE => self.header_table_size = value,
            ENABLE_PUSH if value > 1 => {
                return Err(Error::connection(
                    ErrorCode::ProtocolError,
                    "SETTINGS_ENABLE_PUSH is neither 0 nor 1",
                ));
            }
            NO_RFC7540_PRIORITIES if value > 1 => {
                return Err(Error::connection(
                    ErrorCode::ProtocolError,
                    "SETTINGS_NO_RFC7540_PRIORITIES is neither 0 nor 1",
                ));
            }
            ENABLE_CONNECT_PROTOCOL if value > 1 => {
                return Err(Error::connection(
                    ErrorCode::ProtocolError,
                    "SETTINGS_ENABLE_CONNECT_PROTOCOL is neither 0 nor 1",
                ));
            }
            INITIAL_WINDOW_SIZE if value > MAX_WINDOW => {
                return Err(Error::connection(
                    ErrorCode::FlowControlError,
                    "SETTINGS_INITIAL_WINDOW_SIZE exceeds 2^31-1",
                ));
            }
            INITIAL_WINDOW_SIZE => self.initial_window = value,
            MAX_FRAME_SIZE if !(MIN_MAX_FRAME_SIZE..=MAX_MAX_FRAME_SIZE).contains(&value) => {
                return Err(Error::connection(
                    ErrorCode::ProtocolError,
                    "SETTINGS_MAX_FRAME_SIZE is not between 2^14 and 2^24-1",
                ));
            }
            MAX_FRAME_SIZE => self.max_frame_size = value,
            MAX_HEADER_LIST_SIZE => self.max_header_list_size = Some(value),
            _ => {}
        }
        Ok(())
    }
}

/// The settings that we send. The client keeps to it once it has acknowledged the frame; before, it uses the
/// initial values of RFC 9113 section 6.5.2.
///
/// ```
/// use httpool::http2::OurSettings;
///
/// let settings = OurSettings { max_concurrent_streams: 100, ..OurSettings::default() };
/// assert_eq!(settings.entries().collect::<Vec<_>>(), [(3, 100)]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OurSettings {
    /// The largest dynamic table of our HPACK decoder.
    pub header_table_size: u32,
    /// Most streams that the client may have open.
    pub max_concurrent_streams: u32,
    /// The receive window of new streams, at most [`MAX_WINDOW`].
    pub initial_window: u32,
    /// The longest payload of a frame that we accept, from [`MIN_MAX_FRAME_SIZE`] to
    /// [`MAX_MAX_FRAME_SIZE`].
    pub max_frame_size: u32,
    /// The largest header list that we accept: names and values, and 32 bytes for each field.
    pub max_header_list_size: u32,
    /// 1 if a CONNECT may name the protocol that follows it (RFC 8441 section 3).
    pub enable_connect_protocol: u32,
    /// 1 if PRIORITY frames are ignored, as RFC 9113 section 5.3.2 advises (RFC 9218 section 2.1).
    pub no_rfc7540_priorities: u32,
}

/// The initial values of RFC 9113 section 6.5.2, which need not be sent. The two limits that are
/// unlimited there are the largest numbers here.
impl Default for OurSettings {
    fn default() -> Self {
        Self {
            header_table_size: 4096,
            max_concurrent_streams: u32::MAX,
            initial_window: DEFAULT_WINDOW,
            max_frame_size: MIN_MAX_FRAME_SIZE,
            max_header_list_size: u32::MAX,
            enable_connect_protocol: 0,
            no_rfc7540_priorities: 0,
        }
    }
}

impl OurSettings {
    /// The settings with values out of range set to the nearest in range, because a client must
    /// close a connection with others.
    #[must_use]
    pub fn in_range(self) -> Self {
        Self {
            initial_window: self.initial_window.min(MAX_WINDOW),
            max_frame_size: frame_size_in_range(self.max_frame_size),
            ..self
        }
    }

    /// The entries to send, [in range](Self::in_range) and without those that have the initial
    /// value.
    pub fn entries(&self) -> impl Iterator<Item = (u16, u32)> {
        let initial = Self::default().values();
        let own = self.in_range().values();
        let differ = own
            .into_iter()
            .zip(initial)
            .filter(|(own, initial)| own != initial);
        differ.map(|(own, _)| own)
    }

    fn values(&self) -> [(u16, u32); 7] {
        [
            (HEADER_TABLE_SIZE, self.header_table_size),
            (MAX_CONCURRENT_STREAMS, self.max_concurrent_streams),
            (INITIAL_WINDOW_SIZE, self.initial_window),
            (MAX_FRAME_SIZE, self.max_frame_size),
            (MAX_HEADER_LIST_SIZE, self.max_header_list_size),
            (ENABLE_CONNECT_PROTOCOL, self.enable_connect_protocol),
            (NO_RFC7540_PRIORITIES, self.no_rfc7540_priorities),
        ]
    }
}

/// The nearest value that SETTINGS_MAX_FRAME_SIZE may have.
pub(super) fn frame_size_in_range(size: u32) -> u32 {
    size.clamp(MIN_MAX_FRAME_SIZE, MAX_MAX_FRAME_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(settings: &mut PeerSettings, entries: &[(u16, u32)]) -> Result<i64, Error> {
        let mut payload = Vec::new();
        for (identifier, value) in entries {
            payload.extend_from_slice(&identifier.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        settings.apply(SettingsEntries::new(&payload))
    }

    #[test]
    fn every_setting_keeps_its_range() {
        let cases: [(u16, u32, Option<ErrorCode>); 24] = [
            (HEADER_TABLE_SIZE, 0, None),
            (HEADER_TABLE_SIZE, u32::MAX, None),
            (ENABLE_PUSH, 0, None),
            (ENABLE_PUSH, 1, None),
            (ENABLE_PUSH, 2, Some(ErrorCode::ProtocolError)),
            (ENABLE_PUSH, u32::MAX, Some(ErrorCode::ProtocolError)),
            (MAX_CONCURRENT_STREAMS, 0, None),
            (MAX_CONCURRENT_STREAMS, u32::MAX, None),
            (INITIAL_WINDOW_SIZE, 0, None),
            (INITIAL_WINDOW_SIZE, MAX_WINDOW, None),
            (
                INITIAL_WINDOW_SIZE,
                MAX_WINDOW + 1,
                Some(ErrorCode::FlowControlError),
            ),
            (
                MAX_FRAME_SIZE,
                MIN_MAX_FRAME_SIZE - 1,
                Some(ErrorCode::ProtocolError),
            ),
            (MAX_FRAME_SIZE, MIN_MAX_FRAME_SIZE, None),
            (MAX_FRAME_SIZE, MAX_MAX_FRAME_SIZE, None),
            (
                MAX_FRAME_SIZE,
                MAX_MAX_FRAME_SIZE + 1,
                Some(ErrorCode::ProtocolError),
            ),
            (MAX_HEADER_LIST_SIZE, 0, None),
            (MAX_HEADER_LIST_SIZE, u32::MAX, None),
            (NO_RFC7540_PRIORITIES, 1, None),
            (NO_RFC7540_PRIORITIES, 2, Some(ErrorCode::ProtocolError)),
            (ENABLE_CONNECT_PROTOCOL, 0, None),
            (ENABLE_CONNECT_PROTOCOL, 1, None),
            (ENABLE_CONNECT_PROTOCOL, 2, Some(ErrorCode::ProtocolError)),
            (0, 1, None),
            (0xffff, u32::MAX, None),
        ];
        for (identifier, value, expected) in cases {
            let result = apply(&mut PeerSettings::default(), &[(identifier, value)]);
            let code = result.err().map(|error| error.code());
            assert_eq!(code, expected, "{identifier} = {value}");
            let is_stream = matches!(result, Err(Error::Stream { .. }));
            assert!(!is_stream, "{identifier} = {value}");
        }
    }

    #[test]
    fn the_last_of_equal_settings_counts() {
        let mut settings = PeerSettings::default();
        let entries = [
            (INITIAL_WINDOW_SIZE, 7),
            (MAX_FRAME_SIZE, 20_000),
            (INITIAL_WINDOW_SIZE, 9),
        ];
        assert_eq!(apply(&mut settings, &entries), Ok(9 - 65_535));
        assert_eq!(settings.initial_window, 9);
        assert_eq!(settings.max_frame_size, 20_000);
        assert_eq!(apply(&mut settings, &[(INITIAL_WINDOW_SIZE, 10)]), Ok(1));
        assert_eq!(apply(&mut settings, &[]), Ok(0));
    }

    #[test]
    fn unknown_settings_change_nothing() {
        let mut settings = PeerSettings::default();
        assert_eq!(apply(&mut settings, &[(7, 1), (0xabcd, 2)]), Ok(0));
        assert_eq!(settings, PeerSettings::default());
    }

    #[test]
    fn our_settings_are_sent_in_range() {
        let settings = OurSettings {
            initial_window: u32::MAX,
            max_frame_size: 1,
            ..OurSettings::default()
        };
        assert_eq!(
            settings.entries().collect::<Vec<_>>(),
            [(INITIAL_WINDOW_SIZE, MAX_WINDOW)]
        );
        let large = OurSettings {
            max_frame_size: u32::MAX,
            ..OurSettings::default()
        };
        let expected = [(MAX_FRAME_SIZE, MAX_MAX_FRAME_SIZE)];
        assert_eq!(large.entries().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn initial_values_are_not_sent() {
        assert_eq!(OurSettings::default().entries().count(), 0);
    }
}
