//! Listeners, transports, TLS and proxies: all code that uses sockets.

#[cfg(feature = "_tls")]
mod alpn;
mod listen_addr;
pub(crate) mod listener;
mod listener_protocol;
#[cfg(feature = "proxy")]
pub(crate) mod proxy;
pub(crate) mod socket_file;
#[cfg(feature = "_tls")]
pub(crate) mod tls;
pub(crate) mod transport;

#[cfg(feature = "_tls")]
pub(crate) use self::alpn::Alpn;
pub use self::listen_addr::{ListenAddr, ListenAddrError, UnixAddr};
pub use self::listener::BindError;
pub(crate) use self::listener_protocol::ListenerProtocol;
#[cfg(feature = "proxy")]
pub use self::proxy::{ForwardedBy, TrustedProxy, TrustedProxyError};
#[cfg(feature = "_tls")]
pub use self::tls::{ClientCertificates, Tls, TlsBuilder, TlsError};
