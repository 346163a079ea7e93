//! Decodes a request, calls the handler and encodes the response, as a server does.

use std::borrow::Cow;

use http::{HeaderMap, Response as HttpResponse, StatusCode};

use super::later;
use super::response::receive;
use super::upload::Upload;
use crate::connection::defaults;
use crate::http1::{Decoder, Event, Input, Limits, RequestBuffer};
use crate::message::later::LATE;
use crate::message::problem::error_pages::CustomErrorPages;
use crate::message::request_error::RequestError;
use crate::message::{Body, ClientInfo, Handler, Problem, Request, Response};

pub(super) const LIMITS: Limits = Limits {
    head: defaults::MAX_HEADER_SIZE,
    body: defaults::MAX_BODY,
};

/// The response to this message, as its client receives it, and the early hints before it.
#[track_caller]
pub(super) fn exchange(
    handler: &dyn Handler,
    message: &[u8],
    client_info: ClientInfo,
) -> (HttpResponse<Body>, Vec<HeaderMap>) {
    let (mut buffer, mut input) = (RequestBuffer::default(), Input::default());
    input.extend(message);
    let mut decoder = Decoder::default();
    let body_mode = |request: &mut Request| {
        handler.prepare(request);
        Some(handler.body_mode(request))
    };
    let body_error = match decoder.decode_with(&mut input, &mut buffer, &LIMITS, body_mode) {
        Ok(Event::Request) => None,
        Ok(Event::Stream) => decoder
            .stream(&mut buffer)
            .map(|body_decoder| Upload::begin(body_decoder, input, &mut buffer)),
        Ok(_) => panic!("the request is incomplete"),
        Err(error) => {
            let unread = input.unread();
            let reason = buffer.explain(error, unread, &LIMITS);
            let request = buffer.original(unread, &LIMITS);
            let response = reject(error, reason, handler, &request);
            return (receive(response, &buffer), Vec::new());
        }
    };
    buffer.request.body_mut().set_client_info(client_info);
    let response = handler.handle(&mut buffer.request);
    let (mut response, hints) = later::wait(response, || {
        let problem = Problem::new(StatusCode::GATEWAY_TIMEOUT).detail(LATE);
        respond(&problem, handler, &buffer.original(&[], &LIMITS))
    });
    CustomErrorPages::default().apply(&mut response, || Cow::Owned(buffer.headers()));
    // The streamed body failed, and the handler may have responded with its own error.
    if let Some(error) = body_error.and_then(|body_error| body_error.get().copied())
        && response.status().is_server_error()
    {
        let reason = error.reason().into();
        response = reject(error, reason, handler, &buffer.original(&[], &LIMITS));
    }
    (receive(response, &buffer), hints)
}

/// Returns the response to a rejected request.
fn reject(
    error: RequestError,
    reason: Cow<'static, str>,
    handler: &dyn Handler,
    request: &Request,
) -> Response {
    let problem = Problem::new(error.status()).detail(reason);
    respond(&problem, handler, request)
}

/// Returns a response that the server makes itself.
fn respond(problem: &Problem, handler: &dyn Handler, request: &Request) -> Response {
    let mut response = problem.to_response(request.headers());
    handler.server_response(request, &mut response);
    response
}
