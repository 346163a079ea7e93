//! Bodies of requests.

use super::*;

#[test]
fn whole_bodies_are_received_before_the_handler_runs() {
    let now = Instant::now();
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
    let now = Instant::now();
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
        let handler = scope.spawn(|| call.run(buffers, service, &|| Arc::new(NoWaker)));
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
    let now = Instant::now();
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
    let now = Instant::now();
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
