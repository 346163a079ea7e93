//! The first bytes of a client.

use super::*;

#[test]
fn http2_is_recognised_however_its_preface_is_split() {
    let now = later();
    for at in 0..PREFACE.len() {
        let mut rig = Rig::without_preface(now, |_: Request| "yes");
        let opening = opening();
        rig.send(&opening[..at]);
        let pending = parked(rig.run(WakeReason::Ready, now));
        let expected = match at {
            0 => WaitFor::FirstRequest,
            _ => WaitFor::Head,
        };
        assert_eq!(pending.wait_for, expected, "after {at} bytes");
        rig.send(&opening[at..]);
        rig.send_request(1, "GET", true);
        rig.run(WakeReason::Ready, now);
        assert_eq!(rig.frames(), response(1, b"yes"));
    }
}

#[test]
fn a_client_of_http1_is_served_beside_http2() {
    let now = later();
    let mut rig = Rig::without_preface(now, |_: Request| "yes");
    rig.send(b"P");
    assert_eq!(
        parked(rig.run(WakeReason::Ready, now)).wait_for,
        WaitFor::Head
    );
    rig.send(b"UT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    rig.run(WakeReason::Ready, now);
    let mut received = vec![0; 1024];
    let count = rig
        .client
        .read(&mut received)
        .expect("a response has arrived");
    assert!(received[..count].starts_with(b"HTTP/1.1 200 OK\r\n"));
}

#[test]
fn half_a_preface_is_late_like_half_a_head() {
    let now = later();
    let mut rig = Rig::without_preface(now, |_: Request| "yes");
    rig.send(&PREFACE[..20]);
    let pending = parked(rig.run(WakeReason::Ready, now));
    rig.run(WakeReason::Expired, pending.deadline);
    let mut received = vec![0; 1024];
    let count = rig
        .client
        .read(&mut received)
        .expect("a response has arrived");
    assert!(received[..count].starts_with(b"HTTP/1.1 505 "));
}

/// A client may send heads one after another for long, so that each receive ends within one.
#[test]
fn each_head_has_its_own_time() {
    let now = later();
    let mut rig = Rig::new(now, |_: Request| "yes");
    let half = b"\0\0\x0e\x01\x05\0\0\0";
    let rest = |number: u8| [&[number], &b"\x82\x84\x86\x41\x09localhost"[..]].concat();
    rig.send(half);
    let first = parked(rig.run(WakeReason::Ready, now)).deadline;
    let later = first - Duration::from_secs(1);
    rig.send(&[&rest(1), &half[..]].concat());
    let second = parked(rig.run(WakeReason::Ready, later)).deadline;
    assert_eq!(second - later, first - now);
    let latest = second - Duration::from_secs(1);
    rig.send(&rest(3));
    rig.run(WakeReason::Ready, latest);
    let expected = [response(1, b"yes"), response(3, b"yes")];
    assert_eq!(
        rig.frames(),
        expected.into_iter().flatten().collect::<Vec<_>>()
    );
}
