//! A multiplexed protocol for tests of the server: each byte is a request, and each response is a byte.
//!
//! A letter is handled: the handler gets the path `/x` for `x`, and the client gets the letter in upper
//! case, or `-` if the request is shed. The [`ConnectionWaker`](super::waker::ConnectionWaker) is in
//! the request's extensions. A `v` or `w` is answered when a thread calls the [`StreamWaker`] that is in the
//! extensions, however long after the handler has returned. A `?` stands for everything that needs no
//! handler, and is answered with `!` at once. After a `.` the connection closes when all requests
//! before it are answered. A `~` announces a drain.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::call::{Call, Reply};
use super::connection_io::ConnectionIo;
use super::drive::Lending;
use super::woken::Woken;
use super::{
    Admission, CloseReason, Connection, DriveResult, Pending, Phase, Protocol, Service, WaitFor,
    WakeReason, WorkerBuffers,
};
use crate::message::Request;
use crate::message::waker::Wake;
use crate::net::transport::Received;

const TIMEOUT: Duration = Duration::from_secs(3600);

/// The state of a connection.
#[derive(Debug, Default)]
pub(super) struct Scripted {
    /// Requests whose handlers have not been called.
    waiting: VecDeque<u8>,
    /// Calls that have not returned.
    running: usize,
    replies: Vec<u8>,
    woken: Woken<u8>,
    /// Requests that are answered when their wakers are called.
    late: usize,
    is_closing: bool,
    has_announced: bool,
}

/// A request whose handler is called.
#[derive(Debug)]
pub(crate) struct ScriptedCall {
    letter: u8,
    waker: Option<StreamWaker>,
}

/// Has a `v` or `w` answered.
#[derive(Clone)]
pub(crate) struct StreamWaker(pub(crate) Arc<dyn Wake>);

impl Connection {
    /// Makes a new connection speak the protocol of this module.
    pub(crate) fn scripted(mut self) -> Self {
        self.protocol = Protocol::Scripted(Scripted::default());
        self
    }
}

impl Scripted {
    pub(super) fn drive(
        &mut self,
        io: &mut ConnectionIo,
        wake: WakeReason,
        admission: Admission,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<DriveResult> {
        loop {
            if service.phase.get() >= Phase::Draining && !self.has_announced {
                self.has_announced = true;
                buffers.io.write_queue.bytes().push(b'~');
            }
            self.running -= self.replies.len();
            buffers.io.write_queue.bytes().append(&mut self.replies);
            for letter in self.woken.take() {
                self.late -= 1;
                (buffers.io.write_queue.bytes()).push(letter.to_ascii_uppercase());
            }
            self.read(buffers);
            if let Admission::Shed(_) = admission {
                let shed = self.waiting.drain(..).map(|_| b'-');
                buffers.io.write_queue.bytes().extend(shed);
            }
            if let Some(result) = io.send(buffers, service)? {
                return Ok(result);
            }
            if service.phase.get() >= Phase::Forced {
                return Ok(DriveResult::Close(CloseReason::Forced));
            }
            if let Some(letter) = self.next(admission) {
                let waker = self.late_waker(letter, buffers);
                buffers.call = Some(Call::Scripted(ScriptedCall { letter, waker }));
                return Ok(DriveResult::Lend(Lending {
                    deadline: None,
                    is_ready: !self.waiting.is_empty(),
                }));
            }
            if self.is_closing && self.unfinished() == 0 {
                return Ok(DriveResult::Close(CloseReason::Answered));
            }
            match io.receive(buffers.io.input.room())? {
                Received::Full | Received::Short => {}
                Received::WouldBlock => return Ok(self.wait(wake, buffers)),
                Received::End => return Ok(DriveResult::Close(CloseReason::ClientLeft)),
            }
        }
    }

    pub(super) fn deliver(&mut self, reply: &Reply) {
        match reply {
            Reply::Scripted(b'v' | b'w') => self.running -= 1,
            Reply::Scripted(letter) => self.replies.push(letter.to_ascii_uppercase()),
            #[cfg(feature = "http2")]
            Reply::Stream(_) => {}
        }
    }

    /// Requests without a response.
    pub(super) fn unfinished(&self) -> u64 {
        (self.waiting.len() + self.running + self.late) as u64
    }

    /// The waker for a request that is answered when it is called.
    fn late_waker(&mut self, letter: u8, buffers: &mut WorkerBuffers) -> Option<StreamWaker> {
        if !matches!(letter, b'v' | b'w') {
            return None;
        }
        self.late += 1;
        self.woken.waker(letter, buffers).map(StreamWaker)
    }

    fn read(&mut self, buffers: &mut WorkerBuffers) {
        for byte in buffers.io.input.unread() {
            match byte {
                b'?' => buffers.io.write_queue.bytes().push(b'!'),
                b'.' => self.is_closing = true,
                letter => self.waiting.push_back(*letter),
            }
        }
        buffers.io.input.clear();
    }

    /// The next request to handle.
    fn next(&mut self, admission: Admission) -> Option<u8> {
        if admission == Admission::Protocol {
            return None;
        }
        let letter = self.waiting.pop_front()?;
        self.running += 1;
        Some(letter)
    }

    fn wait(&self, wake: WakeReason, buffers: &WorkerBuffers) -> DriveResult {
        if wake == WakeReason::Recalled && self.unfinished() == 0 {
            return DriveResult::Close(CloseReason::Drained);
        }
        if !self.waiting.is_empty() {
            return DriveResult::Requeue;
        }
        let wait_for = match self.running + self.late {
            0 => WaitFor::NextStream,
            _ => WaitFor::Streams,
        };
        let deadline = buffers.now + TIMEOUT;
        DriveResult::Park(Pending { wait_for, deadline })
    }
}

/// Handles a request. A panic of the handler would end the test's worker.
pub(super) fn run(call: ScriptedCall, buffers: &mut WorkerBuffers, service: &Service) -> Reply {
    let ScriptedCall { letter, waker } = call;
    let mut request = Request::default();
    let path = format!("/{}", char::from(letter));
    *request.uri_mut() = path.parse().expect("a letter is a path");
    if let Some(waker) = buffers.waker() {
        request.extensions_mut().insert(waker);
    }
    if let Some(waker) = waker {
        request.extensions_mut().insert(waker);
    }
    service.handler.handle(&mut request);
    Reply::Scripted(letter)
}

impl fmt::Debug for StreamWaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamWaker").finish_non_exhaustive()
    }
}
