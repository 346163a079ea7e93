//! Sockets that listen.

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

/// Connections that may wait in the kernel for the acceptor: as many as Linux allows by itself
/// (`net.core.somaxconn`). Who comes when they are too many tries again a second later.
pub(crate) const BACKLOG: u16 = 4096;

/// How long a connection from this machine to itself may take.
const CONNECT_TIMEOUT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 1_000_000,
};

/// How often to look for a port that is free on both loopback addresses.
const PORT_ATTEMPTS: usize = 16;

/// A filter that drops what begins a handshake, a segment with SYN, and passes everything else. What
/// it reads begins with the TCP header (RFC 9293 section 3.1), whose flags are in byte 13.
const DROP_SYN: [SockFilter; 4] = [
    // Load a byte; jump if this bit is set; return so many bytes of the segment.
    SockFilter::new(0x30, 0, 0, 13),
    SockFilter::new(0x45, 0, 1, 0x02),
    SockFilter::new(0x06, 0, 0, 0),
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Before the socket, so that its file is removed while it is open.
    source: ListenerSource,
    socket: OwnedFd,
    address: ListenAddr,
    protocol: ListenerProtocol,
    /// Nobody can begin a handshake any more; those that have begun end.
    is_filtered: bool,
}

/// Who a listening socket belongs to.
#[derive(Debug)]
enum ListenerSource {
    /// It was opened here and is closed here; this file, if any, goes with it.
    Own(Option<SocketFile>),
    /// Another process opened it, and goes on using it.
    Adopted,
}

/// Why a server could not listen.
///
/// ```
/// use httpool::{ListenAddr, Server};
///
/// let bind = |address: &ListenAddr| Server::builder().listen(address.clone()).bind();
/// let first = bind(&"127.0.0.1:0".parse()?)?;
/// let taken = &first.local_addrs()[0];
/// let error = bind(taken).expect_err("somebody listens there");
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
    /// The address that could not be listened on; `None` if it is no address, if a listener that was
    /// handed in is none, or if nothing was given to listen on.
    #[must_use]
    pub fn address(&self) -> Option<&ListenAddr> {
        self.address.as_ref()
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// A text that was to be an address is none.
    pub(crate) fn invalid_address(reason: ListenAddrError) -> Self {
        Self::without_address(io::Error::new(io::ErrorKind::InvalidInput, reason))
    }

    pub(crate) fn no_listeners() -> Self {
        Self::without_address(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no address was given",
        ))
    }

    #[cfg(feature = "proxy")]
    pub(crate) fn no_trusted_proxy(address: &ListenAddr) -> Self {
        let reason = "it is for proxies, and no proxy is trusted";
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
    /// Opens every socket that `address` stands for, shared with others if they `reuse_port` too.
    pub(crate) fn bind(address: &ListenAddr, reuse_port: bool) -> Result<Vec<Self>, BindError> {
        let bound = match address {
            ListenAddr::Tcp { host, port } => bind_host(host, *port, reuse_port),
            ListenAddr::Unix(address) => bind_unix(address).map(|listener| vec![listener]),
        };
        bound.map_err(|source| BindError::at(address, source))
    }

    /// A socket that was opened here, and its file.
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

    /// Takes over a socket that listens already.
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

    /// The same, but its connections begin with this.
    pub(crate) fn with_protocol(mut self, protocol: ListenerProtocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Where it listens: with the real port where 0 was asked for.
    pub(crate) fn address(&self) -> &ListenAddr {
        &self.address
    }

    /// Whether proxies introduce their clients on it.
    #[cfg(feature = "proxy")]
    pub(crate) fn expects_proxy_header(&self) -> bool {
        self.protocol.expects_proxy_header
    }

    /// Whether clients speak TLS on it.
    #[cfg(feature = "_tls")]
    pub(crate) fn is_tls(&self) -> bool {
        self.protocol.tls.is_some()
    }

    /// What comes on its connections before requests.
    pub(crate) fn protocol(&self) -> &ListenerProtocol {
        &self.protocol
    }

    /// A connection that waits and its other end, or `None` if there is none.
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

    /// Lets nobody else in, so that the queue can be emptied and then [closed](Self::close_queue). Who comes
    /// now tries again a second later, and then finds the next server, or is refused. An adopted
    /// socket is left as it is, for whoever comes next.
    pub(crate) fn refuse_new(&mut self) -> io::Result<()> {
        let ListenerSource::Own(file) = &mut self.source else {
            return Ok(());
        };
        // Without its file nobody finds a Unix socket, while those in its queue are served.
        if file.take().is_none() && matches!(self.address, ListenAddr::Tcp { .. }) {
            self.is_filtered = SockRef::from(&self.socket).attach_filter(&DROP_SYN).is_ok();
        }
        if !self.is_filtered {
            // A full queue takes nobody, but it loses those whose handshakes are under way.
            rustix::net::listen(&self.socket, 0)?;
        }
        Ok(())
    }

    /// Whether clients who have begun a handshake end it although nobody else is let in. Otherwise
    /// they are lost when the queue closes, and nobody knows of them.
    pub(crate) fn completes_handshakes(&self) -> bool {
        self.is_filtered
    }

    /// Lets nobody else into the emptied queue, unless someone has come into it since: what waits
    /// in it when the socket is closed is reset. The shortest queue still has room for one, and a
    /// connection from here to itself takes it.
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

    /// Whether its queue is ours to empty.
    pub(crate) fn is_owned(&self) -> bool {
        matches!(self.source, ListenerSource::Own(_))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Listens on each address of a host.
fn bind_host(host: &str, port: u16, reuse_port: bool) -> io::Result<Vec<Listener>> {
    let mut tries = PORT_ATTEMPTS;
    loop {
        match bind_all(&resolve(host, port)?, reuse_port) {
            // The second address follows the first to the port that the system chose, and there
            // someone else may sit.
            Err(error) if port == 0 && error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {
                tries -= 1;
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

/// What comes of each address. A family that this machine lacks is passed over as long as one address
/// is left.
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

/// `localhost` is both loopback addresses, whatever the hosts file says (RFC 6761 section 6.3).
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
    // What it accepts inherits this: an answer is one write, and waiting for more is only delay.
    socket.set_tcp_nodelay(true)?;
    socket.listen(BACKLOG.into())?;
    Listener::own(socket, None)
}

/// A socket that is bound and does not listen yet.
pub(crate) fn open_tcp(address: SocketAddr, reuse_port: bool) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        // So that an address means the same on every system and whatever else is listened on, and
        // never takes the port of an IPv4 address.
        socket.set_only_v6(true)?;
    }
    // Connections that this port has closed lately must not keep it from being bound again.
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

/// Whether a connection from this machine is made at once.
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
