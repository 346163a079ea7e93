//! What an HTTP/2 connection waits for, and for how long.

use std::io;
use std::mem;
use std::time::{Duration, Instant};

use super::stream::{Step, Stream};
use super::{FileReads, Flow, Http2};
use crate::connection::config::Config;
use crate::connection::connection_io::ConnectionIo;
use crate::connection::deadlines::{LINGER, never};
use crate::connection::{
    Admission, CloseReason, DriveResult, Pending, Phase, Service, WaitFor, WakeReason,
    WorkerBuffers,
};
use crate::http2::{Error, ErrorCode, Mux, StreamId};
use crate::message::Overload;
use crate::message::request_error::RequestError;

/// Bytes that a connection may keep beside its tables when the budget is used up: a request with
/// few headers.
const ALWAYS_KEPT: usize = 2048;

/// How long the acknowledgement of our SETTINGS may take at least. Clients send it with their first
/// request or soon after.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(10);

/// The wait of streams for the window of the connection, while their own windows are open.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowWait {
    since: Instant,
    /// All content that was sent before the wait.
    sent_before: u64,
    /// All content that was sent up to the last look.
    sent: u64,
    /// When content was last sent.
    progress: Instant,
}

impl Http2 {
    /// Parks the connection, or ends what has waited too long. Call this after everything that has
    /// arrived was handled: a client must not pay for busy workers.
    pub(super) fn park(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Flow> {
        self.note_blocked(buffers.now);
        // A response that has been shrunk may have made room for the next one.
        if self.turn.admission == Admission::Handle && self.needs_worker(service) {
            return Ok(Flow::Continue);
        }
        let deadline = self.next_deadline(service);
        if deadline.is_some_and(|deadline| deadline <= buffers.now) {
            return self.expire(io, buffers, service);
        }
        self.count_streams();
        let wait_for = match self.turn.blocked {
            _ if self.mux.is_none() && self.turn.wake == WakeReason::Recalled => {
                return Ok(Flow::Return(DriveResult::Close(CloseReason::Drained)));
            }
            Some(_) => WaitFor::StreamsOrRoom,
            None if self.is_idle() => {
                self.shrink(buffers);
                WaitFor::NextStream
            }
            None => WaitFor::Streams,
        };
        if !self.has_room(io, buffers) {
            return Ok(Flow::Return(DriveResult::Close(CloseReason::BufferLimit)));
        }
        if self.turn.admission != Admission::Handle && self.needs_worker(service) {
            return Ok(Flow::Return(DriveResult::Requeue));
        }
        let blocked = self.turn.blocked.map(|pending| pending.deadline);
        let deadlines = [blocked, deadline].into_iter().flatten();
        let deadline = deadlines.min().unwrap_or_else(|| never(buffers.now));
        Ok(Flow::Return(DriveResult::Park(Pending {
            wait_for,
            deadline,
        })))
    }

    /// Returns memory that an idle connection does not need.
    fn shrink(&mut self, buffers: &mut WorkerBuffers) {
        if let Some(mux) = &mut self.mux {
            mux.return_memory(&mut buffers.http2_streams);
        }
        self.work.take_if(|work| work.is_of_streams());
    }

    /// Whether work is left that only a worker can do.
    fn needs_worker(&self, service: &Service) -> bool {
        let config = &service.config;
        let can_handle = self.handlers < config.handlers_per_connection();
        let can_read = self.reads < config.reads_per_connection();
        self.has_waiting() && can_handle && !self.owes_much(service)
            || self.has_reads() && can_read
            || self.files == FileReads::Paused
    }

    /// Whether the connection has no request.
    fn is_idle(&self) -> bool {
        self.mux.as_ref().is_none_or(Mux::is_empty) && self.shutdown.deadline().is_none()
    }

    /// Reserves memory for everything that the connection keeps. A connection that keeps little beside
    /// its tables always has room: otherwise clients that use up the budget would close the
    /// connections of all others.
    pub(super) fn has_room(&self, io: &mut ConnectionIo, buffers: &WorkerBuffers) -> bool {
        let buffered = buffers.io.input.unread().len() + buffers.io.write_queue.held();
        let kept = buffered + self.held() + io.socket.held();
        let tables = self.mux.as_ref().map_or(0, Mux::held);
        io.share.grow(kept) || kept - tables <= ALWAYS_KEPT
    }

    /// Notes when the last stream has closed.
    pub(super) fn note_idle(&mut self, now: Instant) {
        if self.mux.as_ref().is_none_or(Mux::is_empty) {
            self.idleness.since = now;
        }
    }

    /// Notes which responses wait for windows. The window of the connection is one wait for all of
    /// them: when it opens, they send one after another, so the last of them may wait for long.
    fn note_blocked(&mut self, now: Instant) {
        let Some(mux) = &mut self.mux else { return };
        let is_waiting = mux.has_pending() && mux.blocked_by_connection().next().is_some();
        if is_waiting {
            let wait = &mut self.work.get_or_insert_default().window_wait;
            *wait = Some(WindowWait::after(*wait, mux.content_sent(), now));
        } else if let Some(work) = &mut self.work {
            work.window_wait = None;
        }
        if !mux.has_pending() {
            return;
        }
        let blocked: Vec<_> = mux.blocked().collect();
        for (id, stream) in mux.streams_mut() {
            if let Step::Sending(sending) = &mut stream.step {
                sending.shrink();
                match blocked.binary_search(&id) {
                    Ok(_) => sending.note_blocked(now),
                    Err(_) => sending.note_free(),
                }
            }
        }
    }

    /// When the next wait of the connection or of a stream has lasted too long.
    pub(super) fn next_deadline(&self, service: &Service) -> Option<Instant> {
        let config = &service.config;
        let mut next = self.idleness_deadline(config);
        let others = [
            self.window_wait().map(|wait| wait.deadline(config)),
            self.settings_deadline(config),
            self.shutdown.deadline(),
        ];
        // A chain of iterators takes several times as long, and each call needs the deadline.
        let mut note = |deadline: Option<Instant>| {
            if let Some(deadline) = deadline {
                next = Some(next.map_or(deadline, |next| next.min(deadline)));
            }
        };
        others.into_iter().for_each(&mut note);
        if let Some(mux) = &self.mux {
            for (_, stream) in mux.streams() {
                note(stream.deadline(service));
            }
        }
        next
    }

    fn window_wait(&self) -> Option<WindowWait> {
        self.work.as_ref()?.window_wait
    }

    /// When the client must have acknowledged our SETTINGS (RFC 9113 section 6.5.3). Every client
    /// does when it has received them, so one that does not is broken or receives nothing.
    fn settings_deadline(&self, config: &Config) -> Option<Instant> {
        let since = self.mux.as_ref()?.unacknowledged_since()?;
        Some(since + config.head_timeout.max(SETTINGS_TIMEOUT))
    }

    fn idleness_deadline(&self, config: &Config) -> Option<Instant> {
        let idleness = &self.idleness;
        if let Some((since, received)) = idleness.head {
            let slowest = config.slowest(since, received as u64);
            return Some(slowest.min(since + config.head_timeout));
        }
        if !self.is_idle() {
            return None;
        }
        Some(match idleness.has_had_request {
            true => idleness.since + config.idle_timeout,
            false => idleness.since + config.head_timeout,
        })
    }

    /// Ends everything whose deadline has passed.
    fn expire(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Flow> {
        let (now, config) = (buffers.now, &service.config);
        let is_over = |deadline: Instant| deadline <= now;
        if self.idleness_deadline(config).is_some_and(is_over) {
            return self.expire_idle(io, buffers, service);
        }
        if self.settings_deadline(config).is_some_and(is_over) {
            let reason = "the SETTINGS were not acknowledged in time";
            let code = ErrorCode::SettingsTimeout;
            self.fail(&Error::Connection { code, reason }, io, buffers);
            return Ok(Flow::Continue);
        }
        let overdue: Vec<_> = (self.mux.iter().flat_map(Mux::streams))
            .filter(|(_, stream)| stream.deadline(service).is_some_and(is_over))
            .map(|(id, _)| id)
            .collect();
        for stream in overdue {
            self.expire_stream(stream, io, buffers, service);
        }
        if self
            .window_wait()
            .is_some_and(|wait| is_over(wait.deadline(config)))
        {
            self.work().window_wait = None;
            let blocked = self.mux.iter().flat_map(Mux::blocked_by_connection);
            for stream in blocked.collect::<Vec<_>>() {
                self.cancel_stalled(stream, io, buffers);
            }
        }
        // A wait for the PING is ended by the shutdown itself.
        Ok(Flow::Continue)
    }

    fn expire_idle(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Flow> {
        if mem::take(&mut self.idleness.head).is_some() {
            let reason = "a head did not arrive in time";
            let code = ErrorCode::EnhanceYourCalm;
            self.fail(&Error::Connection { code, reason }, io, buffers);
            return Ok(Flow::Continue);
        }
        // Another request may be on its way.
        if self.idleness.has_had_request && self.begin_shutdown(buffers) {
            io.end = CloseReason::Idle;
            return Ok(Flow::Continue);
        }
        if let Some(mux) = &mut self.mux {
            mux.shut_down(ErrorCode::NoError, b"", buffers.io.write_queue.bytes());
            self.stats.add_goaway(ErrorCode::NoError);
            // The client receives it if the socket has room.
            io.send(buffers, service)?;
        }
        Ok(Flow::Return(DriveResult::Close(CloseReason::Idle)))
    }

    fn expire_stream(
        &mut self,
        stream: StreamId,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) {
        match self.stream(stream).map(|stream| &stream.step) {
            Some(Step::Receiving(_)) => {
                self.restore(stream, buffers);
                self.reject(stream, RequestError::BodyTimeout, io, buffers, service);
            }
            Some(Step::Waiting(_)) => {
                self.restore(stream, buffers);
                self.shed(stream, Overload::Late, io, buffers, service);
            }
            Some(Step::Sending(sending)) if sending.awaited().is_some() => self.poll_again(stream),
            Some(Step::Sending(sending))
                if (sending.next_drive()).is_some_and(|next| next <= buffers.now) =>
            {
                self.drive_soon(stream);
            }
            Some(Step::Sending(_)) => self.cancel_stalled(stream, io, buffers),
            Some(Step::Later(_)) => self.poll_later(stream, buffers),
            Some(Step::Discarding(_)) => self.reset(stream, ErrorCode::NoError, buffers),
            _ => {}
        }
    }
}

impl WindowWait {
    /// Begins the wait, or continues it after this much content was sent in all.
    fn after(former: Option<Self>, sent: u64, now: Instant) -> Self {
        let Some(mut wait) = former else {
            return Self {
                since: now,
                sent_before: sent,
                sent,
                progress: now,
            };
        };
        if wait.sent != sent {
            (wait.sent, wait.progress) = (sent, now);
        }
        wait
    }

    fn deadline(self, config: &Config) -> Instant {
        let slowest = config.slowest(self.since, self.sent - self.sent_before);
        slowest.min(self.progress + config.write_timeout)
    }
}

impl Stream {
    /// When the stream has waited too long for its client.
    fn deadline(&self, service: &Service) -> Option<Instant> {
        let config = &service.config;
        match &self.step {
            Step::Receiving(request) => {
                let received = request.content.len() as u64;
                let slowest = config.slowest(request.since, received);
                Some(slowest.min(request.since + config.body_timeout))
            }
            Step::Sending(sending) => {
                if let Some(outflow) = sending.awaited() {
                    return outflow.deadline();
                }
                let stalls = sending.backlog.map(|backlog| {
                    let slowest = config.slowest(backlog.whole.since, backlog.whole.taken);
                    slowest.min(backlog.progress + config.write_timeout)
                });
                sending.next_drive().into_iter().chain(stalls).min()
            }
            Step::Later(waiting) => waiting.deadline(),
            Step::Discarding(since) => Some(*since + LINGER),
            // A drain handles every request, however long it has waited.
            Step::Waiting(request) if service.phase.get() < Phase::Draining => {
                Some(request.since + config.queue_timeout)
            }
            Step::Begun
            | Step::Waiting(_)
            | Step::Undecided(_)
            | Step::Handling
            | Step::Streaming(_)
            | Step::Reading { .. } => None,
        }
    }
}
