//! Bytes of HTTP/2 to try: frames and header blocks that are almost right, and any other bytes. Each
//! input begins with its [plan](crate::plan).

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

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

/// The header block of a request that has a few mistakes or none.
pub fn head() -> impl Strategy<Value = Vec<u8>> {
    let method = select(
        &[
            "GET", "HEAD", "POST", "OPTIONS", "CONNECT", "get", "G T", "",
        ][..],
    );
    let scheme = select(&["http", "http", "https", "HTTP", "ftp", ""][..]);
    let path = prop_oneof![
        2 => Just("/"),
        1 => select(&[
            "/a/../b", "/%61%2f", "/%", "*", "a", "", "/a b", "/#", "/?a=%", "/\u{e9}", "//a", "/\\",
            "/.", "http://it/",
        ][..]),
    ];
    let host = || {
        select(
            &[
                "it", "it", "it:80", "IT", "it:443", "it:", "a@it", "", "[::1]", "i t",
            ][..],
        )
    };
    let protocol = prop_oneof![
        4 => Just(None),
        1 => select(&["websocket", "WebSocket", "h2c", ""][..]).prop_map(Some),
    ];
    let pseudo = (method, scheme, host(), path, protocol).prop_map(
        |(method, scheme, host, path, protocol)| {
            // Most methods with a protocol are right.
            let method = match protocol {
                Some(_) if method != "POST" => "CONNECT",
                _ => method,
            };
            let names = [":method", ":scheme", ":authority", ":path"];
            let values = [method, scheme, host, path];
            let mut pseudo: Vec<_> = names.into_iter().zip(values).collect();
            pseudo.extend(protocol.map(|protocol| (":protocol", protocol)));
            pseudo
        },
    );
    let names = select(
        &[
            "a",
            "a",
            "accept",
            "cookie",
            "cookie",
            "host",
            "te",
            "expect",
            "content-length",
            "upgrade",
            "connection",
            "transfer-encoding",
            "content-type",
            "origin",
            "Name",
            "",
            "a b",
            ":path",
            ":status",
            "priority",
            "\u{e9}",
        ][..],
    );
    let value = prop_oneof![
        2 => select(&[
            "b", "it", "trailers", "100-continue", "5", "", " b", "b\t", "b\r", "b\nc", "\0",
            "u=1, i", "\u{e9}", "99999999999999999999", "+5",
        ][..]).prop_map(str::to_owned),
        1 => "[ -~]{0,40}",
    ];
    let field = (names, value).prop_map(|(name, value)| (name.to_owned(), value));
    let remove = prop_oneof![4 => Just(None), 1 => (0..4_usize).prop_map(Some)];
    let swap = prop_oneof![6 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)];
    let repeat = prop_oneof![20 => Just(1_usize), 1 => 30..60_usize];
    (pseudo, remove, vec(field, 0..6), swap, repeat).prop_map(
        |(mut pseudo, remove, fields, swap, repeat)| {
            if let Some(at) = remove {
                pseudo.remove(at);
            }
            let pseudo = pseudo
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()));
            let mut all: Vec<(String, String)> = pseudo.collect();
            for _ in 0..repeat {
                all.extend(fields.iter().cloned());
            }
            if let (Some(at), false) = (swap, all.is_empty()) {
                let last = all.len() - 1;
                all.swap(at.index(last + 1), last);
            }
            let literal = |(name, value): (String, String)| {
                let length = |text: &str| text.len() as u8;
                let texts = [vec![0, length(&name)], name.clone().into_bytes()];
                [
                    texts.concat(),
                    vec![length(&value)],
                    value.clone().into_bytes(),
                ]
                .concat()
            };
            all.into_iter().flat_map(literal).collect()
        },
    )
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

/// What a client sends on a connection: requests with few mistakes, and any other frames.
pub fn connection() -> impl Strategy<Value = Vec<u8>> {
    (
        plan(),
        vec(prop_oneof![3 => valid_frame(), 1 => frame()], 0..30),
    )
        .prop_map(|(plan, frames)| {
            [plan, vec![0, 0, 0, 4, 0, 0, 0, 0, 0], frames.concat()].concat()
        })
}

/// A frame that is valid if its stream is in the right state.
fn valid_frame() -> impl Strategy<Value = Vec<u8>> {
    // GET and POST to `it`.
    let block = select(vec![
        &b"\x82\x86\x84\x41\x02it"[..],
        b"\x02\x07CONNECT\x86\x84\x41\x02it\x00\x09:protocol\x09websocket",
        b"\x83\x86\x84\x01\x02it",
        b"\x00\x01a\x01b",
    ]);
    let head = (1..6_u32, block, 0..2_u8)
        .prop_map(|(stream, block, end)| encode(1, 4 | end, 2 * stream - 1, block));
    let data = (1..6_u32, vec(any::<u8>(), 0..150), 0..2_u8)
        .prop_map(|(stream, content, end)| encode(0, end, 2 * stream - 1, &content));
    let update =
        (0..6_u32, prop_oneof![1..100_u32, Just(0x7fff_0000)]).prop_map(|(stream, more)| {
            encode(8, 0, (2 * stream).saturating_sub(1), &more.to_be_bytes())
        });
    let setting = prop_oneof![0..100_u32, Just(65_535_u32), Just(0x7fff_ffff)]
        .prop_map(|window| encode(4, 0, 0, &[&[0, 4][..], &window.to_be_bytes()].concat()));
    let reset = (1..6_u32).prop_map(|stream| encode(3, 0, 2 * stream - 1, &[0, 0, 0, 8]));
    let others = select(vec![
        &b"\0\0\0\x04\x01\0\0\0\0"[..],
        b"\0\0\x08\x06\0\0\0\0\0shutdown",
        b"\0\0\x08\x06\x01\0\0\0\0shutdown",
        b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\0\0\x07\x10\0\0\0\0\0\0\0\0\x01u=1",
    ]);
    prop_oneof![
        6 => head,
        6 => data,
        2 => update,
        1 => setting,
        1 => reset,
        1 => others.prop_map(<[u8]>::to_vec),
    ]
}

fn encode(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
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
