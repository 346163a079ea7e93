use super::*;
use crate::connection::budget::Share;
use crate::message::ClientInfo;

const HEADER: &[u8] = b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n";

/// Responds with the client's address.
fn connect(now: Instant) -> Rig {
    let protocol = ListenerProtocol::default().behind_proxy();
    Rig::with_protocol(&protocol, now, |request: Request| {
        let client = ClientInfo::of(&request).and_then(ClientInfo::client);
        client.map_or_else(String::new, |client| client.to_string())
    })
}

#[test]
fn header_and_request_may_arrive_in_any_parts() {
    let now = Instant::now();
    let all = [HEADER, GET].concat();
    for end in 0..all.len() {
        let mut rig = connect(now);
        for part in [&all[..end], &all[end..]] {
            rig.send(part);
            parked(rig.drive(WakeReason::Ready, now));
        }
        assert!(rig.received().ends_with(b"[2001:db8::1]:4711"), "{end}");
    }
}

#[test]
fn only_bytes_behind_the_header_count_as_a_request() {
    let now = Instant::now();
    let mut rig = connect(now);
    rig.send(&HEADER[..9]);
    rig.drive(WakeReason::Ready, now);
    assert_eq!(rig.connection.unfinished(), 0);
    rig.send(&HEADER[9..]);
    rig.send(GET);
    assert_eq!(rig.connection.unfinished(), 1);
    rig.drive(WakeReason::Ready, now);
    assert_eq!(rig.connection.unfinished(), 0);
}

#[test]
fn head_timeout_starts_again_after_the_header() {
    let begin = Instant::now();
    let mut rig = connect(begin);
    rig.send(&HEADER[..9]);
    rig.drive(WakeReason::Ready, begin);
    rig.send(&HEADER[9..]);
    // The event came in time, but all workers were busy.
    let late = begin + rig.service.config.head_timeout;
    let pending = parked(rig.drive(WakeReason::Expired, late));
    assert_eq!(pending.deadline, late + rig.service.config.head_timeout);
}

#[test]
fn partial_header_is_not_idle() {
    let begin = Instant::now();
    let mut rig = connect(begin);
    rig.send(&HEADER[..9]);
    let late = begin + rig.service.config.head_timeout;
    assert_closed(
        rig.drive(WakeReason::Expired, late),
        CloseReason::NoProxyHeader,
    );
}

#[test]
fn partial_header_counts_against_the_budget() {
    let now = Instant::now();
    let mut rig = connect(now);
    rig.service.budget = Arc::new(Budget::new(8));
    rig.connection.io.share = Share::new(&rig.service.budget);
    rig.send(&HEADER[..8]);
    parked(rig.drive(WakeReason::Ready, now));
    assert_eq!(rig.service.budget.held(), 8);
    rig.send(&HEADER[8..9]);
    assert_closed(rig.drive(WakeReason::Ready, now), CloseReason::BufferLimit);
    drop(rig.connection);
    assert_eq!(rig.service.budget.held(), 0);
}
