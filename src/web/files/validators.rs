//! Entity tags and modification times of files (RFC 9110 section 8.8).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use http::HeaderValue;

use super::digests::Digests;
use crate::fs::folder::{OpenFile, TOO_RECENT};
use crate::fs::shared_file::SharedFile;
use crate::web::content_coding::ContentCoding;

/// The start of 1990, in seconds. Tools give files a fixed, earlier time for reproducible builds: 0
/// (OSTree), 1 (Nix), 1980 (zip, Gradle), 1985 (npm). Such a time says nothing about the content.
const EARLIEST_TRUSTED: i64 = 631_152_000;

/// The hexadecimal digits of a 64-bit number.
const DIGITS: usize = 16;

/// Room for the size in an entity tag, with everything around it.
const SHORT_PARTS: usize = DIGITS + r#"W/"-""#.len();

/// What an entity tag is made of.
///
/// ```no_run
/// use httpool::{EntityTags, ServeDir};
///
/// // Every build gives all files the same time.
/// let files = ServeDir::new("public")?.entity_tags(EntityTags::Content);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntityTags {
    /// The size and the modification time, in nanoseconds: the same for all copies of a file that
    /// keep its time. If that time is before 1990 or in the future, it says nothing about the
    /// content, and the tag is that of [`Change`](Self::Change).
    #[default]
    Mtime,
    /// The size, the modification time, the inode number, and the time of the last change of the
    /// file or its metadata, which only the system can set. The tag changes with every change, and
    /// differs between two copies.
    Change,
    /// The content (SHA-256) of files of up to 64 MiB. Larger files have the tag of
    /// [`Mtime`](Self::Mtime). A file is read for the first request, and again after it has
    /// changed.
    Content,
}

/// The validators of one representation of a file. The tag is strong unless the file has changed so
/// recently that another change might not be visible.
#[derive(Debug)]
pub(crate) struct Validators {
    /// The tag with its quotes, and with `W/` if it is weak.
    pub(crate) tag: String,
    /// In whole seconds, and never in the future.
    /// Unknown for content that is no file.
    pub(crate) modified: Option<SystemTime>,
    pub(crate) date: Date,
}

/// Whether equal modification times mean equal content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Date {
    /// They do.
    Strong,
    /// They may not, so ranges must not be combined.
    Weak,
}

/// The metadata of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FileState {
    device: u64,
    inode: u64,
    size: u64,
    modified: Time,
    changed: Time,
}

/// Seconds since the epoch, and nanoseconds.
type Time = (i64, i64);

/// Whether a change from now on would be visible in the times of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Settled,
    Young,
}

impl Validators {
    pub(crate) fn new(
        file: &OpenFile,
        coding: Option<ContentCoding>,
        tags: &Digests,
        now: SystemTime,
    ) -> Self {
        let state = FileState::of(&file.metadata);
        let (opaque, age, date) = match tags.kind {
            EntityTags::Mtime => state.by_mtime(now),
            EntityTags::Change => state.by_change(now),
            EntityTags::Content => state
                .by_content(&file.file, tags, now)
                .unwrap_or_else(|| state.by_mtime(now)),
        };
        let suffix = coding.map_or("", ContentCoding::tag_suffix);
        let mut tag = String::with_capacity(SHORT_PARTS + opaque.len() + suffix.len());
        tag.push_str(match age {
            Age::Settled => "\"",
            Age::Young => "W/\"",
        });
        push_hexadecimal(state.size, 1, &mut tag);
        for part in ["-", &opaque, suffix, "\""] {
            tag.push_str(part);
        }
        Self {
            tag,
            modified: Some(clamped_mtime(&file.metadata, now)),
            date,
        }
    }

    /// This entity tag, which is valid in a header and has its quotes, and no date.
    #[cfg(feature = "inspect")]
    pub(crate) fn of_tag(tag: String) -> Self {
        Self {
            tag,
            modified: None,
            date: Date::Weak,
        }
    }

    /// Whether a later request for the same file gets the same validators, if they are made of these
    /// metadata.
    pub(crate) fn are_lasting(metadata: &Metadata, now: SystemTime) -> bool {
        FileState::of(metadata).age(now) == Age::Settled
    }

    /// Whether equal tags mean equal content.
    pub(crate) fn is_strong(&self) -> bool {
        self.tag.starts_with('"')
    }

    /// The value of `ETag`.
    pub(crate) fn etag(&self) -> HeaderValue {
        HeaderValue::from_str(&self.tag)
            .expect("hexadecimal digits and quotes are valid in a header value")
    }

    /// The value of `Last-Modified`.
    pub(crate) fn last_modified(&self) -> Option<HeaderValue> {
        let text = httpdate::fmt_http_date(self.modified?);
        Some(HeaderValue::try_from(text).expect("a date is a valid header value"))
    }
}

impl FileState {
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
        if self.modified.0 < EARLIEST_TRUSTED || system_time(self.modified) > now {
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

    /// `None` if the file is too large or can't be read.
    fn by_content(
        &self,
        file: &SharedFile,
        digests: &Digests,
        now: SystemTime,
    ) -> Option<(String, Age, Date)> {
        let age = self.age(now);
        let digest = match age {
            Age::Settled => digests.cached(self, file),
            Age::Young => Digests::uncached(self, file),
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
    match now.duration_since(system_time(time)) {
        Ok(age) if age > TOO_RECENT => Age::Settled,
        _ => Age::Young,
    }
}

/// 64-bit FNV-1a of these numbers, each as eight bytes in little-endian order. It is the same in
/// every version and on every machine, as tags of copies must be.
fn hash(numbers: &[i64]) -> String {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
    let hash = bytes.fold(OFFSET, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    });
    let mut text = String::with_capacity(DIGITS);
    push_hexadecimal(hash, DIGITS, &mut text);
    text
}

/// Appends a number in hexadecimal digits, at least `least` of them. Every response with a file has
/// two such numbers, and `format!` takes ten times as many instructions.
fn push_hexadecimal(number: u64, least: usize, text: &mut String) {
    let digits = DIGITS - number.leading_zeros() as usize / 4;
    for place in (0..digits.max(least)).rev() {
        let digit = char::from_digit((number >> (4 * place)) as u32 & 0xf, 16);
        text.push(digit.unwrap_or_default());
    }
}

/// The modification time in whole seconds. A time in the future becomes now (section 8.8.2.1).
pub(crate) fn clamped_mtime(file: &Metadata, now: SystemTime) -> SystemTime {
    clamped((file.mtime(), file.mtime_nsec()), now)
}

/// A time in whole seconds, which is not in the future.
pub(crate) fn clamped(time: Time, now: SystemTime) -> SystemTime {
    let modified = system_time(time).min(now);
    let since = modified.duration_since(SystemTime::UNIX_EPOCH);
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.map_or(0, |since| since.as_secs()))
}

/// Converts a file's time. An invalid time, or one before the epoch, becomes the epoch.
fn system_time((seconds, nanos): Time) -> SystemTime {
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

    fn state(inode: u64, modified: Time, changed: Time) -> FileState {
        FileState {
            device: 1,
            inode,
            size: 14,
            modified,
            changed,
        }
    }

    /// The other servers behind a load balancer may run another version.
    #[test]
    fn hash_is_fixed() {
        assert_eq!(hash(&[]), "cbf29ce484222325");
        assert_eq!(hash(&[1_600_000_000, 123_456_789]), "961fb0d277a2739a");
    }

    #[test]
    fn numbers_are_hexadecimal() {
        for number in [0, 1, 15, 16, 255, 65_536, u64::MAX >> 4, u64::MAX] {
            let mut text = String::new();
            push_hexadecimal(number, 1, &mut text);
            assert_eq!(text, format!("{number:x}"));
            text.clear();
            push_hexadecimal(number, DIGITS, &mut text);
            assert_eq!(text, format!("{number:016x}"));
        }
    }

    #[test]
    fn copies_with_a_trusted_time_have_the_same_tag() {
        let tags = |modified| {
            let of = |inode, changed| state(inode, modified, (changed, 0)).by_mtime(now());
            (of(7, 1_700_000_000), of(8, 1_800_000_000))
        };
        for modified in [
            (EARLIEST_TRUSTED, 0),
            (1_600_000_000, 5),
            (1_999_999_990, 0),
        ] {
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
        // A new copy can have the modification time of its original.
        let old = (1_600_000_000, 0);
        let (_, age, date) = state(7, old, modified).by_mtime(now());
        assert_eq!((age, date), (Age::Settled, Date::Strong));
        let (_, age, _) = state(7, old, modified).by_change(now());
        assert_eq!(age, Age::Young);
    }
}
