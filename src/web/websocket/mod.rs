//! WebSockets (RFC 6455) that hold no worker while they wait.
//!
//! [`WebSocket::accept`] checks a request, and [`on_message`](WebSocket::on_message) or
//! [`serve`](WebSocket::serve) makes the response that opens the WebSocket:
//!
//! ```
//! use httpool::websocket::{HandshakeError, WebSocket};
//! use httpool::{Request, Response};
//!
//! /// Gives back every message.
//! fn echo(request: Request) -> Result<Response, HandshakeError> {
//!     let socket = WebSocket::accept(&request)?;
//!     Ok(socket.on_message(|sender, message| {
//!         // An error says that the client is gone, or takes nothing.
//!         let _ = sender.try_send(message);
//!     }))
//! }
//! ```
//!
//! A message runs its function on a worker, which may block as a handler may: for a database, for
//! example, but not for another client. Between messages, a WebSocket is a parked connection, so
//! thousands of them need a few workers. The messages of one client come one after another.
//!
//! Other threads send by a [`WebSocketSender`]:
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use httpool::websocket::{HandshakeError, Message, WebSocket, WebSocketSender};
//! use httpool::{Request, Response};
//!
//! #[derive(Clone, Default)]
//! struct Room(Arc<Mutex<Vec<WebSocketSender>>>);
//!
//! impl Room {
//!     fn join(&self, request: &Request) -> Result<Response, HandshakeError> {
//!         let room = self.clone();
//!         Ok(WebSocket::accept(request)?.serve(move |sender| {
//!             room.0.lock().expect("no thread panics").push(sender);
//!             move |message| room.send(&message)
//!         }))
//!     }
//!
//!     /// Sends a message to all who are still there and take their messages.
//!     fn send(&self, message: &Message) {
//!         let mut senders = self.0.lock().expect("no thread panics");
//!         senders.retain(|sender| sender.try_send(message.clone()).is_ok());
//!     }
//! }
//! ```
//!
//! # What the server does itself
//!
//! * It checks the handshake ([`HandshakeError`]), and the `Origin` of browsers: by default, only pages
//!   of the same host may open a WebSocket. Otherwise any page could act in the name of its visitor,
//!   because browsers send cookies along.
//! * It answers pings, and sends pings to silent clients. A client that does not answer is gone
//!   ([`Options::ping_interval`]).
//! * It limits messages and frames ([`Options::max_message`]), and closes a WebSocket that violates the
//!   protocol, with the code of RFC 6455 section 7.4.1.
//! * While a client does not take what was sent to it, nothing is read from it. It is closed after
//!   [`Builder::write_timeout`](crate::Builder::write_timeout).
//! * When the server [shuts down](crate::Handle::shutdown), it closes all WebSockets with the code
//!   1001, and clients have up to five seconds to answer.
//!
//! # What there is not
//!
//! Messages are not compressed (permessage-deflate, RFC 7692), because tungstenite, which decodes the
//! frames, does not support that.
//!
//! # HTTP/2
//!
//! A client of HTTP/2 may open a WebSocket on a stream (RFC 8441), beside its other requests. Browsers do
//! so if they have a connection of HTTP/2 to the server. Handlers do not see a difference: such a request
//! is a GET with `Upgrade: websocket`, too, but the response is a 200, and there is no
//! `Sec-WebSocket-Key`. If the stream or its connection is lost, the WebSocket has closed with
//! [`Close::LOST`].
//!
//! # Memory
//!
//! An idle WebSocket takes some 2 KiB beside what its handler keeps. It keeps the memory of the largest
//! message that it has received, up to [`Options::max_message`]. That memory, and a message that has
//! arrived in part, count against
//! [`Builder::max_buffered_memory`](crate::Builder::max_buffered_memory) beyond the first 4 KiB. If there
//! is no room, the connection closes without a closing handshake ([`Close::LOST`]). The queue does not
//! count, because messages to many clients share their memory; [`Options::max_queued`] bounds it.

mod connection;
mod handshake;
mod message;
mod outbox;
mod sender;

use std::time::Duration;

use http::HeaderValue;
use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL};
use tungstenite::handshake::derive_accept_key;

use self::connection::Connection;
pub use self::handshake::HandshakeError;
use self::handshake::Origins;
pub use self::message::{Close, Message, Text};
pub use self::sender::{TrySendError, WebSocketSender};
use crate::message::{IntoResponse, Response, Upgrade};

/// A WebSocket that is about to open. See the [module](self).
///
/// ```
/// use httpool::websocket::{HandshakeError, WebSocket};
/// use httpool::{Request, Response};
///
/// /// Counts the messages of each client.
/// fn count(request: Request) -> Result<Response, HandshakeError> {
///     let mut count = 0;
///     Ok(WebSocket::accept(&request)?.on_message(move |sender, _| {
///         count += 1;
///         let _ = sender.try_send(count.to_string());
///     }))
/// }
/// ```
///
/// RFC: 6455.
#[derive(Debug)]
pub struct WebSocket {
    /// The answer to the client's key; nothing over HTTP/2.
    accept: Option<HeaderValue>,
    subprotocol: Option<&'static str>,
    options: Options,
}

impl WebSocket {
    /// Accepts a request with the default [`Options`].
    ///
    /// # Errors
    ///
    /// If the request is not a valid handshake, or comes from a page of another host. The error is
    /// the response to it.
    pub fn accept<B>(request: &http::Request<B>) -> Result<Self, HandshakeError> {
        Options::default().accept(request)
    }

    /// The subprotocol that was chosen, if there is one.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&'static str> {
        self.subprotocol
    }

    /// Opens the WebSocket, and calls `function` with each message of the client. If it panics, the
    /// connection closes.
    pub fn on_message(
        self,
        mut function: impl FnMut(&WebSocketSender, Message) + Send + 'static,
    ) -> Response {
        self.serve(|sender| move |message| function(&sender, message))
    }

    /// Opens the WebSocket with the handler that `open` makes. `open` runs on a worker when the
    /// response has been sent, and gets the way to the client.
    ///
    /// ```
    /// use httpool::websocket::{Close, HandshakeError, Message, WebSocket, WebSocketHandler};
    /// use httpool::{Request, Response};
    ///
    /// struct Player {
    ///     name: String,
    /// }
    ///
    /// impl WebSocketHandler for Player {
    ///     fn message(&mut self, message: Message) {
    ///         println!("{}: {:?}", self.name, message);
    ///     }
    ///
    ///     fn closed(&mut self, close: Close) {
    ///         println!("{} has left: {close}", self.name);
    ///     }
    /// }
    ///
    /// fn play(request: Request) -> Result<Response, HandshakeError> {
    ///     let name = request.uri().query().unwrap_or("somebody").to_owned();
    ///     Ok(WebSocket::accept(&request)?.serve(|sender| {
    ///         let _ = sender.try_send("welcome");
    ///         Player { name }
    ///     }))
    /// }
    /// ```
    pub fn serve<H: WebSocketHandler>(
        self,
        open: impl FnOnce(WebSocketSender) -> H + Send + 'static,
    ) -> Response {
        let options = self.options;
        let upgrade = Upgrade::driven("websocket", move |waker| {
            let sender = WebSocketSender::new(waker, options.max_queued);
            let shared = sender.0.clone();
            Connection::new(open(sender), shared, &options)
        });
        let mut response = upgrade.into_response();
        let headers = response.headers_mut();
        if let Some(accept) = self.accept {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        if let Some(subprotocol) = self.subprotocol {
            let value = HeaderValue::from_static(subprotocol);
            headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
        }
        response
    }
}

/// Serves one WebSocket. Functions of a [`Message`] do, too.
///
/// ```
/// use httpool::websocket::{Message, WebSocketHandler};
///
/// fn takes(_: impl WebSocketHandler) {}
///
/// takes(|message: Message| println!("{message:?}"));
/// ```
pub trait WebSocketHandler: Send + 'static {
    /// A message has arrived. It may block, and then occupies its worker as a handler does.
    fn message(&mut self, message: Message);

    /// The WebSocket has closed: with the code of whoever closed it, [`Close::NO_CODE`] if the client
    /// gave none, or [`Close::LOST`] if the connection has ended. It is called once, unless
    /// [`message`](Self::message) has panicked, and must not block.
    fn closed(&mut self, close: Close) {
        let _ = close;
    }
}

impl<F: FnMut(Message) + Send + 'static> WebSocketHandler for F {
    fn message(&mut self, message: Message) {
        self(message);
    }
}

/// What a WebSocket accepts, and its limits. The methods are chained, and
/// [`accept`](Self::accept) comes last.
///
/// ```
/// use std::time::Duration;
///
/// use httpool::websocket::{HandshakeError, Options};
/// use httpool::{Request, Response};
///
/// fn open(request: Request) -> Result<Response, HandshakeError> {
///     let socket = Options::new()
///         .allow_origins(["https://shop.example"])
///         .subprotocols(&["orders.v2", "orders.v1"])
///         .max_message(16 * 1024)
///         .ping_interval(Some(Duration::from_secs(60)))
///         .accept(&request)?;
///     let is_old = socket.subprotocol() != Some("orders.v2");
///     Ok(socket.on_message(move |sender, message| {
///         let _ = sender.try_send(if is_old { "old" } else { "new" });
///     }))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    origins: Origins,
    subprotocols: &'static [&'static str],
    max_message: usize,
    max_frame: usize,
    max_queued: usize,
    ping_interval: Option<Duration>,
    ping_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            origins: Origins::SameHostAnd(Vec::new()),
            subprotocols: &[],
            max_message: 1024 * 1024,
            max_frame: 1024 * 1024,
            max_queued: 1024 * 1024,
            ping_interval: Some(Duration::from_secs(30)),
            ping_timeout: Duration::from_secs(30),
        }
    }
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also accepts pages of these origins, for example `https://shop.example`. Pages of the same host
    /// and clients that are not browsers are accepted in any case.
    #[must_use]
    pub fn allow_origins<'o>(mut self, origins: impl IntoIterator<Item = &'o str>) -> Self {
        let origins = origins.into_iter().map(Box::from).collect();
        self.origins = Origins::SameHostAnd(origins);
        self
    }

    /// Accepts pages of any origin. Then every page can act in the name of its visitor, unless the
    /// program checks something that other pages do not know.
    #[must_use]
    pub fn any_origin(mut self) -> Self {
        self.origins = Origins::Any;
        self
    }

    /// The subprotocols that the server speaks, the best first. The first of them that the client
    /// offers is chosen. If it offers none of them, there is none; the client may then close.
    #[must_use]
    pub fn subprotocols(mut self, subprotocols: &'static [&'static str]) -> Self {
        self.subprotocols = subprotocols;
        self
    }

    /// The largest message in bytes. A larger one closes the WebSocket with the code 1009. The default
    /// is 1 MiB.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// The largest frame in bytes: the part of a message for which memory is taken at once. The
    /// default is 1 MiB.
    #[must_use]
    pub fn max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = bytes;
        self
    }

    /// The bytes of messages that may wait for the client, with 64 more for each message. The default
    /// is 1 MiB.
    #[must_use]
    pub fn max_queued(mut self, bytes: usize) -> Self {
        self.max_queued = bytes;
        self
    }

    /// How long a client may be silent before it gets a ping. `None` sends no pings. The default is 30
    /// seconds, because proxies close connections that are silent for a minute.
    #[must_use]
    pub fn ping_interval(mut self, interval: Option<Duration>) -> Self {
        self.ping_interval = interval;
        self
    }

    /// How long a client may take to answer a ping, with a pong or anything else. Then its connection
    /// closes. The default is 30 seconds.
    #[must_use]
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.ping_timeout = timeout;
        self
    }

    /// Accepts a request.
    ///
    /// # Errors
    ///
    /// If the request is not a valid handshake, or comes from a page of an origin that is not allowed.
    /// The error is the response to it.
    pub fn accept<B>(self, request: &http::Request<B>) -> Result<WebSocket, HandshakeError> {
        let key = handshake::check(request, &self.origins)?;
        let accept = key.map(|key| HeaderValue::try_from(derive_accept_key(key.as_bytes())));
        Ok(WebSocket {
            accept: accept.transpose().map_err(|_| HandshakeError::Key)?,
            subprotocol: handshake::choose(request.headers(), self.subprotocols),
            options: self,
        })
    }
}
