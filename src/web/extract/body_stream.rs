//! An argument that is read while it comes.

use std::io::{self, Read};

use super::{Consumes, FromRequest, OptionalFromRequest, Rejection, RequestContext};
use super::{is_bodiless, unless};
use crate::message::handler::MAX_STREAMED_BODY;
use crate::message::{Body, BodyMode};

/// The request's body, which the function reads while it comes: as [`BodyMode::Streaming`] of at most
/// `MOST` bytes. The function holds a worker for as long as that takes.
///
/// ```
/// use std::io;
///
/// use httpool::Router;
/// use httpool::extract::BodyStream;
///
/// fn weigh(mut body: BodyStream<{ 8 << 30 }>) -> io::Result<String> {
///     // What the client does wrong, it is told.
///     let count = io::copy(&mut body, &mut io::sink())?;
///     Ok(format!("{count} bytes\n"))
/// }
///
/// let router: Router = Router::new().put("/scales", weigh);
/// ```
///
/// It is the last argument. A request has one body: whatever else takes it (`Bytes`, `Json` and
/// others) gets nothing of it beside this.
#[derive(Debug)]
pub struct BodyStream<const MOST: u64 = { MAX_STREAMED_BODY }>(
    /// The body, to read.
    pub Body,
);

impl<S, const MOST: u64> FromRequest<S, Consumes> for BodyStream<MOST> {
    const BODY_MODE: BodyMode = BodyMode::Streaming { most: MOST };

    fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Body::from_request(call).map(Self)
    }
}

/// A body that is empty is missing.
impl<S, const MOST: u64> OptionalFromRequest<S, Consumes> for BodyStream<MOST> {
    fn optional_from_request(call: &mut RequestContext<'_, S>) -> Result<Option<Self>, Rejection> {
        unless(is_bodiless(call), call)
    }
}

impl<const MOST: u64> Read for BodyStream<MOST> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}
