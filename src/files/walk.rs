//! Finds a name beneath a folder where the system does not do so in one call: this process walks, a
//! folder at a time, and each stays open, so that nobody can put another in its place.

use std::borrow::Cow;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;

/// Longest path, with what links put in front of it: the system's own `PATH_MAX`.
const LONGEST: usize = 4096;

/// Most folders that are held at a time, so that a deep tree can't use up descriptors.
const DEEPEST: usize = 128;

/// Opens what has this name beneath the folder, with these flags.
///
/// It fails as `openat2` does: with `XDEV` where a path or a link leads out, however it would come
/// back, and with `LOOP` at more links than may be followed. Links of the system, as in `/proc`, are
/// read like others and lead where their text does.
pub(super) fn open_beneath(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    most_links: usize,
) -> Result<OwnedFd, Errno> {
    let mut folders: Vec<OwnedFd> = Vec::new();
    let mut path = Cow::Borrowed(path);
    for _ in 0..=most_links {
        match descend(root, &mut folders, &path, flags)? {
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

/// Goes on from the last of the folders, as far as there are no links.
fn descend(
    root: BorrowedFd<'_>,
    folders: &mut Vec<OwnedFd>,
    path: &[u8],
    flags: OFlags,
) -> Result<Reached, Errno> {
    match path {
        [b'/', ..] => return Err(Errno::XDEV),
        _ if path.len() >= LONGEST => return Err(Errno::NAMETOOLONG),
        _ => {}
    }
    let mut passed = 0;
    for name in path.split(|byte| *byte == b'/') {
        passed += name.len() + 1;
        let rest = path.get(passed..);
        match name {
            b"" | b"." => continue,
            b".." => {
                folders.pop().ok_or(Errno::XDEV)?;
                continue;
            }
            _ => {}
        }
        let here = folders.last().map_or(root, |folder| folder.as_fd());
        let way = if rest.is_some() {
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC
        } else {
            flags
        };
        match open_itself(here, name, way)? {
            Itself::Link(target) => {
                let followed = match rest {
                    Some(rest) => [&target, &b"/"[..], rest].concat(),
                    None => target,
                };
                return Ok(Reached::Link(followed));
            }
            Itself::Opened(found) if rest.is_none() => return Ok(Reached::End(found)),
            Itself::Opened(_) if folders.len() == DEEPEST => return Err(Errno::NAMETOOLONG),
            Itself::Opened(folder) => folders.push(folder),
        }
    }
    // It ends with a folder that is open already.
    let here = folders.last().map_or(root, |folder| folder.as_fd());
    openat(here, ".", flags, Mode::empty()).map(Reached::End)
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
