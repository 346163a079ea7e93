//! The bytes of frames and of numbers in header blocks, also of those that no client may send.

/// A frame (RFC 9113 section 4.1). Stream 0 is the connection.
pub(crate) fn encode_frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a payload is short");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// An integer of HPACK (RFC 7541 section 5.1) behind these first bits.
pub(crate) fn hpack_integer(value: usize, first: u8, prefix_bits: u32, block: &mut Vec<u8>) {
    let most = (1 << prefix_bits) - 1;
    if value < most {
        block.push(first | value as u8);
        return;
    }
    block.push(first | most as u8);
    let mut rest = value - most;
    while rest >= 0x80 {
        block.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    block.push(rest as u8);
}
