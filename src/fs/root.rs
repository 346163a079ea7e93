//! The folder that a path names: another one after the path was given to another folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rustix::io::Errno;

use super::folder::{Folder, Identity, Symlinks};
use crate::sync::ignore_poison;

/// How often a request looks whether the path names the same folder, in milliseconds: it costs a
/// system call.
const INTERVAL: u64 = 1000;

/// A folder by its path.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    current: RwLock<Current>,
    /// When this was made, by which `next` is counted.
    start: Instant,
    /// When the path is looked at next, in milliseconds.
    next: AtomicU64,
}

/// What requests are answered from.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    pub(crate) folder: Folder,
    pub(crate) path: Named,
}

/// What the path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// The folder that is open.
    Folder,
    /// Nothing, or no folder.
    Nothing,
    /// That can't be found out, or the folder can't be opened.
    Unknown,
}

impl Root {
    /// # Errors
    ///
    /// If it is no folder, or none that can be read.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        // It is to name the same place when the process has gone elsewhere.
        let path = std::path::absolute(path)?;
        let folder = Folder::open(&path)?;
        Ok(Self {
            path,
            current: RwLock::new(Current {
                folder,
                path: Named::Folder,
            }),
            start: Instant::now(),
            next: AtomicU64::new(INTERVAL),
        })
    }

    pub(crate) fn set_symlinks(&mut self, symlinks: Symlinks) {
        let current = ignore_poison(self.current.get_mut());
        current.folder.set_symlinks(symlinks);
    }

    /// The folder for one request, all of which is answered from it.
    pub(crate) fn current(&self) -> Current {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        if is_due(&self.next, now) {
            self.look();
        }
        self.get()
    }

    /// Opens the folder that the path names now.
    ///
    /// # Errors
    ///
    /// If it can't be opened. The one that is open stays then.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        let before = self.get();
        match before.folder.reopen(&self.path) {
            Ok(folder) => {
                self.set(&before, folder, Named::Folder);
                Ok(())
            }
            Err(error) => {
                self.set_failed(before, error);
                Err(error.into())
            }
        }
    }

    /// Looks whether the path names the folder that is open, and opens another one.
    fn look(&self) {
        let before = self.get();
        match Identity::at(&self.path) {
            Ok(named) if named == before.folder.identity() => {
                let folder = before.folder.clone();
                self.set(&before, folder, Named::Folder);
            }
            Ok(_) => match before.folder.reopen(&self.path) {
                Ok(folder) => self.set(&before, folder, Named::Folder),
                Err(error) => self.set_failed(before, error),
            },
            Err(error) => self.set_failed(before, error),
        }
    }

    fn set(&self, before: &Current, folder: Folder, named: Named) {
        let path = self.path.display();
        match before.path {
            _ if folder.identity() != before.folder.identity() => {
                log::info!("{path} is another folder now, which is served from here on");
            }
            Named::Folder => return,
            Named::Nothing | Named::Unknown => log::info!("{path} is there again"),
        }
        self.put(Current {
            folder,
            path: named,
        });
    }

    /// Keeps what is open, and says once why.
    fn set_failed(&self, before: Current, error: Errno) {
        let named = match error {
            Errno::NOENT | Errno::NOTDIR => Named::Nothing,
            _ => Named::Unknown,
        };
        if before.path == named {
            return;
        }
        let path = self.path.display();
        match named {
            Named::Nothing => log::error!(
                "{path} is no folder any more ({error}): files that are not found get 503 until it \
                 is one again"
            ),
            _ => log::error!("{path} can't be opened again ({error}): the folder before is served"),
        }
        self.put(Current {
            folder: before.folder,
            path: named,
        });
    }

    fn get(&self) -> Current {
        ignore_poison(self.current.read()).clone()
    }

    fn put(&self, current: Current) {
        *ignore_poison(self.current.write()) = current;
    }
}

/// Whether it is time to look, for one caller in each interval.
fn is_due(next: &AtomicU64, now: u64) -> bool {
    let due = next.load(Ordering::Relaxed);
    let after = now.saturating_add(INTERVAL);
    now >= due
        && next
            .compare_exchange(due, after, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_looks_in_each_interval() {
        let next = AtomicU64::new(INTERVAL);
        let looks: Vec<u64> = (0..5000).filter(|now| is_due(&next, *now)).collect();
        assert_eq!(looks, [1000, 2000, 3000, 4000]);
        assert!(is_due(&next, 9000));
        assert!(!is_due(&next, 9999));
    }
}
