//! Counts the sizes of folders, within bounds.

use std::time::{Duration, Instant};

use rustix::fs::{Dir, FileType};

use crate::fs::folder::{Folder, type_and_size};
use crate::web::files::join;
use crate::web::files::path::{Dotfiles, is_visible};

/// The most names that are counted for one listing.
const MAX_NAMES: u64 = 100_000;

/// The longest time that one listing counts. A file system may be slow.
const MAX_TIME: Duration = Duration::from_secs(1);

/// The most bytes of paths of folders that wait to be counted.
const MAX_WAITING: usize = 1024 * 1024;

/// The size of the files in a folder and its subfolders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FolderSize {
    pub(crate) bytes: u64,
    pub(crate) extent: Counted,
}

/// How much of a folder was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Counted {
    #[default]
    Whole,
    /// A bound was reached, or something could not be read.
    Part,
}

/// What may still be counted.
#[derive(Debug)]
pub(crate) struct Allowance {
    names: u64,
    until: Instant,
}

impl Allowance {
    pub(crate) fn new() -> Self {
        Self {
            names: MAX_NAMES,
            until: Instant::now() + MAX_TIME,
        }
    }

    /// The share of one folder of so many. What it does not use is left for the others.
    fn share(&self, folders: u64) -> Self {
        let now = Instant::now();
        let left = self.until.saturating_duration_since(now);
        let folders = folders.max(1);
        Self {
            names: self.names.div_ceil(folders),
            until: now + left / u32::try_from(folders).unwrap_or(u32::MAX),
        }
    }

    /// Whether one name more may be counted.
    fn take(&mut self) -> bool {
        let is_left = self.names > 0 && Instant::now() < self.until;
        self.names = self.names.saturating_sub(1);
        is_left
    }

    /// Counts one of so many folders.
    pub(crate) fn count(
        &mut self,
        root: &Folder,
        path: Vec<u8>,
        dotfiles: Dotfiles,
        folders: u64,
    ) -> FolderSize {
        let mut share = self.share(folders);
        let given = share.names;
        let mut walk = Walk {
            root,
            dotfiles,
            waiting_bytes: path.len(),
            waiting: vec![path],
            size: FolderSize::default(),
        };
        if walk.run(&mut share).is_none() {
            walk.size.extent = Counted::Part;
        }
        self.names -= given - share.names;
        walk.size
    }
}

/// A walk through a folder and its subfolders.
struct Walk<'a> {
    root: &'a Folder,
    dotfiles: Dotfiles,
    /// The paths of folders that are not counted yet.
    waiting: Vec<Vec<u8>>,
    waiting_bytes: usize,
    size: FolderSize,
}

impl Walk<'_> {
    /// Returns nothing if it ended early.
    fn run(&mut self, share: &mut Allowance) -> Option<()> {
        while let Some(path) = self.waiting.pop() {
            self.waiting_bytes -= path.len();
            match self.root.read_dir(&path) {
                Ok(folder) => self.folder(&path, folder, share)?,
                Err(_) => self.size.extent = Counted::Part,
            }
        }
        Some(())
    }

    fn folder(&mut self, path: &[u8], mut folder: Dir, share: &mut Allowance) -> Option<()> {
        while let Some(entry) = folder.read() {
            let entry = entry.ok()?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || !is_visible(name, path.is_empty(), self.dotfiles) {
                continue;
            }
            if !share.take() {
                return None;
            }
            self.entry(path, name, entry.file_type(), &folder);
        }
        Some(())
    }

    /// Adds one entry. Links are not followed, so nothing is counted twice or outside the folder.
    fn entry(&mut self, path: &[u8], name: &[u8], file_type: FileType, folder: &Dir) {
        let status = match file_type {
            FileType::Directory => Some((file_type, 0)),
            FileType::RegularFile | FileType::Unknown => folder
                .fd()
                .ok()
                .and_then(|folder| type_and_size(folder, name).ok()),
            _ => return,
        };
        match status {
            Some((FileType::RegularFile, size)) => {
                self.size.bytes = self.size.bytes.saturating_add(size);
            }
            Some((FileType::Directory, _)) => {
                let path = join(path, name);
                self.waiting_bytes += path.len();
                if self.waiting_bytes <= MAX_WAITING {
                    self.waiting.push(path);
                } else {
                    self.waiting_bytes -= path.len();
                    self.size.extent = Counted::Part;
                }
            }
            // It was removed a moment ago, or is of another type.
            _ => {}
        }
    }
}
