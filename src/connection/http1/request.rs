//! The request in a worker's buffers, for a transaction.

use std::borrow::Cow;

use crate::connection::transaction::ReceivedRequest;
use crate::connection::{Service, WorkerBuffers};
use crate::http1::{Limits, RequestBuffer};
use crate::message::request_error::RequestError;
use crate::message::{RawRequest, Request};

/// The request in a worker's buffers. If its head is incomplete or invalid, its bytes are still in
/// the input.
pub(super) struct BufferedRequest<'b> {
    buffer: &'b mut RequestBuffer,
    unread: &'b [u8],
    limits: Limits,
}

impl WorkerBuffers {
    pub(super) fn received(&mut self, service: &Service) -> BufferedRequest<'_> {
        BufferedRequest {
            buffer: &mut self.request,
            unread: self.io.input.unread(),
            limits: service.limits(),
        }
    }
}

impl ReceivedRequest for BufferedRequest<'_> {
    fn request(&self) -> &Request {
        &self.buffer.request
    }

    fn request_mut(&mut self) -> &mut Request {
        &mut self.buffer.request
    }

    fn original(&self) -> Request {
        self.buffer.original(self.unread, &self.limits)
    }

    fn raw_request(&self) -> RawRequest {
        self.buffer.raw_request()
    }

    fn request_line(&self) -> Cow<'_, str> {
        self.buffer.request_line()
    }

    fn explain(&self, error: RequestError) -> Cow<'static, str> {
        self.buffer.explain(error, self.unread, &self.limits)
    }
}
