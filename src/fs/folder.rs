//! An open folder, and what is opened beneath it.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{
    Access, AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, StatxFlags, accessat, fstat,
    openat2, stat, statx,
};
use rustix::io::{Errno, retry_on_intr};

use super::walk::open_beneath;

/// How often something is looked for again while others rename folders on the way to it.
const TRIES: usize = 16;

/// Most links that are followed on the way to something: as many as the system does.
const MOST_LINKS: usize = 40;

/// Which symbolic links a folder follows, both in serving and in listing.
///
/// ```no_run
/// use httpool::{ServeDir, Symlinks};
///
/// // Uploaders must not be able to link to other files.
/// let uploads = ServeDir::new("/srv/uploads")?.symlinks(Symlinks::Never);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Symlinks {
    /// Follows links that stay inside the folder: relative links that never leave it on their way.
    #[default]
    Inside,
    /// Follows no symbolic link, in any part of a path.
    Never,
}

/// The folder beneath which everything is found. It stays open while there is a clone of this.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    open: Arc<OwnedFd>,
    identity: Identity,
    symlinks: Symlinks,
    walker: Walker,
}

/// Device and inode number. No other folder has those of one that is open, be it removed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

/// Who goes from folder to folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walker {
    /// The system, in one call (`openat2`).
    System,
    /// This process, where that call is missing (before Linux 5.6) or not allowed: a sandbox that
    /// looks at the flags of calls can't see those of this one, and may forbid it altogether.
    Process,
}

/// What was opened.
#[derive(Debug)]
pub(crate) enum Found {
    File(File, Metadata),
    Folder,
}

/// Why nothing was opened.
#[derive(Debug)]
pub(crate) enum Missed {
    /// There is nothing of this name that may be served.
    Missing,
    /// The system does not let this process read it.
    Forbidden,
    /// The system can't open it now.
    Busy(io::Error),
    Failed(io::Error),
}

impl Identity {
    fn of(found: &Stat) -> Self {
        // Their types are not the same on all systems.
        Self(found.st_dev as _, found.st_ino as _)
    }

    /// That of what a path names now.
    pub(crate) fn at(path: &Path) -> Result<Self, Errno> {
        stat(path).map(|found| Self::of(&found))
    }
}

impl Folder {
    /// # Errors
    ///
    /// If it is no folder, or none that can be read.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut folder = Self::open_with(path, Symlinks::default(), Walker::System)?;
        match folder.resolve(b"", OFlags::RDONLY) {
            Ok(_) => Ok(folder),
            Err(forbidden @ (Errno::NOSYS | Errno::PERM)) => {
                folder.walker = Walker::Process;
                folder
                    .resolve(b"", OFlags::RDONLY)
                    .map_err(|error| unable(forbidden, error))?;
                log::info!(
                    "files are looked for a folder at a time, which is slower: openat2 can't be \
                     called here ({forbidden})"
                );
                Ok(folder)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Opens what this path names, with the same rules as this one.
    pub(crate) fn reopen(&self, path: &Path) -> Result<Self, Errno> {
        Self::open_with(path, self.symlinks, self.walker)
    }

    fn open_with(path: &Path, symlinks: Symlinks, walker: Walker) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self {
            identity: Identity::of(&fstat(&open)?),
            open: Arc::new(open),
            symlinks,
            walker,
        })
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    pub(crate) fn set_symlinks(&mut self, symlinks: Symlinks) {
        self.symlinks = symlinks;
    }

    /// Opens the file of this name, which is relative, or finds that it is a folder. Nothing is waited
    /// for.
    ///
    /// To open anything else is to do something with it: who waits for a reader at a pipe goes on, and
    /// is killed by what it writes when the pipe is closed again. So it is asked before what this is.
    /// A link may lead that question out of the root, and all that comes of it then is that nothing is
    /// opened; what is opened is beneath.
    pub(crate) fn find(&self, path: &[u8]) -> Result<Found, Missed> {
        let flags = match self.kind(path) {
            Ok(FileType::RegularFile) => OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
            // It is found even if it may not be read.
            Ok(FileType::Directory) => OFlags::PATH | OFlags::DIRECTORY,
            Ok(_) | Err(Errno::NOENT) => return Err(Missed::Missing),
            // Whatever is wrong, opening it beneath the root says it without telling of elsewhere.
            Err(_) => OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
        };
        let file = File::from(self.resolve(path, flags)?);
        let metadata = file.metadata().map_err(Missed::Failed)?;
        if metadata.is_file() {
            Ok(Found::File(file, metadata))
        } else if metadata.is_dir() {
            Ok(Found::Folder)
        } else {
            Err(Missed::Missing)
        }
    }

    /// Opens the folder of this name to read what is in it.
    pub(crate) fn read_folder(&self, path: &[u8]) -> Result<Dir, Missed> {
        let folder = self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(Dir::new(folder)?)
    }

    /// Looks at what has this name without opening it, as far as it may be opened.
    pub(crate) fn look(&self, path: &[u8]) -> Result<Metadata, Missed> {
        let file = File::from(self.resolve(path, OFlags::PATH)?);
        let metadata = file.metadata().map_err(Missed::Failed)?;
        let access = if metadata.is_dir() {
            Access::EXEC_OK
        } else {
            Access::READ_OK
        };
        match accessat(&*self.open, path, access, AtFlags::EACCESS) {
            Err(Errno::ACCESS) => Err(Missed::Forbidden),
            // Nothing that matters here, or what asking for it will say.
            _ => Ok(metadata),
        }
    }

    /// What has this name, wherever links lead.
    fn kind(&self, path: &[u8]) -> Result<FileType, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        let told = statx(&*self.open, path, AtFlags::NO_AUTOMOUNT, StatxFlags::TYPE)?;
        Ok(FileType::from_raw_mode(told.stx_mode.into()))
    }

    /// Finds a name without leaving the root, whatever is renamed and linked meanwhile: who walks looks
    /// at each step.
    fn resolve(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        let flags = flags | OFlags::CLOEXEC;
        let mut tries = 0;
        loop {
            tries += 1;
            let found = retry_on_intr(|| match self.walker {
                Walker::System => self.ask_system(path, flags),
                Walker::Process => self.walk(path, flags),
            });
            match found {
                Err(Errno::AGAIN) if tries < TRIES => {}
                found => return found,
            }
        }
    }

    fn ask_system(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let within = match self.symlinks {
            Symlinks::Inside => within,
            Symlinks::Never => within | ResolveFlags::NO_SYMLINKS,
        };
        openat2(&*self.open, path, flags, Mode::empty(), within)
    }

    fn walk(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let most_links = match self.symlinks {
            Symlinks::Inside => MOST_LINKS,
            Symlinks::Never => 0,
        };
        open_beneath(self.open.as_fd(), path, flags, most_links)
    }
}

/// Why a folder can be looked into in neither way.
fn unable(forbidden: Errno, error: Errno) -> io::Error {
    let error = io::Error::from(error);
    io::Error::new(
        error.kind(),
        format!(
            "openat2 can't be called here ({forbidden}), nor can openat look into it ({error})"
        ),
    )
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
