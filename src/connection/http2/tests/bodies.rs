//! Bodies of requests.

use super::*;

#[test]
fn whole_bodies_are_received_before_the_handler_runs() {
    let now = later();
    for mode in [BodyMode::Buffered, BodyMode::HeadOnly] {
        let mut rig = Rig::new(now, Echo(mode));
        rig.send_request(1, "POST", false);
        let result = rig.run(WakeReason::Ready, now);
        assert_eq!(parked(result).wait_for, WaitFor::Streams, "{mode:?}");
        rig.send_data(1, b"hel", false);
        rig.run(WakeReason::Ready, now);
        rig.send_data(1, b"lo", true);
        rig.run(WakeReason::Ready, now);
        assert_eq!(rig.frames(), response(1, b"hello"), "{mode:?}");
    }
}

#[test]
fn a_streamed_body_is_read_while_it_arrives() {
    let now = later();
    let mut rig = Rig::new(now, Echo(BodyMode::STREAMING));
    rig.send_request(1, "POST", false);
    rig.send_data(1, b"hel", false);
    assert!(matches!(
        rig.drive(WakeReason::Ready, now),
        DriveResult::Lend(_)
    ));
    let call = rig.take_call();
    let Rig {
        buffers,
        service,
        connection,
        client,
        ..
    } = &mut rig;
    let reply = std::thread::scope(|scope| {
        let handler = scope.spawn(|| call.run(buffers, service));
        let mut other = WorkerBuffers::new(1);
        let mut end = Vec::new();
        write_data_head(stream(1), 2, true, &mut end);
        end.extend_from_slice(b"lo");
        (&*client).write_all(&end).expect("the socket has room");
        let (wake, admission) = (WakeReason::Ready, Admission::Protocol);
        let result = connection.drive(wake, admission, now, &mut other, service);
        assert_eq!(parked(result).wait_for, WaitFor::Streams);
        handler.join().expect("the handler returns")
    });
    rig.connection.deliver(reply);
    rig.run(WakeReason::Ready, now);
    assert_eq!(rig.frames(), response(1, b"hello"));
}

#[test]
fn a_body_that_is_late_gets_a_408_on_its_stream() {
    let now = later();
    let mut rig = Rig::new(now, Echo(BodyMode::Buffered));
    rig.send_request(1, "POST", false);
    let pending = parked(rig.run(WakeReason::Ready, now));
    let result = rig.run(WakeReason::Expired, pending.deadline);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    let frames = rig.frames();
    assert_eq!(frames[0], Seen::Headers(1, false));
    assert_eq!(frames[2], Seen::Reset(1, ErrorCode::NoError));
}

#[test]
fn bodies_of_several_streams_may_arrive_in_turns() {
    let now = later();
    let mut rig = Rig::new(now, Echo(BodyMode::Buffered));
    for number in [1, 3, 5] {
        rig.send_request(number, "POST", false);
    }
    for number in [5, 1] {
        rig.send_data(number, b"al", false);
        rig.send_data(number, b"l", true);
    }
    let result = rig.run(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::Streams);
    rig.send_data(3, b"late", true);
    let result = rig.run(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    let expected = [
        response(5, b"all"),
        response(1, b"all"),
        response(3, b"late"),
    ];
    assert_eq!(
        rig.frames(),
        expected.into_iter().flatten().collect::<Vec<_>>()
    );
}

#[test]
fn the_time_of_a_slow_body_is_no_wait_for_a_handler() {
    let now = later();
    let mut rig = Rig::new(now, Echo(BodyMode::Buffered));
    rig.service.config.handlers_per_connection = Some(1);
    rig.send_request(1, "POST", false);
    rig.send_request(3, "GET", true);
    assert!(matches!(
        rig.drive(WakeReason::Ready, now),
        DriveResult::Lend(_)
    ));
    let call = rig.take_call();
    parked(rig.drive_elsewhere(now));
    let late = now + 2 * rig.service.config.queue_timeout;
    rig.send_data(1, b"slow", true);
    parked(rig.drive_elsewhere(late));
    let reply = call.run(&mut rig.buffers, &rig.service);
    rig.connection.deliver(reply);
    rig.run(WakeReason::Ready, late);
    assert!(rig.frames().ends_with(&response(1, b"slow")));
}

/// How often a handler that reads all of this content wakes its connection, which is parked.
fn wakes_while_parked(rig: &mut Rig, call: Call, number: u32, content: &[u8]) -> usize {
    let now = later();
    for part in content.chunks(16_384) {
        rig.send_data(number, part, false);
        parked(rig.drive_elsewhere(now));
    }
    parked(rig.drive_elsewhere(now));
    let waker = Arc::new(CountingWaker::default());
    let source = CountingSource(Arc::clone(&waker));
    rig.buffers.set_waker_source(Arc::new(source));
    let (buffers, service) = (&mut rig.buffers, &rig.service);
    let (client, connection) = (&mut rig.client, &mut rig.connection);
    let reply = std::thread::scope(|scope| {
        let handler = scope.spawn(move || call.run(buffers, service));
        while waker.0.load(Ordering::SeqCst) == 0 && now.elapsed() < Duration::from_secs(5) {
            std::thread::yield_now();
        }
        let mut end = Vec::new();
        write_data_head(stream(number), 0, true, &mut end);
        client.write_all(&end).expect("the socket has room");
        let mut other = WorkerBuffers::new(1);
        let (wake, admission) = (WakeReason::Ready, Admission::Protocol);
        connection.drive(wake, admission, now, &mut other, service);
        handler.join().expect("the handler returns")
    });
    rig.connection.deliver(reply);
    waker.0.load(Ordering::SeqCst)
}

/// Four large windows are all that a connection gives.
#[test]
fn a_window_that_could_not_be_raised_is_given_back() {
    let now = later();
    let mut rig = Rig::new(now, Echo(BodyMode::STREAMING));
    rig.service.config.handlers_per_connection = Some(5);
    let mut calls = Vec::new();
    for number in [1, 3, 5, 7, 9] {
        rig.send_request(number, "POST", false);
        let result = rig.drive(WakeReason::Ready, now);
        assert!(matches!(result, DriveResult::Lend(_)), "{result:?}");
        calls.push(rig.take_call());
    }
    let call = calls.pop().expect("there are five calls");
    let window = 65_536 + (4 << 20) - 4 * ((1 << 20) - 65_536);
    assert!(wakes_while_parked(&mut rig, call, 9, &vec![b'x'; window]) > 0);
}

#[test]
fn a_parked_connection_is_woken_to_send_a_100() {
    let now = later();
    let mut rig = Rig::new(now, Echo(BodyMode::STREAMING));
    rig.send_expecting(1);
    assert!(matches!(
        rig.drive(WakeReason::Ready, now),
        DriveResult::Lend(_)
    ));
    let call = rig.take_call();
    assert!(wakes_while_parked(&mut rig, call, 1, b"") > 0);
    let frames = rig.frames();
    assert_eq!(frames[0], Seen::Headers(1, false), "{frames:?}");
}
