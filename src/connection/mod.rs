//! One client's connection: from bytes on its socket to answers on it, and how it ends.
//!
//! A connection never waits. It is *driven*: it does all that can be done now and says what it
//! waits for, and whoever drives it puts it away until that has come.

mod account;
mod answer;
mod blocking;
mod budget;
mod desk;
mod drain;
mod farewell;
#[cfg(feature = "tls")]
mod handshake;
mod intake;
#[cfg(feature = "proxy")]
mod introduction;
mod lendable;
#[cfg_attr(
    not(any(feature = "proxy", feature = "tls")),
    expect(
        dead_code,
        reason = "only what precedes requests is logged with a limit"
    )
)]
mod log_limits;
mod opening;
mod outbox;
mod patience;
mod signals;
mod stream;
mod upgrade;
mod waiting;

use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::error;

pub(crate) use self::budget::Budget;
use self::budget::Share;
pub(crate) use self::desk::Desk;
pub(crate) use self::drain::Grace;
use self::drain::ReadLimit;
use self::farewell::Farewell;
use self::lendable::Lendable;
pub(crate) use self::log_limits::LogLimits;
#[cfg(feature = "proxy")]
pub(crate) use self::log_limits::log_limited;
pub(crate) use self::opening::Opening;
use self::outbox::{Flushed, Outbox};
use self::patience::Patience;
pub(crate) use self::signals::{Overload, Treatment, Verdict, Wait, Wake, What, Why};
pub use self::upgrade::Stream;
use crate::answer_fields::AnswerFields;
use crate::config::Config;
use crate::error_pages::Pages;
use crate::exchange::Observers;
use crate::http1::{CONTINUE, Decoder, Event, Limits, Persistence, Progress, Refusal};
use crate::phase::{Phase, PhaseCell};
use crate::transport::{Received, Socket};
use crate::{Handler, Node, Origin, Request};

/// Requests answered and receives made before other connections get their turn. More of them save
/// little, and a client that pipelines without end makes everyone else wait for them.
const STEPS_PER_TURN: i32 = 32;

/// Time that handlers may take on requests of one connection before other connections get their
/// turn, and the answers so far leave. A request that has begun is finished.
const TURN: Duration = Duration::from_millis(1);

/// What every connection of a server shares.
pub(crate) struct Service {
    pub(crate) handler: Box<dyn Handler>,
    pub(crate) config: Config,
    pub(crate) phase: Arc<PhaseCell>,
    pub(crate) grace: Grace,
    pub(crate) budget: Arc<Budget>,
    pub(crate) observers: Observers,
    pub(crate) error_pages: Pages,
    pub(crate) answer_fields: AnswerFields,
    pub(crate) log_limits: LogLimits,
}

impl Service {
    fn limits(&self) -> Limits {
        Limits {
            head: self.config.max_head,
            body: self.config.max_body,
        }
    }
}

/// One client's connection. What it needs only while it is driven is on the [`Desk`]; asleep it
/// is small.
pub(crate) struct Connection {
    socket: Lendable<Socket>,
    origin: Origin,
    decoder: Decoder,
    /// The start of a head, if the connection sleeps in the middle of one.
    carried: Box<[u8]>,
    /// What the client has not taken yet, if the connection sleeps over it.
    unsent: Option<Box<Outbox>>,
    stage: Stage,
    incoming: Incoming,
    patience: Patience,
    /// Of the budget: what it keeps of a request that is not complete and of unsent answers.
    share: Share,
    /// How far it is read, once that is decided.
    read_limit: Option<Box<ReadLimit>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A proxy's header has not come, or not all of it.
    #[cfg(feature = "proxy")]
    Introduction,
    /// A handshake has not come to its end.
    #[cfg(feature = "tls")]
    Handshake,
    /// Requests are taken.
    Open,
    /// What is in the outbox is the end.
    Closing(Farewell),
    /// Everything is sent, and what still comes is thrown away.
    Lingering,
    /// The same after a handshake that has failed.
    #[cfg(feature = "tls")]
    Rejected,
}

/// What is known of bytes that have not been received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Incoming {
    /// There may be some.
    Perhaps,
    /// None: a wake-up will tell of more.
    None,
    /// The client has finished sending, and no wake-up will tell of it again.
    UntilEnd,
}

impl Connection {
    pub(crate) fn new(
        socket: Socket,
        peer: Node,
        opening: &Opening,
        now: Instant,
        service: &Service,
    ) -> Self {
        let stage = opening.stage();
        service.grace.begin(now);
        Self {
            origin: Origin::new(peer),
            socket: Lendable::new(socket),
            decoder: Decoder::default(),
            carried: Box::default(),
            unsent: None,
            stage,
            incoming: Incoming::Perhaps,
            patience: stage.patience(now, &service.config),
            share: Share::new(&service.budget),
            read_limit: None,
        }
    }

    /// Does all that can be done without waiting.
    pub(crate) fn drive(
        &mut self,
        wake: Wake,
        treatment: Treatment,
        now: Instant,
        desk: &mut Desk,
        service: &Service,
    ) -> Verdict {
        desk.now = now;
        self.unpack(desk);
        let verdict = self
            .turn(wake, treatment, desk, service)
            .unwrap_or_else(|error| Verdict::Close(Why::Failed(error)));
        self.pack(desk);
        #[cfg(feature = "tls")]
        if let Verdict::Close(why) = &verdict {
            self.part(why);
        }
        verdict
    }

    /// How many requests have begun to arrive or have not been answered in full.
    pub(crate) fn unfinished(&self) -> u64 {
        let unsent = self.unsent.as_ref().map_or(0, |outbox| outbox.answers());
        let arriving = matches!(self.patience.waits_for(), Some(What::Head | What::Body))
            || !self.carried.is_empty()
            || self.decoder.held() > 0
            || self.socket.has_begun()
            || self.socket.has_unread();
        let may_be_one = match self.stage {
            Stage::Open => arriving && !self.decoder.is_discarding(),
            // There may be one behind the header.
            #[cfg(feature = "proxy")]
            Stage::Introduction => self.socket.has_unread(),
            // The same.
            #[cfg(feature = "tls")]
            Stage::Handshake => self.socket.has_unread(),
            #[cfg(feature = "tls")]
            Stage::Rejected => false,
            Stage::Closing(_) | Stage::Lingering => false,
        };
        unsent + u64::from(may_be_one)
    }

    /// Whether there is an answer, perhaps from a handler's reader, that the client has not taken.
    pub(crate) fn owes(&self) -> bool {
        self.unsent.is_some()
    }

    fn turn(
        &mut self,
        wake: Wake,
        treatment: Treatment,
        desk: &mut Desk,
        service: &Service,
    ) -> io::Result<Verdict> {
        match wake {
            Wake::HungUp => self.incoming = Incoming::UntilEnd,
            _ => self.look_again(),
        }
        // A connection that always has something to receive never waits for its deadline.
        let wake = match self.patience.overdue(desk.now) {
            Some(What::Goodbye) => return Ok(Verdict::Close(self.end_reason())),
            Some(_) if wake != Wake::Unwatched => Wake::Expired,
            _ => wake,
        };
        #[cfg(feature = "proxy")]
        let wake = if self.stage == Stage::Introduction {
            if let Some(verdict) = self.introduce(wake, desk, service)? {
                return Ok(verdict);
            }
            match wake {
                // It was the header's time that had passed.
                Wake::Expired => Wake::Ready,
                _ => wake,
            }
        } else {
            wake
        };
        #[cfg(feature = "tls")]
        let wake = if self.stage == Stage::Handshake {
            if let Some(verdict) = self.shake_hands(wake, treatment, desk, service)? {
                return Ok(verdict);
            }
            // What is waited for now has just begun.
            Wake::Ready
        } else {
            wake
        };
        let wake = service.recalling(wake, desk.now);
        let limits = service.limits();
        let mut budget = STEPS_PER_TURN;
        loop {
            if self.stage != Stage::Open || desk.outbox.is_full() {
                match self.send(desk, service)? {
                    Some(verdict) => return Ok(verdict),
                    None if self.stage != Stage::Open => return self.end(desk, service),
                    None => {}
                }
            }
            if service.phase.get() >= Phase::Forced {
                return Ok(Verdict::Close(Why::Forced));
            }
            if budget <= 0 {
                if let Some(refusal) = self.overdue(desk) {
                    self.refuse(refusal, desk, service);
                    continue;
                }
                return Ok(self.send(desk, service)?.unwrap_or(Verdict::Requeue));
            }
            let intake = |request: &Request| intake::ask(request, treatment, service);
            let (input, slot) = (&mut desk.input, &mut desk.slot);
            match (
                self.decoder.decode_with(input, slot, &limits, intake),
                treatment,
            ) {
                (Ok(Event::Request), _) => {
                    budget -= 1;
                    self.answer(desk, service, |_, account, desk| match treatment {
                        Treatment::Handle => account.handle(desk, service),
                        Treatment::Shed(why) => account.shed(why, desk, service),
                    })?;
                    if !desk.input.is_empty() && desk.now.elapsed() > TURN {
                        budget = 0;
                    }
                }
                (Ok(Event::Continue), Treatment::Handle)
                    if self.decoder.needs() > service.budget.most() =>
                {
                    self.refuse(Refusal::BodyTooLarge, desk, service);
                }
                (Ok(Event::Continue), Treatment::Handle) => {
                    desk.outbox.bytes().extend_from_slice(CONTINUE);
                }
                (Ok(Event::Stream), Treatment::Handle) => {
                    // Others wait meanwhile.
                    budget = 0;
                    if let Some(verdict) = self.answer_reader(wake, desk, service)? {
                        return Ok(verdict);
                    }
                }
                (Ok(Event::HeadOnly), Treatment::Handle) => {
                    budget -= 1;
                    self.answer_by_head(&limits, desk, service)?;
                }
                (Ok(Event::Discarded(Persistence::KeepAlive)), _) => {}
                (Ok(Event::Discarded(Persistence::Close)), _) => self.stop_discarding(),
                (Err(_), _) if self.decoder.is_discarding() => self.stop_discarding(),
                // A body that is not sent is the cheapest.
                (
                    Ok(Event::Continue | Event::Stream | Event::HeadOnly)
                    | Err(Refusal::BodyTooLarge),
                    Treatment::Shed(why),
                ) => {
                    self.turn_down(desk, service, |account, desk| {
                        account.shed(why, desk, service)
                    });
                    desk.outbox.push_answer();
                }
                (Ok(Event::Incomplete(progress)), _) => {
                    if let Some(verdict) = self.send(desk, service)? {
                        return Ok(verdict);
                    }
                    if budget < STEPS_PER_TURN {
                        desk.catch_up();
                    }
                    let progress = self.progress(progress);
                    if let Err(refusal) = self.make_room(progress, desk, service) {
                        if progress == Progress::Nothing {
                            // The response is not to the request before.
                            desk.slot.clear();
                        }
                        self.refuse(refusal, desk, service);
                        continue;
                    }
                    let verdict = self.wait_for_request(progress, wake, desk, service);
                    // What has been sent must not be destroyed by what still comes.
                    if matches!(verdict, Verdict::Close(_)) && self.decoder.is_discarding() {
                        self.stop_discarding();
                        continue;
                    }
                    // One more look is enough: empty lines are no request, however many come.
                    if matches!(verdict, Verdict::Close(_)) && budget < STEPS_PER_TURN {
                        return Ok(verdict);
                    }
                    match self.receive(desk)? {
                        Received::Full | Received::Short => budget -= 1,
                        // A part of a record has come.
                        Received::Nothing if self.progress(progress) != progress => {}
                        Received::Nothing => match self.overdue(desk) {
                            Some(refusal) => self.refuse(refusal, desk, service),
                            None => return Ok(verdict),
                        },
                        Received::End => {
                            return Ok(Verdict::Close(match self.progress(progress) {
                                Progress::Nothing => Why::ClientDone,
                                Progress::Head | Progress::Body => Why::ClientLeft,
                            }));
                        }
                    }
                }
                (Err(refusal), _) => self.refuse(refusal, desk, service),
            }
        }
    }

    /// Receives if anything may be there: into the body that is being received, or the input.
    fn receive(&mut self, desk: &mut Desk) -> io::Result<Received> {
        if self.incoming == Incoming::None {
            return Ok(Received::Nothing);
        }
        let buffer = match self.decoder.body_room() {
            Some(body) => body,
            None => desk.input.room(),
        };
        let received = self.socket.receive(buffer)?;
        let emptied = matches!(received, Received::Short | Received::Nothing);
        if emptied && self.incoming == Incoming::Perhaps {
            self.incoming = Incoming::None;
        }
        Ok(received)
    }

    /// Something may have come since it was looked last.
    fn look_again(&mut self) {
        if self.incoming == Incoming::None {
            self.incoming = Incoming::Perhaps;
        }
    }

    /// Sends what is gathered. A verdict if the client must read first.
    fn send(&mut self, desk: &mut Desk, service: &Service) -> io::Result<Option<Verdict>> {
        let was_empty = desk.outbox.is_empty();
        match desk.outbox.flush(&mut self.socket, desk.now)? {
            Flushed::All(answers) => {
                desk.answered += answers;
                if !was_empty && self.patience.waits_for() == Some(What::Room) {
                    self.patience.end();
                }
                Ok(None)
            }
            Flushed::Last(answers) => {
                desk.answered += answers;
                Ok(Some(Verdict::Close(Why::Upgraded)))
            }
            Flushed::Enough => {
                self.patience.end();
                Ok(Some(self.keep(desk, Verdict::Requeue)))
            }
            Flushed::Part(progress, owed) => {
                Ok(Some(self.wait_for_room(progress, owed, desk, service)))
            }
            Flushed::Gone => Ok(Some(Verdict::Close(Why::ClientLeft))),
            Flushed::Broken(error) => {
                error!("{self}: the answer can't be read: {error}");
                Ok(Some(Verdict::Close(Why::Broken(error))))
            }
        }
    }

    /// Puts what the connection slept over on the desk.
    fn unpack(&mut self, desk: &mut Desk) {
        if !self.carried.is_empty() {
            desk.input.extend(&mem::take(&mut self.carried));
        }
        if let Some(unsent) = self.unsent.take() {
            desk.outbox = *unsent;
        }
    }

    /// Takes from the desk what the connection must keep, in no more memory than it needs.
    fn pack(&mut self, desk: &mut Desk) {
        if !desk.input.is_empty() {
            self.carried = desk.input.unread().into();
            desk.input.clear();
        }
        if !desk.outbox.is_empty() {
            self.unsent = Some(Box::new(desk.outbox.take()));
        }
        let unsent = self.unsent.as_ref().map_or(0, |outbox| outbox.held());
        self.share
            .shrink(self.carried.len() + self.decoder.held() + self.socket.held() + unsent);
        desk.tidy();
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Names the other end, for the log.
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.origin.peer().fmt(f)
    }
}

#[cfg(test)]
mod tests;
