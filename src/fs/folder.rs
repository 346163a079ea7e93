//! An open folder, and how files inside it are opened.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{
    Access, AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, Statx, accessat, fstat,
    openat2, stat, statx,
};
use rustix::io::{Errno, retry_on_intr};

use super::open_files::{COMPARED, OpenFiles};
pub(crate) use super::open_files::{OpenFile, TOO_RECENT};
use super::walk::open_beneath;

/// How often a path is resolved again because folders on it were renamed concurrently.
const MAX_TRIES: usize = 16;

/// The most symbolic links followed for one path; the kernel has the same limit.
const MAX_LINKS: usize = 40;

/// How the names of files begin that are being written beside their place. They are never served.
pub(crate) const UNFINISHED: &str = ".httpool-upload-";

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

/// A folder that paths are resolved in. It stays open while a clone of this exists.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    open: Arc<OwnedFd>,
    files: Arc<OpenFiles>,
    identity: Identity,
    symlinks: Symlinks,
    resolver: Resolver,
}

/// Device and inode number. While a folder is open, even a removed one, no other folder has the
/// same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

/// How paths are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolver {
    /// By the kernel in one `openat2` call.
    Openat2,
    /// By this process, one folder at a time. This is the fallback if `openat2` is missing (before
    /// Linux 5.6) or forbidden. Some sandboxes forbid it because they can't inspect its flags,
    /// which it takes by reference.
    Walk,
}

/// A path that was opened.
#[derive(Debug)]
pub(crate) enum Opened {
    File(Arc<OpenFile>),
    Folder,
}

/// Why a path was not opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// No file of this name may be served.
    NotFound,
    /// The process has no permission to read it.
    Forbidden,
    /// The system can't open it now, but may be able to later.
    Busy(io::Error),
    Failed(io::Error),
}

/// What a listing shows of a file or a folder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryStatus {
    pub(crate) file_type: FileType,
    pub(crate) size: u64,
    /// Seconds and nanoseconds since the epoch.
    pub(crate) modified: (i64, i64),
}

impl From<&Metadata> for EntryStatus {
    fn from(found: &Metadata) -> Self {
        Self {
            file_type: FileType::from_raw_mode(found.mode()),
            size: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
        }
    }
}

impl From<&Statx> for EntryStatus {
    fn from(found: &Statx) -> Self {
        Self {
            file_type: file_type(found),
            size: found.stx_size,
            modified: (found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec.into()),
        }
    }
}

/// The type and the size of an entry of an open folder. A link is not followed.
pub(crate) fn type_and_size(
    folder: BorrowedFd<'_>,
    name: &[u8],
) -> Result<(FileType, u64), OpenError> {
    let status = status_in(folder, name)?;
    Ok((file_type(&status), status.stx_size))
}

fn status_in(folder: BorrowedFd<'_>, name: &[u8]) -> Result<Statx, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    statx(folder, name, flags, COMPARED)
}

fn file_type(status: &Statx) -> FileType {
    FileType::from_raw_mode(status.stx_mode.into())
}

impl Identity {
    fn of(found: &Stat) -> Self {
        // The types of these fields differ between systems.
        Self(found.st_dev as _, found.st_ino as _)
    }

    /// Returns the identity of the folder that a path names now.
    pub(crate) fn at(path: &Path) -> Result<Self, Errno> {
        stat(path).map(|found| Self::of(&found))
    }
}

impl Folder {
    /// # Errors
    ///
    /// If it is not a folder, or can't be read.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut folder = Self::open_with(path, Symlinks::default(), Resolver::Openat2)?;
        match folder.resolve(b"", OFlags::RDONLY) {
            Ok(_) => Ok(folder),
            Err(reason @ (Errno::NOSYS | Errno::PERM)) => {
                folder.resolver = Resolver::Walk;
                folder
                    .resolve(b"", OFlags::RDONLY)
                    .map_err(|error| no_resolver(reason, error))?;
                log::info!(
                    "openat2 can't be called here ({reason}): paths are resolved one folder at a \
                     time, which is slower"
                );
                Ok(folder)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the folder that this path names, with the same settings.
    pub(crate) fn reopen(&self, path: &Path) -> Result<Self, Errno> {
        Self::open_with(path, self.symlinks, self.resolver)
    }

    fn open_with(path: &Path, symlinks: Symlinks, resolver: Resolver) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self {
            identity: Identity::of(&fstat(&open)?),
            open: Arc::new(open),
            files: Arc::default(),
            symlinks,
            resolver,
        })
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    pub(crate) fn set_symlinks(&mut self, symlinks: Symlinks) {
        self.symlinks = symlinks;
        // Files that were opened under other rules do not count.
        self.files = Arc::default();
    }

    /// Opens the file at this relative path without blocking, or finds that it is a folder.
    ///
    /// The file type is checked first, because opening a file of another type has side effects. For
    /// example, a process that waits for a reader of a pipe would continue, and would be killed by
    /// `SIGPIPE` once the pipe is closed. A symbolic link may lead this check out of the folder. In
    /// that case nothing is opened, because opening itself stays inside the folder.
    ///
    /// A file that is still open from an earlier request, and has not changed, is not opened again,
    /// unless there is a symbolic link on its path: that may lead out of the folder by now.
    pub(crate) fn open_path(&self, path: &[u8]) -> Result<Opened, OpenError> {
        let status = self.status(path, AtFlags::SYMLINK_NOFOLLOW);
        if let Ok(status) = &status
            && let Some(file) = self.files.get(path, status)
            && self.is_in_real_folders(path)
        {
            return Ok(Opened::File(file));
        }
        let found = status.map(|status| file_type(&status));
        let is_link = found == Ok(FileType::Symlink);
        let file_type = match is_link {
            true => (self.status(path, AtFlags::empty())).map(|status| file_type(&status)),
            false => found,
        };
        let mut opened = self.open_now(path, file_type);
        if let Err(OpenError::Busy(_)) = &opened
            && self.files.close_all()
        {
            opened = self.open_now(path, file_type);
        }
        match &opened {
            Ok(Opened::File(file)) if !is_link && self.is_in_real_folders(path) => {
                self.files.keep(path, file);
            }
            _ => self.files.close(path),
        }
        opened
    }

    /// Opens the regular file at this relative path once, without keeping it open for others.
    #[cfg(feature = "archive")]
    pub(crate) fn open_once(&self, path: &[u8]) -> Result<(File, Metadata), OpenError> {
        let status = self.status(path, AtFlags::empty());
        match self.open_file(path, status.map(|status| file_type(&status)))? {
            (file, metadata) if metadata.is_file() => Ok((file, metadata)),
            _ => Err(OpenError::NotFound),
        }
    }

    fn open_now(
        &self,
        path: &[u8],
        file_type: Result<FileType, Errno>,
    ) -> Result<Opened, OpenError> {
        let (file, metadata) = self.open_file(path, file_type)?;
        if metadata.is_file() {
            Ok(Opened::File(Arc::new(OpenFile::new(file, metadata))))
        } else if metadata.is_dir() {
            Ok(Opened::Folder)
        } else {
            Err(OpenError::NotFound)
        }
    }

    fn open_file(
        &self,
        path: &[u8],
        file_type: Result<FileType, Errno>,
    ) -> Result<(File, Metadata), OpenError> {
        let flags = match file_type {
            Ok(FileType::RegularFile) => OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
            // A folder is found even if it may not be read.
            Ok(FileType::Directory) => OFlags::PATH | OFlags::DIRECTORY,
            Ok(_) | Err(Errno::NOENT) => return Err(OpenError::NotFound),
            // For any other error, opening the path reports it, without revealing anything outside
            // the folder.
            Err(_) => OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
        };
        let file = File::from(self.resolve(path, flags)?);
        let metadata = file.metadata().map_err(OpenError::Failed)?;
        Ok((file, metadata))
    }

    /// Opens the folder at this path, for the names in it.
    #[cfg(feature = "upload")]
    pub(crate) fn open_folder(&self, path: &[u8]) -> Result<OwnedFd, OpenError> {
        Ok(self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY)?)
    }

    /// Opens the folder at this path to list it.
    pub(crate) fn read_dir(&self, path: &[u8]) -> Result<Dir, OpenError> {
        let folder = self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(Dir::new(folder)?)
    }

    /// Returns the metadata of a path without opening it, if the process may open it.
    pub(crate) fn metadata(&self, path: &[u8]) -> Result<Metadata, OpenError> {
        let file = File::from(self.resolve(path, OFlags::PATH)?);
        let metadata = file.metadata().map_err(OpenError::Failed)?;
        let access = if metadata.is_dir() {
            Access::EXEC_OK
        } else {
            Access::READ_OK
        };
        match accessat(&*self.open, path, access, AtFlags::EACCESS) {
            Err(Errno::ACCESS) => Err(OpenError::Forbidden),
            // Other errors are irrelevant here, or are reported when the path is opened.
            _ => Ok(metadata),
        }
    }

    /// Returns what a listing shows of an entry of this open folder, if the process may open it.
    /// `path` is the path of the entry, for links: they are resolved like any other path.
    pub(crate) fn entry(
        &self,
        folder: BorrowedFd<'_>,
        name: &[u8],
        path: impl FnOnce() -> Vec<u8>,
    ) -> Result<EntryStatus, OpenError> {
        let status = match status_in(folder, name) {
            Ok(status) if file_type(&status) != FileType::Symlink => status,
            _ => {
                return self
                    .metadata(&path())
                    .map(|found| EntryStatus::from(&found));
            }
        };
        let access = match file_type(&status) {
            FileType::Directory => Access::EXEC_OK,
            _ => Access::READ_OK,
        };
        match accessat(folder, name, access, AtFlags::EACCESS) {
            Err(Errno::ACCESS) => Err(OpenError::Forbidden),
            _ => Ok(EntryStatus::from(&status)),
        }
    }

    /// Returns the metadata of a path, following all symbolic links but the last one if the flags
    /// say so.
    fn status(&self, path: &[u8], flags: AtFlags) -> Result<Statx, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        statx(&*self.open, path, flags | AtFlags::NO_AUTOMOUNT, COMPARED)
    }

    /// Whether all folders on this path are folders, and not links to some.
    fn is_in_real_folders(&self, path: &[u8]) -> bool {
        memchr::memchr_iter(b'/', path).all(|end| {
            let status = self.status(&path[..end], AtFlags::SYMLINK_NOFOLLOW);
            status.is_ok_and(|status| file_type(&status) == FileType::Directory)
        })
    }

    /// Opens a path without leaving the folder, even if files are renamed or linked concurrently:
    /// every step of the resolution is checked.
    fn resolve(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        let flags = flags | OFlags::CLOEXEC;
        let mut tries = 0;
        loop {
            tries += 1;
            let found = retry_on_intr(|| match self.resolver {
                Resolver::Openat2 => self.openat2(path, flags),
                Resolver::Walk => self.walk(path, flags),
            });
            match found {
                Err(Errno::AGAIN) if tries < MAX_TRIES => {}
                found => return found,
            }
        }
    }

    fn openat2(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let how = match self.symlinks {
            Symlinks::Inside => how,
            Symlinks::Never => how | ResolveFlags::NO_SYMLINKS,
        };
        openat2(&*self.open, path, flags, Mode::empty(), how)
    }

    fn walk(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let max_links = match self.symlinks {
            Symlinks::Inside => MAX_LINKS,
            Symlinks::Never => 0,
        };
        open_beneath(self.open.as_fd(), path, flags, max_links)
    }
}

/// The error if neither way of resolving paths works.
fn no_resolver(reason: Errno, error: Errno) -> io::Error {
    let error = io::Error::from(error);
    io::Error::new(
        error.kind(),
        format!("openat2 can't be called here ({reason}), and openat can't open it ({error})"),
    )
}

impl From<Errno> for OpenError {
    fn from(error: Errno) -> Self {
        match error {
            // The last three mean: a link that leads out, a link that is not followed, a socket.
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::NAMETOOLONG
            | Errno::XDEV
            | Errno::LOOP
            | Errno::NXIO => Self::NotFound,
            Errno::ACCESS | Errno::PERM => Self::Forbidden,
            Errno::AGAIN | Errno::MFILE | Errno::NFILE | Errno::NOMEM => Self::Busy(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}
