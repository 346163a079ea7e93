//! An argument that is read while it comes.

use std::io::{self, Read};

use super::extract::{is_bodiless, unless};
use super::{Call, Consumes, Extract, ExtractOptional, Rejection};
use crate::{Body, Intake, defaults};

/// The request's body, which the function reads while it comes: as [`Intake::Stream`] of at most
/// `MOST` bytes. The function holds a worker for as long as that takes.
///
/// ```
/// use std::io;
///
/// use httpool::routing::{Incoming, Router};
///
/// fn weigh(mut body: Incoming<{ 8 << 30 }>) -> io::Result<String> {
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
pub struct Incoming<const MOST: u64 = { defaults::MAX_STREAMED_BODY }>(
    /// The body, to read.
    pub Body,
);

impl<S, const MOST: u64> Extract<S, Consumes> for Incoming<MOST> {
    const INTAKE: Intake = Intake::Stream { most: MOST };

    fn extract(call: &mut Call<'_, S>) -> Result<Self, Rejection> {
        Body::extract(call).map(Self)
    }
}

/// A body that is empty is missing.
impl<S, const MOST: u64> ExtractOptional<S, Consumes> for Incoming<MOST> {
    fn extract_optional(call: &mut Call<'_, S>) -> Result<Option<Self>, Rejection> {
        unless(is_bodiless(call), call)
    }
}

impl<const MOST: u64> Read for Incoming<MOST> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}
