//! A file that responses share, and its content while many of them need it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use crate::sync::{Mutex, MutexGuard, ignore_poison};

/// Content in memory is read again after this time. The times of a file show every change but those
/// that a program makes through a mapping of the file into its memory.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// An open file. To read it costs a system call and a copy. So while a file is read more than once a
/// second, its content stays in memory, from [`keep_content`](Self::keep_content) until
/// [`drop_content`](Self::drop_content).
#[derive(Debug)]
pub(crate) struct SharedFile {
    file: File,
    keeping: Option<Keeping>,
    content: Mutex<Content>,
}

/// The facts about a file that allow to keep its content.
#[derive(Debug, Clone, Copy)]
struct Keeping {
    length: usize,
    /// From this time on, every further change of the file changes its times.
    settled: SystemTime,
}

/// The content of a file, as far as it is in memory.
#[derive(Debug)]
enum Content {
    #[cfg_attr(
        not(feature = "files"),
        allow(dead_code, reason = "only the files of a folder are kept")
    )]
    Unread,
    /// It was read at this time, and not kept.
    Read(Instant),
    Kept {
        bytes: Bytes,
        until: Instant,
    },
    /// It may not be kept.
    Unkept,
}

impl SharedFile {
    /// A file whose content does not stay in memory.
    pub(crate) fn new(file: File) -> Self {
        Self {
            file,
            keeping: None,
            content: Mutex::new(Content::Unkept),
        }
    }

    /// A file of this length, each further change of which changes its times from `settled` on.
    #[cfg(feature = "files")]
    pub(crate) fn with_times(file: File, length: usize, settled: SystemTime) -> Self {
        Self {
            keeping: Some(Keeping { length, settled }),
            ..Self::new(file)
        }
    }

    /// Lets the content stay in memory. The caller must check before each response that the file has
    /// not changed.
    #[cfg(feature = "files")]
    pub(crate) fn keep_content(&self) {
        *self.lock() = Content::Unread;
    }

    /// Removes the content from memory, however long a response still keeps the file.
    #[cfg(feature = "files")]
    pub(crate) fn drop_content(&self) {
        let content = std::mem::replace(&mut *self.lock(), Content::Unkept);
        // It is freed without the lock.
        drop(content);
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The whole content for a response, if it is in memory or is read so often that it is worth
    /// keeping. If nothing is returned, read the file.
    pub(crate) fn content(&self, now: Instant) -> Option<Bytes> {
        let keeping = self.keeping?;
        let mut content = self.lock();
        let is_read_often = match &*content {
            Content::Kept { bytes, until } if now < *until => return Some(bytes.clone()),
            Content::Unkept => return None,
            Content::Unread => false,
            Content::Read(last) => now.saturating_duration_since(*last) < KEPT_FOR,
            Content::Kept { .. } => true,
        };
        *content = Content::Read(now);
        drop(content);
        match is_read_often {
            true => self.keep(keeping, now),
            false => None,
        }
    }

    /// Reads the content and keeps it. If it can't be read, the code that sends it reports that.
    fn keep(&self, keeping: Keeping, now: Instant) -> Option<Bytes> {
        if SystemTime::now() < keeping.settled {
            return None;
        }
        let mut bytes = vec![0; keeping.length];
        self.file.read_exact_at(&mut bytes, 0).ok()?;
        let bytes = Bytes::from(bytes);
        let mut content = self.lock();
        if !matches!(*content, Content::Unkept) {
            *content = Content::Kept {
                bytes: bytes.clone(),
                until: now + KEPT_FOR,
            };
        }
        Some(bytes)
    }

    /// Reads bytes at this position from the file.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        ignore_poison(self.content.lock())
    }
}

impl From<File> for SharedFile {
    fn from(file: File) -> Self {
        Self::new(file)
    }
}

#[cfg(all(test, feature = "files"))]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::{env, process};

    use super::*;

    /// A file whose content may be kept, which is removed at the end.
    struct Kept {
        path: PathBuf,
        shared: SharedFile,
        start: Instant,
    }

    impl Kept {
        fn new(name: &str, settled: SystemTime) -> Self {
            let path = env::temp_dir().join(format!("httpool-{name}-{}", process::id()));
            fs::write(&path, "one").expect("the file is written");
            let file = File::open(&path).expect("the file exists");
            let shared = SharedFile::with_times(file, 3, settled);
            shared.keep_content();
            Self {
                path,
                shared,
                start: Instant::now(),
            }
        }

        fn content(&self, millis: u64) -> Option<Bytes> {
            self.shared
                .content(self.start + Duration::from_millis(millis))
        }
    }

    impl Drop for Kept {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.path);
        }
    }

    #[test]
    fn content_is_kept_from_the_second_read_within_a_second() {
        let file = Kept::new("read-twice", SystemTime::UNIX_EPOCH);
        assert_eq!(file.content(0), None);
        assert_eq!(file.content(1000), None);
        assert_eq!(file.content(1999).as_deref(), Some(&b"one"[..]));
    }

    #[test]
    fn content_is_read_again_after_a_second() {
        let file = Kept::new("read-again", SystemTime::UNIX_EPOCH);
        file.content(0);
        file.content(0);
        fs::write(&file.path, "two").expect("the file is written");
        assert_eq!(file.content(999).as_deref(), Some(&b"one"[..]));
        assert_eq!(file.content(1000).as_deref(), Some(&b"two"[..]));
    }

    #[test]
    fn content_that_may_change_unseen_is_not_kept() {
        let hour = Duration::from_secs(3600);
        let file = Kept::new("unsettled", SystemTime::now() + hour);
        file.content(0);
        assert_eq!(file.content(0), None);
    }

    #[test]
    fn dropped_content_does_not_return() {
        let file = Kept::new("dropped", SystemTime::UNIX_EPOCH);
        file.content(0);
        assert!(file.content(0).is_some());
        file.shared.drop_content();
        assert_eq!(file.content(0), None);
        assert_eq!(file.content(0), None);
    }
}
