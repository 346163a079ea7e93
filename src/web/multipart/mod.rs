//! Forms with files (`multipart/form-data`, RFC 7578).
//!
//! [`MultipartForm`] parses a whole form into a struct, with files in memory ([`FileBytes`]) or in
//! temporary files ([`TempFile`]). [`Multipart`] gives the parts one after another while they arrive.
//! Both are arguments of a route's function, and [`MultipartLimits`] limits both.
//!
//! ```
//! use httpool::Router;
//! use httpool::multipart::{FileBytes, MultipartForm};
//! use httpool::testing::Client;
//!
//! #[derive(serde::Deserialize)]
//! struct Photo {
//!     title: String,
//!     #[serde(default)]
//!     tags: Vec<String>,
//!     file: FileBytes,
//! }
//!
//! fn add(MultipartForm(photo): MultipartForm<Photo>) -> String {
//!     format!("{} {:?}: {} bytes", photo.title, photo.tags, photo.file.bytes().len())
//! }
//!
//! let client = Client::new(Router::<()>::new().post("/photos", add));
//! let body = "--b\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nSunset\r\n\
//!             --b\r\nContent-Disposition: form-data; name=\"tags\"\r\n\r\nsea\r\n\
//!             --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\
//!             Content-Type: image/jpeg\r\n\r\nJFIF\r\n--b--\r\n";
//! let request = client.post("/photos").header("content-type", "multipart/form-data; boundary=b");
//! assert_eq!(request.body(body).send().text(), "Sunset [\"sea\"]: 4 bytes");
//! ```
//!
//! # Errors
//!
//! A client's mistake becomes its response: 400 for a malformed body with the reason, 413 above a limit
//! with the limit, 415 for another content type, 422 for a field that does not fit the struct, with the
//! name of the field. A body that stops arriving gets 408, as every body does.
//!
//! # Workers
//!
//! A function that reads a body while it arrives occupies a worker until the last byte. The timeouts of
//! streamed bodies ([`BodyMode::Streaming`]) bound that. Let such functions occupy a part of the workers
//! at most, so that slow clients leave the rest for other requests. A form beyond the limit gets a 503
//! with `Retry-After` at once:
//!
//! ```
//! use httpool::layers::ConcurrencyLimit;
//! use httpool::multipart::{FileBytes, MultipartForm};
//! use httpool::{Layered, Router};
//!
//! #[derive(serde::Deserialize)]
//! struct Upload {
//!     file: FileBytes,
//! }
//!
//! fn add(MultipartForm(upload): MultipartForm<Upload>) -> String {
//!     format!("{} bytes", upload.file.bytes().len())
//! }
//!
//! // The server has 8 workers (`Builder::workers`).
//! let uploads = ConcurrencyLimit::new(4);
//! let router: Router = Router::new().post("/uploads", Layered::new(add).layer(uploads));
//! ```
//!
//! If your forms are small, receive them whole, so that slow clients occupy no worker:
//!
//! ```
//! use httpool::BodyMode;
//! use httpool::multipart::MultipartLimits;
//!
//! enum Small {}
//!
//! impl MultipartLimits for Small {
//!     const BODY_MODE: BodyMode = BodyMode::Buffered;
//! }
//! ```

mod error;
mod form;
mod limits;
mod part;
mod save;
mod source;
mod stored;

use std::fmt;
use std::marker::PhantomData;
use std::mem;

use http::HeaderMap;
use http::header::CONTENT_TYPE;

pub use self::error::MultipartError;
pub use self::form::MultipartForm;
pub use self::limits::{DefaultLimits, MultipartLimits};
pub use self::part::Part;
use self::source::Source;
pub use self::stored::{FileBytes, TempFile};
use super::extract::{
    Consumes, FromRequest, OptionalFromRequest, Rejection, RequestContext, has_empty_body,
    take_unless,
};
use crate::form_data::{Boundary, Scanner};
pub use crate::form_data::{Limit, PartHead};
use crate::message::{Body, BodyMode, Request};

/// The parts of a form, one after another while they arrive.
///
/// It must be the last argument of a function. `L` has its limits, with [documented
/// defaults](MultipartLimits).
///
/// ```
/// use httpool::Router;
/// use httpool::multipart::{Multipart, MultipartError};
///
/// fn upload(mut form: Multipart) -> Result<String, MultipartError> {
///     let mut saved = 0;
///     while let Some(mut part) = form.next_part()? {
///         // Never a path of the client's: a name of the program's own.
///         if part.file_name().is_some() {
///             part.save_to(format!("uploads/{saved}"))?;
///             saved += 1;
///         }
///     }
///     Ok(format!("{saved} files\n"))
/// }
///
/// let router: Router = Router::new().post("/uploads", upload);
/// ```
pub struct Multipart<L: MultipartLimits = DefaultLimits> {
    source: Source,
    limits: PhantomData<fn() -> L>,
}

impl<L: MultipartLimits> Multipart<L> {
    /// The form in a request, for a handler without a router. It takes the body away.
    ///
    /// ```
    /// use httpool::multipart::{Multipart, MultipartError};
    /// use httpool::{BodyMode, Handler, IntoResponse, Request, Response};
    ///
    /// struct Uploads;
    ///
    /// impl Handler for Uploads {
    ///     fn handle(&self, request: &mut Request) -> Response {
    ///         names(request).into_response()
    ///     }
    ///
    ///     fn body_mode(&self, _: &Request) -> BodyMode {
    ///         BodyMode::STREAMING
    ///     }
    /// }
    ///
    /// fn names(request: &mut Request) -> Result<String, MultipartError> {
    ///     let mut form: Multipart = Multipart::take(request)?;
    ///     let mut names = String::new();
    ///     while let Some(part) = form.next_part()? {
    ///         names.extend([part.name(), "\n"]);
    ///     }
    ///     Ok(names)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// If the content type is another one or has no valid boundary.
    pub fn take(request: &mut Request) -> Result<Self, MultipartError> {
        let boundary = boundary(request.headers())?;
        Ok(Self::new(&boundary, mem::take(request.body_mut())))
    }

    fn new(boundary: &Boundary, body: Body) -> Self {
        let scanner = Scanner::new(boundary, limits::of::<L>());
        Self {
            source: Source::new(body, scanner, L::IN_MEMORY),
            limits: PhantomData,
        }
    }

    /// Waits for the next part, and skips the unread rest of the last one. `None` at the end of the form.
    ///
    /// # Errors
    ///
    /// If the body is malformed, exceeds a limit or does not arrive. Later calls fail, too.
    pub fn next_part(&mut self) -> Result<Option<Part<'_>>, MultipartError> {
        let head = self.source.next_part()?;
        Ok(head.map(|head| Part::new(&mut self.source, head)))
    }
}

/// The parts of a form with limits that are known when it arrives.
#[cfg(feature = "upload")]
pub(in crate::web) struct FormReader(Source);

#[cfg(feature = "upload")]
impl FormReader {
    /// The form in this body. None of its content is kept in memory.
    pub(in crate::web) fn new(
        headers: &HeaderMap,
        body: Body,
        limits: crate::form_data::Limits,
    ) -> Result<Self, MultipartError> {
        let scanner = Scanner::new(&boundary(headers)?, limits);
        Ok(Self(Source::new(body, scanner, 0)))
    }

    /// Waits for the next part, as [`Multipart::next_part`] does.
    pub(in crate::web) fn next_part(&mut self) -> Result<Option<Part<'_>>, MultipartError> {
        let head = self.0.next_part()?;
        Ok(head.map(|head| Part::new(&mut self.0, head)))
    }
}

fn boundary(headers: &HeaderMap) -> Result<Boundary, MultipartError> {
    let content_type = headers.get(CONTENT_TYPE);
    let value = content_type.map_or(&b""[..], |value| value.as_bytes());
    Ok(Boundary::from_content_type(value)?)
}

impl<S, L: MultipartLimits> FromRequest<S, Consumes> for Multipart<L> {
    const BODY_MODE: BodyMode = L::BODY_MODE;

    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(Self::take(context.request_mut())?)
    }
}

/// `None` if the body is empty.
impl<S, L: MultipartLimits> OptionalFromRequest<S, Consumes> for Multipart<L> {
    fn optional_from_request(
        context: &mut RequestContext<'_, S>,
    ) -> Result<Option<Self>, Rejection> {
        take_unless(has_empty_body(context), context)
    }
}

impl<L: MultipartLimits> fmt::Debug for Multipart<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Multipart").field(&self.source).finish()
    }
}

#[cfg(test)]
mod tests;
