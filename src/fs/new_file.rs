//! A file that is written beside its place, and gets its name when it is complete.
//!
//! Until then it has a hidden name, which follows from the name of the file. So of two writers of one file
//! the second learns at once that the first one is at work, and what a killed process has left is replaced
//! by the next writer. A lock tells the two apart: the system releases it with the process.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat, flock, fstat, fstatvfs,
    fsync, linkat, openat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::folder::UNFINISHED;

/// How often a hidden name is tried again because another writer finished with it meanwhile.
const MAX_TRIES: usize = 16;

/// The permissions of a new file, of which the umask removes some.
const NEW_FILE: u32 = 0o666;

/// A file that is being written. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct NewFile {
    folder: OwnedFd,
    /// `None` when the file has its own name.
    hidden: Option<String>,
    file: File,
}

/// The treatment of a file that already has the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Keep,
    Replace,
}

/// How a file got its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    Created,
    Replaced,
}

/// What a name in a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    File,
    /// A folder, a link or a special file.
    Other,
}

/// Why a file was not created.
#[derive(Debug)]
pub(crate) enum CreateError {
    /// Another writer is creating a file of this name.
    InProgress,
    Io(io::Error),
}

/// What has this name in the folder, without following a link.
pub(crate) fn look_up(folder: &OwnedFd, name: &[u8]) -> io::Result<Found> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => Ok(Found::File),
            _ => Ok(Found::Other),
        },
        Err(Errno::NOENT) => Ok(Found::Nothing),
        Err(error) => Err(error.into()),
    }
}

/// The bytes that the file system of the folder has for this process. `None` if it does not say.
pub(crate) fn available(folder: &OwnedFd) -> Option<u64> {
    let status = fstatvfs(folder).ok()?;
    // File systems without a fixed size say that they have no blocks.
    (status.f_blocks > 0).then(|| status.f_bavail.saturating_mul(status.f_frsize))
}

impl NewFile {
    /// Creates the file that will have this name in the folder.
    pub(crate) fn create(folder: OwnedFd, name: &[u8]) -> Result<Self, CreateError> {
        let hidden = hidden_name(name);
        for _ in 0..MAX_TRIES {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(NEW_FILE);
            match openat(&folder, &hidden, flags, mode) {
                Ok(file) => {
                    let is_locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
                    if let Err(error) = is_locked
                        && error != Errno::WOULDBLOCK
                    {
                        let _ = unlinkat(&folder, &hidden, AtFlags::empty());
                        return Err(error.into());
                    }
                    // Another writer may have taken the file for one that a killed process has left.
                    if is_locked.is_ok() && names(&folder, &hidden, &file)? {
                        return Ok(Self {
                            folder,
                            hidden: Some(hidden),
                            file: file.into(),
                        });
                    }
                }
                Err(Errno::EXIST) => remove_abandoned(&folder, &hidden)?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(CreateError::InProgress)
    }

    /// The file itself.
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the file its name, when its content is on the disk.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if there is a file that is to be kept, or something that
    /// is no file.
    pub(crate) fn publish(mut self, name: &[u8], existing: Existing) -> io::Result<Published> {
        self.file.sync_all()?;
        let published = self.rename(name, existing)?;
        self.hidden = None;
        // The name is lost with a failing machine otherwise. Some file systems can't do it.
        if let Err(error) = fsync(&self.folder) {
            log::debug!("a folder can't be synchronised: {error}");
        }
        Ok(published)
    }

    fn rename(&self, name: &[u8], existing: Existing) -> io::Result<Published> {
        let (folder, hidden) = (&self.folder, self.hidden.as_deref().unwrap_or_default());
        match (existing, look_up(folder, name)?) {
            (_, Found::Other) | (Existing::Keep, Found::File) => {
                Err(ErrorKind::AlreadyExists.into())
            }
            (Existing::Replace, Found::File) => {
                renameat(folder, hidden, folder, name)?;
                Ok(Published::Replaced)
            }
            (_, Found::Nothing) => {
                match renameat_with(folder, hidden, folder, name, RenameFlags::NOREPLACE) {
                    // The file system, or the system, does not know the flag.
                    Err(Errno::INVAL | Errno::NOSYS) => {
                        linkat(folder, hidden, folder, name, AtFlags::empty())?;
                        unlinkat(folder, hidden, AtFlags::empty())?;
                    }
                    renamed => renamed?,
                }
                Ok(Published::Created)
            }
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(hidden) = &self.hidden
            && let Err(error) = unlinkat(&self.folder, hidden, AtFlags::empty())
        {
            log::warn!("the unfinished file {hidden} can't be removed: {error}");
        }
    }
}

impl From<Errno> for CreateError {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// Removes the file of this name, unless its writer is alive.
fn remove_abandoned(folder: &OwnedFd, hidden: &str) -> Result<(), CreateError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(folder, hidden, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(CreateError::InProgress),
        Err(error) => return Err(error.into()),
    }
    // Its writer may have finished, and another one may have the name.
    if names(folder, hidden, &file)? {
        log::info!("removed {hidden}, which a killed process has left");
        unlinkat(folder, hidden, AtFlags::empty())?;
    }
    Ok(())
}

/// Whether the name is that of this open file.
fn names(folder: &OwnedFd, name: &str, file: &OwnedFd) -> Result<bool, Errno> {
    let identity = |status: Stat| (status.st_dev, status.st_ino);
    match statat(folder.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(identity(found) == identity(fstat(file)?)),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

fn hidden_name(name: &[u8]) -> String {
    let digest = Sha256::digest(name);
    let mut hidden = UNFINISHED.to_owned();
    for byte in &digest[..16] {
        let written = write!(hidden, "{byte:02x}");
        debug_assert!(written.is_ok(), "writing to a String can't fail");
    }
    hidden
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;

    fn folder() -> TempDir {
        tempfile::tempdir().expect("a folder can be created")
    }

    fn open(path: &Path) -> OwnedFd {
        File::open(path).expect("the folder can be opened").into()
    }

    fn create(folder: &TempDir, content: &str) -> NewFile {
        let mut file = NewFile::create(open(folder.path()), b"a").expect("it can be created");
        let written = file.file().write_all(content.as_bytes());
        written.expect("it can be written");
        file
    }

    fn names_in(folder: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).expect("the folder can be listed");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("it can be read").file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn file_is_complete_or_not_there() {
        let folder = folder();
        let file = create(&folder, "new");
        let [hidden] = &names_in(&folder)[..] else {
            panic!("there is one file");
        };
        assert!(hidden.starts_with(UNFINISHED));
        drop(file);
        assert!(names_in(&folder).is_empty());
        let published = create(&folder, "new").publish(b"a", Existing::Keep);
        assert_eq!(published.ok(), Some(Published::Created));
        assert_eq!(names_in(&folder), ["a"]);
    }

    #[test]
    fn file_that_is_kept_stays() {
        let folder = folder();
        let path = folder.path().join("a");
        let file = create(&folder, "new");
        fs::write(&path, "old").expect("it can be written");
        let error = file.publish(b"a", Existing::Keep).expect_err("it exists");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).ok(), Some(b"old".to_vec()));
        let replaced = create(&folder, "new").publish(b"a", Existing::Replace);
        assert_eq!(replaced.ok(), Some(Published::Replaced));
        assert_eq!(fs::read(&path).ok(), Some(b"new".to_vec()));
        assert_eq!(names_in(&folder), ["a"]);
    }

    #[test]
    fn links_and_folders_are_not_replaced() {
        let folder = folder();
        let path = folder.path().join("a");
        fs::write(folder.path().join("target"), "old").expect("it can be written");
        symlink("target", &path).expect("a link can be made");
        for _ in 0..2 {
            let error = create(&folder, "new").publish(b"a", Existing::Replace);
            assert_eq!(
                error.map_err(|error| error.kind()),
                Err(ErrorKind::AlreadyExists)
            );
            fs::remove_file(&path).expect("it can be removed");
            symlink("missing", &path).expect("a link can be made");
        }
        assert_eq!(
            fs::read(folder.path().join("target")).ok(),
            Some(b"old".to_vec())
        );
    }

    #[test]
    fn second_writer_of_a_file_learns_of_the_first() {
        let folder = folder();
        let first = create(&folder, "first");
        let second = NewFile::create(open(folder.path()), b"a");
        assert!(matches!(second, Err(CreateError::InProgress)));
        assert!(NewFile::create(open(folder.path()), b"b").is_ok());
        drop(first);
        drop(create(&folder, "third"));
    }

    #[test]
    fn leftover_of_a_killed_writer_is_replaced() {
        let folder = folder();
        let leftover = folder.path().join(hidden_name(b"a"));
        fs::write(&leftover, "half").expect("it can be written");
        let file = create(&folder, "whole");
        let published = file.publish(b"a", Existing::Keep);
        assert_eq!(published.ok(), Some(Published::Created));
        assert_eq!(
            fs::read(folder.path().join("a")).ok(),
            Some(b"whole".to_vec())
        );
        // A link in its place is not followed, and not removed.
        symlink("a", folder.path().join(hidden_name(b"c"))).expect("a link can be made");
        let created = NewFile::create(open(folder.path()), b"c");
        assert!(matches!(created, Err(CreateError::Io(_))));
        assert_eq!(
            fs::read(folder.path().join("a")).ok(),
            Some(b"whole".to_vec())
        );
    }
}
