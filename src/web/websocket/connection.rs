//! One WebSocket: what happens when its connection is ready.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tungstenite::error::{Error, ProtocolError};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};

use super::outbox::{Duplex, Kind, Outbox};
use super::sender::{Queued, Shared};
use super::{Close, Message, Options, Text, WebSocketHandler};
use crate::message::{DrivenProtocol, DrivenStream, NextStep};
use crate::sync::CENTURY;

/// How long the client may take to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest time until a deadline: it never comes, and can be added to the time now.
const MAX_WAIT: Duration = Duration::from_secs(CENTURY);

/// Messages and control frames of one client before other connections have their turn.
const MESSAGES_PER_TURN: u32 = 32;

/// The memory for received bytes that an idle WebSocket keeps. More is there while a message needs it.
const READ_BUFFER: usize = 512;

/// Bytes of control frames that wait behind a full outbox.
const MAX_CONTROL: usize = 1024;

/// Received bytes that do not count against the memory of all connections, so that small messages still
/// arrive when it is used up.
const UNCOUNTED: usize = 4 * 1024;

/// The length of the head of a client's control frame: two bytes and the mask.
const CONTROL_HEAD: usize = 6;

pub(super) struct Connection<H: WebSocketHandler> {
    /// Nothing once the end was reported, and while it is called.
    handler: Option<H>,
    shared: Arc<Shared>,
    context: WebSocketContext,
    outbox: Outbox,
    received: ReceivedBytes,
    state: State,
    pings: Pings,
}

/// The memory for received messages, which tungstenite does not tell.
#[derive(Debug, Default)]
struct ReceivedBytes {
    /// Bytes of a message that has not arrived whole.
    incomplete: usize,
    /// Bytes of the largest message. The receive buffer keeps their memory.
    largest: usize,
}

impl ReceivedBytes {
    fn end_message(&mut self) {
        self.largest = self.largest.max(self.incomplete);
        self.incomplete = 0;
    }

    /// Takes a control frame with this content out, which may lie within a message.
    fn end_control(&mut self, content: &[u8]) {
        let length = CONTROL_HEAD + content.len();
        self.incomplete = self.incomplete.saturating_sub(length);
    }

    fn counted(&self) -> usize {
        let held = self.incomplete.max(self.largest);
        held.saturating_sub(UNCOUNTED)
    }
}

/// How far the closing handshake is.
#[derive(Debug)]
enum State {
    Open,
    /// The server has sent its close, and waits until then for the client's.
    Closing(Close, Instant),
    /// The client has sent its close, which tungstenite answers.
    Answering(Close),
    /// The connection closes once everything is sent.
    Ending(Close),
}

impl State {
    /// How the WebSocket has closed if its connection ends now.
    fn close(&self) -> Close {
        match self {
            Self::Open => Close::implied(Close::LOST),
            Self::Closing(close, _) | Self::Answering(close) | Self::Ending(close) => close.clone(),
        }
    }
}

/// Pings show whether a client is still there.
struct Pings {
    interval: Option<Duration>,
    timeout: Duration,
    /// When the next ping is due, or the answer to the last one.
    next: Option<Instant>,
    is_waiting: bool,
}

/// The result of a step.
enum Step {
    /// There may be more to do.
    Continue,
    Return(NextStep),
    /// The WebSocket has ended like this.
    End(Close),
}

impl<H: WebSocketHandler> Connection<H> {
    pub(super) fn new(handler: H, shared: Arc<Shared>, options: &Options) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_CONTROL)
            .max_message_size(Some(options.max_message))
            .max_frame_size(Some(options.max_frame.min(options.max_message)));
        Self {
            handler: Some(handler),
            shared,
            context: WebSocketContext::new(Role::Server, Some(config)),
            outbox: Outbox::default(),
            received: ReceivedBytes::default(),
            state: State::Open,
            pings: Pings {
                interval: options.ping_interval.map(|interval| interval.min(MAX_WAIT)),
                timeout: options.ping_timeout.min(MAX_WAIT),
                next: None,
                is_waiting: false,
            },
        }
    }

    /// Sends and receives until nothing is left or the connection has had its turn.
    fn run(&mut self, stream: &mut DrivenStream<'_>) -> io::Result<Step> {
        for _ in 0..MESSAGES_PER_TURN {
            loop {
                // While the client takes nothing, nothing is read from it.
                if !self.outbox.flush(stream)? {
                    return Ok(Step::Return(NextStep::Wait));
                }
                if let State::Ending(close) = &self.state {
                    return Ok(Step::End(close.clone()));
                }
                self.fill_outbox(stream);
                if self.outbox.is_empty() {
                    break;
                }
            }
            // A client may send without end.
            if let State::Closing(close, deadline) = &self.state
                && *deadline <= stream.now()
            {
                return Ok(Step::End(close.clone()));
            }
            match self.receive(stream)? {
                Step::Continue => {}
                step => return Ok(step),
            }
        }
        Ok(Step::Return(NextStep::Yield))
    }

    /// Moves queued messages into the outbox, and the close behind them.
    fn fill_outbox(&mut self, stream: &mut DrivenStream<'_>) {
        while let State::Open = self.state
            && self.outbox.has_room()
        {
            match self.shared.take() {
                Queued::Message(Message::Text(text)) => {
                    self.outbox.push(Kind::Text, Bytes::from(text.0));
                }
                Queued::Message(Message::Binary(bytes)) => self.outbox.push(Kind::Binary, bytes),
                Queued::Close(close) => {
                    self.send_close(&close, stream);
                    let deadline = stream.now() + CLOSE_TIMEOUT;
                    self.state = State::Closing(close, deadline);
                }
                Queued::Nothing => return,
            }
        }
    }

    /// Puts a close frame into the outbox, unless one was sent.
    fn send_close(&mut self, close: &Close, stream: &mut DrivenStream<'_>) {
        let frame = CloseFrame {
            code: CloseCode::from(close.code()),
            reason: close.text(),
        };
        let mut duplex = Duplex {
            stream,
            outbox: &mut self.outbox,
            received: 0,
        };
        // The frame is queued in any case, and the client may have closed as well.
        let _ = self.context.close(&mut duplex, Some(frame));
    }

    /// Receives one message, and passes it on.
    fn receive(&mut self, stream: &mut DrivenStream<'_>) -> io::Result<Step> {
        let mut duplex = Duplex {
            stream,
            outbox: &mut self.outbox,
            received: 0,
        };
        let received = self.context.read(&mut duplex);
        if duplex.received > 0 {
            self.received.incomplete += duplex.received;
            self.pings.restart(stream.now());
        }
        match received {
            Ok(message) => self.pass_on(message),
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                return Ok(self.wait(stream));
            }
            Err(Error::Io(error)) => return Err(error),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                return Ok(Step::End(Close::implied(Close::LOST)));
            }
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => {
                self.state = State::Ending(self.state.close());
            }
            Err(error) => self.fail(&error, stream),
        }
        Ok(Step::Continue)
    }

    /// Passes a message to the handler. tungstenite answers pings and closes itself.
    fn pass_on(&mut self, message: tungstenite::Message) {
        let message = match message {
            tungstenite::Message::Text(text) => Message::Text(Text(text)),
            tungstenite::Message::Binary(bytes) => Message::Binary(bytes),
            tungstenite::Message::Ping(content) | tungstenite::Message::Pong(content) => {
                return self.received.end_control(&content);
            }
            tungstenite::Message::Close(frame) => {
                if let State::Open = self.state {
                    self.shared.end();
                    self.state = State::Answering(match frame {
                        Some(frame) => Close::received(frame.code.into(), frame.reason),
                        None => Close::implied(Close::NO_CODE),
                    });
                }
                return;
            }
            _ => return,
        };
        self.received.end_message();
        // The server has closed, and the client did not know that yet.
        if let State::Open = self.state
            && let Some(mut handler) = self.handler.take()
        {
            handler.message(message);
            self.handler = Some(handler);
        }
    }

    /// Closes after a violation of the protocol, with a matching code (RFC 6455 section 7.4.1).
    fn fail(&mut self, error: &Error, stream: &mut DrivenStream<'_>) {
        let close = match error {
            Error::Protocol(_) => Close::new(Close::PROTOCOL_ERROR, "malformed frame"),
            Error::Utf8(_) => Close::new(Close::INVALID_DATA, "the text is not UTF-8"),
            Error::Capacity(_) => Close::new(Close::TOO_LARGE, "the message is too large"),
            _ => Close::new(Close::INTERNAL_ERROR, ""),
        };
        self.shared.end();
        self.send_close(&close, stream);
        self.state = State::Ending(close);
    }

    /// The event to wait for when nothing can be received.
    fn wait(&mut self, stream: &DrivenStream<'_>) -> Step {
        let now = stream.now();
        if !self.outbox.is_empty() {
            return Step::Continue;
        }
        match &self.state {
            State::Open => {}
            State::Closing(_, deadline) => return Step::Return(NextStep::WaitUntil(*deadline)),
            State::Answering(_) | State::Ending(_) => return Step::Continue,
        }
        if !self.shared.sleep() {
            return Step::Continue;
        }
        match self.pings.check(now) {
            PingStep::Wait(next) => Step::Return(next),
            PingStep::Send => {
                self.outbox.push(Kind::Ping, Bytes::new());
                Step::Continue
            }
            PingStep::Lost => Step::End(Close::implied(Close::LOST)),
        }
    }

    /// Reports the end to the handler, once.
    fn end(&mut self, close: Close) {
        self.shared.end();
        if let Some(mut handler) = self.handler.take() {
            handler.closed(close);
        }
    }
}

impl<H: WebSocketHandler> DrivenProtocol for Connection<H> {
    fn ready(&mut self, stream: &mut DrivenStream<'_>) -> NextStep {
        self.shared.set_awake();
        if stream.is_draining() {
            let close = Close::new(Close::GOING_AWAY, "the server shuts down");
            self.shared.close(close);
        }
        self.pings.start(stream.now());
        match self.run(stream) {
            Ok(Step::Return(next)) => next,
            Ok(Step::Continue) => NextStep::Yield,
            Ok(Step::End(close)) => {
                self.end(close);
                NextStep::Close
            }
            Err(_) => {
                self.end(self.state.close());
                NextStep::Close
            }
        }
    }

    /// The queue does not count: it is the program's, and messages to many clients share their memory.
    fn held(&self) -> usize {
        self.received.counted()
    }
}

/// The connection was aborted, or the handler has panicked.
impl<H: WebSocketHandler> Drop for Connection<H> {
    fn drop(&mut self) {
        self.end(Close::implied(Close::LOST));
    }
}

/// The timeout that has passed.
#[derive(Debug, PartialEq, Eq)]
enum PingStep {
    Wait(NextStep),
    Send,
    /// The client has not answered.
    Lost,
}

impl Pings {
    /// Begins to count when the WebSocket opens.
    fn start(&mut self, now: Instant) {
        if self.next.is_none() {
            self.restart(now);
        }
    }

    /// The client has sent something.
    fn restart(&mut self, now: Instant) {
        self.is_waiting = false;
        self.next = self.interval.map(|interval| now + interval);
    }

    fn check(&mut self, now: Instant) -> PingStep {
        match self.next {
            None => PingStep::Wait(NextStep::Wait),
            Some(next) if next > now => PingStep::Wait(NextStep::WaitUntil(next)),
            Some(_) if self.is_waiting => PingStep::Lost,
            Some(_) => {
                self.is_waiting = true;
                self.next = Some(now + self.timeout);
                PingStep::Send
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::message::DrivenWaker;
    use crate::message::upgrade::DrivenConnection;
    use crate::message::waker::Wake;
    use crate::web::websocket::WebSocketSender;

    /// An empty text of a client.
    const EMPTY_TEXT: [u8; 6] = [0x81, 0x80, 0, 0, 0, 0];

    struct NoWaker;

    impl Wake for NoWaker {
        fn wake(&self) {}

        fn is_draining(&self) -> bool {
            false
        }
    }

    /// A client that sends messages faster than they are read, and takes everything.
    struct Flood {
        now: Instant,
        sent: usize,
    }

    impl Read for Flood {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            for byte in &mut *buffer {
                *byte = EMPTY_TEXT[self.sent % EMPTY_TEXT.len()];
                self.sent += 1;
            }
            Ok(buffer.len())
        }
    }

    impl Write for Flood {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            Ok(buffer.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl DrivenConnection for Flood {
        fn now(&self) -> Instant {
            self.now
        }

        fn is_draining(&self) -> bool {
            false
        }
    }

    fn connection(options: &Options) -> (WebSocketSender, Connection<fn(Message)>) {
        let waker = DrivenWaker::new(Arc::new(NoWaker));
        let sender = WebSocketSender::new(waker, 1000);
        let shared = Arc::clone(&sender.0);
        (sender, Connection::new(|_| {}, shared, options))
    }

    #[test]
    fn client_that_sends_without_end_can_not_put_off_the_close() {
        let (sender, mut connection) = connection(&Options::default());
        let now = Instant::now();
        let mut client = Flood { now, sent: 0 };
        sender.close(Close::new(Close::NORMAL, ""));
        let mut ready = |client: &mut Flood| connection.ready(&mut DrivenStream::new(client));
        assert_eq!(ready(&mut client), NextStep::Yield);
        client.now += CLOSE_TIMEOUT / 2;
        assert_eq!(ready(&mut client), NextStep::Yield);
        client.now += CLOSE_TIMEOUT / 2;
        assert_eq!(ready(&mut client), NextStep::Close);
    }

    #[test]
    fn longest_intervals_are_possible() {
        let options = Options::default();
        for options in [
            options.clone().ping_interval(Some(Duration::MAX)),
            options
                .ping_interval(Some(Duration::ZERO))
                .ping_timeout(Duration::MAX),
        ] {
            let (_, mut connection) = connection(&options);
            let mut client = Flood {
                now: Instant::now(),
                sent: 0,
            };
            connection.ready(&mut DrivenStream::new(&mut client));
            connection.pings.check(client.now);
        }
    }
}
