//! An argument that is read while it arrives.

use std::io::{self, Read};

use super::{Consumes, FromRequest, OptionalFromRequest, Rejection, RequestContext};
use super::{has_empty_body, take_unless};
use crate::message::handler::MAX_STREAMED_BODY;
use crate::message::{Body, BodyMode};

/// The request's body, which the function reads while it arrives ([`BodyMode::Streaming`]), with a
/// limit of `MOST` bytes. The function occupies a worker for that time.
///
/// ```
/// use std::io;
///
/// use httpool::Router;
/// use httpool::extract::BodyStream;
///
/// fn measure(mut body: BodyStream<{ 8 << 30 }>) -> io::Result<String> {
///     // An error of the client, for example a timeout, becomes its response.
///     let count = io::copy(&mut body, &mut io::sink())?;
///     Ok(format!("{count} bytes\n"))
/// }
///
/// let router: Router = Router::new().put("/files", measure);
/// ```
///
/// It must be the last argument. A request has one body: other body arguments, for example `Bytes`
/// or `Json`, are empty beside this one.
#[derive(Debug)]
pub struct BodyStream<const MOST: u64 = { MAX_STREAMED_BODY }>(
    /// The body, a reader.
    pub Body,
);

impl<S, const MOST: u64> FromRequest<S, Consumes> for BodyStream<MOST> {
    const BODY_MODE: BodyMode = BodyMode::Streaming { most: MOST };

    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Body::from_request(context).map(Self)
    }
}

/// `None` if the body is empty.
impl<S, const MOST: u64> OptionalFromRequest<S, Consumes> for BodyStream<MOST> {
    fn optional_from_request(
        context: &mut RequestContext<'_, S>,
    ) -> Result<Option<Self>, Rejection> {
        take_unless(has_empty_body(context), context)
    }
}

impl<const MOST: u64> Read for BodyStream<MOST> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}
