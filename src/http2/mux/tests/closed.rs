//! Frames on streams that are closed, or closed for the client (RFC 9113 section 5.1).

use super::*;

#[test]
fn content_after_the_end_resets_the_stream() {
    let expected = [
        "request 1 ended",
        "> RST_STREAM 1 STREAM_CLOSED",
        "reset 1 STREAM_CLOSED by server",
    ];
    check(
        Policy::Wait,
        &[get(1), data(1, b"a"), data(1, b"b")],
        &expected,
    );
    check(
        Policy::Wait,
        &[get(1), trailers(1), data(1, b"b")],
        &expected,
    );
}

#[test]
fn content_on_a_closed_stream_is_an_error_once() {
    let expected = [
        "request 1 ended",
        "> HEADERS 1 200",
        "> DATA 1 'ok' end",
        "> RST_STREAM 1 STREAM_CLOSED",
    ];
    check(
        Policy::Respond,
        &[get(1), data(1, b"a"), data(1, b"b")],
        &expected,
    );
}

/// The client says that nothing more is under way, so what follows is another error.
#[test]
fn content_on_a_closed_stream_may_end_it_again() {
    let frames = [get(1), last_data(1, b"abc"), last_data(1, b"d")];
    let expected = [
        "request 1 ended",
        "> HEADERS 1 200",
        "> DATA 1 'ok' end",
        "> RST_STREAM 1 STREAM_CLOSED",
        "> RST_STREAM 1 STREAM_CLOSED",
    ];
    check(Policy::Respond, &frames, &expected);
}

#[test]
fn headers_on_a_closed_stream_end_the_connection() {
    let expected = [
        "request 1 ended",
        "> HEADERS 1 200",
        "> DATA 1 'ok' end",
        "> GOAWAY 1 STREAM_CLOSED",
    ];
    check(Policy::Respond, &[get(1), get(1)], &expected);
    check(Policy::Respond, &[get(1), trailers(1)], &expected);
}

#[test]
fn small_frames_on_closed_streams_are_ignored() {
    let frames = [
        get(1),
        window_update(1, 10),
        rst_stream(1, ErrorCode::Cancel),
        frame(2, 0, 1, &[0; 5]),
        frame(16, 0, 0, b"\0\0\0\x01u=0"),
        get(3),
    ];
    let expected = [
        "request 1 ended",
        "> HEADERS 1 200",
        "> DATA 1 'ok' end",
        "request 3 ended",
        "> HEADERS 3 200",
        "> DATA 3 'ok' end",
    ];
    check(Policy::Respond, &frames, &expected);
}

#[test]
fn frames_after_our_reset_are_ignored() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&post(1));
    server.mux.reset(id(1), ErrorCode::Cancel, &mut server.out);
    let expected = ["request 1", "> RST_STREAM 1 CANCEL"];
    assert_eq!(server.trace(), expected);
    server.expect(&data(1, b"abc"), &[]);
    server.expect(&window_update(1, 3), &[]);
    server.expect(&trailers(1), &[]);
    // It has ended now, so more is an error.
    server.expect(&data(1, b"abc"), &["> RST_STREAM 1 STREAM_CLOSED"]);
    server.expect(&get(3), &["request 3 ended"]);
}

/// What the client sends after our reset may not exceed the window that it had.
#[test]
fn content_after_our_reset_is_bounded() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&[post(1), data(1, &[0; 16_000])].concat());
    server.mux.reset(id(1), ErrorCode::Cancel, &mut server.out);
    server.trace();
    for _ in 0..3 {
        server.expect(&data(1, &[0; 16_000]), &[]);
    }
    server.expect(&data(1, &[0; 1536]), &[]);
    server.expect(&data(1, &[0; 1]), &["> GOAWAY 1 FLOW_CONTROL_ERROR"]);
}

#[test]
fn content_after_our_reset_counts_for_the_connection() {
    let mut server = Server::new(Policy::Wait);
    let mut updates = Vec::new();
    for stream in (1..1000).step_by(2) {
        server.receive(&post(stream));
        server
            .mux
            .reset(id(stream), ErrorCode::Cancel, &mut server.out);
        server.receive(&data(stream, &[0; 16_384]));
        let trace = server.trace();
        updates.extend(trace.into_iter().filter(|line| line.contains("WINDOW")));
    }
    // 500 frames, of which half of the window is 512.
    assert!(updates.is_empty(), "{updates:?}");
    for stream in (1001..1025).step_by(2) {
        server.receive(&post(stream));
        server.receive(&data(stream, &[0; 16_384]));
    }
    let trace = server.trace();
    assert!(
        trace.contains(&"> WINDOW_UPDATE 0 8388608".to_owned()),
        "{trace:?}"
    );
}

#[test]
fn many_resets_are_forgotten_in_order() {
    let mut server = Server::new(Policy::Wait);
    for stream in (1..=259).step_by(2) {
        server.receive(&post(stream));
        server
            .mux
            .reset(id(stream), ErrorCode::Cancel, &mut server.out);
    }
    server.trace();
    server.expect(&data(259, b"a"), &[]);
    server.expect(&data(5, b"a"), &[]);
    server.expect(&data(1, b"a"), &["> RST_STREAM 1 STREAM_CLOSED"]);
    assert!(server.mux.held() < 8 * 1024, "{}", server.mux.held());
}

#[test]
fn reset_by_the_client_is_reported() {
    let frames = [post(1), rst_stream(1, ErrorCode::Cancel)];
    check(
        Policy::Wait,
        &frames,
        &["request 1", "reset 1 CANCEL by client"],
    );
}
