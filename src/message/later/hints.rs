//! Responses after early hints (RFC 8297).

use std::fmt;

use http::{HeaderMap, StatusCode, Version};
use log::error;

use super::{Later, Source};
use crate::message::response::failed;
use crate::message::{Headers, IntoResponse, Response};

/// A function that makes the response, on a worker.
pub(crate) struct Respond(Box<dyn FnOnce() -> Response + Send>);

impl Later {
    /// Sends `103 Early Hints` with these headers (RFC 8297) at once, and then calls `respond` on a
    /// worker, whose response is sent as usual. So a browser can load what a page needs while the server
    /// still makes the page:
    ///
    /// ```
    /// use httpool::http::header::LINK;
    /// use httpool::testing::Client;
    /// use httpool::{Html, Later, Request};
    ///
    /// fn page(_: Request) -> Later {
    ///     let links = [(LINK, "</style.css>; rel=preload; as=style")];
    ///     // The function may wait for a database.
    ///     Later::early_hints(links, || Html("<link rel=stylesheet href=/style.css>"))
    /// }
    ///
    /// let response = Client::new(page).get("/").send();
    /// assert_eq!(response.early_hints()[0][LINK], "</style.css>; rel=preload; as=style");
    /// assert!(response.text().starts_with("<link"));
    /// ```
    ///
    /// Hints do not replace headers: give the response the same `Link` headers, for clients that got no
    /// hints. Every client of HTTP/2 gets them. Of HTTP/1.1, clients get them that navigate to a page
    /// (`Sec-Fetch-Mode: navigate`), which are browsers, perhaps behind a proxy: other clients may take
    /// an interim response for the final one. Clients of HTTP/1.0 never get them.
    ///
    /// `respond` runs as a handler does, but after the layers have seen the placeholder of a [`Later`].
    /// Calculate before the call what must not be done for hints alone, for example whether the client
    /// may see the page. A panic becomes a 500. If the client leaves before it is called, it is not
    /// called.
    ///
    /// An invalid header is logged and becomes a 500 without hints, as in a [tuple](Headers).
    pub fn early_hints<R: IntoResponse>(
        headers: impl Headers,
        respond: impl FnOnce() -> R + Send + 'static,
    ) -> Self {
        let (hints, respond) = match headers.into_headers() {
            Ok(hints) => (Some(Box::new(hints)), Respond::new(respond)),
            Err(error) => {
                error!("early hints with an invalid header: {error}");
                (
                    None,
                    Respond::new(|| failed(StatusCode::INTERNAL_SERVER_ERROR)),
                )
            }
        };
        Self {
            source: Source::Call(Some(respond)),
            limit: None,
            steps: Vec::new(),
            hints,
        }
    }

    /// Takes the early hints, if there are any and the client of this request takes them.
    pub(crate) fn take_hints<'r>(
        &mut self,
        version: Version,
        request: impl FnOnce() -> std::borrow::Cow<'r, HeaderMap>,
    ) -> Option<Box<HeaderMap>> {
        let hints = self.hints.take()?;
        let takes_hints = match version {
            Version::HTTP_2 => true,
            Version::HTTP_11 => {
                (request().get("sec-fetch-mode")).is_some_and(|mode| mode.as_bytes() == b"navigate")
            }
            _ => false,
        };
        takes_hints.then_some(hints)
    }
}

impl Respond {
    fn new<R: IntoResponse>(respond: impl FnOnce() -> R + Send + 'static) -> Self {
        Self(Box::new(|| respond().into_response()))
    }

    /// Makes the response. This runs code of the program, which may panic.
    pub(crate) fn call(self) -> Response {
        self.0()
    }
}

impl fmt::Debug for Respond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Respond").finish_non_exhaustive()
    }
}
