//! What tells one state of a file from another (RFC 9110 section 8.8).

use std::fs::Metadata;
use std::hash::{DefaultHasher, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use http::HeaderValue;

use super::coding::Coding;

/// A file that has changed within this time may change again without that being seen: systems write
/// down the time of a change in steps, from milliseconds to the two seconds of FAT.
const TOO_RECENT: Duration = Duration::from_secs(2);

/// The validators of one representation of a file.
///
/// The entity tag is made of the file's number, its size, the time at which its content was changed
/// and the time at which anything of it was. The last is the system's own, which nobody can set: it
/// tells two files apart that are given the same times, as reproducible builds and package managers
/// do. So the tag is strong, unless one of these times is too recent.
///
/// What it costs: the same content on two machines, or put in place again, has another tag, and is
/// sent again.
#[derive(Debug)]
pub(super) struct Validators {
    /// With its quotes, and `W/` if it is weak.
    pub(super) tag: String,
    /// To the second, and never later than now.
    pub(super) modified: SystemTime,
}

impl Validators {
    pub(super) fn new(file: &Metadata, coding: Option<Coding>, now: SystemTime) -> Self {
        let changed = at(file.ctime(), file.ctime_nsec());
        let modified = at(file.mtime(), file.mtime_nsec());
        let is_old = |time: SystemTime| now.duration_since(time).is_ok_and(|age| age > TOO_RECENT);
        let strength = if is_old(changed) && is_old(modified) {
            ""
        } else {
            "W/"
        };
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(file.ino());
        for part in [
            file.mtime(),
            file.mtime_nsec(),
            file.ctime(),
            file.ctime_nsec(),
        ] {
            hasher.write_i64(part);
        }
        let (size, hash) = (file.size(), hasher.finish());
        let suffix = coding.map_or("", Coding::suffix);
        Self {
            tag: format!("{strength}\"{size:x}-{hash:016x}{suffix}\""),
            modified: modified_before(file, now),
        }
    }

    /// Whether equal tags mean equal bytes.
    pub(super) fn is_strong(&self) -> bool {
        self.tag.starts_with('"')
    }

    /// The tag as the value of a field.
    pub(super) fn etag(&self) -> HeaderValue {
        HeaderValue::from_str(&self.tag).expect("digits and quotes are valid in a field")
    }

    /// The time as the value of a field.
    pub(super) fn last_modified(&self) -> HeaderValue {
        let text = httpdate::fmt_http_date(self.modified);
        HeaderValue::try_from(text).expect("a date is valid in a field")
    }
}

/// When a file was modified, to the second and never later than now: a time to come can't be told
/// (section 8.8.2.1).
pub(super) fn modified_before(file: &Metadata, now: SystemTime) -> SystemTime {
    let modified = at(file.mtime(), file.mtime_nsec()).min(now);
    let since = modified.duration_since(SystemTime::UNIX_EPOCH);
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.map_or(0, |since| since.as_secs()))
}

/// The time of a file, or the beginning of time if it is before that or cannot be.
fn at(seconds: i64, nanos: i64) -> SystemTime {
    let seconds = u64::try_from(seconds).unwrap_or_default();
    let nanos = u32::try_from(nanos).unwrap_or_default();
    let since = Duration::new(seconds, nanos);
    SystemTime::UNIX_EPOCH
        .checked_add(since)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}
