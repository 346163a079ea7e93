//! Flow control (RFC 9113 sections 5.2 and 6.9).

use super::*;

/// The increments that the server has sent for a stream.
fn increments(server: &mut Server, stream: u32) -> Vec<u32> {
    let prefix = format!("> WINDOW_UPDATE {stream} ");
    let trace = server.trace();
    let numbers = trace.iter().filter_map(|line| line.strip_prefix(&prefix));
    let parsed = numbers.map(|text| text.parse().expect("it is a number"));
    parsed.collect()
}

#[test]
fn released_content_is_given_back_at_half_of_the_window() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&post(1));
    for _ in 0..4 {
        server.receive(&data(1, &[0; 16_384]));
    }
    server.mux.release(id(1), 32_767, &mut server.out);
    assert_eq!(increments(&mut server, 1), [0; 0]);
    server.mux.release(id(1), 1, &mut server.out);
    assert_eq!(increments(&mut server, 1), [32_768]);
    // More than was received is not given back.
    server.mux.release(id(1), usize::MAX, &mut server.out);
    assert_eq!(increments(&mut server, 1), [32_768]);
}

#[test]
fn content_over_the_window_resets_the_stream() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&post(1));
    for _ in 0..4 {
        server.receive(&data(1, &[0; 16_384]));
    }
    server.trace();
    let expected = [
        "> RST_STREAM 1 FLOW_CONTROL_ERROR",
        "reset 1 FLOW_CONTROL_ERROR by server",
    ];
    server.expect(&data(1, b"a"), &expected);
    server.expect(&data(1, b"a"), &["> GOAWAY 1 FLOW_CONTROL_ERROR"]);
}

#[test]
fn ended_request_gets_no_window() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&post(1));
    for _ in 0..3 {
        server.receive(&data(1, &[0; 16_384]));
    }
    server.receive(&last_data(1, &[0; 16_384]));
    server.mux.release(id(1), 65_536, &mut server.out);
    assert_eq!(increments(&mut server, 1), [0; 0]);
}

/// Nor for the padding of its last frame.
#[test]
fn last_frame_gets_no_window() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&post(1));
    server.receive(&data(1, &[0; 16_384]));
    server.receive(&data(1, &[0; 16_200]));
    server.mux.release(id(1), 32_584, &mut server.out);
    server.trace();
    let padded = frame(0, PADDED | END_STREAM, 1, &[255; 256]);
    server.expect(&padded, &["data 1 '' ended"]);
}

#[test]
fn window_is_raised_once_and_within_a_sum() {
    let mut server = Server::new(Policy::Wait);
    let mut raise = |stream: u32| {
        server.receive(&post(stream));
        server.mux.raise_window(id(stream), &mut server.out);
        server.mux.raise_window(id(stream), &mut server.out);
        increments(&mut server, stream)
    };
    let more = (1 << 20) - 65_536;
    for stream in [1, 3, 5, 7] {
        assert_eq!(raise(stream), [more]);
    }
    // 4 MiB for all.
    assert_eq!(raise(9), [4 * 65_536]);
    assert_eq!(raise(11), [0; 0]);
    server.receive(&rst_stream(3, ErrorCode::Cancel));
    server.trace();
    server.mux.raise_window(id(11), &mut server.out);
    assert_eq!(increments(&mut server, 11), [more]);
    for _ in 0..64 {
        server.receive(&data(1, &[0; 16_384]));
    }
    assert!(server.error.is_none());
    let expected = "> RST_STREAM 1 FLOW_CONTROL_ERROR".to_owned();
    assert!(server.after(&data(1, b"a")).contains(&expected));
}

#[test]
fn first_settings_are_not_known_to_the_client_at_once() {
    let config = MuxConfig {
        stream_window: 20_000,
        ..MuxConfig::default()
    };
    let mut server = Server::with(config, Policy::Wait);
    server.receive(&post(1));
    // More than 20,000, which the client does not know yet.
    for _ in 0..3 {
        server.receive(&data(1, &[0; 16_384]));
    }
    assert!(!server.trace().iter().any(|line| line.contains("RST")));
    server.receive(&settings_ack());
    server.expect(&post(3), &["request 3"]);
    server.receive(&data(3, &[0; 16_384]));
    server.trace();
    let expected = [
        "> RST_STREAM 3 FLOW_CONTROL_ERROR",
        "reset 3 FLOW_CONTROL_ERROR by server",
    ];
    server.expect(&data(3, &[0; 4000]), &expected);
    // The window of the first stream is below zero now. It is whole when all is released.
    server.mux.release(id(1), 49_152, &mut server.out);
    server.trace();
    server.expect(&data(1, &[0; 16_384]), &["data 1 of 16384"]);
    server.expect(&data(1, &[0; 3616]), &["data 1 of 3616"]);
}

#[test]
fn content_is_sent_as_far_as_windows_allow() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&[settings(&[(4, 5000)]), get(1)].concat());
    server.begin_open(1);
    assert_eq!(server.mux.capacity(id(1)), 5000);
    server.send(1, &[0; 5000], false);
    assert_eq!(server.mux.capacity(id(1)), 0);
    server.receive(&window_update(1, 100_000));
    // That of the connection, which was 65,535.
    assert_eq!(server.mux.capacity(id(1)), 60_535);
    server.send(1, &[0; 60_535], false);
    assert_eq!(server.mux.capacity(id(1)), 0);
    server.receive(&window_update(0, 7));
    assert_eq!(server.mux.capacity(id(1)), 7);
}

#[test]
fn large_content_is_split_into_frames() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&[settings(&[(5, 100_000)]), get(1)].concat());
    server.begin_open(1);
    server.trace();
    server.send(1, &[0; 40_000], true);
    let expected = [
        "> DATA 1 of 16384",
        "> DATA 1 of 16384",
        "> DATA 1 of 7232 end",
    ];
    assert_eq!(server.trace(), expected);
}

#[test]
fn changed_initial_window_changes_open_streams() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&get(1));
    server.begin_open(1);
    server.send(1, &[0; 60_000], false);
    server.receive(&settings(&[(4, 16_384)]));
    // 16,384 - 60,000 is negative.
    assert_eq!(server.mux.capacity(id(1)), 0);
    server.receive(&window_update(1, 43_617));
    assert_eq!(server.mux.capacity(id(1)), 1);
    server.receive(&settings(&[(4, 16_394)]));
    assert_eq!(server.mux.capacity(id(1)), 11);
}

#[test]
fn window_of_a_stream_may_not_overflow() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&[get(1), get(3)].concat());
    server.trace();
    let expected = [
        "> RST_STREAM 1 FLOW_CONTROL_ERROR",
        "reset 1 FLOW_CONTROL_ERROR by server",
    ];
    server.expect(&window_update(1, 0x7fff_ffff), &expected);
    server.receive(&window_update(3, 0x7fff_ffff - 65_535));
    let end = ["> GOAWAY 3 FLOW_CONTROL_ERROR"];
    server.expect(&settings(&[(4, 65_536)]), &end);
}

/// Clients give a window back when half of it is used, and not earlier.
#[test]
fn half_of_a_small_window_is_used() {
    for initial in [128, 1024, 2047] {
        let mut server = Server::new(Policy::Wait);
        server.receive(&[settings(&[(4, initial)]), get(1)].concat());
        server.begin_open(1);
        let half = initial as usize / 2;
        server.send(1, &vec![0; initial as usize - half + 1], false);
        server.mux.set_pending(id(1), Some(1 << 20));
        assert_eq!(server.mux.capacity(id(1)), 0, "{initial}");
        server.receive(&window_update(1, 1));
        assert_eq!(server.mux.capacity(id(1)), half, "{initial}");
    }
}

#[test]
fn little_window_is_not_used_for_much_content() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&[window_update(0, 1 << 20), get(1)].concat());
    server.begin_open(1);
    server.send(1, &[0; 64_535], false);
    server.mux.set_pending(id(1), Some(1000));
    assert_eq!(server.mux.capacity(id(1)), 1000);
    server.mux.set_pending(id(1), Some(1001));
    assert_eq!(server.mux.capacity(id(1)), 0);
    assert_eq!(server.mux.blocked().collect::<Vec<_>>(), [id(1)]);
    assert_eq!(server.mux.next_to_send(), None);
    server.mux.set_pending(id(1), Some(1 << 20));
    server.receive(&window_update(1, 23));
    assert_eq!(server.mux.capacity(id(1)), 0);
    server.receive(&window_update(1, 1));
    assert_eq!(server.mux.capacity(id(1)), 1024);
    assert_eq!(server.mux.next_to_send(), Some(id(1)));
    assert_eq!(server.mux.blocked().count(), 0);
}

#[test]
fn an_end_needs_no_window() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&[settings(&[(4, 0)]), get(1)].concat());
    server.begin_open(1);
    server.mux.set_pending(id(1), Some(0));
    assert_eq!(server.mux.next_to_send(), Some(id(1)));
    server.trace();
    server.send(1, b"", true);
    assert_eq!(server.trace(), ["> DATA 1 '' end"]);
    assert_eq!(server.mux.next_to_send(), None);
}
