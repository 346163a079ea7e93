//! Handlers and their calls.

use super::*;

#[test]
fn a_request_gets_its_response() {
    let now = Instant::now();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.send_request(1, "GET", true);
    let result = rig.run(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    assert_eq!(rig.frames(), response(1, b"yes"));
}

#[test]
fn another_thread_drives_while_a_handler_runs() {
    let now = Instant::now();
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
    let reply = second.run(&mut other, &rig.service, &|| Arc::new(NoWaker));
    rig.connection.deliver(reply);
    let result = rig.connection.resume(&mut other, &rig.service);
    assert_eq!(parked(result).wait_for, WaitFor::Streams);
    let [headers, data] = response(3, b"yes");
    assert_eq!(rig.frames(), [Seen::PingAck, headers, data]);

    let reply = call.run(&mut rig.buffers, &rig.service, &|| Arc::new(NoWaker));
    rig.connection.deliver(reply);
    let result = rig.drive(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    assert_eq!(rig.frames(), response(1, b"yes"));
}

#[test]
fn handlers_of_reset_streams_count_until_they_return() {
    let now = Instant::now();
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
    let reply = call.run(&mut rig.buffers, &rig.service, &|| Arc::new(NoWaker));
    rig.connection.deliver(reply);
    let result = rig.run(wake, now);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    assert_eq!(rig.frames(), response(3, b"yes"));
}
