//! Handlers and their calls.

use super::*;

#[test]
fn a_request_gets_its_response() {
    let now = later();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.send_request(1, "GET", true);
    let result = rig.run(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    assert_eq!(rig.frames(), response(1, b"yes"));
}

#[test]
fn another_thread_drives_while_a_handler_runs() {
    let now = later();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.send_request(1, "GET", true);
    let DriveResult::Lend(lending) = rig.drive(WakeReason::Ready, now) else {
        panic!("a handler is called while the connection is lent");
    };
    assert!(lending.is_ready, "the SETTINGS are not sent");
    let call = rig.take_call();
    let mut other = WorkerBuffers::new(1);
    let mut ping = Vec::new();
    write_ping(*b"anything", &mut ping);
    rig.send(&ping);
    rig.send_request(3, "GET", true);
    let result = (rig.connection).drive(
        WakeReason::Ready,
        Admission::Handle,
        now,
        &mut other,
        &rig.service,
    );
    assert!(matches!(result, DriveResult::Lend(_)), "{result:?}");
    let second = other.take_call().expect("the second request is called");
    let reply = second.run(&mut other, &rig.service);
    let result = (rig.connection).resume(reply, &mut other, &rig.service);
    assert_eq!(parked(result).wait_for, WaitFor::Streams);
    let [headers, data] = response(3, b"yes");
    assert_eq!(rig.frames(), [Seen::PingAck, headers, data]);

    let reply = call.run(&mut rig.buffers, &rig.service);
    rig.connection.deliver(reply);
    let result = rig.drive(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    assert_eq!(rig.frames(), response(1, b"yes"));
}

#[test]
fn handlers_of_reset_streams_count_until_they_return() {
    let now = later();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.service.config.handlers_per_connection = Some(1);
    rig.send_request(1, "GET", true);
    assert!(matches!(
        rig.drive(WakeReason::Ready, now),
        DriveResult::Lend(_)
    ));
    let call = rig.take_call();
    let mut reset = Vec::new();
    write_rst_stream(stream(1), ErrorCode::Cancel, &mut reset);
    rig.send(&reset);
    rig.send_request(3, "GET", true);
    let mut other = WorkerBuffers::new(1);
    let (wake, admission) = (WakeReason::Ready, Admission::Handle);
    let result = (rig.connection).drive(wake, admission, now, &mut other, &rig.service);
    assert_eq!(parked(result).wait_for, WaitFor::Streams, "no second call");
    let reply = call.run(&mut rig.buffers, &rig.service);
    rig.connection.deliver(reply);
    let result = rig.run(wake, now);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    assert_eq!(rig.frames(), response(3, b"yes"));
}

/// Switches protocols, and reads the body while it arrives.
struct StreamingUpgrade;

impl Handler for StreamingUpgrade {
    fn handle(&self, _: &mut Request) -> Response {
        crate::message::Upgrade::new("other", |_| {}).into_response()
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        BodyMode::STREAMING
    }
}

#[test]
fn an_upgrade_with_a_streamed_body_needs_http1() {
    let now = later();
    let mut rig = Rig::new(now, StreamingUpgrade);
    rig.send_request(1, "POST", false);
    let result = rig.run(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    assert_eq!(rig.frames(), [Seen::Reset(1, ErrorCode::Http11Required)]);
}

/// Counts how often it is asked for the mode of a body.
struct Asked(Arc<AtomicUsize>, BodyMode);

impl Handler for Asked {
    fn handle(&self, request: &mut Request) -> Response {
        Echo(self.1).handle(request)
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1
    }
}

#[test]
fn only_workers_ask_handlers_for_the_mode_of_a_body() {
    let now = later();
    for mode in [BodyMode::Buffered, BodyMode::HeadOnly, BodyMode::STREAMING] {
        let asked = Arc::new(AtomicUsize::new(0));
        let mut rig = Rig::new(now, Asked(Arc::clone(&asked), mode));
        rig.send_request(1, "POST", false);
        // A handler that reads the body here would wait for the end of it.
        let is_ended = mode == BodyMode::STREAMING;
        rig.send_data(1, b"hello", is_ended);
        let result = rig.drive_with(WakeReason::Ready, Admission::Protocol, now);
        assert!(matches!(result, DriveResult::Requeue), "{result:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 0, "{mode:?}");
        if !is_ended {
            rig.send_data(1, b"", true);
        }
        rig.run(WakeReason::Ready, now);
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{mode:?}");
        assert_eq!(rig.frames(), response(1, b"hello"), "{mode:?}");
    }
}

#[test]
fn a_body_that_arrived_before_the_question_has_the_limit_of_its_mode() {
    let now = later();
    for (most, is_ended) in [(5, true), (5, false), (4, true), (4, false)] {
        let mut rig = Rig::new(now, Echo(BodyMode::BufferedUpTo { most }));
        rig.send_request(1, "POST", false);
        rig.send_data(1, b"hello", is_ended);
        let result = rig.drive_with(WakeReason::Ready, Admission::Protocol, now);
        assert!(matches!(result, DriveResult::Requeue), "{result:?}");
        rig.run(WakeReason::Ready, now);
        if most == 5 && !is_ended {
            rig.send_data(1, b"", true);
            rig.run(WakeReason::Ready, now);
        }
        let frames = rig.frames();
        let echoed = response(1, b"hello");
        assert_eq!(frames == echoed, most == 5, "{most} {is_ended} {frames:?}");
        assert!(matches!(frames[0], Seen::Headers(1, _)), "{frames:?}");
    }
}

#[test]
fn a_request_that_was_reset_waits_for_no_worker() {
    let now = later();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.send_request(1, "GET", true);
    let mut reset = Vec::new();
    write_rst_stream(stream(1), ErrorCode::Cancel, &mut reset);
    rig.send(&reset);
    let result = rig.drive_with(WakeReason::Ready, Admission::Protocol, now);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
}

#[test]
fn a_request_that_waits_too_long_for_a_handler_is_shed() {
    let now = later();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.service.config.handlers_per_connection = Some(1);
    rig.send_request(1, "GET", true);
    rig.send_request(3, "GET", true);
    assert!(matches!(
        rig.drive(WakeReason::Ready, now),
        DriveResult::Lend(_)
    ));
    let call = rig.take_call();
    parked(rig.drive_elsewhere(now));
    let late = now + rig.service.config.queue_timeout;
    let reply = call.run(&mut rig.buffers, &rig.service);
    rig.connection.deliver(reply);
    rig.run(WakeReason::Ready, late);
    let shed = rig.buffers.take_shed().expect("a request is shed");
    assert_eq!(
        shed.collect::<Vec<_>>(),
        [(Overload::Late, 1), (Overload::Full, 0)]
    );
}
