//! Responses and the windows of their clients.

use super::*;

#[test]
fn a_large_response_waits_for_windows_without_a_worker() {
    let now = Instant::now();
    let mut rig = Rig::new(now, large);
    rig.send_request(1, "GET", true);
    let result = rig.run(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::Streams);
    let length = |frames: Vec<Seen>| -> usize {
        let data = frames.into_iter().map(|frame| match frame {
            Seen::Data(_, content, _) => content.len(),
            _ => 0,
        });
        data.sum()
    };
    assert_eq!(length(rig.frames()), 65_535);
    let mut updates = Vec::new();
    let more = std::num::NonZeroU32::new(50_000).expect("the number is not 0");
    for of in [None, Some(stream(1))] {
        crate::http2::write_window_update(of, more, &mut updates);
    }
    rig.send(&updates);
    let result = rig.run(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    assert_eq!(length(rig.frames()), 100_000 - 65_535);
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
    let mut rig = Rig::new(now, |_: Request| {
        crate::message::Body::from_reader(&b"from a reader"[..])
    });
    rig.send_request(1, "GET", true);
    rig.run(WakeReason::Ready, now);
    let expected = [
        Seen::Headers(1, false),
        Seen::Data(1, b"from a reader".to_vec(), false),
        Seen::Data(1, Vec::new(), true),
    ];
    assert_eq!(rig.frames(), expected);
}
