//! What tells one state of a file from another (RFC 9110 section 8.8).

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use http::HeaderValue;

use super::coding::FileCoding;
use super::digests::Digests;

/// A file that has changed within this time may change again without that being seen: systems write
/// down the time of a change in steps, from milliseconds to the two seconds of FAT.
const TOO_RECENT: Duration = Duration::from_secs(2);

/// The beginning of 1990, in seconds. A file that says that it was modified before was given a fixed
/// time by a tool, so that builds are reproducible: 0 (OSTree), 1 (Nix), 1980 (zip, Gradle), 1985
/// (npm). Such a time tells nothing of the content.
const FIRST_TRUSTED: i64 = 631_152_000;

/// What an entity tag is made of.
///
/// ```no_run
/// use httpool::{EntityTags, ServeDir};
///
/// // Every build gives all of its files one time.
/// let files = ServeDir::new("public")?.entity_tags(EntityTags::Content);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntityTags {
    /// The size and the time of modification, to the nanosecond: the same on all copies of a file
    /// that keep its time. Where that time tells nothing, because it is before 1990 or in the future,
    /// the tag is that of [`Change`](Self::Change).
    #[default]
    Mtime,
    /// The size, the time of modification, the inode number, and the time of the last change of
    /// anything about the file, which only the system can set. It tells every change, and two copies
    /// apart.
    Change,
    /// The content (SHA-256), for files of up to 64 MiB; larger ones have the tag of
    /// [`Mtime`](Self::Mtime). A file is read when it is asked for first, and again when it has
    /// changed.
    Content,
}

/// The validators of one representation of a file. Its tag is strong, unless the file has changed so
/// recently that another change might not be seen.
#[derive(Debug)]
pub(crate) struct Validators {
    /// With its quotes, and `W/` if it is weak.
    pub(crate) tag: String,
    /// To the second, and never later than now.
    pub(crate) modified: SystemTime,
    pub(crate) date: Date,
}

/// What equal times of modification mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Date {
    /// Equal bytes.
    Strong,
    /// Nothing that parts of a file could be put together by.
    Weak,
}

/// What the system says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    device: u64,
    inode: u64,
    size: u64,
    modified: Time,
    changed: Time,
}

/// Seconds since the epoch, and nanoseconds.
type Time = (i64, i64);

/// Whether a change from now on would be seen in the times of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Settled,
    Young,
}

impl Validators {
    pub(crate) fn new(
        file: &File,
        metadata: &Metadata,
        coding: Option<FileCoding>,
        tags: &Digests,
        now: SystemTime,
    ) -> Self {
        let state = State::of(metadata);
        let (opaque, age, date) = match tags.basis {
            EntityTags::Mtime => state.by_mtime(now),
            EntityTags::Change => state.by_change(now),
            EntityTags::Content => state
                .by_content(file, tags, now)
                .unwrap_or_else(|| state.by_mtime(now)),
        };
        let strength = match age {
            Age::Settled => "",
            Age::Young => "W/",
        };
        let suffix = coding.map_or("", FileCoding::suffix);
        Self {
            tag: format!("{strength}\"{:x}-{opaque}{suffix}\"", state.size),
            modified: modified_before(metadata, now),
            date,
        }
    }

    /// Whether equal tags mean equal bytes.
    pub(crate) fn is_strong(&self) -> bool {
        self.tag.starts_with('"')
    }

    /// The tag as the value of a field.
    pub(crate) fn etag(&self) -> HeaderValue {
        HeaderValue::from_str(&self.tag).expect("digits and quotes are valid in a field")
    }

    /// The time as the value of a field.
    pub(crate) fn last_modified(&self) -> HeaderValue {
        let text = httpdate::fmt_http_date(self.modified);
        HeaderValue::try_from(text).expect("a date is valid in a field")
    }
}

impl State {
    fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    fn by_mtime(&self, now: SystemTime) -> (String, Age, Date) {
        if self.modified.0 < FIRST_TRUSTED || at(self.modified) > now {
            return self.by_change(now);
        }
        let age = age(self.modified, now);
        let date = match age {
            Age::Settled => Date::Strong,
            Age::Young => Date::Weak,
        };
        (hash(&[self.modified.0, self.modified.1]), age, date)
    }

    fn by_change(&self, now: SystemTime) -> (String, Age, Date) {
        let opaque = hash(&[
            self.inode.cast_signed(),
            self.modified.0,
            self.modified.1,
            self.changed.0,
            self.changed.1,
        ]);
        (opaque, self.age(now), Date::Weak)
    }

    /// `None` if the content is too large, or can't be read.
    fn by_content(
        &self,
        file: &File,
        digests: &Digests,
        now: SystemTime,
    ) -> Option<(String, Age, Date)> {
        let age = self.age(now);
        let digest = match age {
            Age::Settled => digests.settled(self, file),
            Age::Young => Digests::young(self, file),
        };
        Some((digest?, age, Date::Weak))
    }

    fn age(&self, now: SystemTime) -> Age {
        match (age(self.modified, now), age(self.changed, now)) {
            (Age::Settled, Age::Settled) => Age::Settled,
            _ => Age::Young,
        }
    }
}

fn age(time: Time, now: SystemTime) -> Age {
    match now.duration_since(at(time)) {
        Ok(age) if age > TOO_RECENT => Age::Settled,
        _ => Age::Young,
    }
}

/// FNV-1a of 64 bits over these numbers, each as eight bytes, the least significant one first. It is
/// the same in every version and on every machine, as tags of copies have to be.
fn hash(numbers: &[i64]) -> String {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
    let hash = bytes.fold(OFFSET, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    });
    format!("{hash:016x}")
}

/// When a file was modified, to the second and never later than now: a time to come can't be told
/// (section 8.8.2.1).
pub(crate) fn modified_before(file: &Metadata, now: SystemTime) -> SystemTime {
    let modified = at((file.mtime(), file.mtime_nsec())).min(now);
    let since = modified.duration_since(SystemTime::UNIX_EPOCH);
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.map_or(0, |since| since.as_secs()))
}

/// The time of a file, or the beginning of time if it is before that or cannot be.
fn at((seconds, nanos): Time) -> SystemTime {
    let seconds = u64::try_from(seconds).unwrap_or_default();
    let nanos = u32::try_from(nanos).unwrap_or_default();
    let since = Duration::new(seconds, nanos);
    SystemTime::UNIX_EPOCH
        .checked_add(since)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000)
    }

    fn state(inode: u64, modified: Time, changed: Time) -> State {
        State {
            device: 1,
            inode,
            size: 14,
            modified,
            changed,
        }
    }

    /// A balancer's other servers may run another version.
    #[test]
    fn hash_is_fixed() {
        assert_eq!(hash(&[]), "cbf29ce484222325");
        assert_eq!(hash(&[1_600_000_000, 123_456_789]), "961fb0d277a2739a");
    }

    #[test]
    fn copies_have_one_tag_where_their_time_can_be_trusted() {
        let tags = |modified| {
            let of = |inode, changed| state(inode, modified, (changed, 0)).by_mtime(now());
            (of(7, 1_700_000_000), of(8, 1_800_000_000))
        };
        for modified in [(FIRST_TRUSTED, 0), (1_600_000_000, 5), (1_999_999_990, 0)] {
            let (one, other) = tags(modified);
            assert_eq!(one, other, "{modified:?}");
            assert_eq!((one.1, one.2), (Age::Settled, Date::Strong));
        }
        for modified in [
            (-1, 0),
            (0, 0),
            (1, 0),
            (499_162_500, 0),
            (2_000_000_001, 0),
        ] {
            let (one, other) = tags(modified);
            assert_ne!(one.0, other.0, "{modified:?}");
            assert_eq!(one.2, Date::Weak);
        }
        let (one, _) = tags((1_600_000_000, 5));
        let (other, _) = tags((1_600_000_000, 6));
        assert_ne!(one.0, other.0);
    }

    #[test]
    fn young_files_have_weak_validators() {
        let modified = (1_999_999_999, 0);
        let (_, age, date) = state(7, modified, modified).by_mtime(now());
        assert_eq!((age, date), (Age::Young, Date::Weak));
        // A copy that has just been made has the time of its original.
        let old = (1_600_000_000, 0);
        let (_, age, date) = state(7, old, modified).by_mtime(now());
        assert_eq!((age, date), (Age::Settled, Date::Strong));
        let (_, age, _) = state(7, old, modified).by_change(now());
        assert_eq!(age, Age::Young);
    }
}
