//! One client's connection: from bytes on its socket to answers on it, and how it ends.
//!
//! A connection never waits. It is *driven*: it does all that can be done now and says what it
//! waits for, and whoever drives it puts it away until that has come.

pub(crate) mod body_writer;
pub(crate) mod checkout;
pub(crate) mod close;
mod close_reason;
pub(crate) mod config;
pub(crate) mod deadlines;
pub(crate) mod drive;
pub(crate) mod phase;
#[cfg(feature = "proxy")]
pub(crate) mod proxy_header;
pub(crate) mod respond;
pub(crate) mod streamed_body;
pub(crate) mod transaction;
pub(crate) mod worker_buffers;
pub(crate) mod write_queue;

mod blocking;
mod budget;
mod drain;
#[cfg(feature = "_tls")]
mod handshake;
#[cfg_attr(
    not(any(feature = "proxy", feature = "_tls")),
    expect(
        dead_code,
        reason = "only what precedes requests is logged with a limit"
    )
)]
mod log_limits;
mod state;
mod upgrade;
mod waiting;

use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{debug, error};

pub(crate) use self::budget::Budget;
use self::budget::Share;
use self::checkout::Checkout;
use self::close::CloseMode;
pub use self::close_reason::CloseReason;
use self::config::Config;
pub use self::config::{Conflict, defaults};
use self::deadlines::Deadlines;
pub(crate) use self::drain::Grace;
use self::drain::ReadLimit;
pub(crate) use self::drive::{Admission, DriveResult, Pending, WaitFor, WakeReason};
pub(crate) use self::log_limits::LogLimits;
#[cfg(feature = "proxy")]
pub(crate) use self::log_limits::log_limited;
pub use self::phase::Phase;
use self::phase::PhaseCell;
pub(crate) use self::worker_buffers::WorkerBuffers;
use self::write_queue::{FlushResult, WriteQueue};
use crate::http1::{CONTINUE, Decoder, Event, Limits, Persistence, Progress};
use crate::message::headers::default_headers::DefaultHeaders;
use crate::message::problem::pages::Pages;
use crate::message::record::Observers;
use crate::message::request_error::RequestError;
use crate::message::{ClientInfo, Handler, PeerAddr, Request};
use crate::net::ListenerProtocol;
use crate::net::transport::{Received, Socket};

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
    pub(crate) default_headers: DefaultHeaders,
    pub(crate) log_limits: LogLimits,
}

impl Service {
    fn limits(&self) -> Limits {
        Limits {
            head: self.config.max_header_size,
            body: self.config.max_body,
        }
    }
}

/// One client's connection. What it needs only while it is driven is on the [`WorkerBuffers`]; asleep it
/// is small.
pub(crate) struct Connection {
    socket: Checkout<Socket>,
    origin: ClientInfo,
    decoder: Decoder,
    /// The start of a head, if the connection sleeps in the middle of one.
    carried: Box<[u8]>,
    /// What the client has not taken yet, if the connection sleeps over it.
    unsent: Option<Box<WriteQueue>>,
    state: State,
    incoming: BodyStream,
    deadlines: Deadlines,
    /// Of the budget: what it keeps of a request that is not complete and of unsent answers.
    share: Share,
    /// How far it is read, once that is decided.
    read_limit: Option<Box<ReadLimit>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A proxy's header has not come, or not all of it.
    #[cfg(feature = "proxy")]
    Introduction,
    /// A handshake has not come to its end.
    #[cfg(feature = "_tls")]
    Handshake,
    /// Requests are taken.
    Open,
    /// What is in the outbox is the end.
    Closing(CloseMode),
    /// Everything is sent, and what still comes is thrown away.
    Lingering,
    /// The same after a handshake that has failed.
    #[cfg(feature = "_tls")]
    Rejected,
}

/// What is known of bytes that have not been received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyStream {
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
        peer: PeerAddr,
        opening: &ListenerProtocol,
        now: Instant,
        service: &Service,
    ) -> Self {
        let state = State::first(opening);
        service.grace.begin(now);
        Self {
            origin: ClientInfo::new(peer),
            socket: Checkout::new(socket),
            decoder: Decoder::default(),
            carried: Box::default(),
            unsent: None,
            state,
            incoming: BodyStream::Perhaps,
            deadlines: state.deadlines(now, &service.config),
            share: Share::new(&service.budget),
            read_limit: None,
        }
    }

    /// Does all that can be done without waiting.
    pub(crate) fn drive(
        &mut self,
        wake: WakeReason,
        treatment: Admission,
        now: Instant,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> DriveResult {
        buffers.now = now;
        self.unpack(buffers);
        let verdict = self
            .turn(wake, treatment, buffers, service)
            .unwrap_or_else(|error| {
                debug!("{self}: the socket failed: {error}");
                DriveResult::Close(CloseReason::Failed)
            });
        self.pack(buffers);
        #[cfg(feature = "_tls")]
        if let DriveResult::Close(why) = verdict {
            self.part(why);
        }
        verdict
    }

    /// How many requests have begun to arrive or have not been answered in full.
    pub(crate) fn unfinished(&self) -> u64 {
        let unsent = self
            .unsent
            .as_ref()
            .map_or(0, |write_queue| write_queue.answers());
        let arriving = matches!(
            self.deadlines.waits_for(),
            Some(WaitFor::Head | WaitFor::Body)
        ) || !self.carried.is_empty()
            || self.decoder.held() > 0
            || self.socket.has_begun()
            || self.socket.has_unread();
        let may_be_one = match self.state {
            State::Open => arriving && !self.decoder.is_discarding(),
            // There may be one behind the header.
            #[cfg(feature = "proxy")]
            State::Introduction => self.socket.has_unread(),
            // The same.
            #[cfg(feature = "_tls")]
            State::Handshake => self.socket.has_unread(),
            #[cfg(feature = "_tls")]
            State::Rejected => false,
            State::Closing(_) | State::Lingering => false,
        };
        unsent + u64::from(may_be_one)
    }

    /// Whether there is an answer, perhaps from a handler's reader, that the client has not taken.
    pub(crate) fn owes(&self) -> bool {
        self.unsent.is_some()
    }

    fn turn(
        &mut self,
        wake: WakeReason,
        treatment: Admission,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<DriveResult> {
        match wake {
            WakeReason::HungUp => self.incoming = BodyStream::UntilEnd,
            _ => self.expect_more(),
        }
        // A connection that always has something to receive never waits for its deadline.
        let wake = match self.deadlines.overdue(buffers.now) {
            Some(WaitFor::Goodbye) => return Ok(DriveResult::Close(self.end_reason())),
            Some(_) if wake != WakeReason::Unwatched => WakeReason::Expired,
            _ => wake,
        };
        #[cfg(feature = "proxy")]
        let wake = if self.state == State::Introduction {
            if let Some(verdict) = self.introduce(wake, buffers, service)? {
                return Ok(verdict);
            }
            match wake {
                // It was the header's time that had passed.
                WakeReason::Expired => WakeReason::Ready,
                _ => wake,
            }
        } else {
            wake
        };
        #[cfg(feature = "_tls")]
        let wake = if self.state == State::Handshake {
            if let Some(verdict) = self.handshake(wake, treatment, buffers, service)? {
                return Ok(verdict);
            }
            // What is waited for now has just begun.
            WakeReason::Ready
        } else {
            wake
        };
        let wake = service.recalling(wake, buffers.now);
        let limits = service.limits();
        let mut budget = STEPS_PER_TURN;
        loop {
            if self.state != State::Open || buffers.write_queue.is_full() {
                match self.send(buffers, service)? {
                    Some(verdict) => return Ok(verdict),
                    None if self.state != State::Open => return self.end(buffers, service),
                    None => {}
                }
            }
            if service.phase.get() >= Phase::Forced {
                return Ok(DriveResult::Close(CloseReason::Forced));
            }
            if budget <= 0 {
                if let Some(refusal) = self.overdue(buffers) {
                    self.refuse(refusal, buffers, service);
                    continue;
                }
                return Ok(self.send(buffers, service)?.unwrap_or(DriveResult::Requeue));
            }
            let body_mode = |request: &Request| streamed_body::ask(request, treatment, service);
            let (input, slot) = (&mut buffers.input, &mut buffers.slot);
            match (
                self.decoder.decode_with(input, slot, &limits, body_mode),
                treatment,
            ) {
                (Ok(Event::Request), _) => {
                    budget -= 1;
                    self.answer(
                        buffers,
                        service,
                        |_, transaction, buffers| match treatment {
                            Admission::Handle => transaction.handle(buffers, service),
                            Admission::Shed(why) => transaction.shed(why, buffers, service),
                        },
                    )?;
                    if !buffers.input.is_empty() && buffers.now.elapsed() > TURN {
                        budget = 0;
                    }
                }
                (Ok(Event::Continue), Admission::Handle)
                    if self.decoder.needs() > service.budget.most() =>
                {
                    self.refuse(RequestError::BodyTooLarge, buffers, service);
                }
                (Ok(Event::Continue), Admission::Handle) => {
                    buffers.write_queue.bytes().extend_from_slice(CONTINUE);
                }
                (Ok(Event::Stream), Admission::Handle) => {
                    // Others wait meanwhile.
                    budget = 0;
                    if let Some(verdict) = self.answer_reader(wake, buffers, service)? {
                        return Ok(verdict);
                    }
                }
                (Ok(Event::HeadOnly), Admission::Handle) => {
                    budget -= 1;
                    self.answer_by_head(&limits, buffers, service)?;
                }
                (Ok(Event::Discarded(Persistence::KeepAlive)), _) => {}
                (Ok(Event::Discarded(Persistence::Close)), _) => self.stop_discarding(),
                (Err(_), _) if self.decoder.is_discarding() => self.stop_discarding(),
                // A body that is not sent is the cheapest.
                (
                    Ok(Event::Continue | Event::Stream | Event::HeadOnly)
                    | Err(RequestError::BodyTooLarge),
                    Admission::Shed(why),
                ) => {
                    self.reject_request(buffers, service, |transaction, buffers| {
                        transaction.shed(why, buffers, service)
                    });
                    buffers.write_queue.push_answer();
                }
                (Ok(Event::Incomplete(progress)), _) => {
                    if let Some(verdict) = self.send(buffers, service)? {
                        return Ok(verdict);
                    }
                    if budget < STEPS_PER_TURN {
                        buffers.catch_up();
                    }
                    let progress = self.progress(progress);
                    if let Err(refusal) = self.make_room(progress, buffers, service) {
                        if progress == Progress::Nothing {
                            // The response is not to the request before.
                            buffers.slot.clear();
                        }
                        self.refuse(refusal, buffers, service);
                        continue;
                    }
                    let verdict = self.wait_for_request(progress, wake, buffers, service);
                    // What has been sent must not be destroyed by what still comes.
                    if matches!(verdict, DriveResult::Close(_)) && self.decoder.is_discarding() {
                        self.stop_discarding();
                        continue;
                    }
                    // One more look is enough: empty lines are no request, however many come.
                    if matches!(verdict, DriveResult::Close(_)) && budget < STEPS_PER_TURN {
                        return Ok(verdict);
                    }
                    match self.receive(buffers)? {
                        Received::Full | Received::Short => budget -= 1,
                        // A part of a record has come.
                        Received::Nothing if self.progress(progress) != progress => {}
                        Received::Nothing => match self.overdue(buffers) {
                            Some(refusal) => self.refuse(refusal, buffers, service),
                            None => return Ok(verdict),
                        },
                        Received::End => {
                            return Ok(DriveResult::Close(match self.progress(progress) {
                                Progress::Nothing => CloseReason::ClientClosed,
                                Progress::Head | Progress::Body => CloseReason::ClientLeft,
                            }));
                        }
                    }
                }
                (Err(refusal), _) => self.refuse(refusal, buffers, service),
            }
        }
    }

    /// Receives if anything may be there: into the body that is being received, or the input.
    fn receive(&mut self, buffers: &mut WorkerBuffers) -> io::Result<Received> {
        if self.incoming == BodyStream::None {
            return Ok(Received::Nothing);
        }
        let buffer = match self.decoder.body_room() {
            Some(body) => body,
            None => buffers.input.room(),
        };
        let received = self.socket.receive(buffer)?;
        let emptied = matches!(received, Received::Short | Received::Nothing);
        if emptied && self.incoming == BodyStream::Perhaps {
            self.incoming = BodyStream::None;
        }
        Ok(received)
    }

    /// Something may have come since it was looked last.
    fn expect_more(&mut self) {
        if self.incoming == BodyStream::None {
            self.incoming = BodyStream::Perhaps;
        }
    }

    /// Sends what is gathered. A verdict if the client must read first.
    fn send(
        &mut self,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Option<DriveResult>> {
        let was_empty = buffers.write_queue.is_empty();
        match buffers.write_queue.flush(&mut self.socket, buffers.now)? {
            FlushResult::All(answers) => {
                buffers.answered += answers;
                if !was_empty && self.deadlines.waits_for() == Some(WaitFor::Room) {
                    self.deadlines.end();
                }
                Ok(None)
            }
            FlushResult::Last(answers) => {
                buffers.answered += answers;
                Ok(Some(DriveResult::Close(CloseReason::Upgraded)))
            }
            FlushResult::Enough => {
                self.deadlines.end();
                Ok(Some(self.keep(buffers, DriveResult::Requeue)))
            }
            FlushResult::Part(progress, owed) => {
                Ok(Some(self.wait_for_room(progress, owed, buffers, service)))
            }
            FlushResult::Gone => Ok(Some(DriveResult::Close(CloseReason::ClientLeft))),
            FlushResult::Broken(error) => {
                error!("{self}: the answer can't be read: {error}");
                Ok(Some(DriveResult::Close(CloseReason::Broken)))
            }
        }
    }

    /// Puts what the connection slept over on the desk.
    fn unpack(&mut self, buffers: &mut WorkerBuffers) {
        if !self.carried.is_empty() {
            buffers.input.extend(&mem::take(&mut self.carried));
        }
        if let Some(unsent) = self.unsent.take() {
            buffers.write_queue = *unsent;
        }
    }

    /// Takes from the desk what the connection must keep, in no more memory than it needs.
    fn pack(&mut self, buffers: &mut WorkerBuffers) {
        if !buffers.input.is_empty() {
            self.carried = buffers.input.unread().into();
            buffers.input.clear();
        }
        if !buffers.write_queue.is_empty() {
            self.unsent = Some(Box::new(buffers.write_queue.take()));
        }
        let unsent = self
            .unsent
            .as_ref()
            .map_or(0, |write_queue| write_queue.held());
        self.share
            .shrink(self.carried.len() + self.decoder.held() + self.socket.held() + unsent);
        buffers.reset();
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
