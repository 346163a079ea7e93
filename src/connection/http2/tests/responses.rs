//! Responses and the windows of their clients.

use super::*;

#[test]
fn a_large_response_waits_for_windows_without_a_worker() {
    let now = Instant::now();
    let mut rig = Rig::new(now, large);
    rig.send_request(1, "GET", true);
    let result = rig.run(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::Streams);
    assert_eq!(content_length(&rig.frames()), 65_535);
    rig.send_windows(&[0, 1], 50_000);
    let result = rig.run(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    assert_eq!(content_length(&rig.frames()), 100_000 - 65_535);
}

#[test]
fn a_response_without_windows_is_reset_in_time() {
    let now = Instant::now();
    let mut rig = Rig::new(now, large);
    rig.send_request(1, "GET", true);
    let pending = parked(rig.run(WakeReason::Ready, now));
    rig.frames();
    let result = rig.run(WakeReason::Expired, pending.deadline);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    assert_eq!(rig.frames(), [Seen::Reset(1, ErrorCode::Cancel)]);
}

#[test]
fn a_reader_is_read_while_the_connection_is_lent() {
    let now = Instant::now();
    let mut rig = Rig::new(now, |_: Request| Body::from_reader(&b"from a reader"[..]));
    rig.send_request(1, "GET", true);
    rig.run(WakeReason::Ready, now);
    assert_eq!(rig.frames(), response(1, b"from a reader"));
}

/// Returns a byte at a time.
struct Dribble(u8);

impl std::io::Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = usize::from(self.0 > 0).min(buffer.len());
        buffer[..count].fill(self.0);
        self.0 -= count as u8;
        Ok(count)
    }
}

/// A frame for each would be too much for some clients.
#[test]
fn parts_of_a_reader_that_is_fast_share_a_frame() {
    // A turn takes no time then.
    let now = Instant::now() + Duration::from_secs(3600);
    let mut rig = Rig::new(now, |_: Request| Body::from_reader(Dribble(20)));
    rig.send_request(1, "GET", true);
    rig.run(WakeReason::Ready, now);
    let content: Vec<_> = (1..=20).rev().collect();
    assert_eq!(rig.frames(), response(1, &content));
}

/// Another thread that drives the connection sends what is there.
#[test]
fn a_part_does_not_wait_for_a_reader_that_blocks() {
    let now = Instant::now() + Duration::from_secs(3600);
    let mut rig = Rig::new(now, |_: Request| Body::from_reader(Dribble(2)));
    rig.send_request(1, "GET", true);
    rig.drive(WakeReason::Ready, now);
    let handler = rig.take_call();
    rig.finish(handler);
    let first = rig.take_call();
    rig.finish(first);
    let second = rig.take_call();
    parked(rig.drive_elsewhere(now));
    let begun = [Seen::Headers(1, false), Seen::Data(1, vec![2], false)];
    assert_eq!(rig.frames(), begun);
    let reply = second.run(&mut rig.buffers, &rig.service);
    rig.connection.deliver(reply);
    rig.run(WakeReason::Ready, now);
    assert_eq!(rig.frames(), [Seen::Data(1, vec![1], true)]);
}

/// The window of the connection opens as fast as the client reads, and one response takes it all.
#[test]
fn a_response_that_waits_for_its_turn_is_not_reset() {
    let now = Instant::now();
    let mut rig = Rig::new(now, |_: Request| vec![b'x'; 1 << 20]);
    let first = &[("priority", "u=1")];
    rig.send_head(1, "GET", first, true);
    rig.send_head(3, "GET", &[("priority", "u=2")], true);
    rig.send_windows(&[1, 3], 1 << 20);
    rig.run(WakeReason::Ready, now);
    rig.frames();
    let step = rig.service.config.write_timeout - Duration::from_secs(1);
    for round in 1..4 {
        rig.send_windows(&[0], 65_535);
        let later = now + round * step;
        let pending = parked(rig.run(WakeReason::Ready, later));
        assert!(pending.deadline > later);
        let frames = rig.frames();
        assert_eq!(content_length(&frames), 65_535);
        assert!(
            frames
                .iter()
                .all(|frame| matches!(frame, Seen::Data(1, ..)))
        );
    }
}

#[test]
fn responses_without_a_window_of_the_connection_are_reset() {
    let now = Instant::now();
    let mut rig = Rig::new(now, large);
    rig.send_request(1, "GET", true);
    rig.send_request(3, "GET", true);
    rig.send_windows(&[1, 3], 1 << 20);
    let pending = parked(rig.run(WakeReason::Ready, now));
    rig.frames();
    let result = rig.run(WakeReason::Expired, pending.deadline);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    let resets = [1, 3].map(|number| Seen::Reset(number, ErrorCode::Cancel));
    assert_eq!(rig.frames(), resets);
}

#[test]
fn responses_beyond_the_budget_end_the_connection_at_once() {
    let now = Instant::now();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let mut rig = Rig::new(now, move |_: Request| {
        count.fetch_add(1, Ordering::SeqCst);
        vec![b'x'; 200_000]
    });
    rig.set_budget(500_000);
    for number in [1, 3, 5, 7, 9] {
        rig.send_request(number, "GET", true);
    }
    let result = rig.run(WakeReason::Ready, now);
    let expected = CloseReason::BufferLimit;
    assert!(matches!(result, DriveResult::Close(reason) if reason == expected));
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

/// A reader that panics when it is dropped.
struct PanicsOnDrop;

impl std::io::Read for PanicsOnDrop {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        buffer.fill(b'x');
        Ok(buffer.len())
    }
}

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("a handler's reader may do anything");
    }
}

#[test]
fn readers_that_panic_together_do_no_harm() {
    let now = Instant::now();
    let mut rig = Rig::new(now, |_: Request| Body::from_reader(PanicsOnDrop));
    for number in [1, 3] {
        rig.send_request(number, "GET", true);
    }
    parked(rig.run(WakeReason::Ready, now));
    // DATA on stream 0 is an error of the connection.
    rig.send(b"\0\0\x01\0\0\0\0\0\0x");
    let result = rig.run(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::PeerClose);

    let mut rig = Rig::new(now, |_: Request| Body::from_reader(PanicsOnDrop));
    for number in [1, 3] {
        rig.send_request(number, "GET", true);
    }
    parked(rig.run(WakeReason::Ready, now));
    drop(rig);
}

/// Sends requests whose responses wait for the window of the connection, and then opens it.
fn check_owed(handler: impl Fn() -> Response + Send + Sync + 'static, expected: usize) {
    let now = Instant::now();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let mut rig = Rig::new(now, move |_: Request| {
        count.fetch_add(1, Ordering::SeqCst);
        handler()
    });
    rig.set_budget(16_000_000);
    rig.service.config.queue_timeout = Duration::from_secs(1);
    let numbers = (0..20).map(|index| 2 * index + 1);
    for number in numbers.clone() {
        rig.send_request(number, "GET", true);
    }
    parked(rig.run(WakeReason::Ready, now));
    assert_eq!(calls.load(Ordering::SeqCst), expected);
    let late = now + 2 * rig.service.config.queue_timeout;
    parked(rig.run(WakeReason::Ready, late));
    assert_eq!(calls.load(Ordering::SeqCst), expected);
    let mut frames = rig.frames();
    let streams: Vec<_> = numbers.collect();
    rig.send_windows(&streams, 100_000);
    rig.send_windows(&[0], 3_000_000);
    loop {
        let result = rig.run(WakeReason::Ready, late);
        frames.extend(rig.frames());
        if parked(result).wait_for == WaitFor::NextStream {
            break;
        }
    }
    assert_eq!(calls.load(Ordering::SeqCst), 20);
    assert_eq!(content_length(&frames), 20 * 100_000);
}

#[test]
fn requests_wait_while_their_client_takes_no_responses() {
    // One sixteenth of a million bytes, plus what has left in the first window.
    check_owed(|| vec![b'x'; 100_000].into_response(), 11);
    let path = std::env::temp_dir().join(format!("httpool-owed-{}", std::process::id()));
    std::fs::write(&path, vec![b'x'; 100_000]).expect("a file can be written");
    let file = path.clone();
    let open = move || {
        let file = std::fs::File::open(&file).expect("the file exists");
        Body::from_file(file, 0..100_000).into_response()
    };
    check_owed(open, 8);
    std::fs::remove_file(&path).expect("the file exists");
}

/// A window bounds content, and there is none (RFC 9113 section 6.9).
#[test]
fn trailers_without_content_need_no_window() {
    let now = Instant::now();
    let mut rig = Rig::new(now, |request: Request| match request.method().as_str() {
        "GET" => vec![b'x'; 100_000].into_response(),
        _ => Body::empty().with_trailers(grpc_status).into_response(),
    });
    rig.send_request(1, "GET", true);
    parked(rig.run(WakeReason::Ready, now));
    assert_eq!(content_length(&rig.frames()), 65_535);
    rig.send_request(3, "DELETE", true);
    parked(rig.run(WakeReason::Ready, now));
    let expected = [Seen::Headers(3, false), Seen::Headers(3, true)];
    assert_eq!(rig.frames(), expected);
}

fn grpc_status() -> http::HeaderMap {
    let value = http::HeaderValue::from_static("5");
    http::HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), value)])
}

/// Each costs the client points, and a hundred at once are allowed (`AbuseKind::Stalls`).
#[test]
fn a_client_that_gives_no_windows_again_and_again_is_disconnected() {
    let mut now = Instant::now();
    let mut rig = Rig::new(now, large);
    rig.service.config.write_timeout = Duration::from_secs(1);
    rig.send(b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0");
    let mut resets = 0;
    for first in [1, 101, 201, 301] {
        for number in 0..50 {
            rig.send_request(first + 2 * number, "GET", true);
        }
        let pending = parked(rig.run(WakeReason::Ready, now));
        rig.frames();
        now = pending.deadline;
        rig.run(WakeReason::Expired, now);
        let frames = rig.frames();
        let is_reset = |seen: &&Seen| matches!(seen, Seen::Reset(_, ErrorCode::Cancel));
        resets += frames.iter().filter(is_reset).count();
        if let Some(Seen::Goaway(_, code)) = frames.last() {
            assert_eq!(*code, ErrorCode::EnhanceYourCalm);
            break;
        }
    }
    assert!((100..110).contains(&resets), "{resets}");
}

/// A disk may block, and then the server would accept no client.
#[test]
fn only_workers_read_files() {
    let now = Instant::now();
    let path = std::env::temp_dir().join(format!("httpool-read-{}", std::process::id()));
    std::fs::write(&path, vec![b'x'; 100_000]).expect("a file can be written");
    let file = path.clone();
    let mut rig = Rig::new(now, move |_: Request| {
        let file = std::fs::File::open(&file).expect("the file exists");
        Body::from_file(file, 0..100_000)
    });
    rig.send_request(1, "GET", true);
    parked(rig.run(WakeReason::Ready, now));
    assert_eq!(content_length(&rig.frames()), 65_535);
    rig.send_windows(&[0, 1], 100_000);
    for _ in 0..2 {
        let result = rig.drive_with(WakeReason::Ready, Admission::Protocol, now);
        assert!(matches!(result, DriveResult::Requeue), "{result:?}");
        assert_eq!(rig.frames(), []);
    }
    parked(rig.run(WakeReason::Ready, now));
    assert_eq!(content_length(&rig.frames()), 100_000 - 65_535);
    std::fs::remove_file(&path).expect("the file exists");
}

#[test]
fn a_used_up_budget_closes_no_connection_without_bodies() {
    let now = Instant::now();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.set_budget(0);
    for number in [1, 3] {
        rig.send_request(number, "GET", true);
        let result = rig.run(WakeReason::Ready, now);
        assert_eq!(parked(result).wait_for, WaitFor::NextStream);
        assert_eq!(rig.frames(), response(number, b"yes"));
    }
    rig.send_request(5, "POST", false);
    rig.send_data(5, &[b'x'; 4000], false);
    rig.run(WakeReason::Ready, now);
    assert_eq!(rig.frames()[0], Seen::Headers(5, false), "a 413 or 503");
}
