//! Addresses to listen on, and their text form.

use std::convert::Infallible;
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Longest path of a Unix socket (`sun_path` in unix(7) without its final zero byte).
pub(crate) const MAX_PATH: usize = 107;

/// The host that means every interface.
pub(crate) const EVERY_INTERFACE: &str = "*";

/// An address to listen on: TCP or a Unix socket.
///
/// An IPv6 address, including `[::]`, accepts IPv6 connections only, whatever the system default
/// (`net.ipv6.bindv6only`) is. `*` is every interface over IPv4 and IPv6. A port without a host
/// (`:8080`) means the same.
///
/// ```
/// use httpool::ListenAddr;
///
/// let address: ListenAddr = "localhost:4000".parse()?;
/// assert_eq!(address.to_string(), "localhost:4000");
/// assert!("[::1]:0".parse::<ListenAddr>().is_ok());
/// assert!("*:8080".parse::<ListenAddr>().is_ok());
/// assert!("unix:/run/httpool.sock?mode=660&group=www-data".parse::<ListenAddr>().is_ok());
/// assert!("localhost".parse::<ListenAddr>().is_err());
/// # Ok::<(), httpool::ListenAddrError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ListenAddr {
    /// A host name or IP address, and a port. `localhost` is both loopback addresses, `*` every
    /// interface. With port 0 the system chooses one.
    Tcp {
        /// A host name, an IPv4 address, an IPv6 address without brackets, or `*`.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix(UnixAddr),
}

/// The path of a Unix socket, and the permissions of its file.
///
/// A client needs write permission on the file to connect. Without a mode, the umask of the process
/// decides: the usual result is 755, so only the owner can connect. Mode and group are set before
/// the socket listens, so no client can connect with other permissions.
///
/// ```
/// use httpool::{ListenAddr, Server, UnixAddr};
///
/// # let path = std::env::temp_dir().join(format!("httpool-doc-{}.sock", std::process::id()));
/// // Only this user and its group may connect.
/// let server = Server::builder().listen(UnixAddr::new(&path).mode(0o660)).bind()?;
///
/// let address = UnixAddr::new("/run/app.sock").mode(0o660).group("www-data");
/// assert_eq!(ListenAddr::from(address).to_string(), "unix:/run/app.sock?mode=660&group=www-data");
/// # Ok::<(), httpool::BindError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnixAddr {
    path: PathBuf,
    mode: Option<u32>,
    group: Option<String>,
}

impl UnixAddr {
    /// Creates an address for the socket at `path`.
    ///
    /// ```
    /// let address = httpool::UnixAddr::new("/run/app.sock");
    /// assert_eq!(address.path().to_str(), Some("/run/app.sock"));
    /// ```
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            mode: None,
            group: None,
        }
    }

    /// Sets the permission bits of the file, at most `0o777`.
    ///
    /// ```
    /// let address = httpool::UnixAddr::new("/run/app.sock").mode(0o600);
    /// ```
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Sets the group of the file, by name or number. The process must be a member of the group, or
    /// root.
    ///
    /// ```
    /// let address = httpool::UnixAddr::new("/run/app.sock").mode(0o660).group("www-data");
    /// ```
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Returns the path of the socket.
    ///
    /// ```
    /// let address = httpool::UnixAddr::new("/run/app.sock").mode(0o600);
    /// assert_eq!(address.path().to_str(), Some("/run/app.sock"));
    /// ```
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn wanted_mode(&self) -> Option<u32> {
        self.mode
    }

    pub(crate) fn wanted_group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    fn parse(text: &str) -> Result<Self, ListenAddrError> {
        let (path, settings) = match text.split_once('?') {
            Some((path, settings)) => (path, Some(settings)),
            None => (text, None),
        };
        if path.is_empty() {
            return Err(ListenAddrError::NoPath);
        }
        if path.len() > MAX_PATH {
            return Err(ListenAddrError::PathTooLong);
        }
        let settings = settings.into_iter().flat_map(|text| text.split('&'));
        settings.into_iter().try_fold(Self::new(path), Self::set)
    }

    fn set(self, setting: &str) -> Result<Self, ListenAddrError> {
        match setting.split_once('=') {
            Some(("mode", mode)) if self.mode.is_none() => Ok(self.mode(octal(mode)?)),
            Some(("group", group)) if self.group.is_none() && !group.is_empty() => {
                Ok(self.group(group))
            }
            _ => Err(ListenAddrError::BadSetting),
        }
    }
}

impl From<UnixAddr> for ListenAddr {
    fn from(address: UnixAddr) -> Self {
        Self::Unix(address)
    }
}

impl From<SocketAddr> for ListenAddr {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

impl From<&Path> for ListenAddr {
    fn from(path: &Path) -> Self {
        UnixAddr::new(path).into()
    }
}

impl TryFrom<&str> for ListenAddr {
    type Error = ListenAddrError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for ListenAddr {
    type Error = ListenAddrError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for ListenAddr {
    type Err = ListenAddrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = text.strip_prefix("unix:") {
            return UnixAddr::parse(rest).map(Self::Unix);
        }
        if text.contains("://") {
            return Err(ListenAddrError::Url);
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(match text.parse() {
                Ok(port) => ListenAddrError::OnlyPort(port),
                Err(_) => ListenAddrError::NoPort,
            });
        };
        let port = port.parse().map_err(|_| ListenAddrError::BadPort)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest
                .strip_suffix(']')
                .filter(|ip| ip.parse::<Ipv6Addr>().is_ok())
                .ok_or(ListenAddrError::BadHost)?,
            None if host.contains(':') => return Err(ListenAddrError::Unbracketed),
            None if host.is_empty() => EVERY_INTERFACE,
            None => host,
        };
        if host.contains(|c: char| c.is_whitespace() || c == '/') {
            return Err(ListenAddrError::BadHost);
        }
        Ok(Self::Tcp {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for UnixAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix:{}", self.path.display())?;
        let mode = self.mode.map(|mode| format!("mode={mode:o}"));
        let group = self.group.as_ref().map(|group| format!("group={group}"));
        for (separator, setting) in "?&".chars().zip(mode.into_iter().chain(group)) {
            write!(f, "{separator}{setting}")?;
        }
        Ok(())
    }
}

/// Parses permission bits in the form of chmod(1).
fn octal(text: &str) -> Result<u32, ListenAddrError> {
    let is_octal = text.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| is_octal && *mode <= 0o777)
        .ok_or(ListenAddrError::BadMode)
}

/// The error when a text is not a [`ListenAddr`].
///
/// ```
/// use httpool::ListenAddr;
///
/// let error = "localhost".parse::<ListenAddr>().expect_err("the port is missing");
/// println!("localhost: {error}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenAddrError {
    /// The text has no `:` followed by a port.
    NoPort,
    /// The text is only a port, so the interfaces are unknown.
    OnlyPort(u16),
    /// The text after the last `:` is not a number from 0 to 65535.
    BadPort,
    /// The host contains spaces or slashes, or its brackets do not contain an IPv6 address.
    BadHost,
    /// An IPv6 address with a port has no brackets.
    Unbracketed,
    /// The text is a URL.
    Url,
    /// No path follows `unix:`.
    NoPath,
    /// The path is too long for a Unix socket.
    PathTooLong,
    /// The mode of a Unix socket is not octal digits up to 777.
    BadMode,
    /// The part after the path of a Unix socket is neither a mode nor a group, or sets one of them
    /// twice.
    BadSetting,
}

impl fmt::Display for ListenAddrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPort => "no port: write host:port, [::1]:port or unix:/path",
            Self::OnlyPort(port) => {
                return write!(
                    f,
                    "no host: write localhost:{port} for this machine only, or *:{port} for every \
                     interface"
                );
            }
            Self::BadPort => "the port is not a number from 0 to 65535",
            Self::BadHost => "the host is not a name, an IPv4 address, an [IPv6 address] or *",
            Self::Unbracketed => "an IPv6 address needs brackets, as in [::1]:4000",
            Self::Url => "this is a URL: write host and port alone, as in localhost:4000",
            Self::NoPath => "unix: needs a path, as in unix:/run/httpool.sock",
            Self::PathTooLong => {
                return write!(
                    f,
                    "the path is too long: a Unix socket's has at most {MAX_PATH} bytes"
                );
            }
            Self::BadMode => "the mode is not octal digits up to 777, as in ?mode=660",
            Self::BadSetting => {
                "only a mode and a group may follow the path, as in ?mode=660&group=www-data"
            }
        })
    }
}

impl std::error::Error for ListenAddrError {}

/// Lets functions accept a [`ListenAddr`] where they accept a text.
impl From<Infallible> for ListenAddrError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_their_text_form() {
        for text in [
            "localhost:4000",
            "127.0.0.1:0",
            "[::1]:80",
            "*:8080",
            "unix:/a/b.sock",
            "unix:b.sock?mode=660",
            "unix:b.sock?group=www-data",
            "unix:b.sock?mode=660&group=www-data",
        ] {
            assert_eq!(
                text.parse::<ListenAddr>().map(|a| a.to_string()),
                Ok(text.into())
            );
        }
        assert_eq!(":80".parse::<ListenAddr>(), "*:80".parse());
        assert_eq!(
            "unix:s?group=g&mode=0600".parse(),
            Ok(ListenAddr::from(UnixAddr::new("s").mode(0o600).group("g")))
        );
    }

    #[test]
    fn malformed_addresses_name_the_error() {
        #[track_caller]
        fn check(text: &str, reason: ListenAddrError) {
            assert_eq!(text.parse::<ListenAddr>(), Err(reason), "{text}");
        }
        check("", ListenAddrError::NoPort);
        check("localhost", ListenAddrError::NoPort);
        check("4000", ListenAddrError::OnlyPort(4000));
        check("localhost:", ListenAddrError::BadPort);
        check("localhost:65536", ListenAddrError::BadPort);
        check("[localhost]:4000", ListenAddrError::BadHost);
        check("a b:4000", ListenAddrError::BadHost);
        check("/run/x:4000", ListenAddrError::BadHost);
        check("::1:4000", ListenAddrError::Unbracketed);
        check("http://localhost:4000", ListenAddrError::Url);
        check("https://localhost/", ListenAddrError::Url);
        check("unix:", ListenAddrError::NoPath);
        check("unix:?mode=660", ListenAddrError::NoPath);
        let long = format!("unix:/{}", "x".repeat(MAX_PATH));
        check(&long, ListenAddrError::PathTooLong);
        for mode in ["", "rw", "-1", "+6", "888", "1777", "7777777777777"] {
            check(&format!("unix:s?mode={mode}"), ListenAddrError::BadMode);
        }
        for settings in [
            "",
            "mode",
            "group=",
            "owner=www",
            "group=a&group=b",
            "mode=6&",
        ] {
            check(&format!("unix:s?{settings}"), ListenAddrError::BadSetting);
        }
    }
}
