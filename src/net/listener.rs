//! Listening sockets.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SocketAddrAny, SocketFlags};
use socket2::{Domain, SockFilter, SockRef, Type};

use super::ListenerProtocol;
use super::listen_addr::EVERY_INTERFACE;
use super::socket_file::SocketFile;
use super::transport::Socket;
use super::{ListenAddr, ListenAddrError, UnixAddr};
use crate::message::PeerAddr;

/// Length of the accept queue, the default maximum of Linux (`net.core.somaxconn`). If the queue is
/// full, the client's kernel retries after a second.
pub(crate) const BACKLOG: u16 = 4096;

/// Timeout of the connection that [`close_queue`](Listener::close_queue) makes to this machine.
const CONNECT_TIMEOUT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 1_000_000,
};

/// Attempts to find a port that is free on both loopback addresses.
const PORT_ATTEMPTS: usize = 16;

/// A socket filter that drops segments with SYN, which begin a handshake, and passes all others.
/// Its input starts with the TCP header (RFC 9293 section 3.1), which has the flags in byte 13.
const DROP_SYN: [SockFilter; 4] = [
    // Load a byte, jump if the bit is set, return the number of bytes to keep.
    SockFilter::new(0x30, 0, 0, 13),
    SockFilter::new(0x45, 0, 1, 0x02),
    SockFilter::new(0x06, 0, 0, 0),
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    /// This field comes before the socket, so that the file is removed while the socket is open.
    source: ListenerSource,
    socket: OwnedFd,
    address: ListenAddr,
    protocol: ListenerProtocol,
    /// Whether new handshakes are dropped. Handshakes in progress still complete.
    is_filtered: bool,
}

/// The owner of a listening socket.
#[derive(Debug)]
enum ListenerSource {
    /// This server opened the socket and closes it. The socket may have a file.
    Own(Option<SocketFile>),
    /// Another process opened the socket and keeps using it.
    Adopted,
}

/// The error when a server cannot listen.
///
/// ```
/// use httpool::{ListenAddr, Server};
///
/// let bind = |address: &ListenAddr| Server::builder().listen(address.clone()).bind();
/// let first = bind(&"127.0.0.1:0".parse()?)?;
/// let taken = &first.local_addrs()[0];
/// let error = bind(taken).expect_err("the address is in use");
/// assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
/// assert_eq!(error.address(), Some(taken));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BindError {
    address: Option<ListenAddr>,
    source: io::Error,
}

impl BindError {
    /// Returns the address that failed. It is `None` if the text is not an address, if a socket
    /// that was passed in does not listen, or if the server has no address.
    #[must_use]
    pub fn address(&self) -> Option<&ListenAddr> {
        self.address.as_ref()
    }

    /// Returns the kind of the underlying error.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// The error for a text that is not an address.
    pub(crate) fn invalid_address(reason: ListenAddrError) -> Self {
        Self::without_address(io::Error::new(io::ErrorKind::InvalidInput, reason))
    }

    pub(crate) fn no_listeners() -> Self {
        Self::without_address(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no address to listen on",
        ))
    }

    #[cfg(feature = "proxy")]
    pub(crate) fn no_trusted_proxy(address: &ListenAddr) -> Self {
        let reason = "it expects the PROXY protocol, but no proxy is trusted";
        Self::at(address, io::Error::new(io::ErrorKind::InvalidInput, reason))
    }

    pub(crate) fn at(address: &ListenAddr, source: io::Error) -> Self {
        Self {
            address: Some(address.clone()),
            source,
        }
    }

    pub(crate) fn without_address(source: io::Error) -> Self {
        Self {
            address: None,
            source,
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot listen")?;
        if let Some(address) = &self.address {
            write!(f, " on {address}")?;
        }
        if self.source.get_ref().is_some() {
            return write!(f, ": {}", self.source);
        }
        match (self.source.kind(), &self.address) {
            (io::ErrorKind::AddrInUse, _) => f.write_str(": the address is already in use"),
            (io::ErrorKind::AddrNotAvailable, _) => {
                f.write_str(": no interface of this machine has this address")
            }
            (io::ErrorKind::PermissionDenied, Some(ListenAddr::Tcp { port, .. })) => write!(
                f,
                ": port {port} needs the capability CAP_NET_BIND_SERVICE, or choose one from 1024 on"
            ),
            _ => write!(f, ": {}", self.source),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl Listener {
    /// Opens all sockets that `address` means. With `reuse_port`, other sockets can share the port
    /// if they set this option too.
    pub(crate) fn bind(address: &ListenAddr, reuse_port: bool) -> Result<Vec<Self>, BindError> {
        let bound = match address {
            ListenAddr::Tcp { host, port } => bind_host(host, *port, reuse_port),
            ListenAddr::Unix(address) => bind_unix(address).map(|listener| vec![listener]),
        };
        bound.map_err(|source| BindError::at(address, source))
    }

    /// Wraps a socket that this server opened, with its file.
    fn own(socket: socket2::Socket, file: Option<SocketFile>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = OwnedFd::from(socket);
        Ok(Self {
            source: ListenerSource::Own(file),
            address: local_address(&socket)?,
            protocol: ListenerProtocol::default(),
            is_filtered: false,
            socket,
        })
    }

    /// Takes over a socket that already listens.
    pub(crate) fn adopt(socket: OwnedFd) -> Result<Self, BindError> {
        let adopt = |socket: OwnedFd| -> io::Result<Self> {
            if !rustix::net::sockopt::socket_acceptconn(&socket)? {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the adopted socket does not listen (under systemd, Accept=yes is not supported)",
                ));
            }
            rustix::io::ioctl_fionbio(&socket, true)?;
            let address = local_address(&socket)?;
            if matches!(address, ListenAddr::Tcp { .. }) {
                rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
            }
            Ok(Self {
                address,
                protocol: ListenerProtocol::default(),
                source: ListenerSource::Adopted,
                is_filtered: false,
                socket,
            })
        };
        adopt(socket).map_err(BindError::without_address)
    }

    /// Sets the protocols that come before HTTP.
    pub(crate) fn with_protocol(mut self, protocol: ListenerProtocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Returns the local address, with the real port if port 0 was requested.
    pub(crate) fn address(&self) -> &ListenAddr {
        &self.address
    }

    /// Whether connections begin with a PROXY protocol header.
    #[cfg(feature = "proxy")]
    pub(crate) fn expects_proxy_header(&self) -> bool {
        self.protocol.expects_proxy_header
    }

    /// Whether connections use TLS.
    #[cfg(feature = "_tls")]
    pub(crate) fn is_tls(&self) -> bool {
        self.protocol.tls.is_some()
    }

    /// Returns the protocols that come before HTTP.
    pub(crate) fn protocol(&self) -> &ListenerProtocol {
        &self.protocol
    }

    /// Accepts a waiting connection and returns it with its peer, or `None` if no connection waits.
    pub(crate) fn accept(&self) -> io::Result<Option<(Socket, PeerAddr)>> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        match rustix::net::acceptfrom_with(&self.socket, flags) {
            Ok((socket, peer)) => {
                let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                let peer = peer.map_or(PeerAddr::UNIX, PeerAddr::from);
                Ok(Some((Socket::new(socket), peer)))
            }
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Refuses new clients, so that the queue can be emptied and then [closed](Self::close_queue).
    /// A new client retries after a second and then reaches the next server, or is refused. An
    /// adopted socket does not change, because another process keeps using it.
    pub(crate) fn refuse_new(&mut self) -> io::Result<()> {
        let ListenerSource::Own(file) = &mut self.source else {
            return Ok(());
        };
        // Without its file, clients cannot find a Unix socket. Clients in its queue are still
        // accepted.
        if file.take().is_none() && matches!(self.address, ListenAddr::Tcp { .. }) {
            self.is_filtered = SockRef::from(&self.socket).attach_filter(&DROP_SYN).is_ok();
        }
        if !self.is_filtered {
            // With a queue of length 0 the kernel refuses new clients, but it also loses handshakes
            // in progress.
            rustix::net::listen(&self.socket, 0)?;
        }
        Ok(())
    }

    /// Whether handshakes in progress complete although new clients are refused. Otherwise they are
    /// lost when the queue closes, and the server does not learn of them.
    pub(crate) fn completes_handshakes(&self) -> bool {
        self.is_filtered
    }

    /// Closes the empty queue and returns true, or returns false if a client has entered it in the
    /// meantime: closing the socket would reset that client. The shortest queue has room for one
    /// client, so a connection from this machine fills it.
    pub(crate) fn close_queue(&self) -> bool {
        if self.is_filtered {
            return true;
        }
        let address = rustix::net::getsockname(&self.socket).map(SocketAddr::try_from);
        let Ok(Ok(mut address)) = address else {
            return true;
        };
        match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        connects_to(address).unwrap_or(false)
    }

    /// Whether this server may empty and close the queue.
    pub(crate) fn is_owned(&self) -> bool {
        matches!(self.source, ListenerSource::Own(_))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Listens on every address of a host.
fn bind_host(host: &str, port: u16, reuse_port: bool) -> io::Result<Vec<Listener>> {
    let mut attempts = PORT_ATTEMPTS;
    loop {
        match bind_all(&resolve(host, port)?, reuse_port) {
            // The system chose the port for the first address. Another process may use it on the
            // second address.
            Err(error) if port == 0 && error.kind() == io::ErrorKind::AddrInUse && attempts > 0 => {
                attempts -= 1;
            }
            result => return result,
        }
    }
}

fn bind_all(addresses: &[SocketAddr], reuse_port: bool) -> io::Result<Vec<Listener>> {
    let mut chosen = None;
    open_each(addresses, |address| {
        let mut address = *address;
        if let Some(port) = chosen {
            address.set_port(port);
        }
        let listener = bind_tcp(address, reuse_port)?;
        if let ListenAddr::Tcp { port, .. } = listener.address() {
            chosen = Some(*port);
        }
        Ok(listener)
    })
}

/// Calls `open` for each address. An address family that this machine lacks is skipped if another
/// address works.
pub(crate) fn open_each<T>(
    addresses: &[SocketAddr],
    mut open: impl FnMut(&SocketAddr) -> io::Result<T>,
) -> io::Result<Vec<T>> {
    let mut opened = Vec::new();
    let mut missing = None;
    for address in addresses {
        match open(address) {
            Ok(one) => opened.push(one),
            Err(error) if is_missing_family(&error) => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match missing {
        Some(error) if opened.is_empty() => Err(error),
        _ => Ok(opened),
    }
}

/// Resolves a host. `localhost` is both loopback addresses, whatever the hosts file says (RFC 6761
/// section 6.3).
pub(crate) fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let both = |v4: Ipv4Addr, v6: Ipv6Addr| {
        let ips = [IpAddr::from(v4), IpAddr::from(v6)];
        Ok(ips.map(|ip| SocketAddr::new(ip, port)).into())
    };
    if host.eq_ignore_ascii_case("localhost") {
        return both(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
    }
    if host == EVERY_INTERFACE {
        return both(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED);
    }
    let mut addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    addresses.dedup();
    Ok(addresses)
}

fn bind_tcp(address: SocketAddr, reuse_port: bool) -> io::Result<Listener> {
    let socket = open_tcp(address, reuse_port)?;
    // Accepted sockets inherit TCP_NODELAY. A response is sent with one call, so waiting for more
    // data only delays it.
    socket.set_tcp_nodelay(true)?;
    socket.listen(BACKLOG.into())?;
    Listener::own(socket, None)
}

/// Opens and binds a socket that does not listen yet.
pub(crate) fn open_tcp(address: SocketAddr, reuse_port: bool) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        // The address then means the same on every system, and never takes the port of an IPv4
        // address.
        socket.set_only_v6(true)?;
    }
    // Recently closed connections must not keep the port from being bound again.
    socket.set_reuse_address(true)?;
    rustix::net::sockopt::set_socket_reuseport(&socket, reuse_port)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn bind_unix(address: &UnixAddr) -> io::Result<Listener> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let file = SocketFile::bind(&socket, address)?;
    socket.listen(BACKLOG.into())?;
    file.check_identity()?;
    Listener::own(socket, Some(file))
}

/// Whether a connection from this machine succeeds at once.
fn connects_to(address: SocketAddr) -> io::Result<bool> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        result => return result.map(|()| true),
    }
    poll(
        &mut [PollFd::new(&socket, PollFlags::OUT)],
        Some(&CONNECT_TIMEOUT),
    )?;
    Ok(socket.peer_addr().is_ok())
}

fn local_address(socket: &OwnedFd) -> io::Result<ListenAddr> {
    let address = rustix::net::getsockname(socket)?;
    if let Ok(address) = SocketAddr::try_from(address.clone()) {
        return Ok(address.into());
    }
    let path = unix_path(address).unwrap_or_default();
    Ok(UnixAddr::new(path).into())
}

fn unix_path(address: SocketAddrAny) -> Option<PathBuf> {
    let address = rustix::net::SocketAddrUnix::try_from(address).ok()?;
    let path = address.path_bytes()?;
    Some(Path::new(std::ffi::OsStr::from_bytes(path)).to_owned())
}

fn is_missing_family(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    error.kind() == io::ErrorKind::AddrNotAvailable
        || code == Some(Errno::AFNOSUPPORT.raw_os_error())
}
