//! The end of a connection (RFC 9113 section 6.8).

use super::*;

const PING_ACK: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0shutdown";

#[test]
fn shutdown_has_two_steps() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&get(1));
    server.trace();
    server.mux.announce_shutdown(&mut server.out);
    server.mux.announce_shutdown(&mut server.out);
    let expected = ["> GOAWAY 2147483647 NO_ERROR", "> PING 'shutdown'"];
    assert_eq!(server.trace(), expected);
    assert!(!server.mux.is_shut_down());
    // The client did not know.
    server.expect(&post(3), &["request 3"]);
    server.expect(PING_ACK, &["shutdown acknowledged"]);
    server.expect(PING_ACK, &[]);
    server
        .mux
        .shut_down(ErrorCode::NoError, b"", &mut server.out);
    server
        .mux
        .shut_down(ErrorCode::NoError, b"", &mut server.out);
    assert_eq!(server.trace(), ["> GOAWAY 3 NO_ERROR"]);
    assert!(server.mux.is_shut_down());
    server.expect(&last_data(3, b"a"), &["data 3 'a' ended"]);
    server.respond(3, "ok");
    assert_eq!(server.trace(), ["> HEADERS 3 200", "> DATA 3 'ok' end"]);
}

#[test]
fn later_requests_are_ignored_after_the_shutdown() {
    let mut server = Server::new(Policy::Respond);
    server.receive(&post(1));
    server
        .mux
        .shut_down(ErrorCode::NoError, b"", &mut server.out);
    server.trace();
    // It adds to the table of HPACK.
    let ignored = frame(1, END_HEADERS, 3, &[POST, b"\x40\x01a\x01b"].concat());
    server.expect(&ignored, &[]);
    server.expect(&data(3, b"abc"), &[]);
    server.expect(&window_update(3, 5), &[]);
    server.expect(&trailers(3), &[]);
    server.expect(&get(5), &[]);
    server.expect(&rst_stream(5, ErrorCode::Cancel), &[]);
    let trailers = frame(1, END_HEADERS | END_STREAM, 1, b"\xbe");
    let expected = [
        "trailers 1 a: b\\r\\n",
        "> HEADERS 1 200",
        "> DATA 1 'ok' end",
    ];
    server.expect(&trailers, &expected);
    assert!(server.mux.is_empty());
    // A broken rule does not take back what was refused.
    server.expect(&data(7, b""), &["> GOAWAY 1 PROTOCOL_ERROR"]);
}

#[test]
fn only_the_right_acknowledgement_counts() {
    let mut server = Server::new(Policy::Wait);
    server.expect(PING_ACK, &[]);
    server.mux.announce_shutdown(&mut server.out);
    server.trace();
    server.expect(&frame(6, 1, 0, b"shutdowN"), &[]);
    server.expect(PING_ACK, &["shutdown acknowledged"]);
}

#[test]
fn shutdown_needs_no_announcement() {
    let mut server = Server::new(Policy::Wait);
    let code = ErrorCode::EnhanceYourCalm;
    server.mux.shut_down(code, b"busy", &mut server.out);
    server.mux.announce_shutdown(&mut server.out);
    assert_eq!(server.trace(), ["> GOAWAY 0 ENHANCE_YOUR_CALM"]);
}

#[test]
fn shutdown_is_announced_before_numbers_run_out() {
    let mut server = Server::new(Policy::Wait);
    server.expect(&get(0x7fff_fff0 - 401), &["request 2147483231 ended"]);
    let expected = [
        "> GOAWAY 2147483647 NO_ERROR",
        "> PING 'shutdown'",
        "request 2147483647 ended",
    ];
    server.expect(&get(0x7fff_ffff), &expected);
    // There is no number left.
    server.expect(
        &get(0x7fff_ffff),
        &[
            "> RST_STREAM 2147483647 STREAM_CLOSED",
            "reset 2147483647 STREAM_CLOSED by server",
        ],
    );
}
