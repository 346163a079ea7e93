//! Whose turn it is (RFC 9218).

use super::*;

/// A request with this priority.
fn with_priority(stream: u32, priority: &str) -> Vec<u8> {
    let mut block = [GET, b"\x00\x08priority"].concat();
    block.push(priority.len() as u8);
    block.extend_from_slice(priority.as_bytes());
    frame(1, END_HEADERS | END_STREAM, stream, &block)
}

fn priority_update(stream: u32, priority: &str) -> Vec<u8> {
    let payload = [&stream.to_be_bytes()[..], priority.as_bytes()].concat();
    frame(16, 0, 0, &payload)
}

/// A server with responses pending on all these streams, and windows for all.
fn server(frames: &[Vec<u8>]) -> Server {
    let mut server = Server::new(Policy::Wait);
    server.receive(&[settings(&[(4, 1 << 20)]), window_update(0, 1 << 20)].concat());
    server.receive(&frames.concat());
    let streams: Vec<_> = server.mux.streams().map(|(id, _)| id.get()).collect();
    for stream in streams {
        server.begin_open(stream);
        server.mux.set_pending(id(stream), Some(1 << 20));
    }
    server
}

/// The streams of the next turns, each of which sends a frame.
fn turns(server: &mut Server, count: usize) -> Vec<u32> {
    let mut turns = Vec::new();
    for _ in 0..count {
        let Some(next) = server.mux.next_to_send() else {
            break;
        };
        server.send(next.get(), &[0; 1024], false);
        turns.push(next.get());
    }
    turns
}

#[test]
fn client_without_priorities_gets_all_in_turns() {
    let mut server = server(&[get(1), get(3), get(5)]);
    assert_eq!(turns(&mut server, 7), [1, 3, 5, 1, 3, 5, 1]);
}

#[test]
fn urgent_responses_come_first() {
    let mut server = server(&[
        with_priority(1, "u=5"),
        with_priority(3, "u=1"),
        with_priority(5, "u=3"),
    ]);
    assert_eq!(turns(&mut server, 2), [3, 3]);
    server.send(3, b"", true);
    assert_eq!(turns(&mut server, 2), [5, 5]);
    server.mux.set_pending(id(5), None);
    assert_eq!(turns(&mut server, 2), [1, 1]);
}

#[test]
fn equal_responses_come_one_after_another() {
    let mut server = server(&[get(1), with_priority(3, "u=3"), get(5)]);
    assert_eq!(turns(&mut server, 2), [1, 1]);
    server.send(1, b"", true);
    assert_eq!(turns(&mut server, 2), [3, 3]);
}

#[test]
fn incremental_responses_take_turns() {
    let mut server = server(&[
        with_priority(1, "i"),
        with_priority(3, "i"),
        with_priority(5, "i"),
    ]);
    assert_eq!(turns(&mut server, 4), [1, 3, 5, 1]);
}

#[test]
fn incremental_responses_are_not_starved() {
    let mut server = server(&[get(1), get(3), with_priority(5, "i")]);
    assert_eq!(turns(&mut server, 5), [1, 5, 1, 5, 1]);
}

#[test]
fn update_changes_the_order() {
    let mut server = server(&[get(1), get(3)]);
    assert_eq!(turns(&mut server, 1), [1]);
    server.receive(&priority_update(3, "u=0"));
    assert_eq!(turns(&mut server, 2), [3, 3]);
    server.receive(&priority_update(3, "u=7"));
    assert_eq!(turns(&mut server, 2), [1, 1]);
}

#[test]
fn update_before_the_request_overrides_its_header() {
    let mut server = server(&[
        priority_update(3, "u=0"),
        with_priority(1, "u=2"),
        with_priority(3, "u=5"),
    ]);
    assert_eq!(turns(&mut server, 2), [3, 3]);
}

#[test]
fn updates_before_requests_are_bounded() {
    let mut server = Server::new(Policy::Wait);
    let before = server.mux.held();
    for stream in (1..900).step_by(2).rev() {
        server.receive(&priority_update(stream, "u=0"));
    }
    assert!(server.error.is_none());
    assert!(server.mux.held() - before < 1024);
}

#[test]
fn blocked_streams_are_passed_over() {
    let mut server = server(&[with_priority(1, "u=0"), get(3)]);
    server.receive(&settings(&[(4, 3000)]));
    assert_eq!(turns(&mut server, 5), [1, 1, 3, 3]);
    assert_eq!(server.mux.blocked().collect::<Vec<_>>(), [id(1), id(3)]);
    server.receive(&window_update(1, 2000));
    assert_eq!(turns(&mut server, 5), [1, 1]);
}
