//! Received frames.

use std::num::NonZeroU32;
use std::time::Duration;

use super::streams::{ResponseState, Stream};
use super::{Event, FirstSettings, Mux, OurSettingsState, ResetBy, Shutdown};
use crate::http2::window::DEFAULT_WINDOW;
use crate::http2::{
    AbuseKind, DataEnd, Error, ErrorCode, Frame, Priority, RequestBuffer, SettingsEntries,
    StreamId, write_ping_ack, write_rst_stream, write_settings_ack,
};

/// A client may reset a request that is older than this without cost: it did not get a response in
/// time.
const PATIENCE: Duration = Duration::from_secs(1);

impl<T: Default> Mux<T> {
    /// Receives frames from the start of the input until something has happened that the caller
    /// must know, and removes them. What is to be sent is appended to `out`. It is at most one and a
    /// half times as long as the input that was removed, and 13 bytes, and once the
    /// [announcement](Self::announce_shutdown) of 34 bytes.
    ///
    /// # Errors
    ///
    /// An error of the connection. Give it to [`close`](Self::close). Further input is ignored.
    pub fn receive<'i>(
        &mut self,
        input: &mut &'i [u8],
        buffer: &mut RequestBuffer,
        out: &mut Vec<u8>,
    ) -> Result<Event<'i, T>, Error> {
        while self.shutdown < Shutdown::Broken {
            let mut ended = None;
            let event = match self.frames.decode(input) {
                Ok(Some(frame)) => {
                    ended = stream_ended_by(&frame);
                    self.receive_frame(frame, buffer, out)
                }
                Ok(None) => {
                    let in_head = self.frames.is_in_head(input);
                    return Ok(Event::Incomplete { in_head });
                }
                Err(error) => Err(error),
            };
            let event = match event {
                Ok(event) => event,
                Err(error) => match self.reset_for(error, out) {
                    Ok(event) => {
                        // As if the end had arrived behind the part that broke a rule.
                        if let Some(stream) = ended {
                            self.reset_streams.remove(stream);
                        }
                        event
                    }
                    Err(error) => {
                        self.shutdown = Shutdown::Broken;
                        return Err(error);
                    }
                },
            };
            if let Some(event) = event {
                return Ok(event);
            }
        }
        *input = &[];
        Ok(Event::Incomplete { in_head: false })
    }

    fn receive_frame<'i>(
        &mut self,
        frame: Frame<'i>,
        buffer: &mut RequestBuffer,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, T>>, Error> {
        match frame {
            Frame::Data(data) => return self.receive_data(data, out),
            Frame::Headers(headers) => {
                if headers.fragment.is_empty() && !headers.end_headers {
                    self.abuse.charge(AbuseKind::EmptyFrames)?;
                }
                if let Some(block) = self.blocks.headers(headers)? {
                    return self.receive_block(&block, buffer, out);
                }
            }
            Frame::Continuation(continuation) => {
                if continuation.fragment.is_empty() {
                    self.abuse.charge(AbuseKind::EmptyFrames)?;
                }
                if let Some(block) = self.blocks.continuation(continuation)? {
                    return self.receive_block(&block, buffer, out);
                }
            }
            Frame::RstStream { stream, code } => return self.receive_reset(stream, code),
            Frame::WindowUpdate { stream, increment } => {
                self.receive_window_update(stream, increment)?;
            }
            Frame::Settings(entries) => self.receive_settings(entries, out)?,
            Frame::SettingsAck => self.receive_settings_ack()?,
            Frame::Ping(payload) => {
                self.abuse.charge(AbuseKind::Pings)?;
                write_ping_ack(payload, out);
            }
            Frame::PingAck(payload) => {
                if self.shutdown.acknowledge(payload) {
                    return Ok(Some(Event::ShutdownAcknowledged));
                }
                self.abuse.charge(AbuseKind::Pings)?;
            }
            Frame::Goaway { code, .. } => {
                self.abuse.charge(AbuseKind::IgnoredFrames)?;
                return Ok(Some(Event::Goaway { code }));
            }
            Frame::Priority { .. } => self.abuse.charge(AbuseKind::Priorities)?,
            Frame::PriorityUpdate { stream, value } => {
                self.abuse.charge(AbuseKind::Priorities)?;
                self.receive_priority(stream, value);
            }
            Frame::Unknown { .. } => self.abuse.charge(AbuseKind::IgnoredFrames)?,
        }
        Ok(None)
    }

    /// Resets the stream of an error, or returns an error of the connection.
    fn reset_for<'i>(
        &mut self,
        error: Error,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, T>>, Error> {
        let Error::Stream {
            stream,
            code,
            reason,
        } = error
        else {
            return Err(error);
        };
        // RFC 9113 section 6.4: no RST_STREAM for an idle stream.
        if self.is_idle(stream) {
            return Err(Error::connection(code, reason));
        }
        self.abuse.charge(AbuseKind::StreamErrors)?;
        if self.reset_streams.contains(stream) {
            return Ok(None);
        }
        let removed = self.remove(stream);
        let window = match &removed {
            Some(stream) => stream.receive.available(),
            None => self.config.stream_window,
        };
        write_rst_stream(stream, code, out);
        self.reset_streams.insert(stream, window);
        Ok(removed.map(|removed| Event::Reset {
            stream,
            code,
            by: ResetBy::Server,
            data: removed.data,
        }))
    }

    fn receive_reset<'i>(
        &mut self,
        stream: StreamId,
        code: ErrorCode,
    ) -> Result<Option<Event<'i, T>>, Error> {
        if self.is_idle(stream) {
            let reason = "RST_STREAM is on an idle stream";
            return Err(Error::connection(ErrorCode::ProtocolError, reason));
        }
        let Some(removed) = self.remove(stream) else {
            self.reset_streams.remove(stream);
            self.abuse.charge(AbuseKind::IgnoredFrames)?;
            return Ok(None);
        };
        if self.is_wasted(&removed) {
            self.abuse.charge(AbuseKind::Resets)?;
        }
        Ok(Some(Event::Reset {
            stream,
            code,
            by: ResetBy::Client,
            data: removed.data,
        }))
    }

    /// Whether a reset of the client makes the work for a request useless before the client could
    /// have got tired of waiting.
    fn is_wasted(&self, stream: &Stream<T>) -> bool {
        let is_unanswered = matches!(stream.response, ResponseState::Waiting { .. });
        let age = self.now.zip(stream.since);
        let age = age.map(|(now, since)| now.saturating_duration_since(since));
        is_unanswered && age.is_none_or(|age| age < PATIENCE)
    }

    fn receive_window_update(
        &mut self,
        stream: Option<StreamId>,
        increment: NonZeroU32,
    ) -> Result<(), Error> {
        self.abuse.charge(AbuseKind::WindowUpdates)?;
        let Some(id) = stream else {
            return self.send.credit(increment.get(), None);
        };
        if self.is_idle(id) {
            let reason = "WINDOW_UPDATE is on an idle stream";
            return Err(Error::connection(ErrorCode::ProtocolError, reason));
        }
        match self.streams.get_mut(id) {
            Some(open) => open.send.credit(increment.get(), stream),
            None => Ok(()),
        }
    }

    fn receive_settings(
        &mut self,
        entries: SettingsEntries<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.abuse.charge(AbuseKind::Settings)?;
        if let FirstSettings::Missing = self.first_settings {
            self.first_settings = FirstSettings::Received(entries.clone().collect());
        }
        let change = self.peer.apply(entries)?;
        if change != 0 {
            for stream in self.streams.iter_mut() {
                stream.send.shift(change)?;
            }
        }
        write_settings_ack(out);
        Ok(())
    }

    /// The client keeps to our initial window from now on. Only a window that is smaller than the
    /// client's assumption so far matters.
    fn receive_settings_ack(&mut self) -> Result<(), Error> {
        if self.our_settings == OurSettingsState::Acknowledged {
            return self.abuse.charge(AbuseKind::Settings);
        }
        self.our_settings = OurSettingsState::Acknowledged;
        let less = DEFAULT_WINDOW.saturating_sub(self.config.stream_window);
        for stream in self.streams.iter_mut() {
            stream.receive.shrink(less);
        }
        Ok(())
    }

    /// A value that can't be parsed changes nothing (RFC 9218 section 4).
    fn receive_priority(&mut self, stream: StreamId, value: &[u8]) {
        let Some(priority) = Priority::parse(value) else {
            return;
        };
        self.schedule.update();
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.priority = priority;
        } else if stream.is_client() && self.is_idle(stream) {
            self.schedule.keep_early(stream, priority);
        }
    }
}

/// The stream whose last content this is.
fn stream_ended_by(frame: &Frame<'_>) -> Option<StreamId> {
    match frame {
        Frame::Data(data) if data.end == DataEnd::Stream => Some(data.stream),
        _ => None,
    }
}
