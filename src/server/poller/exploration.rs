//! Tests the parking protocol in every order of events. Each change to a slot happens under its
//! lock, so concurrent threads can only cause sequences of the steps below. Every sequence of a
//! fixed length runs on a real poller and is compared with a model of one connection.

use rustix::event::{EventfdFlags, eventfd};

use super::*;

/// The length of the sequences. Length seven was tried once and took seven minutes.
const LENGTH: u32 = 5;

/// What can happen to one slot.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The worker parks the connection to wait for input.
    ParkForInput,
    /// The worker parks the connection to wait for room in the send buffer.
    ParkForRoom,
    /// An event arrives.
    Notify(EventKind),
    /// An event that was received for the slot's previous connection is processed.
    NotifyStale,
    /// The deadlines are swept after this one has passed.
    Expire,
    /// Idle connections are recalled.
    Recall,
    /// The connection closes, and another one reserves its slot.
    Release,
}

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EventKind {
    Input,
    Room,
    HangUp,
}

const STEPS: [Step; 9] = [
    Step::ParkForInput,
    Step::ParkForRoom,
    Step::Notify(EventKind::Input),
    Step::Notify(EventKind::Room),
    Step::Notify(EventKind::HangUp),
    Step::NotifyStale,
    Step::Expire,
    Step::Recall,
    Step::Release,
];

/// The model of a connection, as the poller's caller sees it.
struct Model<'a> {
    poller: &'a Poller<OwnedFd>,
    token: Token,
    /// The token that the slot had before.
    previous: Token,
    /// The connection, while a worker has it.
    with_worker: Option<OwnedFd>,
    /// What the connection waits for, while it is parked.
    parked: Option<WaitFor>,
    has_parked: bool,
    /// Whether an event has arrived since the worker received the connection.
    has_event: bool,
    /// Whether a hang-up has arrived that was not reported.
    has_hung_up: bool,
}

impl<'a> Model<'a> {
    fn new(poller: &'a Poller<OwnedFd>) -> Self {
        let previous = poller.reserve().expect("the poller has a free slot");
        poller.release(previous);
        Self::with_previous(poller, previous)
    }

    /// Creates a connection in a slot that was released.
    fn with_previous(poller: &'a Poller<OwnedFd>, previous: Token) -> Self {
        let token = poller.reserve().expect("the slot is free again");
        assert_eq!(token.slot, previous.slot);
        assert_ne!(token, previous, "a token is used once");
        Self {
            poller,
            token,
            previous,
            with_worker: Some(descriptor()),
            parked: None,
            has_parked: false,
            has_event: false,
            has_hung_up: false,
        }
    }

    /// Applies a step if it is possible now.
    fn apply(&mut self, step: Step) {
        match step {
            Step::ParkForInput => self.park(WaitFor::NextRequest),
            Step::ParkForRoom => self.park(WaitFor::Room),
            // A descriptor that was never registered has no events.
            Step::Notify(kind) if self.has_parked => self.notify(kind),
            Step::Notify(_) => {}
            Step::NotifyStale => {
                let woken = self
                    .poller
                    .notify(self.previous, EventFlags::IN | EventFlags::HUP);
                assert!(woken.is_none(), "a stale event wakes no connection");
            }
            Step::Expire => {
                let mut expired = Vec::new();
                let late = Instant::now() + Duration::from_secs(3600);
                self.poller
                    .expired(late, |connection| expired.push(connection));
                self.take_removed(expired, self.parked.is_some());
            }
            Step::Recall => {
                let mut recalled = Vec::new();
                let poller = self.poller;
                poller.recall(WaitFor::is_idle, |connection| recalled.push(connection));
                self.take_removed(recalled, self.parked == Some(WaitFor::NextRequest));
            }
            Step::Release => {
                if let Some(connection) = self.with_worker.take() {
                    // The descriptor is closed afterwards, as in the server.
                    self.poller.release(self.token);
                    drop(connection);
                    *self = Self::with_previous(self.poller, self.token);
                }
            }
        }
    }

    fn park(&mut self, wait_for: WaitFor) {
        let Some(connection) = self.with_worker.take() else {
            return;
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        match self
            .poller
            .park(self.token, connection, Pending { wait_for, deadline })
        {
            Parked::Waiting => {
                assert!(!self.has_event, "a pending event is reported at parking");
                self.parked = Some(wait_for);
                self.has_parked = true;
            }
            Parked::Ready(connection, wake) => {
                assert!(self.has_event, "no event arrived in the meantime");
                self.receive(connection, wake);
            }
            Parked::Failed(_, error) => panic!("{error}"),
        }
    }

    fn notify(&mut self, kind: EventKind) {
        let flags = match kind {
            EventKind::Input => EventFlags::IN,
            EventKind::Room => EventFlags::OUT,
            EventKind::HangUp => EventFlags::IN | EventFlags::RDHUP,
        };
        self.has_hung_up |= kind == EventKind::HangUp;
        let woken = self.poller.notify(self.token, flags);
        let is_expected = match self.parked {
            None => false,
            Some(WaitFor::Room) => kind != EventKind::Input,
            Some(_) => kind != EventKind::Room,
        };
        assert_eq!(
            woken.is_some(),
            is_expected,
            "exactly the awaited kind of event wakes a connection"
        );
        match woken {
            Some((connection, wake)) => self.receive(connection, wake),
            None if self.parked.is_none() => self.has_event = true,
            // The connection does not wait for this kind. It will check that direction before it
            // waits for it.
            None => {}
        }
    }

    /// Gives the connection to a worker because of an event.
    fn receive(&mut self, connection: OwnedFd, wake: WakeReason) {
        let expected = match self.has_hung_up {
            true => WakeReason::HungUp,
            false => WakeReason::Ready,
        };
        assert_eq!(wake, expected, "a hang-up is reported once");
        self.has_hung_up = false;
        self.take_back(connection);
    }

    fn take_removed(&mut self, mut taken: Vec<OwnedFd>, expected: bool) {
        assert_eq!(
            taken.len(),
            usize::from(expected),
            "a parked connection is removed once"
        );
        if let Some(connection) = taken.pop() {
            self.take_back(connection);
        }
    }

    fn take_back(&mut self, connection: OwnedFd) {
        assert!(self.with_worker.is_none(), "a connection has one owner");
        self.with_worker = Some(connection);
        self.parked = None;
        self.has_event = false;
    }

    /// Releases the slot, so that the poller is empty again.
    fn end(mut self) {
        if self.parked.is_some() {
            self.apply(Step::Expire);
        }
        assert!(self.with_worker.is_some(), "a connection is never lost");
        self.poller.release(self.token);
    }
}

fn descriptor() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC).expect("the system has descriptors")
}

#[test]
fn no_wake_up_is_lost_in_any_order_of_events() {
    let waker = Waker::new().expect("the system has descriptors");
    let poller = Poller::new(1, &waker).expect("the system has descriptors");
    let steps = STEPS.len();
    for mut code in 0..steps.pow(LENGTH) {
        let mut model = Model::new(&poller);
        for _ in 0..LENGTH {
            model.apply(STEPS[code % steps]);
            code /= steps;
        }
        model.end();
    }
}
