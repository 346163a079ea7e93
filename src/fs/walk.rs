//! Resolves a path inside a folder without `openat2`: this process walks the path one folder at a
//! time. The current folder stays open, so that it can't be exchanged for another one. Only that
//! folder stays open, because every worker may walk, and a deep tree must not use up descriptors.

use std::borrow::Cow;
use std::mem;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use memchr::memrchr;
use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;

/// The longest path, including the targets of links before it: `PATH_MAX` of the kernel.
const MAX_PATH: usize = 4096;

/// The most folders entered for one path. A path without links never needs more. The limit stops
/// links that lead up and down again from occupying a worker.
const MAX_FOLDERS: usize = MAX_PATH;

/// Opens a path inside the folder with these flags.
///
/// It fails as `openat2` does: with `XDEV` if the path or a link leaves the folder, even if it
/// leads back, and with `LOOP` if there are more links than allowed. Links of the kernel, as in
/// `/proc`, are followed by their text.
pub(crate) fn open_beneath(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    max_links: usize,
) -> Result<OwnedFd, Errno> {
    let mut position = Position::at(root);
    let mut path = Cow::Borrowed(path);
    for _ in 0..=max_links {
        match position.descend(&path, flags)? {
            Step::Found(found) => return Ok(found),
            Step::Link(followed) => path = Cow::Owned(followed),
        }
    }
    Err(Errno::LOOP)
}

/// How far a path was resolved.
enum Step {
    Found(OwnedFd),
    /// To a link. This is its target and the rest of the path.
    Link(Vec<u8>),
}

/// The position of the walk.
struct Position<'a> {
    root: BorrowedFd<'a>,
    /// The current folder, unless it is the root.
    folder: Option<OwnedFd>,
    /// The names from the root to the current folder, each after a slash. None of them is a link.
    names: Vec<u8>,
    /// The number of folders entered.
    entered: usize,
}

impl<'a> Position<'a> {
    fn at(root: BorrowedFd<'a>) -> Self {
        Self {
            root,
            folder: None,
            names: Vec::new(),
            entered: 0,
        }
    }

    fn current(&self) -> BorrowedFd<'_> {
        self.folder.as_ref().map_or(self.root, OwnedFd::as_fd)
    }

    /// Walks from here to the end of the path or to the first link.
    fn descend(&mut self, path: &[u8], flags: OFlags) -> Result<Step, Errno> {
        match path {
            [b'/', ..] => return Err(Errno::XDEV),
            _ if path.len() >= MAX_PATH => return Err(Errno::NAMETOOLONG),
            _ => {}
        }
        let mut consumed = 0;
        for name in path.split(|byte| *byte == b'/') {
            consumed += name.len() + 1;
            let rest = path.get(consumed..);
            let found = match (name, rest) {
                (b"" | b".", _) => continue,
                (b"..", _) => {
                    self.ascend()?;
                    continue;
                }
                (_, Some(_)) => self.open_folder(name)?,
                (_, None) => open_entry(self.current(), name, flags)?,
            };
            match (found, rest) {
                (Entry::Link(target), Some(rest)) => {
                    return Ok(Step::Link([&target, &b"/"[..], rest].concat()));
                }
                (Entry::Link(target), None) => return Ok(Step::Link(target)),
                (Entry::Opened(found), None) => return Ok(Step::Found(found)),
                (Entry::Opened(folder), Some(_)) => {
                    self.folder = Some(folder);
                    self.names.extend([b"/", name].concat());
                }
            }
        }
        // The path ends with a folder that is open already.
        openat(self.current(), ".", flags, Mode::empty()).map(Step::Found)
    }

    /// Opens a subfolder of the current folder.
    fn open_folder(&mut self, name: &[u8]) -> Result<Entry, Errno> {
        if self.entered == MAX_FOLDERS {
            return Err(Errno::NAMETOOLONG);
        }
        self.entered += 1;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open_entry(self.current(), name, flags)
    }

    /// Goes to the parent folder. The real parent may be outside the root if the folder was moved,
    /// so the names are walked again from the root.
    fn ascend(&mut self) -> Result<(), Errno> {
        let last = memrchr(b'/', &self.names).ok_or(Errno::XDEV)?;
        self.names.truncate(last);
        self.folder = None;
        let names = mem::take(&mut self.names);
        for name in names.split(|byte| *byte == b'/').skip(1) {
            match self.open_folder(name) {
                Ok(Entry::Opened(folder)) => self.folder = Some(folder),
                // A moment ago these names were folders.
                Ok(Entry::Link(_)) | Err(Errno::NOENT | Errno::NOTDIR) => {
                    return Err(Errno::AGAIN);
                }
                Err(error) => return Err(error),
            }
        }
        self.names = names;
        Ok(())
    }
}

/// A directory entry, which may be a link.
enum Entry {
    Opened(OwnedFd),
    Link(Vec<u8>),
}

fn open_entry(folder: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<Entry, Errno> {
    // Only with `O_PATH` and without `O_DIRECTORY` does opening succeed for a link itself.
    let opens_links = flags.contains(OFlags::PATH) && !flags.contains(OFlags::DIRECTORY);
    let error = match openat(folder, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(found) if opens_links && is_link(&found)? => Errno::LOOP,
        Ok(found) => return Ok(Entry::Opened(found)),
        // With `O_DIRECTORY`, a link causes `NOTDIR`.
        Err(error @ (Errno::LOOP | Errno::NOTDIR)) => error,
        Err(error) => return Err(error),
    };
    match readlinkat(folder, name, Vec::new()) {
        Ok(target) => Ok(Entry::Link(target.into_bytes())),
        // The link was replaced a moment ago.
        Err(Errno::INVAL) if error == Errno::LOOP => Err(Errno::AGAIN),
        Err(Errno::INVAL) => Err(error),
        Err(error) => Err(error),
    }
}

fn is_link(found: &OwnedFd) -> Result<bool, Errno> {
    Ok(FileType::from_raw_mode(fstat(found)?.st_mode) == FileType::Symlink)
}
