//! Bodies as connections, layers and the test client use them.

use std::mem;

use bytes::Bytes;
use http::HeaderValue;

use super::*;

/// Data about the request that arrived with the body.
pub(crate) struct Provenance {
    raw_request: Option<RawRequest>,
    client_info: Option<ClientInfo>,
}

impl Body {
    pub(crate) fn set_client_info(&mut self, client_info: ClientInfo) {
        self.client_info = Some(client_info);
    }

    /// The data about the request, to keep while the body may be replaced.
    pub(crate) fn provenance(&self) -> Provenance {
        Provenance {
            raw_request: self.raw_request.clone(),
            client_info: self.client_info.clone(),
        }
    }

    /// Attaches this data about the request, unless the body has its own.
    pub(crate) fn restore(&mut self, provenance: &Provenance) {
        if self.raw_request.is_none() {
            self.raw_request.clone_from(&provenance.raw_request);
        }
        if self.client_info.is_none() {
            self.client_info.clone_from(&provenance.client_info);
        }
    }

    /// Replaces the content of a request body and keeps the data about the request.
    #[cfg(any(feature = "brotli", feature = "gzip", feature = "zstd"))]
    pub(crate) fn replace_content(&mut self, content: impl Into<Bytes>) {
        self.content = Content::Memory(content.into());
    }

    /// The body of a request with this head.
    pub(crate) fn received(content: Bytes, head: Bytes, chunking: Option<SharedChunking>) -> Self {
        Self {
            content: Content::Memory(content),
            raw_request: Some(RawRequest::new(head, chunking)),
            client_info: None,
        }
    }

    /// Replaces the head of the raw request by a copy of it.
    #[cfg(any(feature = "http2", feature = "unstable"))]
    pub(crate) fn set_head(&mut self, head: &Bytes) {
        if let Some(raw_request) = &mut self.raw_request {
            raw_request.set_head(head.clone());
        }
    }

    /// The body of a response after which another protocol follows.
    pub(crate) fn upgrade(upgrade: Upgrade) -> Self {
        Content::Upgrade(Box::new(upgrade)).into()
    }

    /// The protocol that follows instead of content.
    pub(crate) fn protocol(&self) -> Option<&HeaderValue> {
        match &self.content {
            Content::Upgrade(upgrade) => Some(upgrade.protocol()),
            Content::Memory(_)
            | Content::Reader(_)
            | Content::File(_)
            | Content::Withheld(_)
            | Content::Later(_) => None,
            #[cfg(feature = "inspect")]
            Content::Broken(_) => None,
        }
    }

    /// The response that is not sent as its head says, if it is one.
    #[cfg(feature = "inspect")]
    #[inline]
    pub(crate) fn broken(&self) -> Option<&Broken> {
        match &self.content {
            Content::Broken(broken) => Some(broken),
            _ => None,
        }
    }

    /// The body of the placeholder of a response that comes later.
    pub(crate) fn from_later(later: Later) -> Self {
        Content::Later(Box::new(later)).into()
    }

    /// Whether the response comes later.
    pub(crate) fn is_later(&self) -> bool {
        matches!(self.content, Content::Later(_))
    }

    /// The wait for the response, if it comes later.
    pub(crate) fn later_mut(&mut self) -> Option<&mut Later> {
        match &mut self.content {
            Content::Later(later) => Some(later),
            _ => None,
        }
    }

    /// Takes the wait for the response, if it comes later.
    pub(crate) fn take_later(&mut self) -> Option<Box<Later>> {
        if !self.is_later() {
            return None;
        }
        match mem::take(&mut self.content) {
            Content::Later(later) => Some(later),
            _ => None,
        }
    }

    /// The body of a request with this head whose content has not arrived.
    pub(crate) fn withheld(head: Bytes, length: Option<u64>) -> Self {
        Self {
            content: Content::Withheld(Withheld::new(length)),
            raw_request: Some(RawRequest::new(head, None)),
            client_info: None,
        }
    }

    /// The state of a body whose content has not arrived.
    pub(crate) fn as_withheld(&self) -> Option<&Withheld> {
        match &self.content {
            Content::Withheld(withheld) => Some(withheld),
            _ => None,
        }
    }

    /// Records how much memory the reader keeps.
    #[cfg(any(
        feature = "archive",
        feature = "brotli",
        feature = "gzip",
        feature = "zstd"
    ))]
    pub(crate) fn holding(mut self, held: usize) -> Self {
        if let Content::Reader(source) = &mut self.content {
            source.held = held;
        }
        self
    }

    /// Reads like [`Read::read`], and stops early when `client` has left, if the reader checks
    /// that.
    #[cfg(any(feature = "brotli", feature = "gzip", feature = "zstd"))]
    pub(crate) fn read_for(&mut self, buffer: &mut [u8], client: &dyn Client) -> io::Result<usize> {
        match &mut self.content {
            Content::Reader(source) => source.read_for(buffer, client),
            _ => self.read(buffer),
        }
    }

    /// Takes content that comes from other threads out of the body. Leaves any other content.
    #[cfg(any(
        feature = "brotli",
        feature = "gzip",
        feature = "inspect",
        feature = "zstd"
    ))]
    pub(crate) fn take_polled(&mut self) -> Option<Box<PolledReader>> {
        match mem::take(&mut self.content) {
            Content::Reader(BodySource {
                reader: Reader::Polled(reader),
                ..
            }) => Some(reader),
            content => {
                self.content = content;
                None
            }
        }
    }

    /// Whether the content comes from a reader, which may block, or from other threads.
    #[cfg(any(feature = "brotli", feature = "gzip", feature = "zstd"))]
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.content, Content::Reader(_))
    }

    /// How much memory only this content uses.
    pub(crate) fn held(&self) -> usize {
        match &self.content {
            Content::Memory(bytes) if bytes.is_unique() => bytes.len(),
            Content::Reader(source) => source.held(),
            Content::Memory(_)
            | Content::File(_)
            | Content::Upgrade(_)
            | Content::Withheld(_)
            | Content::Later(_) => 0,
            #[cfg(feature = "inspect")]
            Content::Broken(broken) => broken.content.held(),
        }
    }

    /// Sets the source of the content.
    pub(crate) fn set_source(&mut self, source: BodySource) {
        self.content = Content::Reader(source);
    }

    pub(crate) fn into_content(self) -> Content {
        self.content
    }

    /// A body of unknown length whose reader can check whether the client has left.
    pub(crate) fn from_watching(reader: impl ReadWatching + 'static) -> Self {
        Content::Reader(BodySource {
            reader: Reader::Watching(Box::new(reader)),
            length: None,
            held: 0,
            trailers: None,
        })
        .into()
    }

    /// A body whose content comes from other threads.
    pub(crate) fn from_polled(source: impl PolledSource + 'static) -> Self {
        Content::Reader(BodySource {
            reader: Reader::Polled(Box::new(PolledReader::new(source))),
            length: None,
            held: 0,
            trailers: None,
        })
        .into()
    }
}
