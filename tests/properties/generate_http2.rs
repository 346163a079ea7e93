//! Bytes of HTTP/2 to try: frames and header blocks that are almost right, and any other bytes. Each
//! input begins with its [plan](crate::plan).

use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes of a plan.
fn plan() -> impl Strategy<Value = Vec<u8>> {
    vec(b'0'..=b'~', 0..8).prop_map(|mut plan| {
        plan.push(b'\n');
        plan
    })
}

/// Header blocks of one connection.
pub fn header_blocks() -> impl Strategy<Value = Vec<u8>> {
    (plan(), vec(instruction(), 0..60))
        .prop_map(|(plan, instructions)| [plan, instructions.concat()].concat())
}

/// One instruction of HPACK (RFC 7541 section 6), or any bytes.
fn instruction() -> impl Strategy<Value = Vec<u8>> {
    let text =
        || vec(any::<u8>(), 0..20).prop_map(|text| [&[text.len() as u8], &text[..]].concat());
    // Most codes are as long as this in bits or longer, so the padding is wrong as often as right.
    let coded = vec(b'a'..=b'e', 1..5).prop_map(|text| {
        let bytes = [0x1f_u8; 4];
        [&[0x80 | text.len() as u8], &bytes[..text.len()]].concat()
    });
    let string = prop_oneof![3 => text(), 1 => coded].boxed();
    let first = prop_oneof![Just(0x40_u8), Just(0x00), Just(0x10)];
    prop_oneof![
        8 => (0x80..=0xff_u8).prop_map(|index| vec![index]),
        4 => (first, string.clone(), string.clone())
            .prop_map(|(first, name, value)| [vec![first], name, value].concat()),
        4 => (0x00..0x80_u8, string).prop_map(|(first, value)| [vec![first], value].concat()),
        1 => (0x20..0x40_u8).prop_map(|update| vec![update]),
        1 => vec(any::<u8>(), 0..10),
    ]
}

/// Frames of a client after the preface.
pub fn frames() -> impl Strategy<Value = Vec<u8>> {
    let settings = prop_oneof![
        9 => Just(vec![0, 0, 0, 4, 0, 0, 0, 0, 0]),
        1 => Just(Vec::new()),
    ];
    (
        plan(),
        settings,
        vec(frame(), 0..12),
        vec(any::<u8>(), 0..4),
    )
        .prop_map(|(plan, settings, frames, rest)| [plan, settings, frames.concat(), rest].concat())
}

/// A frame whose length is right more often than not.
pub fn frame() -> impl Strategy<Value = Vec<u8>> {
    let stream = prop_oneof![4 => 0..8_u32, 1 => any::<u32>()];
    let lie = prop_oneof![8 => Just(0_i32), 1 => -3..4_i32];
    let payload = prop_oneof![
        2 => vec(any::<u8>(), 0..30),
        1 => vec(any::<u8>(), 8),
        1 => vec(0..2_u8, 4..6),
        1 => (0..4_u16, any::<u32>()).prop_map(|(identifier, value)| {
            [&identifier.to_be_bytes()[..], &value.to_be_bytes()].concat()
        }),
    ];
    (0..11_u8, any::<u8>(), stream, payload, lie).prop_map(|(kind, flags, stream, payload, lie)| {
        let length = u32::try_from(payload.len() as i32 + lie).unwrap_or(0);
        let mut frame = length.to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    })
}
