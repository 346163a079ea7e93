//! The queue of messages for one client, and the handle by which any thread adds to it.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::mem;
use std::sync::Arc;

use super::{Close, Message};
use crate::message::DrivenWaker;
use crate::sync::{Mutex, MutexGuard, ignore_poison};

/// What a message costs in the queue beside its content.
const OVERHEAD: usize = 64;

/// Messages for which an empty queue keeps memory.
const KEPT: usize = 16;

/// Sends messages to the client of a [`WebSocket`](super::WebSocket) from any thread. Clones send to
/// the same client.
///
/// Nothing blocks. Messages wait in a queue, bounded by
/// [`Options::max_queued`](super::Options::max_queued), until the client takes them. The connection
/// lives on when all senders are dropped.
///
/// ```
/// use std::sync::Mutex;
///
/// use httpool::websocket::{Close, Message, TrySendError, WebSocketSender};
///
/// /// Sends a message to all, and lets go who is gone or too slow.
/// fn broadcast(listeners: &Mutex<Vec<WebSocketSender>>, message: &Message) {
///     let mut listeners = listeners.lock().expect("no thread panics");
///     listeners.retain(|listener| match listener.try_send(message.clone()) {
///         Ok(()) => true,
///         Err(TrySendError::Closed(_)) => false,
///         Err(TrySendError::Full(_)) => {
///             listener.close(Close::new(Close::POLICY, "too slow"));
///             false
///         }
///     });
/// }
/// ```
#[derive(Clone)]
pub struct WebSocketSender(pub(super) Arc<Shared>);

/// What a connection and its senders share.
pub(super) struct Shared {
    queue: Mutex<Queue>,
    waker: DrivenWaker,
    max_queued: usize,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// The size of all these messages.
    size: usize,
    /// The connection will look at the queue without being woken.
    is_awake: bool,
    state: QueueState,
}

/// Whether the queue takes messages.
#[derive(Default)]
enum QueueState {
    #[default]
    Open,
    /// The connection closes behind the last message.
    Closing(Close),
    Closed,
}

/// What the connection sends next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Queued {
    Message(Message),
    Close(Close),
    Nothing,
}

/// Why a message was not taken. It is given back.
///
/// ```
/// use httpool::websocket::{Message, TrySendError};
///
/// let error = TrySendError::Full(Message::from("later"));
/// assert_eq!(error.to_string(), "the client takes its messages too slowly");
/// assert_eq!(error.into_message(), Message::from("later"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrySendError {
    /// The queue has no room: the client takes its messages too slowly.
    Full(Message),
    /// The WebSocket has closed or is closing.
    Closed(Message),
}

impl TrySendError {
    /// The message that was not sent.
    #[must_use]
    pub fn into_message(self) -> Message {
        match self {
            Self::Full(message) | Self::Closed(message) => message,
        }
    }
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the client takes its messages too slowly",
            Self::Closed(_) => "the WebSocket is closed",
        })
    }
}

impl Error for TrySendError {}

impl WebSocketSender {
    pub(super) fn new(waker: DrivenWaker, max_queued: usize) -> Self {
        Self(Arc::new(Shared {
            queue: Mutex::default(),
            waker,
            max_queued,
        }))
    }

    /// Sends a message once the client takes it. A message that is larger than the queue is taken
    /// while the queue is empty.
    ///
    /// # Errors
    ///
    /// If the queue is full, or the WebSocket is closed.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), TrySendError> {
        let message = message.into();
        let mut queue = self.0.lock();
        if !matches!(queue.state, QueueState::Open) {
            return Err(TrySendError::Closed(message));
        }
        let size = message.len() + OVERHEAD;
        if queue.size > 0 && queue.size + size > self.0.max_queued {
            return Err(TrySendError::Full(message));
        }
        queue.size += size;
        queue.messages.push_back(message);
        self.0.wake(queue);
        Ok(())
    }

    /// Closes the WebSocket after the messages that were sent before. The client has some seconds to
    /// answer; what it sends meanwhile is discarded. If it is closed already, this does nothing.
    pub fn close(&self, close: Close) {
        self.0.close(close);
    }

    /// Whether the WebSocket has closed or is closing, so that nothing more can be sent.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !matches!(self.0.lock().state, QueueState::Open)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        ignore_poison(self.queue.lock())
    }

    /// Wakes the connection, unless it is awake. The lock is released first.
    fn wake(&self, mut queue: MutexGuard<'_, Queue>) {
        let was_awake = mem::replace(&mut queue.is_awake, true);
        drop(queue);
        if !was_awake {
            self.waker.wake();
        }
    }

    pub(super) fn close(&self, close: Close) {
        let mut queue = self.lock();
        if let QueueState::Open = queue.state {
            queue.state = QueueState::Closing(close);
            self.wake(queue);
        }
    }

    /// Notes that the connection will look at the queue.
    pub(super) fn set_awake(&self) {
        self.lock().is_awake = true;
    }

    /// Whether there is nothing to send. Then the connection must be woken from now on.
    pub(super) fn sleep(&self) -> bool {
        let mut queue = self.lock();
        let has_more = !queue.messages.is_empty() || matches!(queue.state, QueueState::Closing(_));
        queue.is_awake = has_more;
        !has_more
    }

    pub(super) fn take(&self) -> Queued {
        let mut queue = self.lock();
        if let Some(message) = queue.messages.pop_front() {
            queue.size -= message.len() + OVERHEAD;
            if queue.messages.is_empty() && queue.messages.capacity() > KEPT {
                queue.messages = VecDeque::new();
            }
            return Queued::Message(message);
        }
        match mem::replace(&mut queue.state, QueueState::Closed) {
            QueueState::Open => {
                queue.state = QueueState::Open;
                Queued::Nothing
            }
            QueueState::Closing(close) => Queued::Close(close),
            QueueState::Closed => Queued::Nothing,
        }
    }

    /// Takes no more messages, and drops those that were not sent.
    pub(super) fn end(&self) {
        let mut queue = self.lock();
        queue.state = QueueState::Closed;
        queue.size = 0;
        let messages = mem::take(&mut queue.messages);
        drop(queue);
        drop(messages);
    }
}

impl fmt::Debug for WebSocketSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketSender")
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::message::waker::Wake;

    #[derive(Default)]
    struct CountingWaker(AtomicUsize);

    impl Wake for CountingWaker {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn is_draining(&self) -> bool {
            false
        }
    }

    fn sender(max_queued: usize) -> (WebSocketSender, Arc<CountingWaker>) {
        let waker = Arc::<CountingWaker>::default();
        let sender = WebSocketSender::new(DrivenWaker::new(waker.clone()), max_queued);
        (sender, waker)
    }

    #[test]
    fn queue_is_bounded_by_size() {
        let (sender, _) = sender(1000);
        let large = Message::from(vec![0; 2000]);
        assert_eq!(
            sender.try_send(large.clone()),
            Ok(()),
            "the queue was empty"
        );
        let small = Message::from("x");
        assert_eq!(
            sender.try_send(small.clone()),
            Err(TrySendError::Full(small.clone()))
        );
        assert_eq!(sender.0.take(), Queued::Message(large));
        for _ in 0..1000 / (1 + OVERHEAD) {
            assert_eq!(sender.try_send(small.clone()), Ok(()));
        }
        assert!(matches!(sender.try_send(small), Err(TrySendError::Full(_))));
    }

    #[test]
    fn connection_is_woken_once_until_it_sleeps() {
        let (sender, waker) = sender(1000);
        let wakes = || waker.0.load(Ordering::Relaxed);
        for _ in 0..3 {
            sender.try_send("x").expect("there is room");
        }
        assert_eq!(wakes(), 1);
        assert!(!sender.0.sleep(), "there is something to send");
        while sender.0.take() != Queued::Nothing {}
        assert!(sender.0.sleep());
        sender.close(Close::new(Close::NORMAL, ""));
        sender.close(Close::new(Close::POLICY, "later"));
        assert_eq!(wakes(), 2);
        assert!(!sender.0.sleep());
    }

    #[test]
    fn close_comes_after_the_messages() {
        let (sender, _) = sender(1000);
        sender.try_send("x").expect("there is room");
        let close = Close::new(Close::NORMAL, "");
        sender.close(close.clone());
        assert!(sender.is_closed());
        assert!(matches!(sender.try_send("y"), Err(TrySendError::Closed(_))));
        assert_eq!(sender.0.take(), Queued::Message("x".into()));
        assert_eq!(sender.0.take(), Queued::Close(close));
        assert_eq!(sender.0.take(), Queued::Nothing);
        assert!(sender.0.sleep());
    }
}
