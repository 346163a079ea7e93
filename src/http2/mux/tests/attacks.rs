//! Attacks, and what honest clients do that looks like one.

use super::*;

/// Frames until the connection ends, and what ended it.
#[track_caller]
fn ends_with(
    kind: AbuseKind,
    policy: Policy,
    expected: std::ops::RangeInclusive<usize>,
    bytes: impl FnMut(u32) -> Vec<u8>,
) {
    let mut server = Server::new(policy);
    let count = server.endure(20_000, bytes);
    assert!(expected.contains(&count), "{count}");
    let error = server.error.expect("the connection has ended");
    assert_eq!(
        error,
        Error::connection(ErrorCode::EnhanceYourCalm, kind.reason())
    );
    assert_eq!(server.mux.abuse_kind(), Some(kind));
}

#[test]
fn rapid_reset_is_stopped() {
    ends_with(AbuseKind::Resets, Policy::Wait, 250..=260, |count| {
        let stream = 2 * count + 1;
        [get(stream), rst_stream(stream, ErrorCode::Cancel)].concat()
    });
}

/// Each makes the server reset a stream.
#[test]
fn made_resets_are_stopped() {
    let provocations: [fn(u32) -> Vec<u8>; 9] = [
        |id| [post(id), window_update(id, 0)].concat(),
        |id| [post(id), window_update(id, 0x7fff_ffff)].concat(),
        |id| [get(id), data(id, b"a")].concat(),
        |id| [get(id), trailers(id)].concat(),
        |id| [post(id), frame(2, 0, id, b"abc")].concat(),
        |id| [post(id), frame(1, END_HEADERS, id, b"\x00\x01a\x01b")].concat(),
        |id| [post(id), frame(1, END_HEADERS | END_STREAM, id, b"\x82")].concat(),
        |id| [post(id), data(id, &[0; 16_384]).repeat(5)].concat(),
        |id| {
            let post = frame(1, END_HEADERS, id, &post_with_length(b'9'));
            [post, last_data(id, &[0; 10])].concat()
        },
    ];
    // The one with much content is forgiven some of it.
    for provoke in provocations {
        ends_with(AbuseKind::StreamErrors, Policy::Wait, 90..=170, |count| {
            provoke(2 * count + 1)
        });
    }
}

#[test]
fn malformed_requests_are_stopped() {
    ends_with(
        AbuseKind::StreamErrors,
        Policy::Respond,
        100..=105,
        |count| frame(1, END_HEADERS | END_STREAM, 2 * count + 1, b"\x82"),
    );
}

#[test]
fn too_many_streams_are_stopped() {
    ends_with(AbuseKind::StreamErrors, Policy::Wait, 200..=205, |count| {
        get(2 * count + 1)
    });
}

#[test]
fn floods_are_stopped() {
    let ping = frame(6, 0, 0, &[0; 8]);
    ends_with(AbuseKind::Pings, Policy::Wait, 1000..=1001, |_| {
        ping.clone()
    });
    let ping_ack = frame(6, 1, 0, &[0; 8]);
    ends_with(AbuseKind::Pings, Policy::Wait, 1000..=1001, |_| {
        ping_ack.clone()
    });
    ends_with(AbuseKind::Settings, Policy::Wait, 1000..=1001, |_| {
        settings(&[(4, 1)])
    });
    ends_with(AbuseKind::Settings, Policy::Wait, 1000..=1001, |_| {
        settings_ack()
    });
    let priority = frame(2, 0, 1, &[0; 5]);
    ends_with(AbuseKind::Priorities, Policy::Wait, 1000..=1001, |_| {
        priority.clone()
    });
    let update = frame(16, 0, 0, b"\0\0\0\x01u=1");
    ends_with(AbuseKind::Priorities, Policy::Wait, 1000..=1001, |_| {
        update.clone()
    });
    ends_with(AbuseKind::WindowUpdates, Policy::Wait, 1000..=1001, |_| {
        window_update(0, 1)
    });
    let unknown = frame(0xbe, 0, 0, b"");
    ends_with(AbuseKind::IgnoredFrames, Policy::Wait, 1000..=1001, |_| {
        unknown.clone()
    });
    let goaway = frame(7, 0, 0, &[0; 8]);
    ends_with(AbuseKind::IgnoredFrames, Policy::Wait, 1000..=1001, |_| {
        goaway.clone()
    });
}

#[test]
fn empty_frames_are_stopped() {
    ends_with(
        AbuseKind::EmptyFrames,
        Policy::Wait,
        1000..=1002,
        |count| match count {
            0 => post(1),
            _ => data(1, b""),
        },
    );
    // Padding alone is empty, too.
    ends_with(
        AbuseKind::EmptyFrames,
        Policy::Wait,
        1000..=1002,
        |count| match count {
            0 => post(1),
            _ => frame(0, PADDED, 1, b"\x03\0\0\0"),
        },
    );
    // An empty HEADERS and seven empty CONTINUATIONs for each request.
    ends_with(
        AbuseKind::EmptyFrames,
        Policy::Respond,
        110..=150,
        |count| {
            let stream = 2 * count + 1;
            let mut bytes = frame(1, END_STREAM, stream, b"");
            bytes.extend(frame(9, 0, stream, b"").repeat(7));
            bytes.extend(frame(9, END_HEADERS, stream, GET));
            bytes
        },
    );
}

#[test]
fn requests_after_the_shutdown_are_stopped() {
    let mut server = Server::new(Policy::Wait);
    server
        .mux
        .shut_down(ErrorCode::NoError, b"", &mut server.out);
    let count = server.endure(20_000, |count| get(2 * count + 1));
    assert!((1000..=1001).contains(&count), "{count}");
}

#[test]
fn continuations_without_end_are_stopped() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&frame(1, 0, 1, b"\x82"));
    let count = server.endure(100, |_| frame(9, 0, 1, b"\x82"));
    assert_eq!(count, 9);
    assert!(server.mux.held() < 1024);
}

#[test]
fn large_header_blocks_are_stopped() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&frame(1, 0, 1, &[0x82; 16_384]));
    let count = server.endure(100, |_| frame(9, 0, 1, &[0x82; 16_384]));
    // 68 KiB are the limit.
    assert_eq!(count, 4);
    let error = server.error.expect("the connection has ended");
    assert_eq!(error.code(), ErrorCode::EnhanceYourCalm);
}

/// One field of 4,000 bytes, and references to it.
#[test]
fn hpack_bomb_is_stopped() {
    let mut block = [GET, b"\x40\x01a\x7f\xa1\x1e"].concat();
    block.extend_from_slice(&[b'x'; 4000]);
    block.extend_from_slice(&[0xbe; 10_000]);
    let mut server = Server::new(Policy::Wait);
    server.receive(&frame(1, END_HEADERS | END_STREAM, 1, &block));
    let error = server.error.expect("the connection has ended");
    assert_eq!(error.code(), ErrorCode::EnhanceYourCalm);
}

/// A client that gives one byte of window at a time gets no frame for each.
#[test]
fn tiny_windows_make_no_tiny_frames() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&[settings(&[(4, 0)]), get(1)].concat());
    server.begin_open(1);
    server.mux.set_pending(id(1), Some(100_000));
    let before = server.sent;
    let mut frames = 0;
    for _ in 0..900 {
        server.receive(&window_update(1, 1));
        if let Some(next) = server.mux.next_to_send() {
            let capacity = server.mux.capacity(next);
            server.send(1, &vec![0; capacity], false);
            frames += 1;
        }
    }
    assert_eq!(frames, 0);
    assert!(server.sent - before < 100);
    let count = server.endure(1000, |_| window_update(1, 1));
    assert!(count < 150, "{count}");
}

#[test]
fn a_reset_of_a_begun_or_late_response_costs_nothing() {
    let mut server = Server::new(Policy::Wait);
    for stream in (1..20_001).step_by(2) {
        server.receive(&get(stream));
        match stream % 4 {
            1 => server.begin_open(stream),
            _ => server.advance(Duration::from_secs(1)),
        }
        server.receive(&rst_stream(stream, ErrorCode::Cancel));
        server.trace.clear();
    }
    assert_eq!(server.error, None);
}

/// All requests of a page that is left, twice.
#[test]
fn browser_may_abort_a_page() {
    let mut server = Server::new(Policy::Wait);
    for first in [1, 201] {
        for stream in (first..first + 200).step_by(2) {
            server.receive(&get(stream));
        }
        for stream in (first..first + 200).step_by(2) {
            server.receive(&rst_stream(stream, ErrorCode::Cancel));
        }
    }
    assert_eq!(server.error, None);
    server.receive(&get(401));
    server.respond(401, "ok");
    assert!(
        server
            .trace()
            .ends_with(&["> DATA 401 'ok' end".to_owned()])
    );
}

/// It answers each DATA frame with a PING and two WINDOW_UPDATEs.
#[test]
fn grpc_client_may_measure_the_bandwidth() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&get(1));
    server.begin_open(1);
    for _ in 0..10_000 {
        server.send(1, b"a message", false);
        let ping = frame(6, 0, 0, &[0; 8]);
        server.receive(&[ping, window_update(0, 9), window_update(1, 9)].concat());
        server.trace.clear();
    }
    assert_eq!(server.error, None);
}

#[test]
fn grpc_client_may_send_small_messages() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&post(1));
    for _ in 0..100_000 {
        server.receive(&data(1, b"a message"));
        server.mux.release(id(1), 9, &mut server.out);
        server.trace.clear();
    }
    assert_eq!(server.error, None);
}

#[test]
fn score_is_forgiven_with_time() {
    let mut server = Server::new(Policy::Wait);
    for _ in 0..100 {
        server.receive(&frame(6, 0, 0, &[0; 8]).repeat(33));
        server.trace.clear();
        server.advance(Duration::from_millis(1010));
    }
    assert_eq!(server.error, None);
}

#[test]
fn score_is_forgiven_with_responses() {
    let mut server = Server::new(Policy::Respond);
    for stream in (1..20_001).step_by(2) {
        server.receive(&[get(stream), frame(2, 0, stream, &[0; 5])].concat());
        server.trace.clear();
    }
    assert_eq!(server.error, None);
}

#[test]
fn our_own_resets_cost_nothing() {
    let mut server = Server::new(Policy::Wait);
    for stream in (1..20_001).step_by(2) {
        server.receive(&post(stream));
        server
            .mux
            .reset(id(stream), ErrorCode::RefusedStream, &mut server.out);
        server.receive(&data(stream, &[0; 100]));
        server.trace.clear();
    }
    assert_eq!(server.error, None);
}
