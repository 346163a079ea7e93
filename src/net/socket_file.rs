//! Creates the file of a Unix socket, sets its permissions, and removes it if it is still the same
//! file.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use log::{info, warn};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags};
use socket2::{Domain, SockAddr, Socket, Type};

use super::listen_addr::MAX_PATH;
use super::{ListenAddrError, UnixAddr};

/// A starting server binds its socket shortly before it listens. In between, the socket refuses
/// connections like one of a stopped server. A socket that refuses them for longer than this is
/// stale.
const STARTUP_GAP: Duration = Duration::from_millis(50);

/// The file of a socket that this server bound. Dropping it removes the file. Drop it before the
/// socket closes: until then no other file can get the same inode number.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Identifies a file independently of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// Binds the socket to this address, and replaces a socket that refuses connections.
    pub(crate) fn bind(socket: &Socket, address: &UnixAddr) -> io::Result<Self> {
        let path = address.path();
        check_path(path)?;
        let group = address.wanted_group().map(group_id).transpose()?;
        remove_stale(path)?;
        socket.bind(&SockAddr::unix(path)?)?;
        // Symbolic links are not followed, and all later steps use this open file.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&opened)?;
        let file = Self {
            path: path.to_owned(),
            identity: Identity {
                device: stat.st_dev,
                inode: stat.st_ino,
            },
        };
        set_permissions(&opened, address.wanted_mode(), group)?;
        Ok(file)
    }

    /// Fails if another file has replaced this one.
    pub(crate) fn check_identity(&self) -> io::Result<()> {
        match Identity::at(&self.path) {
            Some(found) if found == self.identity => Ok(()),
            _ => Err(io::ErrorKind::AddrInUse.into()),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let path = self.path.display();
        match Identity::at(&self.path) {
            Some(found) if found == self.identity => {
                if let Err(error) = std::fs::remove_file(&self.path) {
                    warn!("cannot remove the socket {path}: {error}");
                }
            }
            Some(_) => info!("{path} is not removed, because another file has replaced it"),
            None => {}
        }
    }
}

impl Identity {
    fn at(path: &Path) -> Option<Self> {
        let file = std::fs::symlink_metadata(path).ok()?;
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
        })
    }
}

/// Checks that a socket can have this path: it is short enough, and no other kind of file is there.
pub(crate) fn check_path(path: &Path) -> io::Result<()> {
    if path.as_os_str().len() > MAX_PATH {
        let reason = ListenAddrError::PathTooLong;
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    match std::fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "a file that is not a socket has this path",
        )),
        _ => Ok(()),
    }
}

/// Checks that the group exists and that this process may give it a file.
pub(crate) fn check_group(name: &str) -> io::Result<()> {
    let group = group_id(name)?;
    let is_member = rustix::process::getegid() == group
        || rustix::process::getgroups()?.contains(&group)
        || rustix::process::geteuid().is_root();
    if is_member {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("this process is not a member of the group {name}"),
    ))
}

/// Removes the socket that a killed server left.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = Identity::at(path);
    if found.is_none() || !refuses(path)? {
        return Ok(());
    }
    thread::sleep(STARTUP_GAP);
    if !refuses(path)? || Identity::at(path) != found {
        return Ok(());
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether no server listens on this path. A server with a full queue listens.
fn refuses(path: &Path) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    let error = socket.connect(&SockAddr::unix(path)?).err();
    Ok(error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused))
}

fn set_permissions(file: &OwnedFd, mode: Option<u32>, group: Option<Gid>) -> io::Result<()> {
    if group.is_some() {
        rustix::fs::chownat(file, "", None, group, AtFlags::EMPTY_PATH)?;
    }
    if let Some(mode) = mode {
        // A descriptor opened with O_PATH has no other way to change the mode.
        let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
        rustix::fs::chmod(path, Mode::from_raw_mode(mode))?;
    }
    Ok(())
}

/// The group with this name, or else with this number.
fn group_id(name: &str) -> io::Result<Gid> {
    let found = nix::unistd::Group::from_name(name)?;
    let id = found.map(|group| group.gid.as_raw());
    let id = id.or_else(|| name.parse().ok()).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("there is no group {name}"),
        )
    })?;
    Ok(Gid::from_raw(id))
}
