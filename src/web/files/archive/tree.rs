//! Walks through a folder and its subfolders, and finds what would be served.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use super::super::join;
use super::super::path::{Dotfiles, is_visible};
use super::limits::{Exceeded, Limits};
use crate::fs::folder::{Folder, OpenError};

/// The files and folders beneath a folder, each folder before what is in it, in the order of names.
#[derive(Debug)]
pub(super) struct Tree {
    root: Folder,
    dotfiles: Dotfiles,
    limits: Limits,
    levels: Vec<Level>,
    entries: usize,
    bytes: u64,
}

/// A folder that is being walked.
#[derive(Debug)]
struct Level {
    /// Relative to the root.
    path: Vec<u8>,
    /// Device and inode number.
    identity: (u64, u64),
    /// The names that are left, the first one last.
    names: Vec<Vec<u8>>,
}

/// A file or a folder.
#[derive(Debug)]
pub(super) struct Entry {
    /// Relative to the root.
    pub(super) path: Vec<u8>,
    pub(super) metadata: Metadata,
}

/// The totals of a whole tree.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extent {
    pub(super) entries: usize,
    /// The bytes of all names.
    pub(super) names: usize,
}

/// Why a walk ends early.
#[derive(Debug)]
pub(super) enum WalkError {
    Exceeded(Exceeded),
    Open(OpenError),
}

impl Tree {
    /// Opens the folder at this path, relative to the root.
    pub(super) fn open(
        root: &Folder,
        path: &[u8],
        dotfiles: Dotfiles,
        limits: Limits,
    ) -> Result<Self, WalkError> {
        let mut tree = Self {
            root: root.clone(),
            dotfiles,
            limits,
            levels: Vec::new(),
            entries: 0,
            bytes: 0,
        };
        let metadata = root.metadata(path)?;
        tree.enter(path.to_vec(), &metadata)?;
        Ok(tree)
    }

    /// Walks through the whole tree.
    pub(super) fn measure(mut self) -> Result<Extent, WalkError> {
        let mut extent = Extent::default();
        while let Some(entry) = self.next()? {
            extent.entries += 1;
            extent.names += entry.path.len();
        }
        Ok(extent)
    }

    /// The root of the paths.
    pub(super) fn root(&self) -> &Folder {
        &self.root
    }

    /// The next file or folder. Those that would not be served are left out.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, WalkError> {
        loop {
            let Some(level) = self.levels.last_mut() else {
                return Ok(None);
            };
            let Some(name) = level.names.pop() else {
                self.levels.pop();
                continue;
            };
            let path = join(&level.path, &name);
            let metadata = match self.root.metadata(&path) {
                Ok(metadata) => metadata,
                Err(OpenError::NotFound | OpenError::Forbidden) => continue,
                Err(missed) => return Err(missed.into()),
            };
            if metadata.is_dir() {
                match self.enter(path.clone(), &metadata) {
                    Ok(()) => {}
                    Err(WalkError::Open(OpenError::NotFound | OpenError::Forbidden)) => continue,
                    Err(error) => return Err(error),
                }
            } else if metadata.is_file() {
                self.bytes = self.bytes.saturating_add(metadata.len());
            } else {
                continue;
            }
            self.entries += 1;
            self.check()?;
            return Ok(Some(Entry { path, metadata }));
        }
    }

    /// Reads the names of a folder. A folder that is on its own path, because of a link, stays empty.
    fn enter(&mut self, path: Vec<u8>, metadata: &Metadata) -> Result<(), WalkError> {
        let identity = (metadata.dev(), metadata.ino());
        if self.levels.iter().any(|level| level.identity == identity) {
            return Ok(());
        }
        if self.levels.len() > self.limits.depth {
            return Err(WalkError::Exceeded(Exceeded::Depth(self.limits.depth)));
        }
        let mut names = Vec::new();
        for entry in self.root.read_dir(&path)? {
            let entry = entry.map_err(OpenError::from)?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || !is_visible(name, path.is_empty(), self.dotfiles) {
                continue;
            }
            names.push(name.to_vec());
            if names.len() > self.limits.entries {
                return Err(WalkError::Exceeded(Exceeded::Entries(self.limits.entries)));
            }
        }
        names.sort_unstable_by(|one, other| other.cmp(one));
        self.levels.push(Level {
            path,
            identity,
            names,
        });
        Ok(())
    }

    fn check(&self) -> Result<(), WalkError> {
        let Limits { entries, bytes, .. } = self.limits;
        if self.entries > entries {
            Err(WalkError::Exceeded(Exceeded::Entries(entries)))
        } else if self.bytes > bytes {
            Err(WalkError::Exceeded(Exceeded::Bytes(bytes)))
        } else {
            Ok(())
        }
    }
}

impl From<OpenError> for WalkError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

/// The error of a response that has begun.
impl From<WalkError> for io::Error {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Exceeded(exceeded) => Self::other(exceeded.to_string()),
            WalkError::Open(error) => match error {
                OpenError::NotFound => io::ErrorKind::NotFound.into(),
                OpenError::Forbidden => io::ErrorKind::PermissionDenied.into(),
                OpenError::Busy(error) | OpenError::Failed(error) => error,
            },
        }
    }
}
