//! Tests the parking protocol in every order of events. Each change to a slot happens under its
//! lock, so concurrent threads can only cause sequences of the steps below. Every sequence of a
//! fixed length runs on a real poller and is compared with a model of one connection.

use rustix::event::{EventfdFlags, eventfd};

use super::lending::{Lent, Posted};
use super::*;

/// The length of the sequences. Six takes seven times as long.
const LENGTH: usize = 5;

/// The events that can happen to one slot.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The worker parks the connection to wait for input.
    ParkForInput,
    /// The worker parks the connection to wait for room in the send buffer.
    ParkForRoom,
    /// The worker parks the connection to wait for input or room.
    ParkForBoth,
    /// The worker parks the connection to wait for another thread.
    ParkForWaker,
    /// The worker lends the connection and calls a handler. It may be ready to be driven.
    Lend { is_ready: bool },
    /// A worker takes the connection back after its handler has returned.
    Reclaim,
    /// The stall detector takes the connection of a handler that runs for long.
    TakeLent,
    /// A thread that does not have the connection leaves a message.
    Post,
    /// A thread that does not have the connection wakes it: for a timer, or for something that the
    /// connection waits for.
    Wake,
    /// An event arrives.
    Notify(EventKind),
    /// An event, a call or a message for the slot's previous connection arrives.
    NotifyStale,
    /// The deadlines are swept after this one has passed.
    Expire,
    /// Idle connections are recalled.
    Recall,
    /// A drain is announced to connections that do something then.
    Announce,
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

const STEPS: [Step; 18] = [
    Step::ParkForInput,
    Step::ParkForRoom,
    Step::ParkForBoth,
    Step::ParkForWaker,
    Step::Lend { is_ready: false },
    Step::Lend { is_ready: true },
    Step::Reclaim,
    Step::TakeLent,
    Step::Post,
    Step::Wake,
    Step::Notify(EventKind::Input),
    Step::Notify(EventKind::Room),
    Step::Notify(EventKind::HangUp),
    Step::NotifyStale,
    Step::Expire,
    Step::Recall,
    Step::Announce,
    Step::Release,
];

/// A message; its number tells it from all others.
type Message = u32;

/// Where the connection is.
#[derive(Debug)]
enum Place {
    WithWorker(OwnedFd),
    Parked(WaitFor),
    Lent {
        is_ready: bool,
    },
    /// With the poller, in the call that parks or lends it.
    InCall,
}

/// The model of a connection, as the poller's caller sees it.
struct Model<'a> {
    poller: &'a Poller<OwnedFd, Message>,
    token: Token,
    /// The token that the slot had before.
    previous: Token,
    place: Place,
    is_registered: bool,
    /// Whether an event has arrived that its owner has not received.
    has_event: bool,
    /// Whether a hang-up has arrived that was not reported.
    has_hung_up: bool,
    /// Whether an event or a message has arrived that was not reported. If there is none, a connection
    /// that another thread wakes need not receive.
    has_news: bool,
    /// Messages that were left and not received.
    left: Vec<Message>,
    next_message: Message,
}

impl<'a> Model<'a> {
    fn new(poller: &'a Poller<OwnedFd, Message>) -> Self {
        let previous = poller.reserve().expect("the poller has a free slot");
        poller.release(previous);
        Self::with_previous(poller, previous)
    }

    /// Creates a connection in a slot that was released.
    fn with_previous(poller: &'a Poller<OwnedFd, Message>, previous: Token) -> Self {
        let token = poller.reserve().expect("the slot is free again");
        assert_eq!(token.slot, previous.slot);
        assert_ne!(token, previous, "a token is used once");
        Self {
            poller,
            token,
            previous,
            place: Place::WithWorker(descriptor()),
            is_registered: false,
            has_event: false,
            has_hung_up: false,
            has_news: false,
            left: Vec::new(),
            next_message: 0,
        }
    }

    /// Applies a step. Returns false if it is not possible now, or can't change anything.
    fn apply(&mut self, step: Step) -> bool {
        match step {
            Step::ParkForInput => self.park(WaitFor::NextRequest),
            Step::ParkForRoom => self.park(WaitFor::Room),
            Step::ParkForBoth => self.park(WaitFor::UpgradedOrRoom),
            Step::ParkForWaker => self.park(WaitFor::Waker),
            Step::Lend { is_ready } => self.lend(is_ready),
            Step::Reclaim => {
                let reclaimed = self.poller.reclaim(self.token);
                let is_lent = matches!(self.place, Place::Lent { .. });
                assert_eq!(
                    reclaimed.is_some(),
                    is_lent,
                    "a lent connection is taken back"
                );
                self.take_if_some(reclaimed)
            }
            Step::TakeLent => {
                let is_ready = self.poller.is_ready_while_lent(self.token);
                let taken = self.poller.take_lent(self.token);
                assert_eq!(is_ready, taken.is_some());
                let is_wanted = match self.place {
                    Place::Lent { is_ready } => is_ready || self.has_event,
                    _ => false,
                };
                assert_eq!(
                    taken.is_some(),
                    is_wanted,
                    "only a ready connection is taken"
                );
                self.take_if_some(taken)
            }
            Step::Post => self.post(),
            Step::Wake => self.wake(),
            // A descriptor that was never registered has no events.
            Step::Notify(kind) if self.is_registered => self.notify(kind),
            Step::Notify(_) => false,
            Step::NotifyStale => {
                let poller = self.poller;
                let woken = poller.notify(self.previous, EventFlags::IN | EventFlags::HUP);
                let has_left = matches!(woken, Delivery::Left);
                assert!(has_left, "a stale event wakes no connection");
                assert!(matches!(poller.wake(self.previous), Delivery::Left));
                assert!(!poller.is_ready_while_lent(self.previous));
                assert!(poller.reclaim(self.previous).is_none());
                assert!(poller.take_lent(self.previous).is_none());
                let posted = poller.post(self.previous, Message::MAX);
                assert!(matches!(posted, Posted::Closed(Message::MAX)));
                true
            }
            Step::Expire => {
                let mut expired = Vec::new();
                let late = Instant::now() + Duration::from_secs(3600);
                self.poller
                    .expired(late, |connection| expired.push(connection));
                self.take_removed(expired, !matches!(self.place, Place::WithWorker(_)))
            }
            Step::Recall => self.recall(WaitFor::is_idle, &[WaitFor::NextRequest]),
            Step::Announce => {
                let told = [WaitFor::UpgradedOrRoom, WaitFor::Waker];
                self.recall(WaitFor::is_told_of_drain, &told)
            }
            Step::Release => {
                if !matches!(self.place, Place::WithWorker(_)) {
                    return false;
                }
                // The descriptor is closed afterwards, as in the server.
                self.poller.release(self.token);
                *self = Self::with_previous(self.poller, self.token);
                true
            }
        }
    }

    /// Recalls the connection if `kind` matches, as it does for `meant` only.
    fn recall(&mut self, kind: fn(WaitFor) -> bool, meant: &[WaitFor]) -> bool {
        let mut recalled = Vec::new();
        (self.poller).recall(kind, |connection| recalled.push(connection));
        let is_meant = matches!(self.place, Place::Parked(parked) if meant.contains(&parked));
        self.take_removed(recalled, is_meant)
    }

    /// Takes the connection from its worker, for a call of the poller.
    fn take_from_worker(&mut self) -> Option<OwnedFd> {
        match mem::replace(&mut self.place, Place::InCall) {
            Place::WithWorker(connection) => Some(connection),
            other => {
                self.place = other;
                None
            }
        }
    }

    fn park(&mut self, wait_for: WaitFor) -> bool {
        let Some(connection) = self.take_from_worker() else {
            return false;
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        let pending = Pending { wait_for, deadline };
        let parked = self.poller.park(self.token, connection, pending);
        match parked {
            Parked::Waiting => {
                assert!(!self.has_event, "what has arrived is reported");
                self.park_at(Place::Parked(wait_for));
            }
            Parked::Ready(connection, wake, messages) => {
                assert!(self.has_event, "nothing has arrived in the meantime");
                self.receive_messages(&messages);
                self.has_event = false;
                self.receive(connection, wake);
            }
            Parked::Failed(_, error) => panic!("{error}"),
        }
        true
    }

    fn lend(&mut self, is_ready: bool) -> bool {
        let Some(connection) = self.take_from_worker() else {
            return false;
        };
        let deadline = Some(Instant::now() + Duration::from_secs(60));
        match self.poller.lend(self.token, connection, deadline, is_ready) {
            Lent::Waiting => self.park_at(Place::Lent { is_ready }),
            Lent::Messages(connection, messages) => {
                assert!(!messages.is_empty(), "nothing has arrived in the meantime");
                self.receive_messages(&messages);
                // An event waits in the slot.
                self.take_back(connection);
            }
            Lent::Failed(_, error) => panic!("{error}"),
        }
        true
    }

    /// The connection is parked or lent.
    fn park_at(&mut self, place: Place) {
        assert!(self.left.is_empty(), "messages are received first");
        self.is_registered = true;
        self.place = place;
    }

    fn receive_messages(&mut self, messages: &[Message]) {
        assert_eq!(messages, self.left, "all messages are received in order");
        self.left.clear();
    }

    fn assert_not_taken(&self, delivery: &Delivery<OwnedFd>) {
        let is_lent = matches!(self.place, Place::Lent { .. });
        assert_eq!(matches!(delivery, Delivery::Lent), is_lent);
    }

    fn post(&mut self) -> bool {
        let message = self.next_message;
        self.next_message += 1;
        match self.poller.post(self.token, message) {
            Posted::Left => {
                assert!(
                    matches!(self.place, Place::WithWorker(_)),
                    "a worker receives it"
                );
                self.left.push(message);
                self.has_event = true;
                self.has_news = true;
            }
            Posted::Taken(connection, returned) => {
                assert_eq!(returned, message);
                self.take_back(connection);
            }
            Posted::Closed(_) => panic!("the connection is open"),
        }
        true
    }

    fn wake(&mut self) -> bool {
        let is_parked = matches!(self.place, Place::Parked(_));
        match self.poller.wake(self.token) {
            Delivery::Taken(connection, wake) => {
                assert!(is_parked, "only a parked connection is taken");
                self.receive(connection, wake);
            }
            delivery => {
                assert!(!is_parked, "a parked connection is woken");
                self.assert_not_taken(&delivery);
                self.has_event = true;
            }
        }
        true
    }

    fn notify(&mut self, kind: EventKind) -> bool {
        let flags = match kind {
            EventKind::Input => EventFlags::IN,
            EventKind::Room => EventFlags::OUT,
            EventKind::HangUp => EventFlags::IN | EventFlags::RDHUP,
        };
        self.has_hung_up |= kind == EventKind::HangUp;
        let woken = match self.poller.notify(self.token, flags) {
            Delivery::Taken(connection, wake) => Some((connection, wake)),
            delivery => {
                self.assert_not_taken(&delivery);
                None
            }
        };
        let is_expected = match self.place {
            Place::WithWorker(_) | Place::Lent { .. } | Place::InCall => false,
            Place::Parked(WaitFor::UpgradedOrRoom) => true,
            Place::Parked(WaitFor::Room) => kind != EventKind::Input,
            Place::Parked(WaitFor::Waker) => kind == EventKind::HangUp,
            Place::Parked(_) => kind != EventKind::Room,
        };
        assert_eq!(
            woken.is_some(),
            is_expected,
            "exactly the awaited kind of event wakes a connection"
        );
        match woken {
            Some((connection, wake)) => {
                self.has_news = true;
                self.receive(connection, wake);
            }
            // The connection does not wait for this kind. It will check that direction before it
            // waits for it, and learns of input when it is woken.
            None if matches!(self.place, Place::Parked(_)) => {
                self.has_news |= kind == EventKind::Input;
            }
            None => {
                self.has_event = true;
                self.has_news = true;
            }
        }
        true
    }

    /// Gives the connection to a worker because of an event or a wake-up.
    fn receive(&mut self, connection: OwnedFd, wake: WakeReason) {
        let expected = match (self.has_hung_up, self.has_news) {
            (true, _) => WakeReason::HungUp,
            (false, true) => WakeReason::Ready,
            (false, false) => WakeReason::Woken,
        };
        assert_eq!(wake, expected, "what has arrived is reported once");
        self.has_hung_up = false;
        self.has_news = false;
        self.take_back(connection);
    }

    fn take_removed(&mut self, mut taken: Vec<OwnedFd>, expected: bool) -> bool {
        assert_eq!(
            taken.len(),
            usize::from(expected),
            "a connection is removed once"
        );
        self.take_if_some(taken.pop())
    }

    fn take_if_some(&mut self, taken: Option<OwnedFd>) -> bool {
        let is_taken = taken.is_some();
        taken.into_iter().for_each(|taken| self.take_back(taken));
        is_taken
    }

    fn take_back(&mut self, connection: OwnedFd) {
        let before = mem::replace(&mut self.place, Place::WithWorker(connection));
        if let Place::Parked(_) = before {
            // Whatever else takes it has it receive.
            self.has_news = false;
        }
        assert!(
            !matches!(before, Place::WithWorker(_)),
            "a connection has one owner"
        );
    }

    /// Releases the slot, so that the poller is empty again.
    fn end(mut self) {
        if !matches!(self.place, Place::WithWorker(_)) {
            self.apply(Step::Expire);
        }
        assert!(
            matches!(self.place, Place::WithWorker(_)),
            "a connection is never lost"
        );
        self.poller.release(self.token);
    }
}

/// Runs a sequence from the start. Returns false if its last step is not possible.
fn run(poller: &Poller<OwnedFd, Message>, steps: &[Step]) -> bool {
    let mut model = Model::new(poller);
    let mut is_possible = true;
    for step in steps {
        is_possible = model.apply(*step);
    }
    model.end();
    is_possible
}

/// Runs all sequences that begin with `steps`.
fn explore(poller: &Poller<OwnedFd, Message>, steps: &mut Vec<Step>) {
    for step in STEPS {
        steps.push(step);
        if run(poller, steps) && steps.len() < LENGTH {
            explore(poller, steps);
        }
        steps.pop();
    }
}

fn descriptor() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC).expect("the system has descriptors")
}

#[test]
fn no_wake_up_is_lost_in_any_order_of_events() {
    let waker = Waker::new().expect("the system has descriptors");
    let poller = Poller::new(1, &waker).expect("the system has descriptors");
    explore(&poller, &mut Vec::new());
}
