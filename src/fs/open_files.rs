//! Files that stay open for the next request.

use std::any::Any;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use rustix::fs::{Statx, StatxFlags, makedev};

use super::shared_file::SharedFile;
use crate::sync::{Mutex, ignore_poison};

/// How many files of a folder stay open.
const MOST: usize = 32;

/// Larger files do not stay open: a deleted file takes up space until it is closed.
const LARGEST: u64 = 1024 * 1024;

/// The content of larger files does not stay in memory. All files of a folder together take up at
/// most 4 MiB.
const LARGEST_CONTENT: u64 = 128 * 1024;

/// A file that has changed within this time may change again without a visible change of its times:
/// systems record times with a granularity from milliseconds to two seconds (FAT).
pub(crate) const TOO_RECENT: Duration = Duration::from_secs(2);

/// Identifies an open file and its version, to see whether a path still names it and whether it changed.
pub(super) const COMPARED: StatxFlags = StatxFlags::BASIC_STATS;

/// The files of one folder that were opened last. While a file is open, no other file has its inode
/// number. So one look at the metadata of a path, and one at each folder on it, tells whether the file
/// can be served, instead of an open, another look and a close, which take four times as long.
#[derive(Debug, Default)]
pub(super) struct OpenFiles {
    /// Each path has one place, which another one may take.
    places: [Mutex<Option<Place>>; MOST],
}

#[derive(Debug)]
struct Place {
    path: Box<[u8]>,
    file: Arc<OpenFile>,
}

/// A file that was found in a folder. A file that changes is found as another one.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) file: Arc<SharedFile>,
    pub(crate) metadata: Metadata,
    /// What a user of the folder has made of this file, for the next request.
    pub(crate) derived: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl OpenFile {
    pub(super) fn new(file: File, metadata: Metadata) -> Self {
        let file = match (usize::try_from(metadata.len()), last_change(&metadata)) {
            (Ok(length), Some(changed)) if metadata.len() <= LARGEST_CONTENT => {
                SharedFile::with_times(file, length, changed + TOO_RECENT)
            }
            _ => SharedFile::new(file),
        };
        Self {
            file: Arc::new(file),
            metadata,
            derived: OnceLock::new(),
        }
    }
}

/// When the file or its metadata changed last. A program can set the first of the two times.
fn last_change(metadata: &Metadata) -> Option<SystemTime> {
    let seconds = metadata.mtime().max(metadata.ctime());
    let since_epoch = Duration::from_secs(u64::try_from(seconds).ok()? + 1);
    SystemTime::UNIX_EPOCH.checked_add(since_epoch)
}

impl OpenFiles {
    /// The open file of this path, if the path names it still and nothing about it has changed.
    pub(super) fn get(&self, path: &[u8], now: &Statx) -> Option<Arc<OpenFile>> {
        let place = ignore_poison(self.place(path).lock());
        let open = place.as_ref()?;
        let is_same = *open.path == *path && is_unchanged(&open.file.metadata, now);
        is_same.then(|| Arc::clone(&open.file))
    }

    /// Keeps a file open.
    pub(super) fn keep(&self, path: &[u8], file: &Arc<OpenFile>) {
        if file.metadata.len() > LARGEST {
            return self.close(path);
        }
        let kept = Place {
            path: path.into(),
            file: Arc::clone(file),
        };
        file.file.keep_content();
        let replaced = ignore_poison(self.place(path).lock()).replace(kept);
        // It is closed without the lock.
        drop(replaced);
    }

    /// Closes the file of a path that does not name it any more.
    pub(super) fn close(&self, path: &[u8]) {
        let mut place = ignore_poison(self.place(path).lock());
        let closed = place.take_if(|open| *open.path == *path);
        drop(place);
        drop(closed);
    }

    /// Closes all files, because descriptors are needed. Returns whether there were any.
    pub(super) fn close_all(&self) -> bool {
        let close = |place: &Mutex<Option<Place>>| ignore_poison(place.lock()).take().is_some();
        self.places.iter().filter(|place| close(place)).count() > 0
    }

    fn place(&self, path: &[u8]) -> &Mutex<Option<Place>> {
        let mixed = path.iter().fold(0, |hash: u32, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        });
        &self.places[mixed as usize % MOST]
    }
}

/// Responses may keep the file for long, but not its content.
impl Drop for Place {
    fn drop(&mut self) {
        self.file.file.drop_content();
    }
}

/// Whether the metadata are those of the same file, which has not changed. A change of its content,
/// owner, permissions or name changes the last time.
fn is_unchanged(before: &Metadata, now: &Statx) -> bool {
    let times = [
        (now.stx_mtime.tv_sec, now.stx_mtime.tv_nsec.into()),
        (now.stx_ctime.tv_sec, now.stx_ctime.tv_nsec.into()),
    ];
    let times_before = [
        (before.mtime(), before.mtime_nsec()),
        (before.ctime(), before.ctime_nsec()),
    ];
    now.stx_mask & COMPARED.bits() == COMPARED.bits()
        && now.stx_ino == before.ino()
        && makedev(now.stx_dev_major, now.stx_dev_minor) == before.dev()
        && u32::from(now.stx_mode) == before.mode()
        && now.stx_size == before.size()
        && times == times_before
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::time::Instant;
    use std::{env, fs, process};

    use rustix::fs::{AtFlags, CWD, statx};

    use super::*;

    const PATH: &[u8] = b"page";

    /// A folder with a file, which is removed at the end.
    struct Page(PathBuf);

    impl Page {
        fn new(name: &str) -> Self {
            let folder = env::temp_dir().join(format!("httpool-{name}-{}", process::id()));
            fs::create_dir_all(&folder).expect("the folder is made");
            let page = Self(folder.join("page"));
            fs::write(&page.0, "one").expect("the file is written");
            page
        }

        fn keep(&self, files: &OpenFiles) {
            let file = File::open(&self.0).expect("the file exists");
            let metadata = file.metadata().expect("it has metadata");
            files.keep(PATH, &Arc::new(OpenFile::new(file, metadata)));
        }

        fn is_open(&self, files: &OpenFiles) -> bool {
            files.get(PATH, &look(&self.0)).is_some()
        }
    }

    impl Drop for Page {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(self.0.parent().expect("it is in a folder"));
        }
    }

    fn look(path: &Path) -> Statx {
        statx(CWD, path, AtFlags::empty(), COMPARED).expect("the file exists")
    }

    #[test]
    fn file_stays_open_until_it_changes() {
        let page = Page::new("changed-file");
        let files = OpenFiles::default();
        assert!(!page.is_open(&files));
        page.keep(&files);
        assert!(page.is_open(&files));
        assert!(files.get(b"other", &look(&page.0)).is_none());
        fs::write(&page.0, "three").expect("the file is written");
        assert!(!page.is_open(&files), "its size has changed");
        page.keep(&files);
        let copy = page.0.with_extension("new");
        fs::write(&copy, "three").expect("the file is written");
        fs::rename(&copy, &page.0).expect("the file is replaced");
        assert!(!page.is_open(&files), "it is another file");
        page.keep(&files);
        files.close(b"other");
        assert!(page.is_open(&files));
        files.close(PATH);
        assert!(!page.is_open(&files));
        page.keep(&files);
        assert!(files.close_all() && !files.close_all());
        assert!(!page.is_open(&files));
    }

    #[test]
    fn content_leaves_memory_with_its_place() {
        let page = Page::new("evicted-file");
        let files = OpenFiles::default();
        let open = |path: &[u8]| {
            let file = File::open(&page.0).expect("the file exists");
            let metadata = file.metadata().expect("it has metadata");
            let mut file = OpenFile::new(file, metadata);
            // Its times are younger than two seconds, and would not allow it yet.
            let handle = File::open(&page.0).expect("the file exists");
            file.file = Arc::new(SharedFile::with_times(handle, 3, SystemTime::UNIX_EPOCH));
            let file = Arc::new(file);
            files.keep(path, &file);
            file
        };
        let is_kept = |file: &OpenFile| {
            let now = Instant::now();
            file.file.content(now);
            file.file.content(now).is_some()
        };
        let file = open(PATH);
        assert!(is_kept(&file));
        open(PATH);
        assert!(!is_kept(&file), "another one has its place");
        let file = open(PATH);
        assert!(is_kept(&file));
        files.close(PATH);
        assert!(!is_kept(&file), "it is closed");
        let (file, _) = (open(PATH), files.close_all());
        assert!(!is_kept(&file), "all are closed");
    }

    #[test]
    fn young_and_large_files_are_not_kept_in_memory() {
        let page = Page::new("young-file");
        let file = File::open(&page.0).expect("the file exists");
        let metadata = file.metadata().expect("it has metadata");
        let changed = last_change(&metadata).expect("it has times");
        let now = SystemTime::now();
        assert!(changed + TOO_RECENT > now, "it has just been written");
        assert!(changed <= now + Duration::from_secs(1));
        let handle = File::create(&page.0).expect("the file is there");
        handle.set_len(LARGEST_CONTENT + 1).expect("the file grows");
        let metadata = file.metadata().expect("it has metadata");
        let file = OpenFile::new(file, metadata);
        file.file.keep_content();
        let now = Instant::now();
        assert_eq!(
            (file.file.content(now), file.file.content(now)),
            (None, None)
        );
    }

    #[test]
    fn large_files_are_closed() {
        let page = Page::new("large-file");
        let files = OpenFiles::default();
        page.keep(&files);
        let file = File::create(&page.0).expect("the file is there");
        file.set_len(LARGEST + 1).expect("the file grows");
        page.keep(&files);
        let is_empty = |place: &Mutex<Option<Place>>| ignore_poison(place.lock()).is_none();
        assert!(files.places.iter().all(is_empty));
    }
}
