//! The file of a Unix socket: it is made, gets its access rights, and is removed as long as it is
//! the one that was made here.

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

/// A server that starts has bound its socket for a moment before it listens, and refuses connections
/// like one that has ended. What refuses them for longer than this has ended.
const STARTUP_GAP: Duration = Duration::from_millis(50);

/// The file of a socket that was bound here. It is removed when this is dropped, which has to be
/// before the socket is closed: until then no other file can get its inode number.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Which file it is, whatever its name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// Binds the socket to this address, in place of a socket that refuses connections.
    pub(crate) fn bind(socket: &Socket, address: &UnixAddr) -> io::Result<Self> {
        let path = address.path();
        check_path(path)?;
        let group = address.wanted_group().map(group_id).transpose()?;
        remove_stale(path)?;
        socket.bind(&SockAddr::unix(path)?)?;
        // No link is followed, and what is done afterwards is done to the file that this has opened.
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

    /// An error if another file has taken its place.
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
            Some(_) => info!("{path} is another file now: it is not removed"),
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

/// Whether a socket can have this path: it is short enough, and no other kind of file is there.
pub(crate) fn check_path(path: &Path) -> io::Result<()> {
    if path.as_os_str().len() > MAX_PATH {
        let reason = ListenAddrError::PathTooLong;
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    match std::fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "there is a file of this name that is no socket",
        )),
        _ => Ok(()),
    }
}

/// Whether there is this group and this process may give it a file.
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
        format!("this process is no member of the group {name}"),
    ))
}

/// Removes the socket that a server has left that was killed.
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

/// Whether no server listens there. One whose queue is full does.
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
        // A descriptor that only stands for a path has no other way to a change of mode.
        let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
        rustix::fs::chmod(path, Mode::from_raw_mode(mode))?;
    }
    Ok(())
}

/// The group of this name, or of this number if no group has such a name.
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
