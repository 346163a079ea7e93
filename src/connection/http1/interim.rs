//! Responses with a 1xx status: an upgrade to another protocol, or a defect of the handler.

use http::header::{CONNECTION, UPGRADE};
use http::{StatusCode, Version};
use log::error;

use crate::connection::transaction::Transaction;
use crate::connection::{Service, WorkerBuffers};
use crate::message::headers::list::lists;
use crate::message::{Problem, Response};

impl Transaction {
    /// Replaces a 1xx response by a 426 if it upgrades to a protocol that the request did not ask for
    /// (RFC 9110 section 7.8). The encoder turns a 1xx response without an upgrade into a 500.
    #[cold]
    pub(super) fn check_upgrade(
        &self,
        response: &mut Response,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) {
        let received = buffers.received(service);
        let Some(protocol) = response.body().protocol().cloned() else {
            let request = self.name(&received);
            error!("the handler answered {request} with an interim status; a 500 is sent");
            return;
        };
        let headers = buffers.request.headers();
        // A response to HEAD has no content, so no protocol can follow it.
        let is_wanted = buffers.request.context.version == Version::HTTP_11
            && !buffers.request.context.is_head
            && lists(&headers, &CONNECTION, "upgrade")
            && (protocol.to_str()).is_ok_and(|protocol| lists(&headers, &UPGRADE, protocol));
        if !is_wanted {
            let problem = Problem::new(StatusCode::UPGRADE_REQUIRED)
                .detail("this resource needs the protocol that the Upgrade header names");
            *response = self.respond(&problem, &buffers.received(service), service);
            response.headers_mut().insert(UPGRADE, protocol);
        }
    }

    /// Replaces an upgrade by a 500 if the request's body has not been read to its end.
    pub(super) fn reject_early_upgrade(
        &self,
        response: &mut Response,
        buffers: &mut WorkerBuffers,
        service: &Service,
    ) {
        if response.body().protocol().is_some() {
            let received = buffers.received(service);
            let request = self.name(&received);
            error!("the handler upgraded {request} before the end of its body; a 500 is sent");
            let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR);
            *response = self.respond(&problem, &received, service);
        }
    }
}
