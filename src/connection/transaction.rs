//! One request with its response, in any protocol: the client, the handler's call, the responses that
//! the server makes itself, and the record for observers.

use std::borrow::Cow;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use log::error;

use super::Service;
use crate::message::later::{LATE, Resolution, Respond};
use crate::message::problem;
use crate::message::request_error::RequestError;
use crate::message::request_id;
use crate::message::request_id::REQUEST_ID;
use crate::message::user_name::UserName;
use crate::message::{
    ClientInfo, Later, MatchedPath, Outcome, Overload, Problem, RawRequest, RejectReason, Request,
    RequestRecord, RequestTimes, Response,
};

/// <https://www.w3.org/TR/server-timing/>
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The status by which nginx logs that the client has left before its response.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A request as its protocol keeps it, complete or not.
pub(super) trait ReceivedRequest {
    /// The request. A handler may have changed or taken it.
    fn request(&self) -> &Request;

    fn request_mut(&mut self) -> &mut Request;

    /// The request head as it arrived, as far as it was understood.
    fn original(&self) -> Request;

    /// The bytes of the head, for observers.
    fn raw_request(&self) -> RawRequest;

    /// The request line, for the log.
    fn request_line(&self) -> Cow<'_, str>;

    /// The reason for a rejection, with the place of the error where there is one.
    fn explain(&self, error: RequestError) -> Cow<'static, str>;
}

/// One request with its response. The same steps serve every protocol: [`begin`](Self::begin), a
/// response by [`handle`](Self::handle), [`shed`](Self::shed) or [`reject`](Self::reject),
/// [`decorate`](Self::decorate), and [`observe`](Self::observe) after the response is encoded.
pub(super) struct Transaction {
    client_info: ClientInfo,
    /// The path of the route, if there are observers.
    matched_path: Option<MatchedPath>,
    user: Option<UserName>,
    since: Instant,
    received: u64,
    id: Option<HeaderValue>,
    outcome: Outcome,
    call: HandlerCall,
    /// Why the handler could not read the body.
    body_failure: Option<RequestError>,
    handler_time: Option<Duration>,
}

/// How a request reached its handler.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// When it began to arrive.
    pub(super) since: Instant,
    /// How long its connection was in the queue.
    pub(super) waited: Option<Duration>,
}

/// Whether the handler was called, and may have changed or taken the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HandlerCall {
    Pending,
    Begun,
}

/// The content of an encoded response, for observers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// The status that was sent, after any interim one.
    pub(super) status: StatusCode,
    /// The length of the content, if it is known.
    pub(super) length: Option<u64>,
}

impl Transaction {
    /// Begins with a request that has arrived. Gives the request its client and its id.
    pub(super) fn begin(
        arrival: Arrival,
        connection: ClientInfo,
        request: &mut Request,
        service: &Service,
    ) -> Self {
        #[cfg(feature = "proxy")]
        let client_info =
            (service.config.trusted_proxies).client_info(connection, request.headers());
        #[cfg(not(feature = "proxy"))]
        let client_info = connection;
        request.body_mut().set_client_info(client_info.clone());
        if service.config.request_times {
            add_times(arrival, request);
        }
        Self {
            client_info,
            matched_path: None,
            user: None,
            since: arrival.since,
            received: request.body().length().unwrap_or_default(),
            id: service
                .config
                .request_ids
                .then(|| request_id::ensure(request.headers_mut())),
            outcome: Outcome::Handled,
            call: HandlerCall::Pending,
            body_failure: None,
            handler_time: None,
        }
    }

    /// Sets the bytes of content that were received, if not the whole body was.
    pub(super) fn set_received(&mut self, bytes: u64) {
        self.received = bytes;
    }

    /// Notes that the client has not sent the body that the handler has begun to read.
    pub(super) fn note_body_failure(&mut self, error: RequestError) {
        self.body_failure = Some(error);
    }

    /// Replaces the handler's response to a body that could not be read, if the handler takes the failure
    /// for its own: the client gets the real reason (RFC 9110 section 15.5).
    pub(super) fn reveal_body_failure(
        &mut self,
        response: Response,
        received: &impl ReceivedRequest,
        service: &Service,
    ) -> Response {
        match self.body_failure {
            Some(error)
                if response.status().is_server_error() && self.outcome == Outcome::Handled =>
            {
                self.reject(error, received.explain(error), received, service)
            }
            _ => response,
        }
    }

    /// Calls the handler. A panic becomes a 500.
    #[inline(always)]
    pub(super) fn handle(
        &mut self,
        received: &mut impl ReceivedRequest,
        service: &Service,
    ) -> Response {
        let began = service.config.server_timing.then(Instant::now);
        self.call = HandlerCall::Begun;
        let request = received.request_mut();
        // A response is large to move, so it is not returned through the guard.
        let mut response = None;
        let handle = || response = Some(service.handler.handle(request));
        let call = || drop(catch_unwind(AssertUnwindSafe(handle)));
        if service.observers.is_empty() {
            call();
        } else {
            ((), self.matched_path) = MatchedPath::record(call);
            self.user = response.as_ref().and_then(UserName::of).cloned();
        }
        self.handler_time = began.map(|began| began.elapsed());
        match response {
            Some(response) => response,
            None => {
                error!("the handler panicked on {}", self.name(received));
                self.outcome = Outcome::Panicked;
                let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR);
                self.respond(&problem, received, service)
            }
        }
    }

    /// The 503 response to a request that waited too long or in too long a queue.
    pub(super) fn shed(
        &mut self,
        overload: Overload,
        received: &impl ReceivedRequest,
        service: &Service,
    ) -> Response {
        self.outcome = Outcome::Rejected(RejectReason::Overload(overload));
        let detail = match overload {
            Overload::Late => "the request waited too long for a worker",
            Overload::Full => "too many requests are waiting",
        };
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE).detail(detail);
        self.respond_and_record(&problem, received, service)
    }

    /// The response to a request that is rejected, with the reason in words.
    pub(super) fn reject(
        &mut self,
        error: RequestError,
        detail: Cow<'static, str>,
        received: &impl ReceivedRequest,
        service: &Service,
    ) -> Response {
        self.outcome = Outcome::Rejected(RejectReason::Request(error));
        let problem = Problem::new(error.status()).detail(detail);
        self.respond_and_record(&problem, received, service)
    }

    /// The response to a request that has waited for it since its handler returned. It may come later
    /// again.
    #[cold]
    pub(super) fn complete(
        &mut self,
        resolution: Resolution,
        later: Later,
        waited: Duration,
        received: &impl ReceivedRequest,
        service: &Service,
    ) -> Response {
        if let Some(time) = &mut self.handler_time {
            *time += waited;
        }
        match resolution {
            Resolution::Response(response) => {
                let response = self.run_layers(later, *response, received, service);
                self.reveal_body_failure(response, received, service)
            }
            Resolution::Call(respond) => self.handle_later(later, respond, received, service),
            Resolution::Late(Some(response)) => {
                self.run_layers(later, *response, received, service)
            }
            Resolution::Late(None) => {
                self.outcome = Outcome::TimedOut;
                drop_quietly(later);
                let problem = Problem::new(StatusCode::GATEWAY_TIMEOUT).detail(LATE);
                self.respond(&problem, received, service)
            }
            Resolution::Abandoned => {
                let name = self.name(received);
                error!("the responder for {name} was dropped without a response; a 500 is sent");
                self.outcome = Outcome::Abandoned;
                drop_quietly(later);
                let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR);
                self.respond(&problem, received, service)
            }
        }
    }

    /// Lets a function of the handler make the response, and layers change it. A panic becomes a 500.
    fn handle_later(
        &mut self,
        later: Later,
        respond: Respond,
        received: &impl ReceivedRequest,
        service: &Service,
    ) -> Response {
        let began = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| later.complete(respond.call())));
        if let Some(time) = &mut self.handler_time {
            *time += began.elapsed();
        }
        result.unwrap_or_else(|_| {
            error!("the handler panicked on {}", self.name(received));
            self.outcome = Outcome::Panicked;
            let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR);
            self.respond(&problem, received, service)
        })
    }

    /// Lets layers change a response that has arrived. A panic becomes a 500.
    fn run_layers(
        &mut self,
        later: Later,
        response: Response,
        received: &impl ReceivedRequest,
        service: &Service,
    ) -> Response {
        let result = catch_unwind(AssertUnwindSafe(|| later.complete(response)));
        result.unwrap_or_else(|_| {
            error!(
                "a layer panicked on the response to {}",
                self.name(received)
            );
            self.outcome = Outcome::Panicked;
            let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR);
            self.respond(&problem, received, service)
        })
    }

    /// Gives up a request that can't wait for its response: 503.
    pub(super) fn refuse_to_wait(
        &mut self,
        later: Later,
        received: &impl ReceivedRequest,
        service: &Service,
    ) -> Response {
        drop_quietly(later);
        let error = RequestError::BufferLimit;
        self.reject(error, error.reason().into(), received, service)
    }

    /// Passes the record of a request whose client has left while it waited to the observers.
    pub(super) fn observe_cancelled(
        &mut self,
        raw_request: &RawRequest,
        worker: usize,
        service: &Service,
    ) {
        if service.observers.is_empty() {
            return;
        }
        self.outcome = Outcome::Cancelled;
        let sent = Sent {
            status: StatusCode::from_u16(CLIENT_CLOSED_REQUEST).expect("the number is a status"),
            length: Some(0),
        };
        self.notify(sent, raw_request, worker, service);
    }

    /// The response to a request without its handler. The layers that complete it know its route.
    fn respond_and_record(
        &mut self,
        problem: &Problem,
        received: &impl ReceivedRequest,
        service: &Service,
    ) -> Response {
        if service.observers.is_empty() {
            return self.respond(problem, received, service);
        }
        let (response, path) = MatchedPath::record(|| self.respond(problem, received, service));
        self.matched_path = self.matched_path.take().or(path);
        response
    }

    /// A response that the server makes itself, completed by the handler's layers.
    pub(super) fn respond(
        &self,
        problem: &Problem,
        received: &impl ReceivedRequest,
        service: &Service,
    ) -> Response {
        let left = received.request();
        let original;
        let request = if self.call == HandlerCall::Pending && !left.headers().is_empty() {
            left
        } else {
            original = self.original(received);
            &original
        };
        let mut response = problem.to_response(request.headers());
        if problem.status() == StatusCode::SERVICE_UNAVAILABLE {
            response = problem::try_again(response);
        }
        service.handler.server_response(request, &mut response);
        if let Some(later) = Later::take(&mut response) {
            error!("a layer lets a response of the server come later; it is sent without content");
            drop_quietly(later);
        }
        response
    }

    /// Completes a response: its error page, the default headers, the request id and the handler's
    /// time. It does so in place, because a response is large to move.
    pub(super) fn decorate(
        &self,
        response: &mut Response,
        received: &impl ReceivedRequest,
        service: &Service,
    ) {
        service
            .error_pages
            .apply(response, || self.headers(received));
        service.default_headers.apply(response, &self.client_info);
        if let Some(time) = self.handler_time {
            add_server_timing(time, response);
        }
        if let Some(id) = &self.id {
            set_request_id(id, response);
        }
    }

    /// The request's name in the log.
    pub(super) fn name(&self, received: &impl ReceivedRequest) -> String {
        name(&received.request_line(), self.id.as_ref())
    }

    /// The request's headers, even if a handler has taken them.
    fn headers<'r>(&self, received: &'r impl ReceivedRequest) -> Cow<'r, HeaderMap> {
        let left = received.request().headers();
        if !left.is_empty() {
            return Cow::Borrowed(left);
        }
        Cow::Owned(mem::take(self.original(received).headers_mut()))
    }

    fn original(&self, received: &impl ReceivedRequest) -> Request {
        let mut request = received.original();
        if let Some(id) = &self.id {
            request.headers_mut().insert(REQUEST_ID, id.clone());
        }
        request
    }

    /// Passes the record of the transaction to the observers, on this worker.
    #[cold]
    pub(super) fn observe(
        &self,
        sent: Sent,
        received: &impl ReceivedRequest,
        worker: usize,
        service: &Service,
    ) {
        self.notify(sent, &received.raw_request(), worker, service);
    }

    fn notify(&self, sent: Sent, raw_request: &RawRequest, worker: usize, service: &Service) {
        service.observers.notify(&RequestRecord {
            worker,
            raw_request,
            client_info: &self.client_info,
            matched_path: self.matched_path.as_ref(),
            user: self.user.as_ref(),
            id: self.id.as_ref(),
            outcome: self.outcome,
            status: sent.status,
            received: self.received,
            sent: sent.length,
            duration: self.since.elapsed(),
        });
    }
}

fn name(line: &str, id: Option<&HeaderValue>) -> String {
    match id.and_then(|id| id.to_str().ok()) {
        Some(id) => format!("{line:?} (request {id})"),
        None => format!("{line:?}"),
    }
}

/// Drops something that may contain a handler's code, which may panic.
pub(super) fn drop_quietly<T>(value: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}

#[cold]
fn add_times(arrival: Arrival, request: &mut Request) {
    request.extensions_mut().insert(RequestTimes {
        waited: arrival.waited.unwrap_or_default(),
        since: arrival.since,
        called: Instant::now(),
    });
}

#[cold]
fn add_server_timing(time: Duration, response: &mut Response) {
    let value = format!("handler;dur={:.3}", time.as_secs_f64() * 1e3);
    let value = HeaderValue::try_from(value).expect("digits are valid in a header");
    response.headers_mut().append(SERVER_TIMING, value);
}

#[cold]
fn set_request_id(id: &HeaderValue, response: &mut Response) {
    response.headers_mut().insert(REQUEST_ID, id.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_names_a_request_by_line_and_id() {
        let id = HeaderValue::from_static("a-1");
        let line = "GET /\u{1b} HTTP/1.1";
        let named = name(line, Some(&id));
        assert_eq!(named, r#""GET /\u{1b} HTTP/1.1" (request a-1)"#);
        assert_eq!(name(line, None), r#""GET /\u{1b} HTTP/1.1""#);
    }
}
