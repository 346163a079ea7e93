//! Protocols behind an extended CONNECT.

mod fixture;

use std::sync::Mutex;

use self::fixture::*;
use super::*;
use crate::message::{DrivenProtocol, DrivenStream, DrivenWaker, Later, NextStep, Upgrade};

#[test]
fn content_goes_both_ways_until_both_sides_end() {
    let mut fixture = Fixture::new(|| echo);
    fixture.rig.send_connect(1, false);
    // It is not clear yet that the server accepts.
    fixture.rig.send_data(1, b"early", false);
    let pending = parked(fixture.run());
    assert_eq!(pending.wait_for, WaitFor::Streams);
    let accepted = Seen::Headers(1, false);
    assert_eq!(fixture.rig.frames(), [accepted, data(1, b"early", false)]);
    assert_eq!(fixture.rig.connection.unfinished(), 1);

    fixture.rig.send_data(1, b"several ", false);
    fixture.rig.send_data(1, b"frames at once", false);
    fixture.run();
    let all = data(1, b"several frames at once", false);
    assert_eq!(fixture.rig.frames(), [all]);

    fixture.rig.send_data(1, b"bye", true);
    assert_eq!(parked(fixture.run()).wait_for, WaitFor::NextStream);
    assert_eq!(fixture.rig.frames(), [data(1, b"bye", true)]);
    assert_eq!(
        (fixture.drops(), fixture.rig.connection.unfinished()),
        (1, 0)
    );
}

#[test]
fn client_may_end_its_side_with_the_head() {
    let mut fixture = Fixture::new(|| echo);
    fixture.rig.send_connect(1, true);
    assert_eq!(parked(fixture.run()).wait_for, WaitFor::NextStream);
    let ended = [Seen::Headers(1, false), data(1, b"", true)];
    assert_eq!(fixture.rig.frames(), ended);
}

#[test]
fn close_of_the_protocol_discards_the_rest() {
    let mut fixture = Fixture::new(|| {
        |stream: &mut DrivenStream<'_>| {
            stream.write_all(b"bye").expect("there is room");
            NextStep::Close
        }
    });
    fixture.rig.send_connect(1, false);
    let pending = parked(fixture.run());
    let ended = [Seen::Headers(1, false), data(1, b"bye", true)];
    assert_eq!(fixture.rig.frames(), ended);
    assert_eq!(
        (fixture.drops(), fixture.rig.connection.unfinished()),
        (1, 0)
    );
    fixture.rig.send_data(1, &[b'x'; 1000], false);
    parked(fixture.run());
    assert_eq!(fixture.rig.frames(), []);
    fixture.run_after(pending.deadline - fixture.now);
    assert_eq!(fixture.rig.frames(), [Seen::Reset(1, ErrorCode::NoError)]);
}

#[test]
fn windows_bound_what_a_protocol_writes() {
    let mut fixture = Fixture::new(|| flood);
    fixture.rig.send_connect(1, false);
    let pending = parked(fixture.run());
    let timeout = fixture.rig.service.config.write_timeout;
    assert!(pending.deadline <= fixture.now + timeout);
    assert_eq!(content_length(&fixture.rig.frames()), 65_535);
    assert!(
        fixture.rig.connection.protocol.held() < 16 * 1024,
        "nothing waits"
    );

    // The client's messages are no progress.
    fixture.rig.send_data(1, b"x", false);
    assert_eq!(parked(fixture.run()).deadline, pending.deadline);
    // A window that is not worth a frame is none, either.
    fixture.rig.send_windows(&[0, 1], 10);
    fixture.run();
    assert_eq!(fixture.rig.frames(), []);
    fixture.rig.send_windows(&[0, 1], 5000);
    fixture.run();
    assert_eq!(content_length(&fixture.rig.frames()), 5010);

    assert_eq!(fixture.drops(), 0);
    fixture.run_after(2 * timeout);
    assert_eq!(fixture.rig.frames(), [Seen::Reset(1, ErrorCode::Cancel)]);
    assert_eq!(fixture.drops(), 1);
}

#[test]
fn output_is_sent_whatever_the_protocol_does_then() {
    let mut fixture = Fixture::with_maker(|_| {
        let mut calls = 0;
        Box::new(move |stream| {
            calls += 1;
            match calls {
                1 => flood(stream),
                _ => NextStep::Close,
            }
        })
    });
    fixture.rig.send_connect(1, false);
    fixture.run();
    assert_eq!(content_length(&fixture.rig.frames()), 65_535);
    fixture.rig.send_data(1, b"x", false);
    fixture.run();
    assert_eq!(fixture.rig.frames(), [data(1, b"", true)]);
}

#[test]
fn unread_content_is_kept_and_counts() {
    let calls = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&calls);
    let mut fixture = Fixture::new(move || {
        let counted = Arc::clone(&counted);
        move |stream: &mut DrivenStream<'_>| {
            let call = counted.fetch_add(1, Ordering::SeqCst);
            let mut buffer = vec![0; call * 1000];
            match stream.read_exact(&mut buffer) {
                Ok(()) => stream.write_all(&buffer).expect("there is room"),
                Err(_) => panic!("it has arrived"),
            }
            NextStep::Wait
        }
    });
    parked(fixture.open(1));
    let before = fixture.rig.connection.protocol.held();
    let content: Vec<_> = (0..6000_u32).map(|number| number as u8).collect();
    fixture.rig.send_data(1, &content[..5000], false);
    fixture.run();
    assert_eq!(fixture.rig.frames(), [data(1, &content[..1000], false)]);
    assert!(fixture.rig.connection.protocol.held() >= before + 4000);
    fixture.rig.send_data(1, &content[5000..], false);
    fixture.run();
    assert_eq!(fixture.rig.frames(), [data(1, &content[1000..3000], false)]);
    fixture.rig.send_data(1, b"", true);
    fixture.run();
    assert_eq!(fixture.rig.frames(), [data(1, &content[3000..], false)]);
}

#[test]
fn reset_of_the_client_drops_the_protocol_only() {
    let mut fixture = Fixture::new(|| echo);
    fixture.open(1);
    fixture.open(3);
    let mut reset = Vec::new();
    write_rst_stream(stream(1), ErrorCode::Cancel, &mut reset);
    fixture.rig.send(&reset);
    fixture.rig.send_data(3, b"still here", false);
    fixture.run();
    assert_eq!(fixture.rig.frames(), [data(3, b"still here", false)]);
    assert_eq!(fixture.drops(), 1);
    drop(fixture.rig);
    assert_eq!(fixture.drops.load(Ordering::SeqCst), 2);
}

#[test]
fn other_streams_go_on_while_a_protocol_runs() {
    let mut fixture = Fixture::new(|| echo);
    parked(fixture.open(1));
    fixture.rig.send_data(1, b"first", false);
    let result = fixture.rig.drive(WakeReason::Ready, fixture.now);
    assert!(matches!(result, DriveResult::Lend(_)), "{result:?}");
    let call = fixture.rig.take_call();

    // Another worker drives the connection meanwhile.
    fixture.rig.send_data(1, b"second", false);
    fixture.rig.send_request(3, "GET", true);
    let mut other = WorkerBuffers::new(1);
    let Rig {
        connection,
        service,
        ..
    } = &mut fixture.rig;
    let (wake, admission) = (WakeReason::Ready, Admission::Handle);
    let result = connection.drive(wake, admission, fixture.now, &mut other, service);
    assert!(matches!(result, DriveResult::Lend(_)), "{result:?}");
    let page = other.take_call().expect("the other request is handled");
    let reply = page.run(&mut other, service);
    parked(connection.resume(reply, &mut other, service));
    assert_eq!(fixture.rig.frames(), response(3, b"page"));

    let reply = call.run(&mut fixture.rig.buffers, &fixture.rig.service);
    fixture.rig.connection.deliver(reply);
    fixture.run();
    let (first, second) = (data(1, b"first", false), data(1, b"second", false));
    assert_eq!(fixture.rig.frames(), [first, second]);
}

#[test]
fn a_reset_while_a_protocol_runs_drops_it_afterwards() {
    let mut fixture = Fixture::new(|| echo);
    parked(fixture.open(1));
    fixture.rig.send_data(1, b"first", false);
    fixture.rig.drive(WakeReason::Ready, fixture.now);
    let call = fixture.rig.take_call();
    let mut reset = Vec::new();
    write_rst_stream(stream(1), ErrorCode::Cancel, &mut reset);
    fixture.rig.send(&reset);
    parked(fixture.rig.drive_elsewhere(fixture.now));
    assert_eq!(fixture.drops(), 0);
    let result = fixture.rig.finish(call);
    assert_eq!(parked(fixture.go_on(result)).wait_for, WaitFor::NextStream);
    assert_eq!((fixture.drops(), fixture.rig.frames()), (1, Vec::new()));
}

#[test]
fn calls_are_limited_as_reads_are() {
    let mut fixture = Fixture::new(|| echo);
    // Four workers: two handlers, one read.
    fixture.open(1);
    fixture.open(3);
    for number in [1, 3] {
        fixture.rig.send_data(number, b"x", false);
    }
    let result = fixture.rig.drive(WakeReason::Ready, fixture.now);
    assert!(matches!(result, DriveResult::Lend(_)), "{result:?}");
    let call = fixture.rig.take_call();
    parked(fixture.rig.drive_elsewhere(fixture.now));
    let result = fixture.rig.finish(call);
    parked(fixture.go_on(result));
    let both = [data(1, b"x", false), data(3, b"x", false)];
    assert_eq!(fixture.rig.frames(), both);
}

#[test]
fn only_workers_call_a_protocol() {
    let mut fixture = Fixture::new(|| echo);
    parked(fixture.open(1));
    fixture.rig.send_data(1, b"x", false);
    for admission in [Admission::Protocol, Admission::Shed(Overload::Late)] {
        let result = (fixture.rig).drive_with(WakeReason::Ready, admission, fixture.now);
        assert!(matches!(result, DriveResult::Requeue), "{result:?}");
    }
    parked(fixture.run());
    assert_eq!(fixture.rig.frames(), [data(1, b"x", false)]);
}

#[test]
fn protocol_is_called_when_its_time_has_come() {
    let minute = Duration::from_secs(60);
    let until = Instant::now() + minute;
    let mut fixture = Fixture::new(move || {
        let mut next = NextStep::WaitUntil(until);
        move |stream: &mut DrivenStream<'_>| {
            stream.write_all(b".").expect("there is room");
            std::mem::replace(&mut next, NextStep::Wait)
        }
    });
    fixture.rig.send_connect(1, false);
    assert_eq!(parked(fixture.run()).deadline, until);
    assert_eq!(content_length(&fixture.rig.frames()), 1);
    let early = fixture.rig.run(WakeReason::Ready, until - minute / 2);
    assert_eq!(parked(early).deadline, until);
    assert_eq!(fixture.rig.frames(), []);
    let pending = parked(fixture.rig.run(WakeReason::Expired, until));
    assert!(pending.deadline > until + minute);
    assert_eq!(fixture.rig.frames(), [data(1, b".", false)]);
}

#[test]
fn protocol_that_yields_lets_frames_come_first() {
    let mut fixture = Fixture::new(|| {
        |stream: &mut DrivenStream<'_>| match stream.read(&mut [0; 16]) {
            Ok(0) => NextStep::Close,
            _ => NextStep::Yield,
        }
    });
    fixture.rig.send_connect(1, false);
    let mut result = fixture.rig.drive(WakeReason::Ready, fixture.now);
    for _ in 0..100 {
        result = match result {
            DriveResult::Lend(_) => {
                let call = fixture.rig.take_call();
                fixture.rig.finish(call)
            }
            DriveResult::Requeue => fixture.rig.drive(WakeReason::Ready, Instant::now()),
            other => panic!("{other:?}"),
        };
    }
    fixture.rig.send_data(1, b"", true);
    fixture.now = Instant::now();
    assert_eq!(parked(fixture.go_on(result)).wait_for, WaitFor::NextStream);
    assert_eq!(fixture.drops(), 1);
}

#[test]
fn wakers_lead_to_another_call() {
    let wakers: Arc<Mutex<Vec<DrivenWaker>>> = Arc::default();
    let made = Arc::clone(&wakers);
    let mut fixture = Fixture::with_maker(move |waker| {
        made.lock().expect("nothing panics").push(waker.clone());
        let mut calls = 0;
        Box::new(move |stream| {
            calls += 1;
            stream.write_all(b".").expect("there is room");
            if calls == 1 {
                // It is called again, and not within this call.
                waker.wake();
            }
            NextStep::Wait
        })
    });
    fixture.rig.send_connect(1, false);
    parked(fixture.run());
    assert_eq!(content_length(&fixture.rig.frames()), 2);
    let before = fixture.waker.0.load(Ordering::SeqCst);
    let waker = wakers.lock().expect("nothing panics")[0].clone();
    waker.wake();
    waker.wake();
    assert_eq!(fixture.waker.0.load(Ordering::SeqCst), before + 1);
    parked(fixture.run());
    assert_eq!(fixture.rig.frames(), [data(1, b".", false)]);
}

#[test]
fn drain_is_told_once_and_waits_for_the_protocol() {
    let mut fixture = Fixture::new(|| {
        |stream: &mut DrivenStream<'_>| {
            let told = u8::from(stream.is_draining());
            stream.write_all(&[b'0' + told]).expect("there is room");
            match stream.read(&mut [0; 16]).is_ok() {
                true => NextStep::Close,
                false => NextStep::Wait,
            }
        }
    });
    fixture.rig.send_connect(1, false);
    parked(fixture.run());
    let begun = [Seen::Headers(1, false), data(1, b"0", false)];
    assert_eq!(fixture.rig.frames(), begun);
    fixture.rig.service.phase.advance(Phase::Draining);
    parked(fixture.run());
    let goaway = Seen::Goaway(Some(0x7fff_ffff), ErrorCode::NoError);
    assert_eq!(
        fixture.rig.frames(),
        [goaway, Seen::Ping, data(1, b"1", false)]
    );
    parked(fixture.run());
    assert_eq!(fixture.rig.frames(), []);
    assert_eq!(fixture.rig.connection.unfinished(), 1);
    fixture.rig.send_data(1, b"bye", true);
    fixture.run();
    assert_eq!(fixture.rig.frames(), [data(1, b"1", true)]);
    assert_eq!(fixture.rig.connection.unfinished(), 0);
}

#[test]
fn panics_reset_their_stream_only() {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a test asked for this");
        }
    }

    let makers: [fn(DrivenWaker) -> Act; 3] = [
        |_| panic!("a test asked for this"),
        |_| Box::new(|_| panic!("a test asked for this")),
        |_| {
            let bomb = Bomb;
            Box::new(move |_| {
                let _ = &bomb;
                panic!("a test asked for this")
            })
        },
    ];
    for make in makers {
        let mut fixture = Fixture::with_maker(make);
        fixture.rig.send_connect(1, false);
        fixture.rig.send_request(3, "GET", true);
        parked(fixture.run());
        let frames = fixture.rig.frames();
        assert!(frames.contains(&Seen::Reset(1, ErrorCode::InternalError)));
        assert!(
            frames.ends_with(&response(3, b"page"))
                || frames[..3].contains(&Seen::Headers(3, false))
        );
    }
}

#[test]
fn a_response_that_comes_later_may_accept() {
    let drops = Arc::<AtomicUsize>::default();
    let dropped = Arc::clone(&drops);
    let responders = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&responders);
    let mut fixture = Fixture::with_handler(drops, move |_: Request| {
        let (responder, later) = Later::new();
        kept.lock().expect("nothing panics").push(responder);
        later
    });
    fixture.rig.send_connect(1, false);
    fixture.rig.send_data(1, b"early", false);
    parked(fixture.run());
    assert_eq!(fixture.rig.frames(), []);
    fixture.rig.send_data(1, b" bird", false);
    parked(fixture.run());
    let responder = responders.lock().expect("nothing panics").pop();
    let make = |_| -> Act { Box::new(echo) };
    let sent = (responder.expect("the handler ran")).respond(upgrade(&make, &dropped));
    assert!(sent.is_ok());
    parked(fixture.run());
    let accepted = [Seen::Headers(1, false), data(1, b"early bird", false)];
    assert_eq!(fixture.rig.frames(), accepted);
}

#[test]
fn upgrades_that_a_stream_can_not_have_need_http1() {
    let handlers: [fn(Request) -> Response; 2] = [
        |_| Upgrade::new("websocket", drop).into_response(),
        |_| {
            let make = |_| -> Act { Box::new(echo) };
            let (make, drops) = (make, Arc::default());
            Upgrade::driven("other", move |waker| Scripted(make(waker), drops)).into_response()
        },
    ];
    for handler in handlers {
        let mut fixture = Fixture::with_handler(Arc::default(), handler);
        fixture.rig.send_connect(1, false);
        parked(fixture.run());
        let needs = [Seen::Reset(1, ErrorCode::Http11Required)];
        assert_eq!(fixture.rig.frames(), needs);
    }
    // A request that is no CONNECT, either.
    let mut fixture = Fixture::with_handler(Arc::default(), |_: Request| {
        let drops = Arc::default();
        Upgrade::driven("websocket", move |_| Scripted(Box::new(echo), drops))
    });
    fixture.rig.send_request(1, "GET", true);
    parked(fixture.run());
    let needs = [Seen::Reset(1, ErrorCode::Http11Required)];
    assert_eq!(fixture.rig.frames(), needs);
}

#[test]
fn nothing_is_accepted_without_a_waker() {
    let mut fixture = Fixture::new(|| echo);
    fixture.rig.buffers = WorkerBuffers::new(0);
    fixture.rig.send_connect(1, false);
    parked(fixture.run());
    let reset = Seen::Reset(1, ErrorCode::InternalError);
    assert_eq!(fixture.rig.frames(), [Seen::Headers(1, false), reset]);
}

#[test]
fn memory_of_the_protocol_counts() {
    struct Holding;
    impl DrivenProtocol for Holding {
        fn ready(&mut self, _: &mut DrivenStream<'_>) -> NextStep {
            NextStep::Wait
        }
        fn held(&self) -> usize {
            100_000
        }
    }
    let handler = |_: Request| Upgrade::driven("websocket", |_| Holding);
    let mut fixture = Fixture::with_handler(Arc::default(), handler);
    fixture.rig.set_budget(250_000);
    for number in [1, 3] {
        parked(fixture.open(number));
        let held = fixture.rig.connection.protocol.held();
        assert!(held >= 100_000 * (number as usize).div_ceil(2), "{held}");
    }
    fixture.rig.send_connect(5, false);
    let expected = CloseReason::BufferLimit;
    assert!(matches!(fixture.run(), DriveResult::Close(reason) if reason == expected));
}
