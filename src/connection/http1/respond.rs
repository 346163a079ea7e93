//! The response to a request, and the decision whether the connection continues after it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::header::CONNECTION;
use log::debug;

use super::Http1;
#[cfg(feature = "inspect")]
use super::broken;
use super::later::RequestBody;
use crate::connection::body_writer::BodyWriter;
use crate::connection::close::CloseMode;
use crate::connection::connection_io::{ConnectionIo, Readiness};
use crate::connection::polled_writer::PolledWriter;
use crate::connection::state::State;
use crate::connection::transaction::{ReceivedRequest as _, Sent, Transaction};
use crate::connection::{Phase, Service, WorkerBuffers};
use crate::http1::{self, CONTINUE, Content, Ending, Expectation, Limits, Persistence};
use crate::message::body::{self, BodySource, Reader, Withheld};
use crate::message::headers::list::lists;
use crate::message::request_error::RequestError;
use crate::message::waker::Wake;
use crate::message::{Later, Overload, Response};

/// The 503 response to a request that waited too long or in too long a queue.
pub(super) fn shed(
    transaction: &mut Transaction,
    overload: Overload,
    buffers: &mut WorkerBuffers,
    service: &Service,
) -> Response {
    buffers.add_shed(overload);
    transaction.shed(overload, &buffers.received(service), service)
}

impl Http1 {
    /// Responds to the request in the buffers with the response that `respond` makes.
    pub(super) fn respond(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
        respond: impl FnOnce(
            &mut Self,
            &mut ConnectionIo,
            &mut Transaction,
            &mut WorkerBuffers,
        ) -> Response,
    ) -> io::Result<()> {
        let mut transaction = begin(io, buffers, service);
        let response = respond(self, io, &mut transaction, buffers);
        if response.body().is_later() {
            return self.wait_for_later(response, transaction, io, buffers, service);
        }
        self.finish(io, &transaction, response, buffers, service)
    }

    /// Responds to a request whose handler has said that the head is enough. If the handler needs the
    /// body after all, nothing is sent and the body is received.
    #[cold]
    pub(super) fn respond_to_head(
        &mut self,
        io: &mut ConnectionIo,
        limits: &Limits,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<()> {
        let mut transaction = begin(io, buffers, service);
        transaction.set_received(0);
        let body = buffers.request.request.body().as_withheld();
        let is_wanted = body.map(Withheld::watch).unwrap_or_default();
        let mut response = transaction.handle(&mut buffers.received(service), service);
        if response.body().as_withheld().is_some() || is_wanted.load(Ordering::Relaxed) {
            buffers.catch_up();
            // The handler is called a second time with the same request.
            io.client_info.repeat_request();
            match self.decoder.gather(limits) {
                Ok(_) if self.decoder.needs() > service.budget.most() => {
                    self.reject(io, RequestError::BodyTooLarge, buffers, service);
                }
                Ok(Expectation::Continue) => {
                    buffers.io.write_queue.bytes().extend_from_slice(CONTINUE);
                    io.client_info.set_continued();
                }
                Ok(Expectation::None) => {}
                Err(error) => self.reject(io, error, buffers, service),
            }
            return Ok(());
        }
        if let Some(later) = Later::take(&mut response) {
            let body = RequestBody::Withheld;
            return self.wait_for_response(later, transaction, body, io, buffers, service);
        }
        self.finish_without_body(io, &transaction, response, buffers, service)
    }

    /// Finishes the response to a request whose body has not arrived.
    pub(super) fn finish_without_body(
        &mut self,
        io: &mut ConnectionIo,
        transaction: &Transaction,
        response: Response,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<()> {
        let limits = &service.limits();
        let can_continue = self.decoder.can_discard(limits);
        #[cfg(feature = "inspect")]
        let can_continue = can_continue && response.body().broken().is_none();
        // Bytes of the body must not be read as another request.
        if !can_continue || service.phase.get() != Phase::Running || io.socket.keys_near_limit() {
            buffers.request.context.persistence = Persistence::Close;
        }
        io.expect_more();
        self.finish(io, transaction, response, buffers, service)?;
        let after = match io.state {
            State::Http => Persistence::KeepAlive,
            _ => Persistence::Close,
        };
        if can_continue {
            self.decoder.discard(limits, after);
            io.state = State::Http;
        } else {
            self.decoder.abandon(&mut buffers.request);
        }
        Ok(())
    }

    /// Closes the connection after the response so far, whatever still arrives.
    pub(super) fn stop_discarding(&mut self, io: &mut ConnectionIo) {
        io.state = State::Closing(CloseMode::Linger);
        io.deadlines.end();
    }

    // Inlined, because a response is large to move.
    #[inline(always)]
    pub(super) fn finish(
        &mut self,
        io: &mut ConnectionIo,
        transaction: &Transaction,
        mut response: Response,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<()> {
        decorate(transaction, &mut response, buffers, service);
        let ending = self.ending(io, &response, buffers, service)?;
        if ending == Ending::Close {
            // Where the server ends the persistence itself, more may arrive, and it has called
            // `expect_more`.
            let is_last = buffers.request.context.persistence == Persistence::Close;
            let is_silent = !has_more(io, buffers) && io.readiness == Readiness::Drained;
            io.state = State::Closing(if is_last && is_silent {
                CloseMode::Immediate
            } else {
                CloseMode::Linger
            });
        }
        #[cfg(feature = "inspect")]
        let ending = match response.body().broken() {
            Some(broken) => broken::closing(broken, response.headers(), io),
            None => ending,
        };
        encode(transaction, response, ending, buffers, service);
        buffers.io.write_queue.push_response();
        io.deadlines.end();
        Ok(())
    }

    /// Whether the connection continues after this response.
    #[inline(always)]
    fn ending(
        &mut self,
        io: &mut ConnectionIo,
        response: &Response,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> io::Result<Ending> {
        if buffers.request.context.persistence == Persistence::Close
            || lists(response.headers(), &CONNECTION, "close")
            || http1::is_open_ended(response, &buffers.request.context)
        {
            return Ok(Ending::Close);
        }
        if service.phase.get() == Phase::Running && !io.socket.keys_near_limit() {
            return Ok(Ending::KeepAlive);
        }
        if self.is_last_request(io, buffers, service) {
            return Ok(Ending::Close);
        }
        // Pipelined requests behind this one get responses, too, so the last response is the one
        // behind whose request nothing has arrived. More may have arrived while the handler ran.
        if buffers.io.input.is_empty() {
            io.expect_more();
            io.receive(buffers.io.input.room())?;
        }
        Ok(if has_more(io, buffers) {
            Ending::KeepAlive
        } else {
            Ending::Close
        })
    }

    /// Responds to a request that is rejected, complete or not, and closes the connection.
    pub(in crate::connection) fn reject(
        &mut self,
        io: &mut ConnectionIo,
        error: RequestError,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) {
        debug!("{io}: {error}");
        self.respond_and_close(io, buffers, service, |transaction, buffers| {
            let received = buffers.received(service);
            let detail = received.explain(error);
            transaction.reject(error, detail, &received, service)
        });
    }

    /// Sheds a request whose body has not arrived, and closes the connection.
    pub(super) fn shed_by_head(
        &mut self,
        io: &mut ConnectionIo,
        overload: Overload,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) {
        self.respond_and_close(io, buffers, service, |transaction, buffers| {
            shed(transaction, overload, buffers, service)
        });
        buffers.io.write_queue.push_response();
    }

    fn respond_and_close(
        &mut self,
        io: &mut ConnectionIo,
        buffers: &mut WorkerBuffers,
        service: &Service,
        respond: impl FnOnce(&mut Transaction, &mut WorkerBuffers) -> Response,
    ) {
        self.decoder.abandon(&mut buffers.request);
        let mut transaction = begin(io, buffers, service);
        let mut response = respond(&mut transaction, buffers);
        decorate(&transaction, &mut response, buffers, service);
        encode(&transaction, response, Ending::Close, buffers, service);
        io.state = State::Closing(CloseMode::Linger);
        io.deadlines.end();
    }
}

/// Begins the transaction of the request in the buffers.
fn begin(io: &mut ConnectionIo, buffers: &mut WorkerBuffers, service: &Service) -> Transaction {
    let arrival = buffers.arrival(io.deadlines.arriving_since());
    let client_info = io.client_info.next_request();
    let request = &mut buffers.request.request;
    Transaction::begin(arrival, client_info, request, service)
}

fn decorate(
    transaction: &Transaction,
    response: &mut Response,
    buffers: &mut WorkerBuffers,
    service: &Service,
) {
    if response.status().is_informational() {
        transaction.check_upgrade(response, buffers, service);
    }
    transaction.decorate(response, &buffers.received(service), service);
}

/// Whether bytes of another request have arrived.
fn has_more(io: &ConnectionIo, buffers: &WorkerBuffers) -> bool {
    !buffers.io.input.is_empty() || io.socket.has_partial_record()
}

/// Appends the response to the write queue, and passes the transaction to the observers.
fn encode(
    transaction: &Transaction,
    response: Response,
    ending: Ending,
    buffers: &mut WorkerBuffers,
    service: &Service,
) {
    let date = buffers.date();
    let head = buffers.io.write_queue.bytes();
    #[cfg(feature = "inspect")]
    let start = head.len();
    let content = http1::encode(&response, &buffers.request.context, ending, &date, head);
    if !service.observers.is_empty() {
        let sent = Sent {
            status: http1::last_status(&response),
            length: match content {
                Content::Omitted => Some(0),
                Content::Switched => None,
                Content::Follows | Content::FollowsInChunks => response.body().length(),
            },
        };
        let worker = buffers.worker;
        transaction.observe(sent, &buffers.received(service), worker, service);
    }
    let queue = &mut buffers.io.write_queue;
    match (content, response.into_body().into_content()) {
        (Content::Switched, body::Content::Upgrade(upgrade)) => queue.push_upgrade(upgrade),
        // A handler that returns a withheld body gets it received first, so none arrives here.
        // A later response is encoded only after it has arrived.
        #[cfg(feature = "inspect")]
        (content, body::Content::Broken(broken)) => broken::push(*broken, content, start, buffers),
        (Content::Omitted, _)
        | (_, body::Content::Upgrade(_) | body::Content::Withheld(_) | body::Content::Later(_)) => {
        }
        (_, body::Content::Memory(bytes)) => queue.push_body(bytes),
        (_, body::Content::Reader(source)) => {
            push_source(source, content == Content::FollowsInChunks, buffers);
        }
        (_, body::Content::File(part)) => queue.push_file(part, buffers.now),
    }
}

/// Appends content that has not been read to the last head.
pub(super) fn push_source(source: BodySource, in_chunks: bool, buffers: &mut WorkerBuffers) {
    if let Reader::Polled(_) = source.reader {
        let waker = buffers.waker().map(|waker| waker as Arc<dyn Wake>);
        let writer = PolledWriter::new(source, in_chunks, waker);
        buffers.io.write_queue.push_polled(writer);
    } else {
        let writer = BodyWriter::new(source, in_chunks);
        buffers.io.write_queue.push_reader(writer);
    }
}
