//! Temporary folders.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{CWD, FileType, Mode, mknodat};

/// A temporary folder, removed with its contents when this is dropped.
#[derive(Debug)]
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    #[track_caller]
    pub(crate) fn new() -> Self {
        static USED: AtomicUsize = AtomicUsize::new(0);
        let number = USED.fetch_add(1, Ordering::Relaxed);
        let name = format!("httpool-it-{}-folder-{number}", process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("the folder is writable");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Creates a file with this content, and the missing folders above it.
    #[track_caller]
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        let folder = path.parent().expect("the path is in the folder");
        fs::create_dir_all(folder).expect("the folder is writable");
        fs::write(path, content).expect("the folder is writable");
        self
    }

    /// Creates a FIFO.
    #[track_caller]
    pub(crate) fn pipe(&self, name: &str) -> &Self {
        let path = self.path(name);
        mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).expect("the folder is writable");
        self
    }

    /// Sets the permissions of an entry.
    #[track_caller]
    pub(crate) fn set_permissions(&self, name: &str, mode: u32) -> &Self {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(self.path(name), mode).expect("permissions can be set");
        self
    }

    /// Creates a sparse file of this length.
    #[track_caller]
    pub(crate) fn sparse(&self, name: &str, length: u64) -> File {
        let file = File::create(self.path(name)).expect("the folder is writable");
        file.set_len(length).expect("sparse files are supported");
        file
    }
}

impl AsRef<Path> for TempDir {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
