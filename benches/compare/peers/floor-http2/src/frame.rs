//! Frames, and the header blocks of the two responses.

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;

/// Bytes of a frame's header.
pub(crate) const HEADER: usize = 9;

/// The header of a frame.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub(crate) length: usize,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

impl Header {
    /// The header at the start of these bytes, if it is complete.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER] = bytes.first_chunk()?;
        let [a, b, c, kind, flags, stream @ ..] = *header;
        Some(Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        })
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends the header of a frame.
pub(crate) fn begin(kind: u8, flags: u8, stream: u32, length: usize, output: &mut Vec<u8>) {
    let length = u32::try_from(length).expect("frames are small");
    output.extend_from_slice(&length.to_be_bytes()[1..]);
    output.extend_from_slice(&[kind, flags]);
    output.extend_from_slice(&stream.to_be_bytes());
}

/// Appends a frame.
pub(crate) fn write(kind: u8, flags: u8, stream: u32, payload: &[u8], output: &mut Vec<u8>) {
    begin(kind, flags, stream, payload.len(), output);
    output.extend_from_slice(payload);
}

/// The header block of a response: an indexed status, and three literals that are in no table.
pub(crate) fn block(content_type: &str, length: usize) -> Vec<u8> {
    const STATUS_200: u8 = 0x88;
    let mut block = vec![STATUS_200];
    let length = length.to_string();
    let date = "Mon, 23 Nov 2026 11:00:00 GMT";
    for (index, value) in [(31, content_type), (28, &length), (33, date)] {
        let value_length = u8::try_from(value.len()).expect("values are short");
        block.extend_from_slice(&[0x0f, index - 15, value_length]);
        block.extend_from_slice(value.as_bytes());
    }
    block
}
