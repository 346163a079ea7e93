//! A response body whose content other threads produce. While there is none, it keeps no buffer.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::body_writer::{BodyFraming, Refill, drop_source, take_trailers};
use super::write_queue::{COPIED_BODY, GATHERED, Memory};
use crate::message::body::{BodySource, Polled, PolledReader, Reader};
use crate::message::waker::Wake;

/// A polled source, with the part that is sent from its own memory.
pub(super) struct PolledWriter {
    /// Nothing once the content is complete.
    source: Option<BodySource>,
    framing: BodyFraming,
    part: Memory,
    step: Step,
    client: KnownClient,
}

/// The next step of the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// An error: nothing can wake the connection.
    Fail,
    /// The first part, which leaves together with the head.
    First,
    /// Another part.
    Next,
    /// The end of the chunk around the part that is sent from its own memory.
    ChunkEnd,
}

/// What the source knows of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KnownClient {
    Here,
    /// It sends nothing more.
    Finished,
}

impl PolledWriter {
    /// Writes the content of `source`, which calls `waker` when there is more. Without a waker, the
    /// first refill fails.
    pub(super) fn new(
        mut source: BodySource,
        in_chunks: bool,
        waker: Option<Arc<dyn Wake>>,
    ) -> Self {
        let step = match (waker, &mut source.reader) {
            (Some(waker), Reader::Polled(reader)) => {
                reader.attach(waker);
                Step::First
            }
            _ => Step::Fail,
        };
        Self {
            source: Some(source),
            framing: BodyFraming::new(in_chunks),
            part: Memory::new(Bytes::new()),
            step,
            client: KnownClient::Here,
        }
    }

    /// Whether nothing was asked of the source yet.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.step, Step::Fail | Step::First)
    }

    /// The bytes to send behind those of the write queue.
    pub(super) fn ready(&self) -> &[u8] {
        self.part.left()
    }

    /// Notes that `sent` of these bytes were sent.
    pub(super) fn advance(&mut self, sent: usize) {
        self.part.advance(sent);
        if self.ready().is_empty() {
            // Its memory may be shared by many clients.
            self.part = Memory::new(Bytes::new());
        }
    }

    /// Bytes of memory that it keeps, and those that wait in its source.
    pub(super) fn held(&self) -> usize {
        self.part.held() + self.source.as_ref().map_or(0, BodySource::held)
    }

    /// Frees what is no longer needed of the part.
    pub(super) fn shrink(&mut self) {
        self.part.shrink();
    }

    /// Tells the source once that the client has finished sending.
    pub(super) fn client_finished(&mut self) {
        if self.client == KnownClient::Here
            && let Some(reader) = self.reader()
        {
            reader.client_finished();
            self.client = KnownClient::Finished;
        }
    }

    /// Appends the parts that are there to `out`, once everything before them has been sent. A large
    /// part stays in its own memory and ends the refill.
    ///
    /// # Errors
    ///
    /// If the source or its trailers fail or panic, or there is no waker.
    pub(super) fn refill(&mut self, out: &mut Vec<u8>, now: Instant) -> io::Result<Refill> {
        let before = out.len();
        match self.step {
            Step::Fail => return Err(io::Error::other("nothing can wake its connection")),
            Step::ChunkEnd => self.framing.end_part(out),
            Step::First | Step::Next => {}
        }
        self.step = Step::Next;
        while out.len() < GATHERED && self.ready().is_empty() {
            match self.poll(now) {
                Polled::Part(part) => self.put(part, out),
                Polled::Pending(_) if out.len() > before => break,
                Polled::Pending(until) => return Ok(Refill::Pending(until)),
                Polled::End => {
                    self.finish(out)?;
                    break;
                }
                Polled::Failed(error) => return Err(error),
            }
        }
        Ok(match out.len() > before || !self.ready().is_empty() {
            true => Refill::More,
            false => Refill::End,
        })
    }

    fn put(&mut self, part: Bytes, out: &mut Vec<u8>) {
        self.framing.begin_part(part.len(), out);
        if part.len() > COPIED_BODY {
            self.part = Memory::new(part);
            self.step = Step::ChunkEnd;
        } else {
            out.extend_from_slice(&part);
            self.framing.end_part(out);
        }
    }

    /// Appends the end of the body, and drops the source.
    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if let Some(mut source) = self.source.take() {
            let trailers = take_trailers(&mut source);
            drop_source(source);
            self.framing.end(&trailers?, out);
        }
        Ok(())
    }

    /// Asks the source for a part. A panic becomes an error.
    fn poll(&mut self, now: Instant) -> Polled {
        let Some(reader) = self.reader() else {
            return Polled::End;
        };
        catch_unwind(AssertUnwindSafe(|| reader.poll(now)))
            .unwrap_or_else(|_| Polled::Failed(io::Error::other("the source panicked")))
    }

    fn reader(&mut self) -> Option<&mut PolledReader> {
        match &mut self.source.as_mut()?.reader {
            Reader::Polled(reader) => Some(reader),
            Reader::Empty | Reader::Any(_) | Reader::Watching(_) => None,
        }
    }
}

impl Drop for PolledWriter {
    fn drop(&mut self) {
        if let Some(source) = self.source.take() {
            drop_source(source);
        }
    }
}

impl fmt::Debug for PolledWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolledWriter")
            .field("framing", &self.framing)
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}
