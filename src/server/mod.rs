//! The server: threads, readiness, deadlines, and the end of them all.

mod acceptor;
mod bell;
mod berth;
mod builder;
mod census;
mod client;
mod deputy;
mod handle;
mod listener;
mod lot;
mod probe;
mod roster;
mod socket_file;
mod turns;
mod waits;
mod worker;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use log::{debug, error};

use self::acceptor::Acceptor;
use self::bell::Bell;
pub use self::builder::Builder;
use self::census::Census;
use self::client::{Client, Job};
pub use self::handle::{DrainReport, Handle, Progress, Vitals};
pub use self::listener::BindError;
use self::listener::Listener;
use self::lot::{Events, Lot, Parked};
use self::roster::Roster;
use self::turns::Turns;
use self::waits::Tallies;
pub use self::waits::Waits;
use self::worker::Worker;
use crate::answer_fields::AnswerFields;
use crate::config::Config;
use crate::connection::{
    Budget, Desk, Grace, LogLimits, Service, Treatment, Verdict, Wait, Wake, Why,
};
use crate::error_pages::Pages;
use crate::exchange::Observers;
use crate::phase::PhaseCell;
use crate::sync::channel::{Receiver, Sender};
use crate::{Handler, ListenAddr, Phase};

/// A server that listens: clients can connect, and are answered once it [runs](Self::run).
///
/// ```
/// use httpool::Server;
///
/// let server = Server::builder().listen("127.0.0.1:0").bind()?;
/// println!("listening on {}", server.local_addrs()[0]);
///
/// let handle = server.handle();
/// std::thread::spawn(move || handle.shutdown());
/// let report = server.run(|_request: httpool::Request| "hello")?;
/// assert_eq!(report.cut, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server {
    config: Config,
    max_connections: usize,
    /// How many connections there may be with those who wait in the listeners' queues.
    capacity: usize,
    listeners: Vec<Listener>,
    addresses: Vec<ListenAddr>,
    observers: Observers,
    error_pages: Pages,
    answer_fields: AnswerFields,
    phase: Arc<PhaseCell>,
    budget: Arc<Budget>,
    census: Arc<Census>,
    turns: Arc<Turns>,
    waits: Arc<Tallies>,
    ready: Sender<Job>,
    jobs: Arc<Receiver<Job>>,
    /// Wakes the acceptor.
    bell: Arc<Bell>,
}

/// What the threads of one server share.
struct Shared {
    service: Service,
    max_connections: usize,
    lot: Lot<Box<Client>>,
    ready: Sender<Job>,
    jobs: Arc<Receiver<Job>>,
    roster: Roster,
    census: Arc<Census>,
    turns: Arc<Turns>,
    waits: Arc<Tallies>,
}

impl Server {
    /// A builder with every [default](crate::defaults).
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where the server listens, with real ports where 0 was asked for.
    #[must_use]
    pub fn local_addrs(&self) -> &[ListenAddr] {
        &self.addresses
    }

    /// Those of its [addresses](Self::local_addrs) where clients speak TLS.
    #[cfg(feature = "tls")]
    pub fn tls_addrs(&self) -> impl Iterator<Item = &ListenAddr> {
        let listeners = self.listeners.iter().filter(|one| one.is_tls());
        listeners.map(Listener::address)
    }

    /// How many workers it will have. So many handlers run at once, and a pool of as many of whatever
    /// each of them needs makes none of them wait for another:
    ///
    /// ```
    /// use httpool::Server;
    ///
    /// let server = Server::builder().listen("127.0.0.1:0").bind()?;
    /// let connect = || "a connection to the database";
    /// let pool: Vec<_> = (0..server.workers()).map(|_| connect()).collect();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn workers(&self) -> usize {
        self.config.workers
    }

    /// A handle that shuts the server down from anywhere.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(self)
    }

    /// Serves until a [`Handle`] shuts it down, then drains: what has arrived is answered, and
    /// the addresses are free when this returns.
    ///
    /// The calling thread accepts connections; [`Builder::workers`] more threads answer them. All
    /// of them have ended and every descriptor is closed when this returns, but for workers whose
    /// handler has not returned by the [drain's deadline](Builder::drain_timeout): Rust can't end
    /// a thread from outside. The report counts them; they end when their handler returns.
    ///
    /// # Errors
    ///
    /// If the system has no threads or descriptors for the server, or the handler
    /// [can't handle requests](Handler::check).
    pub fn run(self, handler: impl Handler) -> io::Result<DrainReport> {
        handler.check()?;
        let config = self.config;
        let workers = config.workers;
        let workers_bell = Bell::new()?;
        let shared = Arc::new(Shared {
            lot: Lot::new(self.capacity, &workers_bell)?,
            service: Service {
                handler: Box::new(handler),
                grace: Grace::new(config.drain_idle),
                config,
                phase: self.phase,
                budget: self.budget,
                observers: self.observers,
                error_pages: self.error_pages,
                answer_fields: self.answer_fields,
                log_limits: LogLimits::new(),
            },
            max_connections: self.max_connections,
            ready: self.ready,
            jobs: self.jobs,
            roster: Roster::new(
                Arc::clone(&self.turns),
                thread::available_parallelism().map_or(1, usize::from),
                workers_bell,
                Arc::clone(&self.bell),
            ),
            census: self.census,
            turns: self.turns,
            waits: self.waits,
        });
        let (done, workers_done) = crossbeam_channel::bounded(0);
        let mut threads = Vec::with_capacity(workers);
        for index in 0..workers {
            match spawn(&shared, index, done.clone()) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    shared.stop();
                    // They have done nothing yet, so there is nothing to hear from them.
                    threads.into_iter().for_each(|thread| drop(thread.join()));
                    return Err(error);
                }
            }
        }
        drop(done);
        Acceptor::new(shared, self.listeners, self.bell, threads, workers_done).run()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.addresses)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn phase(&self) -> Phase {
        self.service.phase.get()
    }

    /// Puts a job where any worker finds it.
    fn enqueue(&self, job: Job) {
        let sent = self.ready.send(job);
        debug_assert!(sent.is_ok(), "the receiver lives as long as the sender");
    }

    /// Puts a job where any worker finds it, and wakes one if one is idle.
    fn hand_over(&self, job: Job) {
        self.enqueue(job);
        self.roster.call();
    }

    fn look(&self, events: &mut Events, patience: Option<Duration>) {
        if let Err(error) = self.lot.wait(events, patience) {
            error!("waiting for connections failed: {error}");
        }
    }

    /// Puts all connections of these events where any worker finds them, and says whether there were
    /// any.
    fn enqueue_all(&self, events: &mut Events) -> bool {
        let mut since = None;
        while let Some((client, wake)) = self.lot.claim(events) {
            // Once for all of them.
            let since = Some(*since.get_or_insert_with(Instant::now));
            self.enqueue(Job {
                client,
                wake,
                since,
            });
        }
        since.is_some()
    }

    /// Whether a connection that could go on since then has waited for too long.
    fn is_late(&self, since: Option<Instant>, now: Instant) -> bool {
        since.is_some_and(|since| {
            now.saturating_duration_since(since) > self.service.config.shed_after
        })
    }

    /// Drives a connection once.
    fn turn(
        &self,
        desk: &mut Desk,
        client: &mut Client,
        wake: Wake,
        treatment: Treatment,
        now: Instant,
    ) -> Verdict {
        let turn = || {
            let connection = &mut client.connection;
            connection.drive(wake, treatment, now, desk, &self.service)
        };
        let verdict = catch_unwind(AssertUnwindSafe(turn)).unwrap_or_else(|_| {
            error!("a connection was dropped because driving it panicked");
            desk.replace();
            Verdict::Close(Why::Panicked)
        });
        if let Treatment::Shed(why) = treatment {
            self.census.add_shed(why, desk.take_shed());
        }
        if let Verdict::Close(Why::Upgraded) = verdict {
            self.go_on_otherwise(client);
        }
        verdict
    }

    /// Does with a connection what its verdict says, and returns it if it can go on at once.
    fn follow(&self, mut client: Box<Client>, verdict: Verdict) -> Option<(Box<Client>, Wake)> {
        match verdict {
            Verdict::Close(why) => self.close(*client, &why),
            _ if self.phase() >= Phase::Forced => self.close(*client, &Why::Forced),
            Verdict::Park(wait) => return self.park(client, wait),
            Verdict::Requeue => return Some((client, Wake::Ready)),
            Verdict::Unwatch => {
                self.unwatch(&mut client);
                return Some((client, Wake::Unwatched));
            }
        }
        None
    }

    /// Parks a connection, and returns it if it can go on at once.
    fn park(&self, mut client: Box<Client>, wait: Wait) -> Option<(Box<Client>, Wake)> {
        let ticket = client.ticket.or_else(|| self.lot.enter());
        client.ticket = ticket;
        let Some(ticket) = ticket else {
            error!("{}: there is no place to park it", client.connection);
            return None;
        };
        match self.lot.park(ticket, client, wait) {
            Parked::Waits => None,
            Parked::Called(client, wake) => Some((client, wake)),
            Parked::Failed(client, error) => {
                error!("{}: can't be watched: {error}", client.connection);
                self.close(*client, &Why::Failed(error));
                None
            }
        }
    }

    /// Has nobody woken by what comes for a connection, until it parks again.
    #[cold]
    fn unwatch(&self, client: &mut Client) {
        if let Some(ticket) = client.ticket.take() {
            self.lot.expel(ticket, &client.connection);
        }
    }

    /// Ends a connection, and counts what is lost by that in a drain.
    fn close(&self, client: Client, why: &Why) {
        debug!("{}: closed: {why}", client.connection);
        // What goes on in another protocol ends, and is counted, with its berth.
        if !matches!(why, Why::Upgraded) {
            self.census.add_ended(why);
        }
        let cut = match why {
            Why::Forced => true,
            Why::SlowReader | Why::NoRoom => self.phase() >= Phase::Draining,
            _ => false,
        };
        if cut {
            self.census.add_cut(client.connection.unfinished());
        }
        client.connection.prepare_end();
        self.dismiss(client);
    }

    /// Ends a connection. Its place goes first: an event that comes before the socket is closed
    /// must find nobody.
    fn dismiss(&self, client: Client) {
        if let Some(ticket) = client.ticket {
            self.lot.leave(ticket);
        }
        drop(client);
    }

    /// Ends a connection with what is under way on it.
    fn cut(&self, client: Client) {
        self.close(client, &Why::Forced);
    }

    fn cut_parked(&self) {
        self.lot.recall(|_| true, |client| self.cut(*client));
    }

    /// Tells the workers to end.
    fn stop(&self) {
        self.service.phase.advance(Phase::Stopped);
        self.roster.call_all();
    }
}

/// How many there are of something, in words.
fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Starts a worker that lets go of `done` when it has ended.
fn spawn(
    shared: &Arc<Shared>,
    index: usize,
    done: impl Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    thread::Builder::new()
        .name(format!("httpool-{index}"))
        .spawn(move || {
            Worker::new(shared, index).run();
            drop(done);
        })
}
