//! The end of a connection.

use super::*;

#[test]
fn an_idle_connection_ends_with_goaway() {
    let now = later();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.send_request(1, "GET", true);
    let pending = parked(rig.run(WakeReason::Ready, now));
    assert_eq!(pending.deadline, now + rig.service.config.idle_timeout);
    rig.frames();
    let now = pending.deadline;
    rig.run(WakeReason::Expired, now);
    let last = StreamId::MAX.get();
    assert_eq!(
        rig.frames(),
        [Seen::Goaway(Some(last), ErrorCode::NoError), Seen::Ping]
    );
    // The client does not acknowledge it.
    let result = rig.run(WakeReason::Expired, now + Duration::from_secs(1));
    assert!(matches!(result, DriveResult::Close(CloseReason::Idle)));
    assert_eq!(rig.frames(), [Seen::Goaway(Some(1), ErrorCode::NoError)]);
}

/// RFC 9113 section 6.5.3. Requests are handled until then.
#[test]
fn unacknowledged_settings_end_the_connection() {
    let began = Instant::now();
    let mut rig = Rig::without_preface(began, |_: Request| "yes");
    rig.send(&opening()[..PREFACE.len() + 9]);
    rig.send_request(1, "GET", true);
    let pending = parked(rig.run(WakeReason::Ready, began));
    assert_eq!(rig.frames(), response(1, b"yes"));
    let timeout = rig.service.config.head_timeout.max(Duration::from_secs(10));
    assert_eq!(pending.deadline, began + timeout);
    rig.run(WakeReason::Expired, pending.deadline);
    assert_eq!(
        rig.frames(),
        [Seen::Goaway(Some(1), ErrorCode::SettingsTimeout)]
    );
}

#[test]
fn a_request_that_crosses_the_idle_timeout_is_handled() {
    let now = later();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.send_request(1, "GET", true);
    let now = parked(rig.run(WakeReason::Ready, now)).deadline;
    rig.run(WakeReason::Expired, now);
    rig.frames();
    rig.send_request(3, "POST", true);
    rig.run(WakeReason::Ready, now);
    assert_eq!(rig.frames(), response(3, b"yes"));
    let result = rig.run(WakeReason::Expired, now + Duration::from_secs(1));
    assert_eq!(rig.frames(), [Seen::Goaway(Some(3), ErrorCode::NoError)]);
    let result = rig.run(WakeReason::Expired, parked(result).deadline);
    assert!(matches!(result, DriveResult::Close(CloseReason::Answered)));
}

#[test]
fn a_drain_ends_the_connection_in_two_steps() {
    let now = later();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.send_request(1, "GET", true);
    rig.run(WakeReason::Ready, now);
    rig.frames();
    rig.service.phase.advance(Phase::Draining);
    let result = rig.run(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::Streams);
    let last = StreamId::MAX.get();
    assert_eq!(
        rig.frames(),
        [Seen::Goaway(Some(last), ErrorCode::NoError), Seen::Ping]
    );
    // A request that was on its way is handled.
    rig.send_request(3, "GET", true);
    rig.run(WakeReason::Ready, now);
    assert_eq!(rig.frames(), response(3, b"yes"));
    let result = rig.run(WakeReason::Expired, now + Duration::from_secs(1));
    assert_eq!(parked(result).wait_for, WaitFor::PeerClose);
    assert_eq!(rig.frames(), [Seen::Goaway(Some(3), ErrorCode::NoError)]);
}

/// Its client may be about to send a request, which a GOAWAY would forbid.
#[test]
fn a_drain_lets_a_new_connection_send_a_request() {
    let now = later();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.service.phase.advance(Phase::Announcing);
    rig.run(WakeReason::Ready, now);
    assert!(!rig.frames().contains(&Seen::Ping));
    rig.send_request(1, "GET", true);
    rig.run(WakeReason::Ready, now);
    let frames = rig.frames();
    assert!(frames.contains(&Seen::Ping), "{frames:?}");
    let complete = response(1, b"yes");
    assert!(
        complete.iter().all(|frame| frames.contains(frame)),
        "{frames:?}"
    );
}

#[test]
fn a_drain_closes_an_unused_connection_at_its_end() {
    let now = later();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.run(WakeReason::Ready, now);
    rig.service.phase.advance(Phase::Draining);
    let late = now + rig.service.config.drain_idle + Duration::from_secs(1);
    rig.run(WakeReason::Recalled, late);
    assert!(rig.frames().contains(&Seen::Ping));
}
