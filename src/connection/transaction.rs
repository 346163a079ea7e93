//! A request and its answer: who asked, what is answered, and who is told of it.

use std::borrow::Cow;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use log::error;

use super::body_writer::BodyWriter;
use super::{Service, WorkerBuffers};
use crate::http1;
use crate::http1::{Content, Ending};
use crate::message::body;
use crate::message::problem;
use crate::message::request_error::RequestError;
use crate::message::request_id;
use crate::message::request_id::REQUEST_ID;
use crate::message::{ClientInfo, Outcome, Problem, Request, RequestRecord, Response};
use crate::message::{Overload, RejectReason};

/// <https://www.w3.org/TR/server-timing/>
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What is known of a request when its answer is made, and told then.
pub(super) struct Transaction {
    origin: ClientInfo,
    since: Instant,
    received: u64,
    id: Option<HeaderValue>,
    outcome: Outcome,
    turn: Turn,
    handling: Option<Duration>,
}

/// Whether the handler has had the request, and may have changed or taken it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Before,
    After,
}

impl Transaction {
    /// Begins the account of a request that has been coming since then from there. The request
    /// learns of that here, and gets its id.
    pub(super) fn open(
        since: Instant,
        from: &ClientInfo,
        request: &mut Request,
        service: &Service,
    ) -> Self {
        #[cfg(feature = "proxy")]
        let origin = (service.config.trust).client_info(from, request.headers());
        #[cfg(not(feature = "proxy"))]
        let origin = from.clone();
        request.body_mut().set_origin(origin.clone());
        Self {
            origin,
            since,
            received: request.body().length().unwrap_or_default(),
            id: service
                .config
                .request_ids
                .then(|| request_id::ensure(request.headers_mut())),
            outcome: Outcome::Handled,
            turn: Turn::Before,
            handling: None,
        }
    }

    /// So much of the content has come.
    pub(super) fn note_received(&mut self, bytes: u64) {
        self.received = bytes;
    }

    /// Whether the answer is the handler's own.
    pub(super) fn is_handled(&self) -> bool {
        self.outcome == Outcome::Handled
    }

    /// The handler's answer. If it panics, only its own client notices.
    #[inline(always)]
    pub(super) fn handle(&mut self, buffers: &mut WorkerBuffers, service: &Service) -> Response {
        let began = service.config.server_timing.then(Instant::now);
        self.turn = Turn::After;
        let request = &mut buffers.slot.request;
        let answer = catch_unwind(AssertUnwindSafe(|| service.handler.handle(request)));
        self.handling = began.map(|began| began.elapsed());
        match answer {
            Ok(response) => response,
            Err(_) => {
                error!("the handler panicked on {}", self.name(buffers));
                self.outcome = Outcome::Panicked;
                let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR);
                self.respond(&problem, buffers, service)
            }
        }
    }

    /// The answer to a request for which there is no worker.
    pub(super) fn shed(
        &mut self,
        why: Overload,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) -> Response {
        self.outcome = Outcome::Rejected(RejectReason::Overload(why));
        buffers.shed += 1;
        let why = match why {
            Overload::Late => "the request has waited for too long",
            Overload::Full => "too many requests wait",
        };
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE).detail(why);
        self.respond(&problem, buffers, service)
    }

    /// The answer to a request that is not taken.
    pub(super) fn refuse(
        &mut self,
        refusal: RequestError,
        buffers: &WorkerBuffers,
        service: &Service,
    ) -> Response {
        self.outcome = Outcome::Rejected(RejectReason::Request(refusal));
        let unread = buffers.input.unread();
        let why = buffers.slot.explain(refusal, unread, &service.limits());
        let problem = Problem::new(refusal.status()).detail(why);
        self.respond(&problem, buffers, service)
    }

    /// A response that the server makes itself, completed by the layers that the handler has.
    pub(super) fn respond(
        &self,
        problem: &Problem,
        buffers: &WorkerBuffers,
        service: &Service,
    ) -> Response {
        let left = &buffers.slot.request;
        let original;
        let request = if self.turn == Turn::Before && !left.headers().is_empty() {
            left
        } else {
            original = self.original(buffers, service);
            &original
        };
        let mut response = problem.to_response(request.headers());
        if problem.status() == StatusCode::SERVICE_UNAVAILABLE {
            response = problem::try_again(response);
        }
        service.handler.server_response(request, &mut response);
        response
    }

    /// Has the answer say what was asked for besides: an error page, fields of all answers, the
    /// request's id, and its handler's time. In place, for a response is large to move.
    pub(super) fn mark(&self, response: &mut Response, buffers: &WorkerBuffers, service: &Service) {
        if response.status().is_informational() {
            self.settle(response, buffers, service);
        }
        service
            .error_pages
            .apply(response, || self.fields(buffers, service));
        service.default_headers.apply(response, &self.origin);
        if let Some(time) = self.handling {
            say_time(time, response);
        }
        if let Some(id) = &self.id {
            say_id(id, response);
        }
    }

    /// What the log calls the request.
    pub(super) fn name(&self, buffers: &WorkerBuffers) -> String {
        name(&buffers.slot.request_line(), self.id.as_ref())
    }

    /// The request's fields, even if a handler has taken them away.
    fn fields<'d>(&self, buffers: &'d WorkerBuffers, service: &Service) -> Cow<'d, HeaderMap> {
        let left = buffers.slot.request.headers();
        if !left.is_empty() {
            return Cow::Borrowed(left);
        }
        Cow::Owned(mem::take(self.original(buffers, service).headers_mut()))
    }

    /// The head of the request as it came, as far as it is known.
    fn original(&self, buffers: &WorkerBuffers, service: &Service) -> Request {
        let mut request = buffers
            .slot
            .original(buffers.input.unread(), &service.limits());
        if let Some(id) = &self.id {
            request.headers_mut().insert(REQUEST_ID, id.clone());
        }
        request
    }

    /// Gathers the whole answer, and tells of it.
    pub(super) fn close(
        &self,
        response: Response,
        ending: Ending,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) {
        let date = buffers.date();
        let head = buffers.write_queue.bytes();
        let content = http1::encode(&response, &buffers.slot.context, ending, &date, head);
        if !service.observers.is_empty() {
            self.tell(&response, content, buffers, service);
        }
        match (content, response.into_body().into_content()) {
            (Content::Switched, body::Content::Upgrade(upgrade)) => {
                buffers.write_queue.push_upgrade(upgrade);
            }
            // A body that has not come is nobody's response: who gives it back has wanted it.
            (Content::Omitted, _) | (_, body::Content::Upgrade(_) | body::Content::Withheld(_)) => {
            }
            (_, body::Content::Memory(bytes)) => buffers.write_queue.push_body(bytes),
            (_, body::Content::Reader(source)) => {
                let in_chunks = content == Content::FollowsInChunks;
                buffers
                    .write_queue
                    .push_stream(BodyWriter::new(source, in_chunks));
            }
            (_, body::Content::File(part)) => buffers.write_queue.push_file(part),
        }
    }

    #[cold]
    fn tell(
        &self,
        response: &Response,
        content: Content,
        buffers: &WorkerBuffers,
        service: &Service,
    ) {
        service.observers.tell(&RequestRecord {
            worker: buffers.worker,
            wire: &buffers.slot.raw_request(),
            origin: &self.origin,
            id: self.id.as_ref(),
            outcome: self.outcome,
            status: http1::last_status(response),
            received: self.received,
            sent: match content {
                Content::Omitted => Some(0),
                Content::Switched => None,
                Content::Follows | Content::FollowsInChunks => response.body().length(),
            },
            duration: self.since.elapsed(),
        });
    }
}

/// What the log calls a request with this line and id.
fn name(line: &str, id: Option<&HeaderValue>) -> String {
    match id.and_then(|id| id.to_str().ok()) {
        Some(id) => format!("{line:?} (request {id})"),
        None => format!("{line:?}"),
    }
}

#[cold]
fn say_time(time: Duration, response: &mut Response) {
    let value = format!("handler;dur={:.3}", time.as_secs_f64() * 1e3);
    let value = HeaderValue::try_from(value).expect("it is ASCII");
    response.headers_mut().append(SERVER_TIMING, value);
}

#[cold]
fn say_id(id: &HeaderValue, response: &mut Response) {
    response.headers_mut().insert(REQUEST_ID, id.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_names_a_request_by_its_line_and_its_id() {
        let id = HeaderValue::from_static("a-1");
        let line = "GET /\u{1b} HTTP/1.1";
        let named = name(line, Some(&id));
        assert_eq!(named, r#""GET /\u{1b} HTTP/1.1" (request a-1)"#);
        assert_eq!(name(line, None), r#""GET /\u{1b} HTTP/1.1""#);
    }
}
