//! Finds a name beneath a folder where the system does not do so in one call: this process walks, a
//! folder at a time, and the one where it is stays open, so that nobody can put another in its place.
//! Only that one does: every worker may walk, and a deep tree must not use up descriptors.

use std::borrow::Cow;
use std::mem;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use memchr::memrchr;
use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;

/// Longest path, with what links put in front of it: the system's own `PATH_MAX`.
const LONGEST: usize = 4096;

/// Most folders that are gone through on the way to something. No path without links has more, and
/// links that lead up and down again can't keep a worker.
const FARTHEST: usize = LONGEST;

/// Opens what has this name beneath the folder, with these flags.
///
/// It fails as `openat2` does: with `XDEV` where a path or a link leads out, however it would come
/// back, and with `LOOP` at more links than may be followed. Links of the system, as in `/proc`, are
/// read like others and lead where their text does.
pub(crate) fn open_beneath(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    most_links: usize,
) -> Result<OwnedFd, Errno> {
    let mut place = Place::at(root);
    let mut path = Cow::Borrowed(path);
    for _ in 0..=most_links {
        match place.descend(&path, flags)? {
            Reached::End(found) => return Ok(found),
            Reached::Link(followed) => path = Cow::Owned(followed),
        }
    }
    Err(Errno::LOOP)
}

/// How far a path has led.
enum Reached {
    End(OwnedFd),
    /// To a link: what it says, and the rest of the path behind it.
    Link(Vec<u8>),
}

/// Where who walks is.
struct Place<'a> {
    root: BorrowedFd<'a>,
    /// The folder, if it is another.
    beneath: Option<OwnedFd>,
    /// The names from the root to it, a slash in front of each. None of them is a link's.
    way: Vec<u8>,
    /// How many folders were gone through.
    far: usize,
}

impl<'a> Place<'a> {
    fn at(root: BorrowedFd<'a>) -> Self {
        Self {
            root,
            beneath: None,
            way: Vec::new(),
            far: 0,
        }
    }

    fn folder(&self) -> BorrowedFd<'_> {
        self.beneath.as_ref().map_or(self.root, OwnedFd::as_fd)
    }

    /// Goes on from here, as far as there are no links.
    fn descend(&mut self, path: &[u8], flags: OFlags) -> Result<Reached, Errno> {
        match path {
            [b'/', ..] => return Err(Errno::XDEV),
            _ if path.len() >= LONGEST => return Err(Errno::NAMETOOLONG),
            _ => {}
        }
        let mut passed = 0;
        for name in path.split(|byte| *byte == b'/') {
            passed += name.len() + 1;
            let rest = path.get(passed..);
            let found = match (name, rest) {
                (b"" | b".", _) => continue,
                (b"..", _) => {
                    self.ascend()?;
                    continue;
                }
                (_, Some(_)) => self.enter(name)?,
                (_, None) => open_itself(self.folder(), name, flags)?,
            };
            match (found, rest) {
                (Itself::Link(target), Some(rest)) => {
                    return Ok(Reached::Link([&target, &b"/"[..], rest].concat()));
                }
                (Itself::Link(target), None) => return Ok(Reached::Link(target)),
                (Itself::Opened(found), None) => return Ok(Reached::End(found)),
                (Itself::Opened(folder), Some(_)) => {
                    self.beneath = Some(folder);
                    self.way.extend([b"/", name].concat());
                }
            }
        }
        // It ends with a folder that is open already.
        openat(self.folder(), ".", flags, Mode::empty()).map(Reached::End)
    }

    /// Opens a folder that is here.
    fn enter(&mut self, name: &[u8]) -> Result<Itself, Errno> {
        if self.far == FARTHEST {
            return Err(Errno::NAMETOOLONG);
        }
        self.far += 1;
        let way = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open_itself(self.folder(), name, way)
    }

    /// Goes up by one. What is above a folder may be outside by now, if somebody has moved it, so the
    /// way is gone again from the root.
    fn ascend(&mut self) -> Result<(), Errno> {
        let last = memrchr(b'/', &self.way).ok_or(Errno::XDEV)?;
        self.way.truncate(last);
        self.beneath = None;
        let way = mem::take(&mut self.way);
        for name in way.split(|byte| *byte == b'/').skip(1) {
            match self.enter(name) {
                Ok(Itself::Opened(folder)) => self.beneath = Some(folder),
                // Others have been here a moment ago.
                Ok(Itself::Link(_)) | Err(Errno::NOENT | Errno::NOTDIR) => {
                    return Err(Errno::AGAIN);
                }
                Err(error) => return Err(error),
            }
        }
        self.way = way;
        Ok(())
    }
}

/// What has a name, and not what it leads to.
enum Itself {
    Opened(OwnedFd),
    Link(Vec<u8>),
}

fn open_itself(here: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<Itself, Errno> {
    // With the one and without the other a link is opened too.
    let takes_links = flags.contains(OFlags::PATH) && !flags.contains(OFlags::DIRECTORY);
    let error = match openat(here, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(found) if takes_links && is_link(&found)? => Errno::LOOP,
        Ok(found) => return Ok(Itself::Opened(found)),
        // A link is no folder either.
        Err(error @ (Errno::LOOP | Errno::NOTDIR)) => error,
        Err(error) => return Err(error),
    };
    match readlinkat(here, name, Vec::new()) {
        Ok(target) => Ok(Itself::Link(target.into_bytes())),
        // It was a link a moment ago.
        Err(Errno::INVAL) if error == Errno::LOOP => Err(Errno::AGAIN),
        Err(Errno::INVAL) => Err(error),
        Err(error) => Err(error),
    }
}

fn is_link(found: &OwnedFd) -> Result<bool, Errno> {
    Ok(FileType::from_raw_mode(fstat(found)?.st_mode) == FileType::Symlink)
}
