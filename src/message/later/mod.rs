//! Responses that come later than their handlers return.

mod hints;
mod merge;
mod responder;
#[cfg(test)]
mod tests;

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;

pub(crate) use self::hints::Respond;
use self::merge::Overlay;
pub use self::responder::{Cancelled, Responder};
use self::responder::{Received, Receiver, channel};
use super::waker::Wake;
use super::{Body, IntoResponse, Response};

/// Time that a [`Later`] with a [`Responder`] waits for its response, unless it sets another
/// [deadline](Later::deadline). Clients and proxies usually wait a minute.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(httpool::defaults::RESPONSE_DEADLINE, Duration::from_secs(30));
/// ```
pub const RESPONSE_DEADLINE: Duration = Duration::from_secs(30);

/// The detail of the server's own response after the deadline.
pub(crate) const LATE: &str = "the response did not come in time";

/// A response that comes later. The handler returns it at once, and no worker is occupied until the
/// response has arrived.
///
/// [`Later::new`] returns a [`Responder`] with it, which any thread can use to give the response:
///
/// ```
/// use std::sync::{Mutex, PoisonError};
///
/// use httpool::testing::Client;
/// use httpool::{Later, Request, Responder};
///
/// /// The clients that wait for the next message.
/// static WAITING: Mutex<Vec<Responder>> = Mutex::new(Vec::new());
///
/// fn next_message(_: Request) -> Later {
///     let (responder, later) = Later::new();
///     WAITING.lock().unwrap_or_else(PoisonError::into_inner).push(responder);
///     later
/// }
///
/// /// Any thread may call this.
/// fn publish(message: &'static str) {
///     let waiting = std::mem::take(&mut *WAITING.lock().unwrap_or_else(PoisonError::into_inner));
///     for responder in waiting {
///         // An error means that the client has left or the deadline has passed.
///         let _ = responder.respond(message);
///     }
/// }
///
/// let client = std::thread::spawn(|| Client::new(next_message).get("/").send().text().to_owned());
/// while !client.is_finished() {
///     publish("hello");
/// }
/// assert_eq!(client.join().unwrap(), "hello");
/// ```
///
/// [`Later::after`] is a response that is sent after a delay, and [`Later::early_hints`] one that
/// follows `103 Early Hints`.
///
/// # While it waits
///
/// The request counts as unfinished: a shutdown waits for it until the
/// [drain's deadline](crate::Builder::drain_timeout) ([`Responder::is_draining`] and
/// [`Handle::on_shutdown`](crate::Handle::on_shutdown) let a program respond early). In HTTP/1.1, later
/// requests on the same connection wait for it, because responses have an order. In HTTP/2 it holds
/// only its stream. A request that waits for a `Later` is never shed.
///
/// A client of HTTP/1.1 that has closed its side of the connection, without a reset, may still read. So
/// its response is kept. A shutdown sends it `100 Continue`, which clients discard, and to which the
/// system of a client that is gone answers with a reset.
///
/// If the client leaves, the responder is [cancelled](Responder::is_cancelled), and
/// [observers](crate::Observer) see [`Outcome::Cancelled`](crate::Outcome::Cancelled).
///
/// # Layers
///
/// [Layers](crate::Layer) see a placeholder: status 200, no headers and no content. Headers, or a status
/// other than 200, that are set on it apply to the response when it has arrived; a header that the response
/// already has stays as it is. A layer that must see the response itself uses [`Later::map`], as all
/// provided layers do. The layers' functions then run on a worker; a panic becomes a 500.
#[must_use = "a response is sent only if the handler returns it"]
pub struct Later {
    source: Source,
    limit: Option<Limit>,
    steps: Vec<Step>,
    /// Sent before the response.
    hints: Option<Box<HeaderMap>>,
}

/// Where the response comes from.
enum Source {
    Responder(Receiver),
    Timer {
        at: Instant,
        response: Box<Response>,
    },
    /// A worker makes it now. Nothing once it was polled.
    Call(Option<Respond>),
}

/// The latest moment at which a response may come, and what is sent instead of it; nothing stands for
/// the server's own response.
struct Limit {
    at: Instant,
    response: Option<Box<Response>>,
}

/// What a layer does with the response.
type Step = Box<dyn FnOnce(Response) -> Response + Send>;

/// How a wait ended.
#[derive(Debug)]
pub(crate) enum Resolution {
    /// The response has arrived.
    Response(Box<Response>),
    /// A function makes the response now.
    Call(Respond),
    /// The deadline has passed. The program may have a response of its own for that.
    Late(Option<Box<Response>>),
    /// The responder was dropped without a response.
    Abandoned,
}

impl Later {
    /// Creates a response that a [`Responder`] gives from any thread. If it has not come after
    /// [`defaults::RESPONSE_DEADLINE`](crate::defaults::RESPONSE_DEADLINE), the client receives `504
    /// Gateway Timeout`.
    pub fn new() -> (Responder, Self) {
        let (responder, receiver) = channel();
        let later = Self {
            source: Source::Responder(receiver),
            limit: None,
            steps: Vec::new(),
            hints: None,
        };
        (responder, later.deadline(RESPONSE_DEADLINE))
    }

    /// Creates a response that is sent after this delay, by the server's own timer. It has no deadline
    /// unless you set one.
    ///
    /// Its content counts against [`Builder::max_buffered_memory`](crate::Builder::max_buffered_memory)
    /// while it waits. To make a large response only when it is due, [map](Self::map) a small one.
    ///
    /// It is never early, and at most ten milliseconds late (mostly one or two) while a worker and a core
    /// are free. Otherwise it waits for them: on a busy machine as long as any thread, and while all
    /// workers are in handlers until one returns. Many that are due at the same moment are sent one after
    /// another.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use httpool::http::StatusCode;
    /// use httpool::testing::Client;
    /// use httpool::{Later, Request};
    ///
    /// // Slows down guesses, but no worker.
    /// let client = Client::new(|_: Request| {
    ///     Later::after(Duration::from_millis(20), StatusCode::FORBIDDEN)
    /// });
    /// assert_eq!(client.get("/").send().status(), StatusCode::FORBIDDEN);
    /// ```
    pub fn after(delay: Duration, response: impl IntoResponse) -> Self {
        Self {
            source: Source::Timer {
                at: moment(delay),
                response: Box::new(response.into_response()),
            },
            limit: None,
            steps: Vec::new(),
            hints: None,
        }
    }

    /// Sets the time from this call after which the client receives `504 Gateway Timeout` if no response
    /// has come. The precision is a tenth of a second. A response of [another
    /// kind](Self::deadline_with) can be set instead.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use httpool::testing::Client;
    /// use httpool::{Later, Request};
    ///
    /// let client = Client::new(|_: Request| {
    ///     let (responder, later) = Later::new();
    ///     std::mem::forget(responder);
    ///     later.deadline(Duration::from_millis(20))
    /// });
    /// assert_eq!(client.get("/").send().status(), 504);
    /// ```
    pub fn deadline(mut self, after: Duration) -> Self {
        self.limit = Some(Limit {
            at: moment(after),
            response: None,
        });
        self
    }

    /// Sets the time from this call after which the client receives `response` if no other response has
    /// come. Layers see it as any response.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use httpool::http::StatusCode;
    /// use httpool::{Later, Request};
    ///
    /// /// A long poll: the client asks again after 204.
    /// fn poll(_: Request) -> Later {
    ///     let (responder, later) = Later::new();
    ///     subscribe(responder);
    ///     later.deadline_with(Duration::from_secs(25), StatusCode::NO_CONTENT)
    /// }
    /// # fn subscribe(_responder: httpool::Responder) {}
    /// ```
    pub fn deadline_with(mut self, after: Duration, response: impl IntoResponse) -> Self {
        self.limit = Some(Limit {
            at: moment(after),
            response: Some(Box::new(response.into_response())),
        });
        self
    }

    /// Changes a response: now, or when it has arrived if it is a `Later`. This is for
    /// [layers](crate::Layer).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use httpool::http::header::{CACHE_CONTROL, HeaderValue};
    /// use httpool::testing::Client;
    /// use httpool::{Later, Layered, Next, Request, Response};
    ///
    /// /// Forbids caches to store errors.
    /// fn never_store_errors(request: Request, next: Next<'_>) -> Response {
    ///     Later::map(next.run(request), |mut response| {
    ///         if response.status().is_client_error() {
    ///             let value = HeaderValue::from_static("no-store");
    ///             response.headers_mut().insert(CACHE_CONTROL, value);
    ///         }
    ///         response
    ///     })
    /// }
    ///
    /// let handler = |_: Request| Later::after(Duration::from_millis(1), httpool::http::StatusCode::GONE);
    /// let client = Client::new(Layered::new(handler).layer(never_store_errors));
    /// assert_eq!(client.get("/").send().header("cache-control"), Some("no-store"));
    /// ```
    pub fn map(
        mut response: Response,
        f: impl FnOnce(Response) -> Response + Send + 'static,
    ) -> Response {
        if !response.body().is_later() {
            return f(response);
        }
        // What was set on the placeholder so far comes before `f`.
        let overlay = Overlay::take(&mut response);
        if let Some(later) = response.body_mut().later_mut() {
            later.push_overlay(overlay);
            later.steps.push(Box::new(f));
        }
        response
    }

    /// Takes the wait out of a response. Returns nothing if the response has already arrived.
    pub(crate) fn take(response: &mut Response) -> Option<Self> {
        if !response.body().is_later() {
            return None;
        }
        let overlay = Overlay::take(response);
        let mut later = *response.body_mut().take_later()?;
        later.push_overlay(overlay);
        Some(later)
    }

    /// Brings the deadline of a placeholder forward, if it is later than this one.
    pub(crate) fn limit(response: &mut Response, at: Instant, late: impl FnOnce() -> Response) {
        let later = response.body_mut().later_mut();
        if let Some(later) = later.filter(|later| later.limit.as_ref().is_none_or(|is| is.at > at))
        {
            later.limit = Some(Limit {
                at,
                response: Some(Box::new(late())),
            });
        }
    }

    fn push_overlay(&mut self, overlay: Option<Box<Overlay>>) {
        if let Some(overlay) = overlay {
            self.steps
                .push(Box::new(|response| overlay.apply(response)));
        }
    }

    /// Sets the waker, which is called when the responder has responded or was dropped. Call this before
    /// the first [`poll`](Self::poll).
    pub(crate) fn attach(&self, waker: Arc<dyn Wake>) {
        if let Source::Responder(receiver) = &self.source {
            receiver.attach(waker);
        }
    }

    /// Whether it must be woken, because its response has not come.
    pub(crate) fn waits(&self) -> bool {
        !matches!(self.source, Source::Call(_))
    }

    /// When the response is sent by a timer.
    pub(crate) fn alarm(&self) -> Option<Instant> {
        match &self.source {
            Source::Timer { at, .. } => Some(*at),
            Source::Responder(_) | Source::Call(_) => None,
        }
    }

    /// The memory of a response that waits for its time. One that another thread gives is sent at once.
    pub(crate) fn held(&self) -> usize {
        match &self.source {
            Source::Timer { response, .. } => response.body().held(),
            Source::Responder(_) | Source::Call(_) => 0,
        }
    }

    /// When the wait ends at the latest.
    pub(crate) fn ends_at(&self) -> Option<Instant> {
        self.limit.as_ref().map(|limit| limit.at)
    }

    /// Returns how the wait has ended, if it has. It returns this once.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Resolution> {
        let is_late = (self.limit.as_ref()).is_some_and(|limit| limit.at <= now);
        match &mut self.source {
            Source::Responder(receiver) => match receiver.take_or_refuse(is_late) {
                Received::Response(response) => return Some(Resolution::Response(response)),
                Received::Abandoned => return Some(Resolution::Abandoned),
                Received::Nothing => {}
            },
            Source::Timer { at, response } if *at <= now => {
                return Some(Resolution::Response(mem::take(response)));
            }
            Source::Timer { .. } => {}
            Source::Call(respond) => return respond.take().map(Resolution::Call),
        }
        let limit = self.limit.take_if(|limit| limit.at <= now)?;
        Some(Resolution::Late(limit.response))
    }

    /// Lets the layers change the response. The result may come later again. This runs code of the
    /// program, which may panic.
    pub(crate) fn complete(self, response: Response) -> Response {
        let Self { limit, steps, .. } = self;
        let mut response = steps.into_iter().fold(response, Self::map);
        if let (Some(limit), Some(later)) = (limit, response.body_mut().later_mut())
            && later.limit.as_ref().is_none_or(|is| is.at > limit.at)
        {
            later.limit = Some(limit);
        }
        response
    }

    /// Tells the responder that the client has finished sending, and so has probably left.
    pub(crate) fn client_finished(&self) {
        if let Source::Responder(receiver) = &self.source {
            receiver.cancel();
        }
    }
}

/// The moment after this time. A moment beyond the clock's range never comes.
fn moment(after: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    Instant::now() + after.min(CENTURY)
}

impl IntoResponse for Later {
    fn into_response(self) -> Response {
        Response::new(Body::from_later(self))
    }
}

impl fmt::Debug for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Later").finish_non_exhaustive()
    }
}
