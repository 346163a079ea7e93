//! Information about the client of a request.

mod source;

use std::fmt;
#[cfg(feature = "http2")]
use std::mem;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::Request;
#[cfg(feature = "_tls")]
use super::TlsInfo;

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
    /// The settings of a client of HTTP/2. Shared by all requests of a connection.
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

/// The place of a request on its connection, and whether it was sent `100 Continue`, in the highest
/// bit. The place is the request's number in HTTP/1.1 and the id of its stream in HTTP/2. Both have
/// 31 bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place(u32);

impl Place {
    const CONTINUED: u32 = 1 << 31;

    fn get(self) -> Option<u32> {
        Some(self.0 & !Self::CONTINUED).filter(|place| *place > 0)
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

/// One end of a connection, as far as it is known. Its text is `192.0.2.1:4711`,
/// `[2001:db8::1]:4711`, an address alone if the port is unknown, or `unix` for a client on this
/// machine that uses a Unix socket and has no address.
///
/// An IPv4 address in IPv6 form (`::ffff:192.0.2.1`) counts as the IPv4 address.
///
/// ```
/// use httpool::{ClientInfo, Request};
///
/// fn is_from_here(request: &Request) -> bool {
///     let client = ClientInfo::of(request).and_then(ClientInfo::client);
///     client.is_some_and(|client| {
///         client.is_unix() || client.ip().is_some_and(|ip| ip.is_loopback())
///     })
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddr(Address);

/// Smaller than a [`SocketAddr`], because each request carries several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address {
    Port(IpAddr, u16),
    Ip(IpAddr),
    Unix,
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
        // The number starts again at 0 after 2^31 requests.
        self.place = Place(place.0.wrapping_add(1) & !Place::CONTINUED);
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
            place: Place(stream | place.0 & Place::CONTINUED),
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
        #[cfg(feature = "http2")]
        if self.http2_settings().is_some() {
            return None;
        }
        self.place.get()
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
        self.http2_settings()?;
        self.place.get()
    }

    /// The settings with which a client of HTTP/2 has opened the connection, as it sent them: each
    /// with its identifier and its value (RFC 9113 section 6.5.2). Settings that it has changed
    /// later are not among them. `None` if the request came over HTTP/1.1.
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

impl PeerAddr {
    pub(crate) const UNIX: Self = Self(Address::Unix);

    pub(crate) fn new(ip: IpAddr, port: u16) -> Self {
        Self(Address::Port(ip.to_canonical(), port))
    }

    /// The IP address, if there is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self.0 {
            Address::Port(ip, _) | Address::Ip(ip) => Some(ip),
            Address::Unix => None,
        }
    }

    /// The port, if it is known.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self.0 {
            Address::Port(_, port) => Some(port),
            Address::Ip(_) | Address::Unix => None,
        }
    }

    /// Whether the peer is on this machine and uses a Unix socket.
    #[must_use]
    pub fn is_unix(&self) -> bool {
        self.0 == Address::Unix
    }
}

impl From<SocketAddr> for PeerAddr {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip(), address.port())
    }
}

impl From<IpAddr> for PeerAddr {
    fn from(ip: IpAddr) -> Self {
        Self(Address::Ip(ip.to_canonical()))
    }
}

/// Serializes as text.
#[cfg(feature = "json")]
impl serde::Serialize for PeerAddr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Address::Port(IpAddr::V4(ip), port) => write_v4(ip, Some(port), f),
            Address::Port(ip, port) => SocketAddr::new(ip, port).fmt(f),
            Address::Ip(IpAddr::V4(ip)) => write_v4(ip, None, f),
            Address::Ip(ip) => ip.fmt(f),
            Address::Unix => f.write_str("unix"),
        }
    }
}

/// The text of the standard library, written in one piece. A log line has two addresses, and
/// formatting number by number takes ten times as long.
fn write_v4(ip: Ipv4Addr, port: Option<u16>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [0; "255.255.255.255:65535".len()];
    let mut end = 0;
    let mut push = |part: &[u8]| {
        text[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    };
    for (place, octet) in ip.octets().into_iter().enumerate() {
        if place > 0 {
            push(b".");
        }
        push(itoa::Buffer::new().format(octet).as_bytes());
    }
    if let Some(port) = port {
        push(b":");
        push(itoa::Buffer::new().format(port).as_bytes());
    }
    let text = std::str::from_utf8(&text[..end]);
    f.write_str(text.expect("digits, dots and a colon are text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_text_matches_std() {
        for ip in [[0, 0, 0, 0], [1, 20, 255, 9], [255; 4]].map(Ipv4Addr::from) {
            assert_eq!(PeerAddr::from(IpAddr::from(ip)).to_string(), ip.to_string());
            for port in [0, 80, u16::MAX] {
                let address = SocketAddr::from((ip, port));
                assert_eq!(PeerAddr::from(address).to_string(), address.to_string());
            }
        }
    }

    /// Every request carries one, and its body is moved often.
    #[test]
    fn place_of_a_request_costs_no_memory() {
        assert_eq!(size_of::<PeerAddr>() + size_of::<u32>(), 24);
        assert_eq!(size_of::<Option<ClientInfo>>(), 32);
    }

    #[test]
    fn ipv4_mapped_address_is_ipv4() {
        let address: SocketAddr = "[::ffff:192.0.2.1]:80"
            .parse()
            .expect("the text is an address");
        assert_eq!(PeerAddr::from(address).to_string(), "192.0.2.1:80");
        assert_eq!(PeerAddr::from(address.ip()).to_string(), "192.0.2.1");
        let address: SocketAddr = "[2001:db8::1]:80".parse().expect("the text is an address");
        assert_eq!(PeerAddr::from(address).to_string(), "[2001:db8::1]:80");
        assert_eq!(PeerAddr::from(address.ip()).to_string(), "2001:db8::1");
    }
}
