//! Information about the client of a request.

mod peer_addr;
mod source;

#[cfg(feature = "http2")]
use std::mem;
use std::sync::Arc;

use super::Request;
#[cfg(feature = "_tls")]
use super::TlsInfo;

pub use self::peer_addr::PeerAddr;
pub use self::source::ClientSource;

/// The peer and the client of a request, as far as they are known.
///
/// ```
/// use httpool::{ClientInfo, Request};
///
/// fn respond(request: Request) -> String {
///     match ClientInfo::of(&request).and_then(ClientInfo::client) {
///         Some(client) => format!("hello, {client}\n"),
///         None => "hello, unknown client\n".into(),
///     }
/// }
///
/// assert_eq!(respond(Request::default()), "hello, unknown client\n");
/// ```
///
/// A client that connects directly is the peer. For a client behind proxies, trusted proxies name
/// it. With the feature `proxy`, `Builder::trusted_proxy` says which proxies are trusted; without
/// it, none are.
///
/// The request's [`Body`](crate::Body) carries this value: if you take the body out of the request,
/// it goes with it ([`Body::client_info`](crate::Body::client_info)). It is small and cheap to
/// clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    peer: PeerAddr,
    /// It is where padding would be, so it costs no memory.
    place: Place,
    /// `None` if only the peer is known. Bodies are moved often, so the rarely needed data is
    /// boxed.
    more: Option<Arc<More>>,
}

/// The data other than the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct More {
    route: ProxyRoute,
    /// The settings of a client of HTTP/2, if they are kept. Shared by all requests of a connection.
    #[cfg(feature = "http2")]
    settings: Option<Arc<[(u16, u32)]>>,
    /// Shared by all requests of a connection.
    #[cfg(feature = "_tls")]
    tls: Option<Arc<TlsInfo>>,
}

/// The path from a client to this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProxyRoute {
    pub(crate) proxy: Option<PeerAddr>,
    pub(crate) client: Option<PeerAddr>,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) source: ClientSource,
}

/// The place of a request on its connection: in HTTP/1.1 its number, in HTTP/2 half the id of its
/// stream, which is odd. Both have 30 bits. The two highest bits say whether it is a stream, and whether
/// the request was sent `100 Continue`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place(u32);

impl Place {
    const CONTINUED: u32 = 1 << 31;
    #[cfg(feature = "http2")]
    const STREAM: u32 = 1 << 30;
    const NUMBER: u32 = (1 << 30) - 1;

    fn number(self) -> Option<u32> {
        let place = self.0 & !Self::CONTINUED;
        (1..=Self::NUMBER).contains(&place).then_some(place)
    }

    #[cfg(feature = "http2")]
    fn stream(self) -> Option<u32> {
        let is_stream = self.0 & Self::STREAM != 0;
        is_stream.then_some((self.0 & Self::NUMBER) << 1 | 1)
    }

    fn is_continued(self) -> bool {
        self.0 & Self::CONTINUED != 0
    }
}

/// The scheme that a client used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    #[cfg_attr(
        not(any(feature = "proxy", feature = "_tls")),
        expect(dead_code, reason = "only a proxy can say so")
    )]
    Https,
}

impl ClientInfo {
    /// The information about requests from this peer, before any proxy is considered.
    pub(crate) fn new(peer: PeerAddr) -> Self {
        Self {
            peer,
            place: Place::default(),
            more: None,
        }
    }

    /// The information about the next request on a connection of HTTP/1.1.
    pub(crate) fn next_request(&mut self) -> Self {
        let place = self.place;
        // The number starts again at 0 after 2^30 requests.
        self.place = Place(place.0.wrapping_add(1) & Place::NUMBER);
        Self {
            place: Place(self.place.0 | place.0 & Place::CONTINUED),
            ..self.clone()
        }
    }

    /// Gives the next request on a connection of HTTP/1.1 the number of the last one again.
    pub(crate) fn repeat_request(&mut self) {
        self.place.0 = self.place.0.saturating_sub(1);
    }

    /// Notes that `100 Continue` is sent for the next request.
    pub(crate) fn set_continued(&mut self) {
        self.place.0 |= Place::CONTINUED;
    }

    /// The information about the request on a stream of HTTP/2.
    #[cfg(feature = "http2")]
    pub(crate) fn request_on(&mut self, stream: u32) -> Self {
        let place = mem::take(&mut self.place);
        Self {
            place: Place(Place::STREAM | stream >> 1 | place.0 & Place::CONTINUED),
            ..self.clone()
        }
    }

    /// Adds the settings of a client of HTTP/2.
    #[cfg(feature = "http2")]
    pub(crate) fn with_settings(&self, settings: Arc<[(u16, u32)]>) -> Self {
        self.with(|more| more.settings = Some(settings))
    }

    /// Changes the data other than the peer.
    #[cfg(any(feature = "http2", feature = "proxy", feature = "_tls"))]
    fn with(&self, change: impl FnOnce(&mut More)) -> Self {
        let more = self.more.as_deref().cloned();
        let mut more = more.unwrap_or_else(|| More {
            route: ProxyRoute::of(self.peer),
            #[cfg(feature = "http2")]
            settings: None,
            #[cfg(feature = "_tls")]
            tls: None,
        });
        change(&mut more);
        Self {
            more: Some(Arc::new(more)),
            ..*self
        }
    }

    /// Adds the TLS information of the connection.
    #[cfg(feature = "_tls")]
    pub(crate) fn with_tls(&self, tls: TlsInfo) -> Self {
        self.with(|more| {
            // A proxy that forwards bytes cannot tell the scheme.
            more.route.scheme = Some(Scheme::Https);
            more.tls = Some(Arc::new(tls));
        })
    }

    /// Returns the information about this request. It is `None` if the request did not arrive on a
    /// connection, or if its handler has taken or replaced its body. A [layer](crate::Layer) may
    /// replace the body.
    #[must_use]
    pub fn of(request: &Request) -> Option<&Self> {
        request.body().client_info()
    }

    /// The peer: the other end of the connection.
    #[must_use]
    pub fn peer(&self) -> PeerAddr {
        self.peer
    }

    /// The trusted proxy that the client connected to. It is the peer if there is only one proxy.
    /// `None` if the client connected directly.
    #[must_use]
    pub fn proxy(&self) -> Option<PeerAddr> {
        self.route().proxy
    }

    /// The client that made the request. `None` if a trusted proxy passed it on without a valid
    /// address of the client. The proxy's own address would be wrong for access decisions.
    #[must_use]
    pub fn client(&self) -> Option<PeerAddr> {
        self.route().client
    }

    /// The scheme that the client used with the first proxy, or with this server: `http` or
    /// `https`. `None` if a trusted proxy passed on the request without it.
    #[must_use]
    pub fn scheme(&self) -> Option<&'static http::uri::Scheme> {
        static HTTP: http::uri::Scheme = http::uri::Scheme::HTTP;
        static HTTPS: http::uri::Scheme = http::uri::Scheme::HTTPS;
        Some(match self.route().scheme? {
            Scheme::Http => &HTTP,
            Scheme::Https => &HTTPS,
        })
    }

    /// The source of the [client](Self::client)'s address.
    #[must_use]
    pub fn client_source(&self) -> ClientSource {
        self.route().source
    }

    /// The number of the request on its connection of HTTP/1.1, beginning with 1. `None` in HTTP/2,
    /// where the [stream](Self::stream_id) shows the order, and for requests without a connection.
    ///
    /// ```
    /// use httpool::{ClientInfo, Request};
    ///
    /// /// Whether the client keeps its connection for several requests.
    /// fn is_reused(request: &Request) -> bool {
    ///     let number = ClientInfo::of(request).and_then(ClientInfo::request_number);
    ///     number.is_some_and(|number| number > 1)
    /// }
    ///
    /// assert!(!is_reused(&Request::default()));
    /// ```
    #[must_use]
    pub fn request_number(&self) -> Option<u32> {
        self.place.number()
    }

    /// The id of the request's stream, if it came over HTTP/2 (RFC 9113 section 5.1.1).
    ///
    /// ```
    /// use httpool::{ClientInfo, Request};
    ///
    /// fn label(request: &Request) -> String {
    ///     match ClientInfo::of(request).and_then(ClientInfo::stream_id) {
    ///         Some(id) => format!("stream {id}"),
    ///         None => "not HTTP/2".into(),
    ///     }
    /// }
    ///
    /// assert_eq!(label(&Request::default()), "not HTTP/2");
    /// ```
    #[cfg(feature = "http2")]
    #[must_use]
    pub fn stream_id(&self) -> Option<u32> {
        self.place.stream()
    }

    /// The settings with which a client of HTTP/2 has opened the connection, as it sent them: each
    /// with its identifier and its value (RFC 9113 section 6.5.2). Settings that it has changed
    /// later are not among them. `None` if the request came over HTTP/1.1, or if
    /// [`Builder::client_settings`](crate::Builder::client_settings) does not ask for them.
    ///
    /// ```
    /// use httpool::{ClientInfo, Request};
    ///
    /// /// The largest window that the client opens for a response, if it states one.
    /// fn initial_window(request: &Request) -> Option<u32> {
    ///     const INITIAL_WINDOW_SIZE: u16 = 4;
    ///     let settings = ClientInfo::of(request)?.http2_settings()?;
    ///     let found = settings.iter().find(|(id, _)| *id == INITIAL_WINDOW_SIZE);
    ///     found.map(|(_, value)| *value)
    /// }
    ///
    /// assert_eq!(initial_window(&Request::default()), None);
    /// ```
    #[cfg(feature = "http2")]
    #[must_use]
    pub fn http2_settings(&self) -> Option<&[(u16, u32)]> {
        self.more.as_ref()?.settings.as_deref()
    }

    /// Whether the server has sent `100 Continue` for this request before it called the handler,
    /// because the client waited for it with the body (RFC 9110 section 10.1.1). A client whose body
    /// comes at once gets none. For a [streamed](crate::BodyMode::Streaming) body it is sent when the
    /// handler reads, so it is not known here.
    ///
    /// ```
    /// use httpool::{ClientInfo, Request};
    ///
    /// fn has_waited(request: &Request) -> bool {
    ///     ClientInfo::of(request).is_some_and(ClientInfo::got_continue)
    /// }
    ///
    /// assert!(!has_waited(&Request::default()));
    /// ```
    #[must_use]
    pub fn got_continue(&self) -> bool {
        self.place.is_continued()
    }

    /// The TLS parameters of the connection, if the [peer](Self::peer) uses TLS with this server.
    #[cfg(feature = "_tls")]
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.more.as_ref()?.tls.as_deref()
    }

    pub(crate) fn route(&self) -> ProxyRoute {
        match &self.more {
            Some(more) => more.route,
            None => ProxyRoute::of(self.peer),
        }
    }

    /// Replaces the path from the client.
    #[cfg(feature = "proxy")]
    pub(crate) fn with_route(&self, route: ProxyRoute) -> Self {
        self.with(|more| more.route = route)
    }
}

impl ProxyRoute {
    /// The path of a client that connected directly without TLS.
    fn of(client: PeerAddr) -> Self {
        Self {
            proxy: None,
            client: Some(client),
            scheme: Some(Scheme::Http),
            source: ClientSource::Peer,
        }
    }

    /// Adds the hop that a trusted proxy, so far the assumed client, describes.
    #[cfg(feature = "proxy")]
    pub(crate) fn on_behalf_of(
        self,
        client: Option<PeerAddr>,
        scheme: Option<Scheme>,
        source: ClientSource,
    ) -> Self {
        Self {
            proxy: self.client,
            client,
            scheme,
            source,
        }
    }
}

/// Serializes as one object with the members `peer`, `proxy`, `client` and `scheme`, each a string,
/// and `tls` if the peer uses TLS. Unknown values have no member.
#[cfg(feature = "json")]
impl serde::Serialize for ClientInfo {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;

        let mut block = serializer.serialize_map(None)?;
        block.serialize_entry("peer", &self.peer)?;
        if let Some(proxy) = self.proxy() {
            block.serialize_entry("proxy", &proxy)?;
        }
        if let Some(client) = self.client() {
            block.serialize_entry("client", &client)?;
        }
        if let Some(scheme) = self.scheme() {
            block.serialize_entry("scheme", scheme.as_str())?;
        }
        #[cfg(feature = "_tls")]
        if let Some(tls) = self.tls() {
            block.serialize_entry("tls", tls)?;
        }
        block.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every request carries one, and its body is moved often.
    #[test]
    fn place_of_a_request_costs_no_memory() {
        assert_eq!(size_of::<PeerAddr>() + size_of::<u32>(), 24);
        assert_eq!(size_of::<Option<ClientInfo>>(), 32);
    }
}
