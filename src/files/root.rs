//! The folder that is served, and what is opened beneath it.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

/// How often something is looked for again while others rename folders on the way to it.
const TRIES: usize = 16;

/// Which symbolic links are followed, in serving and in listing alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Symlinks {
    /// Those that lead to something in the root: relative ones that never leave it on their way.
    #[default]
    Beneath,
    /// None, wherever they stand in a path.
    None,
}

/// The folder beneath which everything is found.
#[derive(Debug)]
pub(super) struct Root {
    folder: OwnedFd,
    symlinks: Symlinks,
}

/// What was opened.
#[derive(Debug)]
pub(super) enum Found {
    File(File, Metadata),
    Folder(File),
}

/// Why nothing was opened.
#[derive(Debug)]
pub(super) enum Missed {
    /// There is nothing of this name that may be served.
    Missing,
    /// The system does not let this process read it.
    Forbidden,
    /// The system can't open it now.
    Busy(io::Error),
    Failed(io::Error),
}

impl Root {
    /// # Errors
    ///
    /// If it is no folder that can be read, or the system can't look for files beneath it.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = Self {
            folder: rustix::fs::open(folder, flags, Mode::empty())?,
            symlinks: Symlinks::default(),
        };
        match root.resolve(b"", OFlags::RDONLY) {
            Ok(_) => Ok(root),
            Err(Errno::NOSYS | Errno::PERM) => Err(io::Error::new(
                ErrorKind::Unsupported,
                "the system does not have or allow openat2 (Linux 5.6), which keeps to the folder",
            )),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn set_symlinks(&mut self, symlinks: Symlinks) {
        self.symlinks = symlinks;
    }

    /// Opens what has this name, which is relative. Nothing is waited for: of what is neither a file
    /// nor a folder no more is asked than what it is.
    pub(super) fn open(&self, path: &[u8]) -> Result<Found, Missed> {
        let file =
            File::from(self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?);
        let metadata = file.metadata().map_err(Missed::Failed)?;
        if metadata.is_file() {
            Ok(Found::File(file, metadata))
        } else if metadata.is_dir() {
            Ok(Found::Folder(file))
        } else {
            Err(Missed::Missing)
        }
    }

    /// Looks at what has this name without opening it.
    pub(super) fn look(&self, path: &[u8]) -> Result<Metadata, Missed> {
        let file = File::from(self.resolve(path, OFlags::PATH)?);
        file.metadata().map_err(Missed::Failed)
    }

    /// Finds a name without leaving the root, whatever is renamed and linked meanwhile: the system
    /// walks, and looks at each step.
    fn resolve(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        let flags = flags | OFlags::CLOEXEC;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let within = match self.symlinks {
            Symlinks::Beneath => within,
            Symlinks::None => within | ResolveFlags::NO_SYMLINKS,
        };
        let mut tries = 0;
        loop {
            tries += 1;
            match openat2(&self.folder, path, flags, Mode::empty(), within) {
                Err(Errno::AGAIN) if tries < TRIES => {}
                Err(Errno::INTR) => {}
                found => return found,
            }
        }
    }
}

impl From<Errno> for Missed {
    fn from(error: Errno) -> Self {
        match error {
            // The last three: a link that leads out, one that is not followed, a socket.
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::NAMETOOLONG
            | Errno::XDEV
            | Errno::LOOP
            | Errno::NXIO => Self::Missing,
            Errno::ACCESS | Errno::PERM => Self::Forbidden,
            Errno::AGAIN | Errno::MFILE | Errno::NFILE | Errno::NOMEM => Self::Busy(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}
