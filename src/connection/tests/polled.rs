//! Content that comes from other threads.

use bytes::Bytes;

use super::*;
use crate::connection::waker::{ConnectionWaker, WakerSource};
use crate::message::Body;
use crate::message::body::{Polled, PolledSource};
use crate::message::waker::Wake;
use crate::sync::Mutex;

struct Waker;

impl Wake for Waker {
    fn wake(&self) {}

    fn is_draining(&self) -> bool {
        false
    }
}

impl ConnectionWaker for Waker {
    fn hand_over(&self) {}
}

struct Wakers;

impl WakerSource for Wakers {
    fn waker(&self, _: &mut Option<u64>) -> Option<Arc<dyn ConnectionWaker>> {
        Some(Arc::new(Waker))
    }
}

/// What a source returns next. It panics at the end.
type Script = Arc<Mutex<Vec<Polled>>>;

/// Yields what its script says, the last one first.
struct Scripted {
    script: Script,
    log: Arc<Mutex<Vec<&'static str>>>,
}

impl PolledSource for Scripted {
    fn attach(&mut self, _: Arc<dyn Wake>) {
        self.log.lock().expect("no thread panicked").push("attach");
    }

    fn poll(&mut self, _: Instant) -> Polled {
        let mut log = self.log.lock().expect("no thread panicked");
        if log.last() != Some(&"poll") {
            log.push("poll");
        }
        drop(log);
        let next = self.script.lock().expect("no thread panicked").pop();
        next.expect("the test has more")
    }

    fn client_finished(&mut self) {
        self.log
            .lock()
            .expect("no thread panicked")
            .push("finished");
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.log.lock().expect("no thread panicked").push("drop");
    }
}

/// A connection whose response comes from a script.
struct PolledRig {
    rig: Rig,
    script: Script,
    log: Arc<Mutex<Vec<&'static str>>>,
    now: Instant,
}

impl PolledRig {
    fn new() -> Self {
        let (script, log) = (Script::default(), Arc::<Mutex<Vec<_>>>::default());
        let (sources, now) = ((script.clone(), log.clone()), Instant::now());
        let mut rig = Rig::new(now, move |_: Request| {
            let (script, log) = sources.clone();
            Body::from_polled(Scripted { script, log })
        });
        rig.buffers.set_waker_source(Arc::new(Wakers));
        rig.client
            .set_nonblocking(true)
            .expect("a socket can be non-blocking");
        Self {
            rig,
            script,
            log,
            now,
        }
    }

    /// Drives the connection with a source that yields this.
    fn drive<const N: usize>(&mut self, wake: WakeReason, script: [Polled; N]) -> DriveResult {
        let script = script.into_iter().rev().collect();
        *self.script.lock().expect("no thread panicked") = script;
        self.rig.drive(wake, self.now)
    }

    /// What the source was asked since the last call.
    fn log(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.log.lock().expect("no thread panicked"))
    }

    fn received(&mut self) -> String {
        let received = self.rig.received();
        String::from_utf8(received).expect("the content is text")
    }
}

fn part(content: &'static str) -> Polled {
    Polled::Part(Bytes::from_static(content.as_bytes()))
}

const PENDING: Polled = Polled::Pending(None);

#[test]
fn woken_connection_does_not_receive() {
    let mut polled = PolledRig::new();
    polled.rig.send(GET);
    parked(polled.drive(WakeReason::Ready, [part("a"), PENDING, PENDING]));
    // It shows whether the connection receives.
    polled.rig.send(GET);
    let result = polled.drive(WakeReason::Woken, [part("b"), Polled::End]);
    assert_eq!(parked(result).wait_for, WaitFor::NextRequest);
    let result = polled.drive(WakeReason::Ready, [Polled::End]);
    assert_eq!(parked(result).wait_for, WaitFor::NextRequest);
    assert_eq!(polled.received().matches("HTTP/1.1 200").count(), 2);
}

#[test]
fn content_that_is_there_leaves_with_the_head() {
    let mut polled = PolledRig::new();
    polled.rig.send(GET);
    let script = [
        part("a"),
        part("bc"),
        Polled::Pending(None),
        Polled::Pending(None),
    ];
    let pending = parked(polled.drive(WakeReason::Ready, script));
    assert_eq!(pending.wait_for, WaitFor::Waker);
    assert!(pending.deadline > polled.now + Duration::from_secs(1_000_000));
    assert_eq!(polled.log(), ["attach", "poll"]);
    let received = polled.received();
    assert!(
        received.ends_with("\r\n\r\n1\r\na\r\n2\r\nbc\r\n"),
        "{received}"
    );
    let result = polled.drive(WakeReason::Ready, [part("d"), Polled::End]);
    assert_eq!(parked(result).wait_for, WaitFor::NextRequest);
    assert_eq!(polled.received(), "1\r\nd\r\n0\r\n\r\n");
    assert_eq!(polled.log(), ["poll", "drop"]);
}

#[test]
fn waiting_response_keeps_no_buffer() {
    let mut polled = PolledRig::new();
    polled.rig.send(GET);
    parked(polled.drive(WakeReason::Ready, [part("a"), PENDING, PENDING]));
    let io = &polled.rig.connection.io;
    let unsent = io.unsent.as_ref().expect("the response is not complete");
    assert_eq!(unsent.held(), 0);
    assert!(polled.rig.connection.has_unsent());
    assert_eq!(polled.rig.connection.unfinished(), 1);
}

#[test]
fn source_is_polled_again_at_its_moment() {
    let mut polled = PolledRig::new();
    polled.rig.send(GET);
    let moment = polled.now + Duration::from_secs(15);
    let script = [Polled::Pending(Some(moment)), Polled::Pending(Some(moment))];
    let pending = parked(polled.drive(WakeReason::Ready, script));
    assert_eq!(
        (pending.wait_for, pending.deadline),
        (WaitFor::Waker, moment)
    );
    polled.received();
    polled.now = moment;
    let result = polled.drive(WakeReason::Expired, [part(":"), PENDING, PENDING]);
    let pending = parked(result);
    assert_eq!(pending.wait_for, WaitFor::Waker);
    assert!(pending.deadline > moment, "the moment is over");
    assert_eq!(polled.received(), "1\r\n:\r\n");
}

#[test]
fn source_learns_once_that_its_client_has_finished() {
    let mut polled = PolledRig::new();
    polled.rig.send(GET);
    parked(polled.drive(WakeReason::Ready, [PENDING, PENDING]));
    polled.received();
    polled.log();
    polled
        .rig
        .client
        .shutdown(Shutdown::Write)
        .expect("the client is open");
    for expected in [&["finished", "poll"][..], &["poll"]] {
        let result = polled.drive(WakeReason::HungUp, [PENDING]);
        assert_eq!(parked(result).wait_for, WaitFor::Waker);
        assert_eq!(polled.log(), expected);
    }
    let result = polled.drive(WakeReason::Ready, [part("rest"), Polled::End]);
    assert_closed(result, CloseReason::ClientClosed);
    assert_eq!(polled.received(), "4\r\nrest\r\n0\r\n\r\n");
}

#[test]
fn source_is_dropped_when_its_client_is_gone() {
    let mut polled = PolledRig::new();
    polled.rig.send(GET);
    parked(polled.drive(WakeReason::Ready, [PENDING, PENDING]));
    polled.log();
    let (_, other) = UnixStream::pair().expect("sockets can be created");
    // The old client is closed.
    polled.rig.client = other;
    let result = polled.drive(WakeReason::HungUp, []);
    assert_closed(result, CloseReason::ClientLeft);
    drop(polled.rig);
    let log = std::mem::take(&mut *polled.log.lock().expect("no thread panicked"));
    assert_eq!(log, ["drop"]);
}

#[test]
fn panicking_or_failing_source_closes_the_connection() {
    let failed = || Polled::Failed(io::Error::other("a test asked for this"));
    for script in [vec![], vec![failed()], vec![failed(), part("a")]] {
        let mut polled = PolledRig::new();
        polled.rig.send(GET);
        *polled.script.lock().expect("no thread panicked") = script;
        let result = polled.rig.drive(WakeReason::Ready, polled.now);
        assert_closed(result, CloseReason::Broken);
        assert!(polled.rig.connection.has_unsent(), "it must be reset");
    }
}

#[test]
fn connection_without_a_waker_is_closed() {
    let now = Instant::now();
    let mut rig = Rig::new(now, |_: Request| Body::channel(10).1);
    rig.send(GET);
    assert_closed(rig.drive(WakeReason::Ready, now), CloseReason::Broken);
}

#[test]
fn shed_drive_sends_the_content_first() {
    let mut polled = PolledRig::new();
    polled.rig.send(&GET.repeat(2));
    parked(polled.drive(WakeReason::Ready, [PENDING, PENDING]));
    polled.received();
    for (script, expected) in [
        (vec![PENDING, PENDING, part("a")], "1\r\na\r\n"),
        (
            vec![Polled::End, part("b")],
            "1\r\nb\r\n0\r\n\r\nHTTP/1.1 503",
        ),
    ] {
        *polled.script.lock().expect("no thread panicked") = script;
        let admission = Admission::Shed(Overload::Late);
        let result = polled
            .rig
            .drive_with(WakeReason::Ready, admission, polled.now);
        parked(result);
        let received = polled.received();
        assert!(received.starts_with(expected), "{received}");
    }
}
