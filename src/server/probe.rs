//! Checks whether a server could listen on an address, without listening.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::net::BindError;
use crate::net::listener::{open_each, open_tcp, resolve};
use crate::net::{ListenAddr, UnixAddr, socket_file};

impl ListenAddr {
    /// Checks whether a server could [listen](crate::Builder::listen) on this address, without
    /// listening.
    ///
    /// For TCP, the host must resolve to an address of this machine, and the process must be allowed
    /// to use the port. For a Unix socket, its path, folder and group must be valid. An address in use
    /// is not an error: the running server may be the one that this configuration is meant for.
    ///
    /// ```
    /// use httpool::ListenAddr;
    ///
    /// let address: ListenAddr = "localhost:4000".parse()?;
    /// address.check()?;
    ///
    /// let elsewhere: ListenAddr = "192.0.2.1:4000".parse()?;
    /// let error = elsewhere.check().expect_err("this machine has no such address");
    /// assert_eq!(error.address(), Some(&elsewhere));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a server could not listen on this address even while it is unused.
    pub fn check(&self) -> Result<(), BindError> {
        match self {
            Self::Tcp { host, port } => check_host(host, *port),
            Self::Unix(address) => check_unix(address),
        }
        .map_err(|source| BindError::at(self, source))
    }

    /// Returns whether two listeners on these addresses exclude each other, unless they
    /// [share the port](crate::Builder::reuse_port).
    ///
    /// ```
    /// use httpool::ListenAddr;
    ///
    /// let address = |text: &str| text.parse::<ListenAddr>();
    /// assert!(address("127.0.0.1:4000")?.conflicts_with(&address("localhost:4000")?));
    /// assert!(address("127.0.0.1:4000")?.conflicts_with(&address("*:4000")?));
    /// assert!(!address("127.0.0.1:4000")?.conflicts_with(&address("[::]:4000")?));
    /// # Ok::<(), httpool::ListenAddrError>(())
    /// ```
    #[must_use]
    pub fn conflicts_with(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Tcp { host: a, port },
                Self::Tcp {
                    host: b,
                    port: same,
                },
            ) => port == same && *port != 0 && share_an_address(a, b, *port),
            (Self::Unix(a), Self::Unix(b)) => full(a.path()) == full(b.path()),
            _ => false,
        }
    }
}

fn check_host(host: &str, port: u16) -> io::Result<()> {
    open_each(&resolve(host, port)?, |address| {
        match open_tcp(*address, true) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(()),
            result => result.map(drop),
        }
    })
    .map(drop)
}

fn check_unix(address: &UnixAddr) -> io::Result<()> {
    socket_file::check_path(address.path())?;
    if let Some(group) = address.wanted_group() {
        socket_file::check_group(group)?;
    }
    let folder = folder_of(address.path());
    if !folder.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

fn share_an_address(a: &str, b: &str, port: u16) -> bool {
    // A name that does not resolve is reported elsewhere.
    let [Ok(a), Ok(b)] = [resolve(a, port), resolve(b, port)] else {
        return false;
    };
    a.iter().any(|a| {
        b.iter().any(|b| {
            let is_every = a.ip().is_unspecified() || b.ip().is_unspecified();
            a.is_ipv4() == b.is_ipv4() && (is_every || a.ip() == b.ip())
        })
    })
}

/// The path with its folder made canonical.
fn full(path: &Path) -> PathBuf {
    let folder = folder_of(path);
    let folder = folder.canonicalize().unwrap_or(folder.to_owned());
    folder.join(path.file_name().unwrap_or_default())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}
