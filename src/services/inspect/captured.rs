//! A request with everything that is known of it.

use std::time::SystemTime;

use bytes::Bytes;
use http::Method;

use crate::message::{RawRequest, Request};
use crate::web::extract::{FromRequest, Rejection, RequestContext};

/// A request, kept so that it can be shown later. It shares the bytes of the request and is cheap to
/// clone. All parts that follow from the head are derived when they are shown.
#[derive(Debug, Clone)]
pub(super) struct Captured {
    pub(super) received: SystemTime,
    pub(super) method: Method,
    /// `None` if the request did not arrive on a connection.
    pub(super) raw: Option<RawRequest>,
    pub(super) body: Bytes,
}

impl Captured {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            received: SystemTime::now(),
            method: request.method().clone(),
            raw: RawRequest::of(request).cloned(),
            body: request.body().to_bytes(),
        }
    }
}

/// The request that [`Inspect`](super::Inspect) has captured before it called the router.
impl<S> FromRequest<S> for Captured {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        let captured = context.request().extensions().get::<Self>();
        Ok(captured.map_or_else(|| Self::of(context.request()), Self::clone))
    }
}
