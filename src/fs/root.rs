//! The folder that a path names, which is reopened when the path names another folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rustix::io::Errno;

use super::folder::{Folder, Identity, Symlinks};
use crate::sync::ignore_poison;

/// How often requests check whether the path still names the open folder, in milliseconds. A check
/// costs a system call.
const INTERVAL: u64 = 1000;

/// A folder that is identified by its path.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    current: RwLock<CurrentFolder>,
    /// The start of the time in which `next_check` is measured.
    start: Instant,
    /// When the path is checked next, in milliseconds since `start`.
    next_check: AtomicU64,
}

/// The folder from which requests are served.
#[derive(Debug, Clone)]
pub(crate) struct CurrentFolder {
    pub(crate) folder: Folder,
    pub(crate) path_state: PathState,
}

/// What the path names, compared with the open folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathState {
    /// The open folder.
    Same,
    /// No folder.
    Missing,
    /// Unknown: the path can't be checked, or its folder can't be opened.
    Unknown,
}

impl Root {
    /// # Errors
    ///
    /// If it is not a folder, or can't be read.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        // The path stays valid if the process changes its working directory.
        let path = std::path::absolute(path)?;
        let folder = Folder::open(&path)?;
        Ok(Self {
            path,
            current: RwLock::new(CurrentFolder {
                folder,
                path_state: PathState::Same,
            }),
            start: Instant::now(),
            next_check: AtomicU64::new(INTERVAL),
        })
    }

    pub(crate) fn set_symlinks(&mut self, symlinks: Symlinks) {
        let current = ignore_poison(self.current.get_mut());
        current.folder.set_symlinks(symlinks);
    }

    /// Returns the folder for one request, which is served from it alone.
    pub(crate) fn current(&self) -> CurrentFolder {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        if is_due(&self.next_check, now) {
            self.check();
        }
        self.get()
    }

    /// Opens the folder that the path names now.
    ///
    /// # Errors
    ///
    /// If it can't be opened. The open folder then stays in use.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        let before = self.get();
        match before.folder.reopen(&self.path) {
            Ok(folder) => {
                self.set(&before, folder, PathState::Same);
                Ok(())
            }
            Err(error) => {
                self.set_failed(before, error);
                Err(error.into())
            }
        }
    }

    /// Checks whether the path names the open folder, and opens another folder.
    fn check(&self) {
        let before = self.get();
        match Identity::at(&self.path) {
            Ok(identity) if identity == before.folder.identity() => {
                let folder = before.folder.clone();
                self.set(&before, folder, PathState::Same);
            }
            Ok(_) => match before.folder.reopen(&self.path) {
                Ok(folder) => self.set(&before, folder, PathState::Same),
                Err(error) => self.set_failed(before, error),
            },
            Err(error) => self.set_failed(before, error),
        }
    }

    fn set(&self, before: &CurrentFolder, folder: Folder, path_state: PathState) {
        let path = self.path.display();
        match before.path_state {
            _ if folder.identity() != before.folder.identity() => {
                log::info!("{path} is another folder now, serving the new one");
            }
            PathState::Same => return,
            PathState::Missing | PathState::Unknown => log::info!("{path} is available again"),
        }
        self.put(CurrentFolder { folder, path_state });
    }

    /// Keeps the open folder, and logs the reason once.
    fn set_failed(&self, before: CurrentFolder, error: Errno) {
        let path_state = match error {
            Errno::NOENT | Errno::NOTDIR => PathState::Missing,
            _ => PathState::Unknown,
        };
        if before.path_state == path_state {
            return;
        }
        let path = self.path.display();
        match path_state {
            PathState::Missing => log::error!(
                "{path} is no longer a folder ({error}): requests for missing files get 503 until it \
                 is one again"
            ),
            _ => log::error!("{path} can't be reopened ({error}): still serving the old folder"),
        }
        self.put(CurrentFolder {
            folder: before.folder,
            path_state,
        });
    }

    fn get(&self) -> CurrentFolder {
        ignore_poison(self.current.read()).clone()
    }

    fn put(&self, current: CurrentFolder) {
        *ignore_poison(self.current.write()) = current;
    }
}

/// Whether a check is due. It returns true to one caller in each interval.
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
    fn one_caller_checks_in_each_interval() {
        let next = AtomicU64::new(INTERVAL);
        let checks: Vec<u64> = (0..5000).filter(|now| is_due(&next, *now)).collect();
        assert_eq!(checks, [1000, 2000, 3000, 4000]);
        assert!(is_due(&next, 9000));
        assert!(!is_due(&next, 9999));
    }
}
