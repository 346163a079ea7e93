//! The content of requests: Content-Length, padding, and what is discarded.

use super::*;

fn with_length(digit: u8, flags: u8) -> Vec<u8> {
    frame(1, END_HEADERS | flags, 1, &post_with_length(digit))
}

const RESET: [&str; 2] = [
    "> RST_STREAM 1 PROTOCOL_ERROR",
    "reset 1 PROTOCOL_ERROR by server",
];

#[test]
fn content_has_the_announced_length() {
    let frames = [with_length(b'4', 0), data(1, b"ab"), last_data(1, b"cd")];
    check(Policy::Wait, &frames, &["request 1", "data 1 'abcd' ended"]);
    let frames = [with_length(b'4', 0), data(1, b"abcd"), trailers(1)];
    let expected = ["request 1", "data 1 'abcd'", "trailers 1 a: b\\r\\n"];
    check(Policy::Wait, &frames, &expected);
    let frames = [with_length(b'0', END_STREAM)];
    check(Policy::Wait, &frames, &["request 1 ended"]);
    let frames = [with_length(b'0', 0), last_data(1, b"")];
    check(Policy::Wait, &frames, &["request 1", "data 1 '' ended"]);
}

#[test]
fn more_content_than_announced_resets_the_stream() {
    let mut server = Server::new(Policy::Wait);
    server.expect(&with_length(b'3', 0), &["request 1"]);
    server.expect(&data(1, b"abc"), &["data 1 'abc'"]);
    server.expect(&data(1, b"d"), &RESET);
    server.expect(&last_data(1, b"e"), &[]);
}

#[test]
fn less_content_than_announced_resets_the_stream() {
    for end in [last_data(1, b""), trailers(1)] {
        let frames = [with_length(b'3', 0), data(1, b"ab"), end];
        let expected = ["request 1", "data 1 'ab'", RESET[0], RESET[1]];
        check(Policy::Wait, &frames, &expected);
    }
}

#[test]
fn announced_content_needs_frames_after_the_head() {
    let expected = [
        "rejected 1 content_length",
        "> HEADERS 1 400 end",
        "> RST_STREAM 1 PROTOCOL_ERROR",
    ];
    check(Policy::Respond, &[with_length(b'3', END_STREAM)], &expected);
}

#[test]
fn trailers_end_the_stream() {
    let open = frame(1, END_HEADERS, 1, b"\x00\x01a\x01b");
    check(
        Policy::Wait,
        &[post(1), open],
        &["request 1", RESET[0], RESET[1]],
    );
}

#[test]
fn malformed_trailers_reset_the_stream() {
    for block in [&b"\x82"[..], b"\x00\x01A\x01b"] {
        let end = frame(1, END_HEADERS | END_STREAM, 1, block);
        check(
            Policy::Wait,
            &[post(1), end],
            &["request 1", RESET[0], RESET[1]],
        );
    }
}

#[test]
fn padding_is_no_content() {
    let frames = [
        with_length(b'4', 0),
        frame(0, PADDED, 1, b"\x02ab\0\0"),
        frame(0, PADDED | END_STREAM, 1, b"\x05cd\0\0\0\0\0"),
    ];
    check(Policy::Wait, &frames, &["request 1", "data 1 'abcd' ended"]);
}

/// A client that pads much would otherwise wait for content to be released.
#[test]
fn padding_is_given_back() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&post(1));
    let padded = frame(0, PADDED, 1, &[&b"\xffa"[..], &[0; 255]].concat());
    let mut given = 0;
    for _ in 0..1000 {
        server.receive(&padded);
        for line in server.trace() {
            let increment = line.strip_prefix("> WINDOW_UPDATE 1 ");
            given += increment.map_or(0, |text| text.parse().expect("it is a number"));
        }
    }
    assert!(server.error.is_none());
    assert!(given >= 1000 * 256 - 65_536, "{given}");
}

#[test]
fn discarded_content_makes_no_event() {
    let frames = [post(1), data(1, b"abc"), last_data(1, b"d"), get(3)];
    let expected = [
        "request 1",
        "> HEADERS 1 200",
        "> DATA 1 'ok' end",
        "request 3 ended",
        "> HEADERS 3 200",
        "> DATA 3 'ok' end",
    ];
    check(Policy::RespondEarly, &frames, &expected);
    let frames = [post(1), data(1, b"abc"), trailers(1), get(3)];
    check(Policy::RespondEarly, &frames, &expected);
}

#[test]
fn discarded_stream_is_removed_when_it_ends() {
    let mut server = Server::new(Policy::RespondEarly);
    server.receive(&[post(1), data(1, b"abc")].concat());
    assert_eq!(server.mux.len(), 1);
    server.receive(&last_data(1, b""));
    assert_eq!(server.mux.len(), 0);
}

/// Some clients lose a response that a reset follows at once, so they may send on.
#[test]
fn discarded_content_is_given_back_to_the_window() {
    let mut server = Server::new(Policy::RespondEarly);
    server.receive(&post(1));
    server.trace();
    for _ in 0..10 {
        server.expect(&data(1, &[0; 16_384]), &[]);
        let update = ["> WINDOW_UPDATE 1 32768"];
        server.expect(&data(1, &[0; 16_384]), &update);
    }
    server.expect(&last_data(1, &[0; 500]), &[]);
    assert_eq!(server.mux.len(), 0);
}

#[test]
fn discarding_goes_on_after_the_response() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&[post(1), data(1, &[0; 16_384])].concat());
    server.mux.discard(id(1));
    server.receive(&data(1, &[0; 16_384]));
    assert_eq!(server.trace(), ["request 1", "data 1 of 16384"]);
    server.respond(1, "ok");
    let expected = ["> HEADERS 1 200", "> DATA 1 'ok' end"];
    assert_eq!(server.trace(), expected);
    server.receive(&last_data(1, &[0; 16_384]));
    assert_eq!(server.mux.len(), 0);
}

#[test]
fn response_may_end_before_the_request() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&post(1));
    server.respond(1, "ok");
    server.trace();
    server.expect(&data(1, b"a"), &["data 1 'a'"]);
    server.expect(&last_data(1, b"b"), &["data 1 'b' ended"]);
    assert_eq!(server.mux.len(), 0);
}
