//! The work of a stream that runs while its connection is lent: its handler, or a read from the
//! reader of its response.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, StatusCode};

use super::driven::Driven;
use super::later::WaitingRequest;
use super::streamed_body::BodyChannel;
use crate::connection::body_writer;
use crate::connection::transaction::{Sent, Transaction, drop_quietly};
use crate::connection::{Service, WorkerBuffers};
use crate::http2::StreamId;
use crate::message::body::{BodySource, Client, ClientGone, Presence, Withheld};
use crate::message::head::response::{last_status, omits_content};
use crate::message::request_error::RequestError;
use crate::message::upgrade::{ConnectAnswer, MakeDriven};
use crate::message::{Later, Response, Upgrade};

/// The protocol that an extended CONNECT may ask for.
const WEBSOCKET: &str = "websocket";

/// Bytes per read from a reader.
const PART: usize = 64 * 1024;

/// A handler's call. The request is in the worker's buffers.
pub(crate) struct HandlerCall {
    pub(super) stream: StreamId,
    pub(super) transaction: Transaction,
    pub(super) body: CalledBody,
}

/// The body of a request that is handed to its handler.
pub(super) enum CalledBody {
    /// It is complete.
    Complete,
    /// The handler runs on the head.
    Withheld,
    /// The handler reads it while it arrives.
    Streamed(Arc<BodyChannel>),
}

/// A read from the reader of a response.
pub(crate) struct ReadCall {
    pub(super) stream: StreamId,
    pub(super) source: BodySource,
    /// The memory of the last part.
    pub(super) part: Vec<u8>,
    pub(super) client: StreamClient,
}

/// The result of a call.
pub(crate) enum StreamReply {
    /// The handler has responded.
    Response {
        stream: StreamId,
        response: Response,
        is_head: bool,
    },
    /// The handler has returned, and its response comes later.
    Later {
        stream: StreamId,
        waiting: Box<WaitingRequest>,
    },
    /// A response that came later is complete. This is what its handler would have returned.
    Completed(Box<Self>),
    /// The handler needs the body of the request.
    NeedsBody { stream: StreamId },
    /// The response would continue in another protocol, which HTTP/2 can't.
    NeedsHttp1 { stream: StreamId },
    /// The response accepts an extended CONNECT, and this makes the protocol that follows.
    Accepted {
        stream: StreamId,
        response: Response,
        make: MakeDriven,
    },
    /// A protocol was called.
    Driven(Driven),
    /// The handler's call failed outside of the handler, or the server was forced to stop.
    Failed { stream: StreamId },
    /// The reader has returned a part.
    Part {
        stream: StreamId,
        source: BodySource,
        part: Vec<u8>,
    },
    /// The reader has ended.
    End {
        stream: StreamId,
        trailers: HeaderMap,
    },
    /// The reader has failed, or its client has gone.
    Broken { stream: StreamId, error: io::Error },
}

/// The client of a stream, for a reader that checks whether it is still there.
#[derive(Debug)]
pub(super) struct StreamClient(Arc<AtomicBool>);

/// Tells a reader that its client has gone, when the stream is dropped.
#[derive(Debug)]
pub(super) struct ReadGuard(Arc<AtomicBool>);

impl HandlerCall {
    /// Runs the handler on the request in the buffers.
    pub(in crate::connection) fn run(
        mut self,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> StreamReply {
        let stream = self.stream;
        let mut reply = StreamReply::Failed { stream };
        let mut later = None;
        // A reply and a transaction are large to move.
        let run = || later = self.run_handler(&mut reply, buffers, service);
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            buffers.replace();
        }
        match later {
            None => reply,
            Some(later) => self.wait(later, buffers),
        }
    }

    /// The reply of a handler whose response comes later.
    #[cold]
    fn wait(self, later: Later, buffers: &WorkerBuffers) -> StreamReply {
        StreamReply::Later {
            stream: self.stream,
            waiting: WaitingRequest::new(self.transaction, later, buffers),
        }
    }

    /// Writes the reply, unless the response comes later.
    fn run_handler(
        &mut self,
        reply: &mut StreamReply,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Option<Later> {
        let Self {
            stream,
            transaction,
            body,
        } = self;
        let stream = *stream;
        let is_head = buffers.http2_request.is_head;
        let mut response = match body {
            CalledBody::Complete => transaction.handle(&mut buffers.received_http2(), service),
            CalledBody::Withheld => {
                transaction.set_received(0);
                let body = buffers.http2_request.request.body().as_withheld();
                let is_needed = body.map(Withheld::watch).unwrap_or_default();
                let response = transaction.handle(&mut buffers.received_http2(), service);
                let is_returned = response.body().as_withheld().is_some();
                if is_returned || is_needed.load(Ordering::Relaxed) {
                    *reply = StreamReply::NeedsBody { stream };
                    return None;
                }
                response
            }
            CalledBody::Streamed(channel) => {
                let waker = buffers.waker();
                let body = buffers.http2_request.request.body_mut();
                body.set_source(channel.source(waker));
                let streaming = Streaming::begin(service);
                let mut response = transaction.handle(&mut buffers.received_http2(), service);
                drop(streaming);
                let body = channel.close();
                transaction.set_received(body.received);
                if body.is_aborted {
                    return None;
                }
                if let Some(error) = body.error {
                    let received = buffers.received_http2();
                    transaction.note_body_failure(error);
                    response = transaction.reveal_body_failure(response, &received, service);
                }
                response
            }
        };
        let later = Later::take(&mut response);
        if later.is_none() {
            *reply = complete(stream, transaction, response, is_head, buffers, service);
        }
        later
    }
}

/// Counts a handler that reads its body while it arrives, until it is dropped.
struct Streaming<'s>(&'s Service);

impl<'s> Streaming<'s> {
    fn begin(service: &'s Service) -> Self {
        service.streaming.fetch_add(1, Ordering::SeqCst);
        Self(service)
    }
}

impl Drop for Streaming<'_> {
    fn drop(&mut self) {
        self.0.streaming.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Completes a handler's response, and passes the transaction to the observers.
#[inline]
pub(super) fn complete(
    stream: StreamId,
    transaction: &mut Transaction,
    mut response: Response,
    is_head: bool,
    buffers: &mut WorkerBuffers,
    service: &Service,
) -> StreamReply {
    if buffers.http2_request.is_websocket {
        return answer_connect(stream, transaction, response, buffers, service);
    }
    let is_upgrade = response.body().protocol().is_some();
    if is_upgrade {
        // The client gets no status, but observers need one.
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
    }
    transaction.decorate(&mut response, &buffers.received_http2(), service);
    observe(transaction, &response, is_head, buffers, service);
    match is_upgrade {
        true => StreamReply::NeedsHttp1 { stream },
        false => StreamReply::Response {
            stream,
            response,
            is_head,
        },
    }
}

/// Completes the response to an extended CONNECT (RFC 8441). A 2xx accepts it, whatever its content is,
/// so only an upgrade to this protocol leads to one.
#[cold]
fn answer_connect(
    stream: StreamId,
    transaction: &mut Transaction,
    mut response: Response,
    buffers: &mut WorkerBuffers,
    service: &Service,
) -> StreamReply {
    let answer = Upgrade::take_answer(&mut response, WEBSOCKET);
    match answer {
        ConnectAnswer::Accepts(_) => *response.status_mut() = StatusCode::OK,
        ConnectAnswer::OtherUpgrade => *response.status_mut() = StatusCode::UPGRADE_REQUIRED,
        ConnectAnswer::Response if response.status().is_success() => {
            drop_quietly(response);
            let detail = "this resource is no WebSocket";
            let received = buffers.received_http2();
            response = transaction.reject(RequestError::Tunnel, detail.into(), &received, service);
        }
        ConnectAnswer::Response => {}
    }
    transaction.decorate(&mut response, &buffers.received_http2(), service);
    observe(transaction, &response, false, buffers, service);
    match answer {
        ConnectAnswer::Accepts(make) => StreamReply::Accepted {
            stream,
            response,
            make,
        },
        ConnectAnswer::OtherUpgrade => StreamReply::NeedsHttp1 { stream },
        ConnectAnswer::Response => StreamReply::Response {
            stream,
            response,
            is_head: false,
        },
    }
}

/// Passes the transaction to the observers.
pub(super) fn observe(
    transaction: &Transaction,
    response: &Response,
    is_head: bool,
    buffers: &mut WorkerBuffers,
    service: &Service,
) {
    if service.observers.is_empty() {
        return;
    }
    let status = last_status(response);
    let sent = Sent {
        status,
        length: match omits_content(status, is_head) {
            true => Some(0),
            false => response.body().length(),
        },
    };
    let worker = buffers.worker;
    transaction.observe(sent, &buffers.received_http2(), worker, service);
}

impl ReadCall {
    /// Reads the next part. A panic of the reader becomes an error.
    pub(in crate::connection) fn run(self) -> StreamReply {
        let Self {
            stream,
            mut source,
            mut part,
            client,
        } = self;
        part.resize(PART, 0);
        match body_writer::read(&mut source, &mut part, &client) {
            Ok(0) => end(stream, source),
            Ok(count) => {
                part.truncate(count);
                StreamReply::Part {
                    stream,
                    source,
                    part,
                }
            }
            Err(error) => {
                body_writer::drop_source(source);
                StreamReply::Broken { stream, error }
            }
        }
    }
}

fn end(stream: StreamId, mut source: BodySource) -> StreamReply {
    let trailers = body_writer::take_trailers(&mut source);
    body_writer::drop_source(source);
    match trailers {
        Ok(trailers) => StreamReply::End { stream, trailers },
        Err(error) => StreamReply::Broken { stream, error },
    }
}

/// A client and the guard that says when it has gone.
pub(super) fn stream_client() -> (StreamClient, ReadGuard) {
    let is_gone = Arc::new(AtomicBool::new(false));
    (StreamClient(Arc::clone(&is_gone)), ReadGuard(is_gone))
}

impl Client for StreamClient {
    fn presence(&self) -> Presence {
        match self.0.load(Ordering::Relaxed) {
            true => Presence::Gone,
            false => Presence::Here,
        }
    }
}

impl Drop for ReadGuard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether a reader failed only because its client has gone.
pub(super) fn is_client_gone(error: &io::Error) -> bool {
    ClientGone::is_source_of(error)
}

impl fmt::Debug for HandlerCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = &self.stream;
        f.debug_struct("HandlerCall")
            .field("stream", stream)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ReadCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = &self.stream;
        f.debug_struct("ReadCall")
            .field("stream", stream)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for StreamReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamReply").finish_non_exhaustive()
    }
}
