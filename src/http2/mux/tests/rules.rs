//! Requests and frames of the connection, one rule a test.

use super::*;

#[test]
fn settings_and_window_are_sent_first() {
    let mut out = Vec::new();
    let _mux = Mux::<()>::new(MuxConfig::default(), &mut out);
    let expected = ["SETTINGS", "WINDOW_UPDATE 0 16711681"];
    assert_eq!(show(&out).collect::<Vec<_>>(), expected);
    let entries = crate::http2::SettingsEntries::new(&out[9..9 + 24]);
    let expected = [(3, 100), (4, 65_536), (6, 16 * 1024 + 3200), (9, 1)];
    assert_eq!(entries.collect::<Vec<_>>(), expected);
}

#[test]
fn request_without_body_is_answered() {
    let expected = ["request 1 ended", "> HEADERS 1 200", "> DATA 1 'ok' end"];
    check(Policy::Respond, &[get(1)], &expected);
}

#[test]
fn body_and_trailers_end_a_request() {
    let expected = [
        "request 1",
        "data 1 'abcd'",
        "trailers 1 a: b\\r\\n",
        "> HEADERS 1 200",
        "> DATA 1 'ok' end",
    ];
    let frames = [post(1), data(1, b"ab"), data(1, b"cd"), trailers(1)];
    check(Policy::Respond, &frames, &expected);
}

#[test]
fn an_empty_last_frame_ends_a_request() {
    let expected = ["request 1", "data 1 'ab'", "data 1 '' ended"];
    let mut server = Server::new(Policy::Wait);
    assert_eq!(server.after(&post(1)), expected[..1]);
    assert_eq!(server.after(&data(1, b"ab")), expected[1..2]);
    assert!(!server.mux.is_ended(id(1)));
    assert_eq!(server.after(&last_data(1, b"")), expected[2..]);
    assert!(server.mux.is_ended(id(1)));
}

#[test]
fn head_may_be_in_continuations() {
    let (start, end) = GET.split_at(5);
    let frames = [
        frame(1, END_STREAM, 1, start),
        frame(9, 0, 1, b""),
        frame(9, END_HEADERS, 1, end),
    ];
    check(Policy::Wait, &frames, &["request 1 ended"]);
}

#[test]
fn streams_are_interleaved() {
    let frames = [post(1), post(3), data(1, b"a"), last_data(3, b"b")];
    let expected = ["request 1", "request 3", "data 1 'a'", "data 3 'b' ended"];
    check(Policy::Wait, &frames, &expected);
}

#[test]
fn ping_and_settings_are_acknowledged() {
    let frames = [frame(6, 0, 0, b"12345678"), settings(&[(5, 20_000)])];
    let expected = ["> PING ACK '12345678'", "> SETTINGS ACK"];
    check(Policy::Wait, &frames, &expected);
}

#[test]
fn acknowledgements_are_not_answered() {
    let frames = [frame(6, 1, 0, b"12345678"), settings_ack()];
    check(Policy::Wait, &frames, &[]);
}

#[test]
fn frames_without_effect_are_ignored() {
    let frames = [
        frame(0xbe, 0xff, 0, b"abc"),
        frame(0xbe, 0, 7, b""),
        frame(2, 0, 1, &[0, 0, 0, 1, 0]),
        frame(16, 0, 0, b"\0\0\0\x01u=1"),
        frame(16, 0, 0, b"\0\0\0\x01,"),
        window_update(0, 7),
        get(1),
    ];
    check(Policy::Wait, &frames, &["request 1 ended"]);
}

#[test]
fn goaway_of_the_client_is_reported() {
    let frames = [frame(7, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 0]), get(1)];
    let expected = ["goaway NO_ERROR", "request 1 ended"];
    check(Policy::Wait, &frames, &expected);
}

#[test]
fn malformed_requests_get_a_response_and_a_reset() {
    // Upper case in the name of a field.
    let block = [GET, b"\x00\x01A\x01b"].concat();
    for flags in [END_HEADERS, END_HEADERS | END_STREAM] {
        let expected = [
            "rejected 1 field_line",
            "> HEADERS 1 400 end",
            "> RST_STREAM 1 PROTOCOL_ERROR",
        ];
        check(Policy::Respond, &[frame(1, flags, 1, &block)], &expected);
    }
}

#[test]
fn heads_that_are_too_large_get_a_response() {
    // 300 references to one field, which are more than 100 fields.
    let many = [GET, b"\x00\x01a\x01b".repeat(300).as_slice()].concat();
    let ended = frame(1, END_HEADERS | END_STREAM, 1, &many);
    let mut server = Server::new(Policy::Respond);
    let expected = ["rejected 1 head_too_large", "> HEADERS 1 431 end"];
    server.expect(&ended, &expected);
    let open = frame(1, END_HEADERS, 3, &many);
    let expected = ["rejected 3 head_too_large", "> HEADERS 3 431 end"];
    server.expect(&open, &expected);
    // The client may send on.
    server.expect(&last_data(3, b"abc"), &[]);
    let expected = ["request 5 ended", "> HEADERS 5 200", "> DATA 5 'ok' end"];
    server.expect(&get(5), &expected);
}

#[test]
fn content_of_rejected_requests_is_discarded() {
    let block = [POST, b"\x00\x01A\x01b"].concat();
    let frames = [frame(1, END_HEADERS, 1, &block), last_data(1, b"abc")];
    check(Policy::Wait, &frames, &["rejected 1 field_line"]);
}

#[test]
fn stream_errors_end_a_stream_only() {
    let frames = [post(1), window_update(1, 0), get(3)];
    let expected = [
        "request 1",
        "> RST_STREAM 1 PROTOCOL_ERROR",
        "reset 1 PROTOCOL_ERROR by server",
        "request 3 ended",
    ];
    check(Policy::Wait, &frames, &expected);
}

#[test]
fn errors_of_the_connection_end_it() {
    let goaway = |code: &str, last: u32| format!("> GOAWAY {last} {code}");
    let cases: [(&[Vec<u8>], &str, u32); 20] = [
        (&[data(1, b"a")], "PROTOCOL_ERROR", 0),
        (&[get(5), data(7, b"a")], "PROTOCOL_ERROR", 5),
        (&[get(5), data(2, b"a")], "PROTOCOL_ERROR", 5),
        (
            &[get(5), rst_stream(2, ErrorCode::Cancel)],
            "PROTOCOL_ERROR",
            5,
        ),
        (&[get(5), window_update(2, 1)], "PROTOCOL_ERROR", 5),
        (&[rst_stream(1, ErrorCode::Cancel)], "PROTOCOL_ERROR", 0),
        (&[window_update(1, 1)], "PROTOCOL_ERROR", 0),
        (&[window_update(1, 0)], "PROTOCOL_ERROR", 0),
        (&[window_update(0, 0)], "PROTOCOL_ERROR", 0),
        (&[frame(2, 0, 1, b"abc")], "FRAME_SIZE_ERROR", 0),
        (&[frame(1, END_HEADERS, 2, GET)], "PROTOCOL_ERROR", 0),
        (&[get(5), get(3)], "PROTOCOL_ERROR", 5),
        (&[frame(1, 0, 1, GET), get(3)], "PROTOCOL_ERROR", 0),
        (&[frame(1, END_HEADERS, 1, b"\xff")], "COMPRESSION_ERROR", 1),
        (&[window_update(0, 0x7fff_ffff)], "FLOW_CONTROL_ERROR", 0),
        (&[settings(&[(4, 0x8000_0000)])], "FLOW_CONTROL_ERROR", 0),
        (&[settings(&[(5, 1)])], "PROTOCOL_ERROR", 0),
        (&[frame(16, 0, 1, b"\0\0\0\x01")], "PROTOCOL_ERROR", 0),
        (&[frame(16, 0, 0, b"\0\0\0\x02")], "PROTOCOL_ERROR", 0),
        (&[frame(16, 0, 0, b"\0\0\x01")], "FRAME_SIZE_ERROR", 0),
    ];
    for (frames, code, last) in cases {
        let bytes = frames.concat();
        let trace = trace(Policy::Wait, &[&bytes[..], &get(9)].concat());
        assert_eq!(trace.last(), Some(&goaway(code, last)), "{frames:?}");
    }
}

#[test]
fn nothing_is_received_after_the_end() {
    let mut server = Server::new(Policy::Respond);
    server.receive(&data(1, b""));
    assert!(server.error.is_some());
    server.trace();
    server.expect(&[get(1), frame(6, 0, 0, &[0; 8])].concat(), &[]);
    assert!(server.input.is_empty());
}

#[test]
fn half_a_head_is_reported_as_such() {
    let mut server = Server::silent(MuxConfig::default(), Policy::Wait);
    let in_head = |server: &mut Server, bytes: &[u8]| {
        let mut input = bytes;
        let event = server
            .mux
            .receive(&mut input, &mut server.buffer, &mut server.out);
        match event {
            Ok(Event::Incomplete { in_head }) => in_head,
            event => panic!("{event:?}"),
        }
    };
    assert!(in_head(&mut server, b""));
    assert!(in_head(&mut server, &settings(&[])[..5]));
    assert!(!in_head(&mut server, &settings(&[])));
    for length in 1..get(1).len() {
        assert!(in_head(&mut server, &get(1)[..length]), "{length}");
    }
    for length in 9..17 {
        let ping = frame(6, 0, 0, &[0; 8]);
        assert!(!in_head(&mut server, &ping[..length]), "{length}");
    }
    assert!(in_head(&mut server, &frame(1, 0, 1, GET)));
    assert!(in_head(&mut server, &frame(9, 0, 1, b"\x00")));
}

#[test]
fn too_many_streams_are_refused() {
    let config = MuxConfig {
        max_streams: 2,
        ..MuxConfig::default()
    };
    let mut server = Server::with(config, Policy::Wait);
    server.receive(&[get(1), post(3)].concat());
    // It adds to the table of HPACK, although it is refused.
    let block = [POST, b"\x40\x01a\x01b"].concat();
    let refused = frame(1, END_HEADERS, 5, &block);
    server.trace();
    server.expect(&refused, &["> RST_STREAM 5 REFUSED_STREAM"]);
    server.expect(&last_data(5, b"abc"), &[]);
    server.respond(1, "ok");
    let expected = ["> HEADERS 1 200", "> DATA 1 'ok' end", "request 7 ended"];
    let block = [GET, b"\xbe"].concat();
    server.expect(&frame(1, END_HEADERS | END_STREAM, 7, &block), &expected);
    assert_eq!(server.buffer.request.headers()["a"], "b");
}

#[test]
fn the_caller_keeps_something_for_each_stream() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&[get(1), get(5), get(7)].concat());
    for (stream, data) in server.mux.streams_mut() {
        *data = stream.get() * 10;
    }
    assert_eq!(server.mux.get(id(5)), Some(&50));
    assert_eq!(server.mux.get(id(3)), None);
    assert_eq!(server.mux.get_mut(id(7)), Some(&mut 70));
    let reset = server.mux.reset(id(5), ErrorCode::Cancel, &mut server.out);
    assert_eq!(reset, Some(50));
    assert_eq!(
        server.mux.reset(id(5), ErrorCode::Cancel, &mut server.out),
        None
    );
    let left: Vec<_> = server
        .mux
        .streams()
        .map(|(id, data)| (id.get(), *data))
        .collect();
    assert_eq!(left, [(1, 10), (7, 70)]);
    assert_eq!(server.mux.len(), 2);
}
