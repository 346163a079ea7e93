//! The two ends of a response that comes later: the program responds, the connection receives.

use std::error::Error;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use log::error;

use crate::message::waker::Wake;
use crate::message::{IntoResponse, Response};

/// Gives a [`Later`](super::Later) its response, from any thread.
///
/// A responder that is dropped without a response is a mistake of the program: the client receives a
/// 500, and the log names the request. So does one whose thread panics.
///
/// ```
/// use std::thread;
///
/// use httpool::testing::Client;
/// use httpool::{Later, Request};
///
/// let client = Client::new(|request: Request| {
///     let (responder, later) = Later::new();
///     let name = request.uri().path().to_owned();
///     thread::spawn(move || responder.respond(format!("hello, {name}")));
///     later
/// });
/// assert_eq!(client.get("/ada").send().text(), "hello, /ada");
/// ```
pub struct Responder(Arc<Slot>);

/// A response that was not sent: the client has left, or the deadline of the
/// [`Later`](super::Later) has passed.
///
/// ```
/// use httpool::Later;
///
/// let (responder, later) = Later::new();
/// drop(later);
/// let cancelled = responder.respond("too late").unwrap_err();
/// assert_eq!(cancelled.into_inner().body().as_bytes(), b"too late");
/// ```
pub struct Cancelled(Box<Response>);

/// The end of a [`Later`](super::Later). Dropping it cancels the responder.
pub(super) struct Receiver(Arc<Slot>);

/// What the receiver finds.
pub(super) enum Received {
    Nothing,
    Response(Box<Response>),
    Abandoned,
}

/// The state that both ends share.
struct Slot(Mutex<State>);

struct State {
    progress: Progress,
    waker: Option<Arc<dyn Wake>>,
    is_cancelled: bool,
    on_cancel: Vec<Callback>,
}

enum Progress {
    Waiting,
    Responded(Box<Response>),
    /// The responder was dropped.
    Abandoned,
    /// The deadline has passed, and the functions for a cancelled response have not been called.
    Late,
    /// The receiver was dropped, or has received.
    Closed,
}

type Callback = Box<dyn FnOnce() + Send>;

pub(super) fn channel() -> (Responder, Receiver) {
    let slot = Arc::new(Slot(Mutex::new(State {
        progress: Progress::Waiting,
        waker: None,
        is_cancelled: false,
        on_cancel: Vec::new(),
    })));
    (Responder(Arc::clone(&slot)), Receiver(slot))
}

impl Responder {
    /// Gives the response. The server sends it soon. It may be another [`Later`](super::Later).
    ///
    /// If this succeeds, the server sends this response and none for the deadline, even if both happen
    /// at the same time. The client may still leave before it has received all of it.
    ///
    /// # Errors
    ///
    /// If the client has left, or the deadline has passed and the server has noticed it. A client
    /// that has only finished sending may still read, so the response is sent although the
    /// responder [is cancelled](Self::is_cancelled).
    pub fn respond(self, response: impl IntoResponse) -> Result<(), Cancelled> {
        let response = Box::new(response.into_response());
        self.0
            .end(Progress::Responded(response))
            .map_err(|left| match left {
                Progress::Responded(response) => Cancelled(response),
                _ => Cancelled(Box::default()),
            })
    }

    /// Whether the response is not needed any more: the client has left or finished sending, or the
    /// deadline has passed.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.lock().is_cancelled
    }

    /// Calls `f` when the responder [is cancelled](Self::is_cancelled), or at once if it is. It is not
    /// called after a response. It runs on a worker, or on the thread that runs the server if that aborts
    /// the request at the end of a shutdown, so it must be quick and must not block.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// use httpool::Later;
    ///
    /// let has_left = Arc::new(AtomicBool::new(false));
    /// let (responder, later) = Later::new();
    /// responder.on_cancel({
    ///     let has_left = Arc::clone(&has_left);
    ///     move || has_left.store(true, Ordering::Relaxed)
    /// });
    /// drop(later);
    /// assert!(has_left.load(Ordering::Relaxed));
    /// ```
    pub fn on_cancel(&self, f: impl FnOnce() + Send + 'static) {
        let mut state = self.0.lock();
        if !state.is_cancelled {
            return state.on_cancel.push(Box::new(f));
        }
        drop(state);
        f();
    }

    /// Whether the server has begun to shut down. It waits for the response until the
    /// [drain's deadline](crate::Builder::drain_timeout).
    #[must_use]
    pub fn is_draining(&self) -> bool {
        let waker = self.0.lock().waker.clone();
        waker.is_some_and(|waker| waker.is_draining())
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        // Without effect after a response.
        let _ = self.0.end(Progress::Abandoned);
    }
}

impl Cancelled {
    /// Returns the response that was not sent.
    #[must_use]
    pub fn into_inner(self) -> Response {
        *self.0
    }
}

impl Receiver {
    pub(super) fn attach(&self, waker: Arc<dyn Wake>) {
        self.0.lock().waker = Some(waker);
    }

    /// Takes the response if it is there. If it is not and `is_late`, it is refused from now on. The
    /// functions for a cancelled response then run when the receiver is dropped: this may be called on a
    /// thread that runs no code of the program.
    pub(super) fn take_or_refuse(&mut self, is_late: bool) -> Received {
        let mut state = self.0.lock();
        match state.progress {
            Progress::Waiting if is_late => {
                state.progress = Progress::Late;
                state.is_cancelled = true;
                return Received::Nothing;
            }
            Progress::Waiting | Progress::Late | Progress::Closed => return Received::Nothing,
            Progress::Responded(_) | Progress::Abandoned => {}
        }
        match mem::replace(&mut state.progress, Progress::Closed) {
            Progress::Responded(response) => Received::Response(response),
            _ => Received::Abandoned,
        }
    }

    /// Tells the responder that its response is not needed any more. It may respond all the same.
    pub(super) fn cancel(&self) {
        let mut state = self.0.lock();
        state.is_cancelled = true;
        let callbacks = mem::take(&mut state.on_cancel);
        drop(state);
        for callback in callbacks {
            if catch_unwind(AssertUnwindSafe(callback)).is_err() {
                error!("a function for a cancelled response panicked");
            }
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        let last = mem::replace(&mut state.progress, Progress::Closed);
        // The waker would only wake others for nothing, and may keep memory.
        let waker = state.waker.take();
        drop(state);
        drop(waker);
        match last {
            Progress::Waiting | Progress::Late => self.cancel(),
            // It is the program's, and may panic.
            Progress::Responded(response) => {
                let _ = catch_unwind(AssertUnwindSafe(|| drop(response)));
            }
            Progress::Abandoned | Progress::Closed => {}
        }
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the wait, or returns `progress` if it has ended.
    fn end(&self, progress: Progress) -> Result<(), Progress> {
        let mut state = self.lock();
        if !matches!(state.progress, Progress::Waiting) {
            return Err(progress);
        }
        state.progress = progress;
        let waker = state.waker.clone();
        let callbacks = mem::take(&mut state.on_cancel);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        // They are the program's, and may panic. The client gets its response all the same.
        drop(callbacks);
        Ok(())
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").finish_non_exhaustive()
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancelled").field(&self.0.status()).finish()
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody waits for the response any more")
    }
}

impl Error for Cancelled {}
