//! The parking protocol, tried in every order. Whatever befalls a place does so under its lock, one
//! thing after another, so all that threads can do to it are sequences of these steps; each one up
//! to a length is played on a real lot, and held against what a connection may rely on.

use rustix::event::{EventfdFlags, eventfd};

use super::*;

/// How long the sequences are; seven were tried once, in seven minutes.
const STEPS: u32 = 5;

/// What can befall one place.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The worker that has the connection parks it, to wait for the client's bytes.
    ParkForBytes,
    /// The same, to wait for room to send.
    ParkForRoom,
    /// An event comes.
    RequestContext(Sign),
    /// One that was received before the last tenant left comes only now.
    CallLate,
    /// The deadlines are swept, and this one has passed.
    Expire,
    /// Idle connections are recalled.
    Recall,
    /// The connection ends, and its place is another's.
    Leave,
}

/// What an event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Bytes,
    Room,
    HangUp,
}

const ALL: [Step; 9] = [
    Step::ParkForBytes,
    Step::ParkForRoom,
    Step::RequestContext(Sign::Bytes),
    Step::RequestContext(Sign::Room),
    Step::RequestContext(Sign::HangUp),
    Step::CallLate,
    Step::Expire,
    Step::Recall,
    Step::Leave,
];

/// A connection and all that is known of it from outside.
struct Scene<'a> {
    poller: &'a Poller<OwnedFd>,
    token: Token,
    /// The ticket that the place had before.
    former: Token,
    /// The connection, while a worker has it.
    held: Option<OwnedFd>,
    /// What it waits for, while it is parked.
    parked: Option<WaitFor>,
    has_parked: bool,
    /// An event has come since the worker got the connection.
    called: bool,
    /// A hang-up has come, and the connection was not told.
    hung_up: bool,
}

impl<'a> Scene<'a> {
    fn new(poller: &'a Poller<OwnedFd>) -> Self {
        let former = poller.reserve().expect("there is a place");
        poller.release(former);
        Self::after(poller, former)
    }

    /// A new connection in a place that was given back.
    fn after(poller: &'a Poller<OwnedFd>, former: Token) -> Self {
        let token = poller.reserve().expect("the place is free again");
        assert_eq!(token.slot, former.slot);
        assert_ne!(token, former, "a ticket is used once");
        Self {
            poller,
            token,
            former,
            held: Some(descriptor()),
            parked: None,
            has_parked: false,
            called: false,
            hung_up: false,
        }
    }

    /// Plays a step, if it can happen now.
    fn play(&mut self, step: Step) {
        match step {
            Step::ParkForBytes => self.park(WaitFor::NextRequest),
            Step::ParkForRoom => self.park(WaitFor::Room),
            // A descriptor that was never registered has no events.
            Step::RequestContext(sign) if self.has_parked => self.notify(sign),
            Step::RequestContext(_) => {}
            Step::CallLate => {
                let woken = self
                    .poller
                    .notify(self.former, EventFlags::IN | EventFlags::HUP);
                assert!(woken.is_none(), "another's event wakes nobody");
            }
            Step::Expire => {
                let mut expired = Vec::new();
                let late = Instant::now() + Duration::from_secs(3600);
                self.poller.expired(late, |tenant| expired.push(tenant));
                self.take_out(expired, self.parked.is_some());
            }
            Step::Recall => {
                let mut recalled = Vec::new();
                let poller = self.poller;
                poller.recall(WaitFor::is_idle, |tenant| recalled.push(tenant));
                self.take_out(recalled, self.parked == Some(WaitFor::NextRequest));
            }
            Step::Leave => {
                if let Some(tenant) = self.held.take() {
                    // The descriptor closes only afterwards, as that of a connection does.
                    self.poller.release(self.token);
                    drop(tenant);
                    *self = Self::after(self.poller, self.token);
                }
            }
        }
    }

    fn park(&mut self, what: WaitFor) {
        let Some(tenant) = self.held.take() else {
            return;
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        match self
            .poller
            .park(self.token, tenant, Pending { what, deadline })
        {
            Parked::Waiting => {
                assert!(!self.called, "what came meanwhile is told at once");
                self.parked = Some(what);
                self.has_parked = true;
            }
            Parked::Called(tenant, wake) => {
                assert!(self.called, "nothing came meanwhile");
                self.got(tenant, wake);
            }
            Parked::Failed(_, error) => panic!("{error}"),
        }
    }

    fn notify(&mut self, sign: Sign) {
        let flags = match sign {
            Sign::Bytes => EventFlags::IN,
            Sign::Room => EventFlags::OUT,
            Sign::HangUp => EventFlags::IN | EventFlags::RDHUP,
        };
        self.hung_up |= sign == Sign::HangUp;
        let woken = self.poller.notify(self.token, flags);
        let concerns = match self.parked {
            None => false,
            Some(WaitFor::Room) => sign != Sign::Bytes,
            Some(_) => sign != Sign::Room,
        };
        assert_eq!(
            woken.is_some(),
            concerns,
            "it is woken by what it waits for, and by nothing else"
        );
        match woken {
            Some((tenant, wake)) => self.got(tenant, wake),
            None if self.parked.is_none() => self.called = true,
            // Not what it waits for: it will look at that direction itself before it waits for it.
            None => {}
        }
    }

    /// A worker has the connection again, because of an event.
    fn got(&mut self, tenant: OwnedFd, wake: WakeReason) {
        let expected = match self.hung_up {
            true => WakeReason::HungUp,
            false => WakeReason::Ready,
        };
        assert_eq!(wake, expected, "a hang-up is told, and once");
        self.hung_up = false;
        self.has_back(tenant);
    }

    fn take_out(&mut self, mut taken: Vec<OwnedFd>, expected: bool) {
        assert_eq!(taken.len(), usize::from(expected), "who is parked, once");
        if let Some(tenant) = taken.pop() {
            self.has_back(tenant);
        }
    }

    fn has_back(&mut self, tenant: OwnedFd) {
        assert!(self.held.is_none(), "a connection has one owner");
        self.held = Some(tenant);
        self.parked = None;
        self.called = false;
    }

    /// Leaves the lot as it was found.
    fn end(mut self) {
        if self.parked.is_some() {
            self.play(Step::Expire);
        }
        assert!(self.held.is_some(), "a connection is never lost");
        self.poller.release(self.token);
    }
}

fn descriptor() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC).expect("a descriptor can be made")
}

#[test]
fn no_wake_up_is_lost_in_any_order_of_events() {
    let waker = Waker::new().expect("a bell can be made");
    let poller = Poller::new(1, &waker).expect("a lot can be made");
    let steps = ALL.len();
    for mut code in 0..steps.pow(STEPS) {
        let mut scene = Scene::new(&poller);
        for _ in 0..STEPS {
            scene.play(ALL[code % steps]);
            code /= steps;
        }
        scene.end();
    }
}
