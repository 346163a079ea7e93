//! Encodes blocks of headers.

use http::StatusCode;

use super::integer;
use super::static_table::StaticName;

/// The pattern of an index (RFC 7541 section 6.1).
const INDEXED: u8 = 0x80;
/// The patterns of literals that are in no table, and that may be in none (RFC 7541 sections 6.2.2
/// and 6.2.3).
const WITHOUT_INDEXING: u8 = 0x00;
const NEVER_INDEXED: u8 = 0x10;
/// The prefix bits of a literal and of the length of a string.
const LITERAL_BITS: u32 = 4;
const LENGTH_BITS: u32 = 7;
/// Sets the size of the dynamic table to zero (RFC 7541 section 6.3).
const NO_TABLE: u8 = 0x20;

/// The encoder of a connection (RFC 7541). It uses the static table, and neither the dynamic table
/// nor the Huffman code, which cost more time than they save in bytes.
///
/// Its first block sets the size of the dynamic table to zero. So no later
/// SETTINGS_HEADER_TABLE_SIZE of the peer needs an answer (RFC 9113 section 4.3.1).
///
/// ```
/// use http::StatusCode;
/// use httpool::http2::hpack::Encoder;
///
/// let mut encoder = Encoder::default();
/// let mut block = Vec::new();
/// encoder.begin(&mut block);
/// encoder.status(StatusCode::OK, &mut block);
/// encoder.field(b"vary", b"*", &mut block);
/// assert_eq!(block, b"\x20\x88\x0f\x2c\x01*");
/// ```
#[derive(Debug, Default)]
pub struct Encoder {
    has_begun: bool,
}

impl Encoder {
    /// Begins a block. Blocks must be sent in the order in which they begin.
    pub fn begin(&mut self, output: &mut Vec<u8>) {
        if !self.has_begun {
            output.push(NO_TABLE);
            self.has_begun = true;
        }
    }

    /// Appends the status, which precedes all other headers.
    pub fn status(&mut self, status: StatusCode, output: &mut Vec<u8>) {
        let index = match status.as_u16() {
            200 => 8,
            204 => 9,
            206 => 10,
            304 => 11,
            400 => 12,
            404 => 13,
            500 => 14,
            _ => {
                let (name, value) = (StaticName::STATUS, status.as_str().as_bytes());
                return literal(WITHOUT_INDEXING, name, value, output);
            }
        };
        output.push(INDEXED | index);
    }

    /// Appends a header. The name must be in lower case. Only the name is looked up in the static
    /// table, which has hardly a value of responses but statuses.
    pub fn field(&mut self, name: &[u8], value: &[u8], output: &mut Vec<u8>) {
        match StaticName::find(name) {
            Some(name) => self.named(name, value, output),
            None => unknown(WITHOUT_INDEXING, name, value, output),
        }
    }

    /// Appends a header with this name.
    pub(in crate::http2) fn named(&mut self, name: StaticName, value: &[u8], output: &mut Vec<u8>) {
        literal(WITHOUT_INDEXING, name, value, output);
    }

    /// Appends a header whose value is a secret, so that no intermediary puts it into a table (RFC
    /// 7541 section 7.1.3).
    pub fn secret_field(&mut self, name: &[u8], value: &[u8], output: &mut Vec<u8>) {
        match StaticName::find(name) {
            Some(name) => literal(NEVER_INDEXED, name, value, output),
            None => unknown(NEVER_INDEXED, name, value, output),
        }
    }
}

/// Appends a literal whose name is in the static table.
fn literal(pattern: u8, name: StaticName, value: &[u8], output: &mut Vec<u8>) {
    // Nearly all headers have an index from 15, after a full prefix, and a shorter value than 127
    // bytes. One write instead of three saves 30 instructions.
    if let (Some(index), 0..127) = (name.index().checked_sub(15), value.len()) {
        output.extend_from_slice(&[pattern | 15, index, value.len() as u8]);
        output.extend_from_slice(value);
        return;
    }
    integer::encode(name.index().into(), pattern, LITERAL_BITS, output);
    string(value, output);
}

/// Appends a literal whose name is not in the static table.
fn unknown(pattern: u8, name: &[u8], value: &[u8], output: &mut Vec<u8>) {
    debug_assert!(
        !name.iter().any(u8::is_ascii_uppercase),
        "names are in lower case"
    );
    output.push(pattern);
    string(name, output);
    string(value, output);
}

fn string(text: &[u8], output: &mut Vec<u8>) {
    integer::encode(text.len(), 0, LENGTH_BITS, output);
    output.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(encode: impl FnOnce(&mut Encoder, &mut Vec<u8>), expected: &[u8]) {
        let mut encoder = Encoder { has_begun: true };
        let mut output = Vec::new();
        encode(&mut encoder, &mut output);
        assert_eq!(
            output.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    #[test]
    fn statuses_are_indexed_or_have_an_indexed_name() {
        for (status, index) in [
            (StatusCode::OK, 8),
            (StatusCode::NO_CONTENT, 9),
            (StatusCode::PARTIAL_CONTENT, 10),
            (StatusCode::NOT_MODIFIED, 11),
            (StatusCode::BAD_REQUEST, 12),
            (StatusCode::NOT_FOUND, 13),
            (StatusCode::INTERNAL_SERVER_ERROR, 14),
        ] {
            check(
                |encoder, output| encoder.status(status, output),
                &[0x80 | index],
            );
        }
        let unusual = StatusCode::from_u16(299).expect("it is a status");
        check(
            |encoder, output| encoder.status(unusual, output),
            b"\x08\x03299",
        );
    }

    #[test]
    fn names_of_fields_are_indexed() {
        for (name, value, expected) in [
            ("accept-encoding", "gzip", &b"\x0f\x01\x04gzip"[..]),
            ("vary", "", b"\x0f\x2c\x00"),
            (":path", "/", b"\x04\x01/"),
            ("content-length", "0", b"\x0f\x0d\x010"),
            ("x", "y", b"\x00\x01x\x01y"),
            ("", "", b"\x00\x00\x00"),
        ] {
            check(
                |encoder, output| encoder.field(name.as_bytes(), value.as_bytes(), output),
                expected,
            );
        }
        let long = [b'x'; 300];
        check(
            |encoder, output| encoder.field(b"a", &long, output),
            &[&b"\x00\x01a\x7f\xad\x01"[..], &long].concat(),
        );
    }

    #[test]
    fn secrets_are_never_indexed() {
        for (name, value, expected) in [
            ("set-cookie", "a=b", &b"\x1f\x28\x03a=b"[..]),
            ("x", "y", b"\x10\x01x\x01y"),
        ] {
            check(
                |encoder, output| encoder.secret_field(name.as_bytes(), value.as_bytes(), output),
                expected,
            );
        }
    }

    #[test]
    fn only_the_first_block_removes_the_table() {
        let mut encoder = Encoder::default();
        let mut output = Vec::new();
        encoder.begin(&mut output);
        encoder.begin(&mut output);
        assert_eq!(output, [NO_TABLE]);
    }
}
