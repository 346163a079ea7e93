//! The trailers of a response body.

use bytes::Buf as _;
use http::HeaderMap;

use super::{Body, BodySource, Content, Reader, Trailers};

impl Body {
    /// Adds trailers to a response body: headers that are sent behind the content (RFC 9110 section
    /// 6.5), for example a checksum.
    ///
    /// `trailers` is called when the content has been read. The body loses its announced length. In
    /// HTTP/2 trailers are a header block that ends the stream, as gRPC needs it; in HTTP/1.1 the
    /// body is sent in the chunked coding. HTTP/1.0 clients and HEAD requests get no trailers. A
    /// client may ignore trailers unless it sends `TE: trailers`. Headers that decide about framing,
    /// routing, authentication or the meaning of the content are not sent as trailers (section
    /// 6.5.1). If `trailers` panics, the connection is reset, and in HTTP/2 only the stream.
    ///
    /// An [upgrade](crate::Upgrade) has no content and no trailers.
    ///
    /// ```
    /// use httpool::http::{HeaderMap, HeaderValue};
    /// use httpool::{Body, Request};
    ///
    /// let handler = |_: Request| {
    ///     Body::from_reader(&b"hello"[..]).with_trailers(|| {
    ///         let mut trailers = HeaderMap::new();
    ///         trailers.insert("x-count", HeaderValue::from(5));
    ///         trailers
    ///     })
    /// };
    /// let response = httpool::testing::Client::new(handler).get("/").send();
    /// assert_eq!(response.text(), "hello");
    /// assert_eq!(response.trailers()["x-count"], "5");
    /// ```
    #[must_use]
    pub fn with_trailers(self, trailers: impl FnOnce() -> HeaderMap + Send + 'static) -> Self {
        self.with_trailer_source(Some(Box::new(trailers)))
    }

    /// Adds these trailers, if there are any.
    pub(crate) fn with_trailer_source(mut self, trailers: Option<Trailers>) -> Self {
        if trailers.is_none() {
            return self;
        }
        let (reader, held) = match self.content {
            Content::Memory(bytes) if bytes.is_empty() => (Reader::Empty, 0),
            Content::Memory(bytes) => {
                let held = if bytes.is_unique() { bytes.len() } else { 0 };
                (Reader::Any(Box::new(bytes.reader())), held)
            }
            Content::Reader(source) if source.length.is_none() || source.is_polled() => {
                (source.reader, source.held)
            }
            // A source of known length checks that it does not end early. A polled one does so itself.
            Content::Reader(source) => {
                let held = source.held;
                (Reader::Any(Box::new(source)), held)
            }
            Content::File(part) => (Reader::Any(Box::new(part)), 0),
            Content::Upgrade(_) | Content::Withheld(_) | Content::Later(_) => return self,
            #[cfg(feature = "inspect")]
            Content::Broken(_) => return self,
        };
        self.content = Content::Reader(BodySource {
            reader,
            length: None,
            held,
            trailers,
        });
        self
    }

    /// Takes the function that returns the trailers.
    pub(crate) fn take_trailers(&mut self) -> Option<Trailers> {
        match &mut self.content {
            Content::Reader(source) => source.trailers.take(),
            Content::Memory(_)
            | Content::File(_)
            | Content::Upgrade(_)
            | Content::Withheld(_)
            | Content::Later(_) => None,
            #[cfg(feature = "inspect")]
            Content::Broken(_) => None,
        }
    }
}
