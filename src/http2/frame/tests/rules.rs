//! One case for each rule.

use super::*;

/// Bytes after the client's SETTINGS, and the outcome.
type Case<'a> = (&'a str, Vec<u8>, &'a [&'a str]);

fn check(cases: Vec<Case<'_>>) {
    for (rule, bytes, expected) in cases {
        assert_eq!(decode(&bytes), expected, "{rule}");
    }
}

/// A PING after the frames, which shows that the decoder goes on at the right byte.
fn then_ping(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = frames.concat();
    bytes.extend(frame(6, 0, 0, b"pingpong"));
    bytes
}

const PING: &str = "PING pingpong";
const FRAME_SIZE_ERROR: &[&str] = &["connection FRAME_SIZE_ERROR"];
const CALM: &[&str] = &["connection ENHANCE_YOUR_CALM"];

#[test]
fn frame_format_of_section_4() {
    let long = vec![b'x'; 16_384];
    let content = format!("DATA 1 of 16384 '{}'", "x".repeat(16_384));
    let mut whole = empty_settings();
    whole.extend(frame(0, 0, 1, &long));
    assert_eq!(run([&whole[..]]).shown[1..], [content]);
    check(vec![
        (
            "4.1 unknown types are ignored",
            then_ping(&[frame(0xbe, 0xff, 1, b"abc")]),
            &["UNKNOWN 190", PING],
        ),
        (
            "4.1 also on stream 0 and empty",
            then_ping(&[frame(0x11, 0, 0, b"")]),
            &["UNKNOWN 17", PING],
        ),
        (
            "4.1 unknown flags are ignored",
            frame(6, 0xfe, 0, b"pingpong"),
            &[PING],
        ),
        (
            "4.1 the reserved bit is ignored",
            frame(3, 0, 0x8000_0001, &[0, 0, 0, 8]),
            &["RST_STREAM 1 CANCEL"],
        ),
        (
            "4.2 DATA over the limit",
            header(16_385, 0, 0, 1),
            FRAME_SIZE_ERROR,
        ),
        (
            "4.2 HEADERS over the limit",
            header(16_385, 1, 4, 1),
            FRAME_SIZE_ERROR,
        ),
        (
            "4.2 SETTINGS over the limit",
            header(16_386, 4, 0, 0),
            FRAME_SIZE_ERROR,
        ),
        (
            "4.2 GOAWAY over the limit",
            header(0xff_ffff, 7, 0, 0),
            FRAME_SIZE_ERROR,
        ),
        (
            "4.2 unknown types over the limit",
            header(16_385, 0xbe, 0, 1),
            FRAME_SIZE_ERROR,
        ),
    ]);
}

#[test]
fn header_blocks_of_section_4_3() {
    let begun = || frame(1, 0, 1, b"ab");
    let two = |second: Vec<u8>| [begun(), second].concat();
    check(vec![
        (
            "4.3 a block in three frames",
            then_ping(&[begun(), frame(9, 0, 1, b""), frame(9, 4, 1, b"c")]),
            &[
                "HEADERS 1 'ab'",
                "CONTINUATION 1 ''",
                "CONTINUATION 1 'c' END_HEADERS",
                PING,
            ],
        ),
        (
            "4.3 DATA in a block",
            two(frame(0, 0, 1, b"x")),
            &["HEADERS 1 'ab'", PROTOCOL_ERROR[0]],
        ),
        (
            "4.3 HEADERS in a block",
            two(frame(1, 4, 1, b"x")),
            &["HEADERS 1 'ab'", PROTOCOL_ERROR[0]],
        ),
        (
            "4.3 HEADERS of another stream",
            two(frame(1, 4, 3, b"x")),
            &["HEADERS 1 'ab'", PROTOCOL_ERROR[0]],
        ),
        (
            "4.3 PRIORITY in a block",
            two(frame(2, 0, 1, &[0; 5])),
            &["HEADERS 1 'ab'", PROTOCOL_ERROR[0]],
        ),
        (
            "4.3 RST_STREAM in a block",
            two(frame(3, 0, 1, &[0; 4])),
            &["HEADERS 1 'ab'", PROTOCOL_ERROR[0]],
        ),
        (
            "4.3 SETTINGS in a block",
            two(frame(4, 0, 0, &[])),
            &["HEADERS 1 'ab'", PROTOCOL_ERROR[0]],
        ),
        (
            "4.3 PING in a block",
            two(frame(6, 0, 0, &[0; 8])),
            &["HEADERS 1 'ab'", PROTOCOL_ERROR[0]],
        ),
        (
            "4.3 GOAWAY in a block",
            two(frame(7, 0, 0, &[0; 8])),
            &["HEADERS 1 'ab'", PROTOCOL_ERROR[0]],
        ),
        (
            "4.3 WINDOW_UPDATE in a block",
            two(frame(8, 0, 0, &[0, 0, 0, 1])),
            &["HEADERS 1 'ab'", PROTOCOL_ERROR[0]],
        ),
        (
            "5.5 unknown types in a block",
            two(frame(0xbe, 0, 1, b"")),
            &["HEADERS 1 'ab'", PROTOCOL_ERROR[0]],
        ),
        (
            "6.10 CONTINUATION of another stream",
            two(frame(9, 4, 3, b"x")),
            &["HEADERS 1 'ab'", PROTOCOL_ERROR[0]],
        ),
        (
            "6.10 CONTINUATION on stream 0 in a block",
            two(frame(9, 4, 0, b"x")),
            &["HEADERS 1 'ab'", PROTOCOL_ERROR[0]],
        ),
        (
            "6.10 CONTINUATION alone",
            frame(9, 4, 1, b"x"),
            PROTOCOL_ERROR,
        ),
        (
            "6.10 CONTINUATION on stream 0",
            frame(9, 4, 0, b"x"),
            PROTOCOL_ERROR,
        ),
        (
            "6.10 CONTINUATION after a whole block",
            [frame(1, 4, 1, b"a"), frame(9, 4, 1, b"x")].concat(),
            &["HEADERS 1 'a' END_HEADERS", PROTOCOL_ERROR[0]],
        ),
        (
            "6.10 CONTINUATION after DATA",
            [frame(0, 0, 1, b"a"), frame(9, 4, 1, b"x")].concat(),
            &["DATA 1 of 1 'a'", PROTOCOL_ERROR[0]],
        ),
        (
            "6.10 CONTINUATION over the limit",
            two(header(16_385, 9, 4, 1)),
            &["HEADERS 1 'ab'", FRAME_SIZE_ERROR[0]],
        ),
    ]);
}

#[test]
fn data_of_section_6_1() {
    check(vec![
        ("content", frame(0, 0, 1, b"abc"), &["DATA 1 of 3 'abc'"]),
        (
            "END_STREAM",
            then_ping(&[frame(0, 1, 5, b"abc")]),
            &["DATA 5 of 3 'abc' END_STREAM", PING],
        ),
        (
            "no content",
            then_ping(&[frame(0, 0, 1, b"")]),
            &["DATA 1 of 0 ''", PING],
        ),
        (
            "no content, END_STREAM",
            frame(0, 1, 1, b""),
            &["DATA 1 of 0 '' END_STREAM"],
        ),
        (
            "padding counts for flow control",
            then_ping(&[frame(0, 9, 1, b"\x02abc\0\0")]),
            &["DATA 1 of 6 'abc' END_STREAM", PING],
        ),
        (
            "padding of length 0",
            then_ping(&[frame(0, 8, 1, b"\0abc")]),
            &["DATA 1 of 4 'abc'", PING],
        ),
        (
            "only padding",
            then_ping(&[frame(0, 8, 1, b"\x03\0\0\0")]),
            &["DATA 1 of 4 ''", PING],
        ),
        (
            "only the length of padding",
            then_ping(&[frame(0, 8, 1, b"\0")]),
            &["DATA 1 of 1 ''", PING],
        ),
        (
            "padding as long as the payload",
            frame(0, 8, 1, b"\x04abc"),
            PROTOCOL_ERROR,
        ),
        (
            "padding longer than the payload",
            frame(0, 8, 1, b"\xffabc"),
            PROTOCOL_ERROR,
        ),
        (
            "no room for the length of padding",
            frame(0, 8, 1, b""),
            FRAME_SIZE_ERROR,
        ),
        ("stream 0", frame(0, 0, 0, b"abc"), PROTOCOL_ERROR),
        (
            "a stream of the server",
            frame(0, 0, 2, b"abc"),
            PROTOCOL_ERROR,
        ),
    ]);
}

#[test]
fn headers_of_section_6_2() {
    let priority = b"\x80\0\0\x03\x0f";
    let with = |before: &[u8], after: &[u8]| [before, &priority[..], after].concat();
    check(vec![
        (
            "a whole block",
            frame(1, 4, 1, b"ab"),
            &["HEADERS 1 'ab' END_HEADERS"],
        ),
        (
            "END_STREAM",
            frame(1, 5, 7, b"ab"),
            &["HEADERS 7 'ab' END_HEADERS END_STREAM"],
        ),
        (
            "an empty block",
            frame(1, 4, 1, b""),
            &["HEADERS 1 '' END_HEADERS"],
        ),
        (
            "padding",
            then_ping(&[frame(1, 0xc, 1, b"\x02ab\0\0")]),
            &["HEADERS 1 'ab' END_HEADERS", PING],
        ),
        (
            "padding fills the frame",
            frame(1, 0xc, 1, b"\x02\0\0"),
            &["HEADERS 1 '' END_HEADERS"],
        ),
        (
            "padding longer than the payload",
            frame(1, 0xc, 1, b"\x03\0\0"),
            PROTOCOL_ERROR,
        ),
        (
            "no room for the length of padding",
            frame(1, 0xc, 1, b""),
            FRAME_SIZE_ERROR,
        ),
        (
            "priority",
            frame(1, 0x24, 1, &with(b"", b"ab")),
            &["HEADERS 1 'ab' END_HEADERS"],
        ),
        (
            "priority alone",
            frame(1, 0x24, 1, priority),
            &["HEADERS 1 '' END_HEADERS"],
        ),
        (
            "no room for priority",
            frame(1, 0x24, 1, &priority[..4]),
            FRAME_SIZE_ERROR,
        ),
        (
            "a stream that depends on itself",
            frame(1, 0x24, 3, &with(b"", b"a")),
            &["HEADERS 3 'a' END_HEADERS"],
        ),
        (
            "priority and padding",
            frame(1, 0x2c, 1, &with(b"\x01", b"ab\0")),
            &["HEADERS 1 'ab' END_HEADERS"],
        ),
        (
            "padding reaches into priority",
            frame(1, 0x2c, 1, &with(b"\x02", b"\0")),
            PROTOCOL_ERROR,
        ),
        (
            "no room for priority and padding",
            frame(1, 0x2c, 1, &priority[..]),
            FRAME_SIZE_ERROR,
        ),
        ("stream 0", frame(1, 4, 0, b"ab"), PROTOCOL_ERROR),
        (
            "5.1.1 a stream of the server",
            frame(1, 4, 2, b"ab"),
            PROTOCOL_ERROR,
        ),
    ]);
}

#[test]
fn priority_of_section_6_3() {
    check(vec![
        ("any stream", frame(2, 0, 3, &[0; 5]), &["PRIORITY 3"]),
        (
            "an idle stream of the server",
            frame(2, 0, 2, &[0; 5]),
            &["PRIORITY 2"],
        ),
        ("stream 0", frame(2, 0, 0, &[0; 5]), PROTOCOL_ERROR),
        (
            "too short",
            then_ping(&[frame(2, 0, 3, &[0; 4])]),
            &["stream 3 FRAME_SIZE_ERROR", PING],
        ),
        (
            "too long",
            then_ping(&[frame(2, 0, 3, &[0; 6])]),
            &["stream 3 FRAME_SIZE_ERROR", PING],
        ),
        (
            "empty",
            then_ping(&[frame(2, 0, 3, &[])]),
            &["stream 3 FRAME_SIZE_ERROR", PING],
        ),
    ]);
}

#[test]
fn rst_stream_of_section_6_4() {
    check(vec![
        (
            "a code",
            frame(3, 0, 1, &[0, 0, 0, 8]),
            &["RST_STREAM 1 CANCEL"],
        ),
        (
            "7 an unknown code",
            frame(3, 0, 1, &[0xff; 4]),
            &["RST_STREAM 1 INTERNAL_ERROR"],
        ),
        ("stream 0", frame(3, 0, 0, &[0; 4]), PROTOCOL_ERROR),
        (
            "an idle stream of the server",
            frame(3, 0, 2, &[0; 4]),
            PROTOCOL_ERROR,
        ),
        ("too short", frame(3, 0, 1, &[0; 3]), FRAME_SIZE_ERROR),
        ("too long", frame(3, 0, 1, &[0; 5]), FRAME_SIZE_ERROR),
    ]);
}

#[test]
fn settings_of_section_6_5() {
    let entries = |count: usize| frame(4, 0, 0, &[0, 9, 0, 0, 0, 1].repeat(count));
    check(vec![
        ("no entry", frame(4, 0, 0, b""), &["SETTINGS []"]),
        (
            "entries in their order",
            frame(
                4,
                0,
                0,
                b"\0\x04\0\x01\0\0\xab\xcd\xff\xff\xff\xff\0\x04\0\0\0\x01",
            ),
            &["SETTINGS [(4, 65536), (43981, 4294967295), (4, 1)]"],
        ),
        ("acknowledgement", frame(4, 1, 0, b""), &["SETTINGS ACK"]),
        (
            "acknowledgement with an entry",
            frame(4, 1, 0, &[0; 6]),
            FRAME_SIZE_ERROR,
        ),
        ("a stream", frame(4, 0, 1, b""), PROTOCOL_ERROR),
        (
            "acknowledgement on a stream",
            frame(4, 1, 1, b""),
            PROTOCOL_ERROR,
        ),
        ("half an entry", frame(4, 0, 0, &[0; 3]), FRAME_SIZE_ERROR),
        (
            "one byte too much",
            frame(4, 0, 0, &[0; 7]),
            FRAME_SIZE_ERROR,
        ),
        ("33 entries (CVE-2020-11080)", entries(33), CALM),
    ]);
    assert!(decode(&entries(32))[0].starts_with("SETTINGS"));
}

#[test]
fn push_promise_of_section_8_4() {
    check(vec![
        ("a promise", frame(5, 4, 1, b"\0\0\0\x02ab"), PROTOCOL_ERROR),
        ("its header is enough", header(100, 5, 4, 1), PROTOCOL_ERROR),
        ("stream 0", frame(5, 4, 0, b"\0\0\0\x02"), PROTOCOL_ERROR),
    ]);
}

#[test]
fn ping_of_section_6_7() {
    check(vec![
        ("a ping", frame(6, 0, 0, b"12345678"), &["PING 12345678"]),
        (
            "acknowledgement",
            frame(6, 1, 0, b"12345678"),
            &["PING ACK 12345678"],
        ),
        ("a stream", frame(6, 0, 1, b"12345678"), PROTOCOL_ERROR),
        ("too short", frame(6, 0, 0, b"1234567"), FRAME_SIZE_ERROR),
        ("too long", frame(6, 1, 0, b"123456789"), FRAME_SIZE_ERROR),
    ]);
}

#[test]
fn goaway_of_section_6_8() {
    check(vec![
        (
            "no stream",
            frame(7, 0, 0, &[0; 8]),
            &["GOAWAY 0 NO_ERROR ''"],
        ),
        (
            "debug data",
            frame(7, 0, 0, b"\x80\0\0\x04\0\0\0\x0bbye"),
            &["GOAWAY 4 ENHANCE_YOUR_CALM 'bye'"],
        ),
        ("a stream", frame(7, 0, 1, &[0; 8]), PROTOCOL_ERROR),
        ("too short", frame(7, 0, 0, &[0; 7]), FRAME_SIZE_ERROR),
    ]);
}

#[test]
fn window_update_of_section_6_9() {
    check(vec![
        (
            "a connection",
            frame(8, 0, 0, &[0, 0, 0, 1]),
            &["WINDOW_UPDATE 0 1"],
        ),
        (
            "a stream",
            frame(8, 0, 3, &[0xff; 4]),
            &["WINDOW_UPDATE 3 2147483647"],
        ),
        (
            "0 for a connection",
            frame(8, 0, 0, &[0; 4]),
            PROTOCOL_ERROR,
        ),
        (
            "0 for a stream",
            then_ping(&[frame(8, 0, 3, &[0; 4])]),
            &["stream 3 PROTOCOL_ERROR", PING],
        ),
        (
            "the reserved bit does not count",
            then_ping(&[frame(8, 0, 3, &[0x80, 0, 0, 0])]),
            &["stream 3 PROTOCOL_ERROR", PING],
        ),
        (
            "a stream of the server",
            frame(8, 0, 2, &[0, 0, 0, 1]),
            PROTOCOL_ERROR,
        ),
        ("too short", frame(8, 0, 3, &[0; 3]), FRAME_SIZE_ERROR),
        ("too long", frame(8, 0, 3, &[0; 5]), FRAME_SIZE_ERROR),
    ]);
}

#[test]
fn priority_update_of_rfc_9218_section_7() {
    check(vec![
        (
            "7.1 a value, whatever its syntax",
            then_ping(&[frame(16, 0xff, 0, b"\0\0\0\x03u=1,")]),
            &["PRIORITY_UPDATE 3 'u=1,'", PING],
        ),
        (
            "7.1 no value, and the reserved bit",
            then_ping(&[frame(16, 0, 0, b"\x80\0\0\x03")]),
            &["PRIORITY_UPDATE 3 ''", PING],
        ),
        ("7.1 too short", header(3, 16, 0, 0), FRAME_SIZE_ERROR),
        ("7.1 on a stream", header(4, 16, 0, 1), PROTOCOL_ERROR),
        (
            "7.1 about stream 0",
            frame(16, 0, 0, &[0; 4]),
            PROTOCOL_ERROR,
        ),
        (
            "7.1 about a push",
            frame(16, 0, 0, &[0, 0, 0, 2]),
            PROTOCOL_ERROR,
        ),
    ]);
}
