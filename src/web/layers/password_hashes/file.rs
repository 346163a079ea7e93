//! Reads the file with the hashes.

use std::collections::hash_map::Entry;
use std::error::Error;
use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use log::{error, info};

use super::Users;
use super::hash::{Hash, HashFault};
use crate::fs::regular_file;
use crate::sync::ignore_poison;

/// How often a file is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Largest file that is read. It has room for 200,000 users.
const MAX_SIZE: u64 = 16 * 1024 * 1024;

/// Where the users come from.
pub(super) struct Source {
    path: Option<PathBuf>,
    state: Mutex<State>,
}

struct State {
    users: Arc<Users>,
    /// The file that was read last, whether it was valid or not.
    version: Option<Version>,
    looked: Instant,
}

/// Tells whether a file has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file with hashes of passwords can't be read, or a line of it is invalid. The message names the file
/// and the line, and never shows what may be a password.
///
/// ```
/// use httpool::layers::PasswordHashes;
///
/// let error = PasswordHashes::open("/no/such/file").expect_err("there is no such file");
/// assert_eq!(error.to_string(), "/no/such/file: No such file or directory (os error 2)");
///
/// let weak = PasswordHashes::parse("ada:$apr1$x5yF$8QXX0B0hyxqqkJXJqSPiP.");
/// let error = weak.expect_err("the hash is too weak").to_string();
/// assert_eq!(
///     error,
///     "line 1: MD5 is too weak for passwords; `htpasswd -nB NAME` makes a bcrypt hash"
/// );
/// ```
#[derive(Debug)]
pub struct PasswordFileError {
    path: Option<PathBuf>,
    fault: Fault,
}

#[derive(Debug)]
enum Fault {
    Read(io::Error),
    Line { number: usize, fault: LineFault },
}

#[derive(Debug, PartialEq, Eq)]
enum LineFault {
    NotUtf8,
    NoColon,
    Name,
    Repeated { name: Box<str> },
    Hash(HashFault),
}

impl Source {
    pub(super) fn fixed(users: Users) -> Self {
        Self {
            path: None,
            state: Mutex::new(State {
                users: Arc::new(users),
                version: None,
                looked: Instant::now(),
            }),
        }
    }

    pub(super) fn open(path: &Path) -> Result<Self, PasswordFileError> {
        let (version, looked) = (Version::of(path).ok(), Instant::now());
        let users = Arc::new(read(path)?);
        Ok(Self {
            path: Some(path.to_owned()),
            state: Mutex::new(State {
                users,
                version,
                looked,
            }),
        })
    }

    /// Reads the file again, if there is one.
    pub(super) fn reload(&self) -> Result<(), PasswordFileError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let version = Version::of(path).ok();
        let users = Arc::new(read(path)?);
        let mut state = ignore_poison(self.state.lock());
        state.users = users;
        state.version = version;
        Ok(())
    }

    /// The current users.
    pub(super) fn users(&self, now: Instant) -> Arc<Users> {
        let mut state = ignore_poison(self.state.lock());
        if let Some(path) = &self.path
            && now.saturating_duration_since(state.looked) >= INTERVAL
        {
            state.looked = now;
            state.update(path);
        }
        Arc::clone(&state.users)
    }
}

impl State {
    /// Reads the file if it has changed. A file with an error is read and reported once.
    fn update(&mut self, path: &Path) {
        let version = Version::of(path).ok();
        if version == self.version {
            return;
        }
        self.version = version;
        match read(path) {
            Ok(users) => {
                info!("{}: {} users read", path.display(), users.hashes.len());
                self.users = Arc::new(users);
            }
            Err(error) => error!("passwords not reloaded, keeping the old ones: {error}"),
        }
    }
}

impl Version {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

fn read(path: &Path) -> Result<Users, PasswordFileError> {
    let read = read_bounded(path).map_err(|error| PasswordFileError {
        path: None,
        fault: Fault::Read(error),
    });
    let users = read.and_then(|text| parse(&text));
    users.map_err(|error| PasswordFileError {
        path: Some(path.to_owned()),
        ..error
    })
}

/// Reads a regular file of at most [`MAX_SIZE`].
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let file = regular_file::open(path)?;
    file.take(MAX_SIZE + 1).read_to_end(&mut text)?;
    match text.len() as u64 {
        ..=MAX_SIZE => Ok(text),
        _ => Err(io::Error::other("the file is larger than 16 MiB")),
    }
}

pub(super) fn parse(text: &[u8]) -> Result<Users, PasswordFileError> {
    let mut users = Users::default();
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let added = users.add(line);
        added.map_err(|fault| PasswordFileError {
            path: None,
            fault: Fault::Line { number, fault },
        })?;
    }
    Ok(users)
}

impl Users {
    fn add(&mut self, line: &[u8]) -> Result<(), LineFault> {
        let line = std::str::from_utf8(line).map_err(|_| LineFault::NotUtf8)?;
        let line = line.trim_ascii_end();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let (name, hash) = line.split_once(':').ok_or(LineFault::NoColon)?;
        if name.is_empty() || name.contains(char::is_control) {
            return Err(LineFault::Name);
        }
        let hash = Hash::parse(hash).map_err(LineFault::Hash)?;
        match self.by_name.entry(name.into()) {
            Entry::Occupied(entry) => {
                let name = entry.key().clone();
                return Err(LineFault::Repeated { name });
            }
            Entry::Vacant(entry) => entry.insert(self.hashes.len()),
        };
        self.hashes.push(hash);
        Ok(())
    }
}

impl fmt::Display for PasswordFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.path, &self.fault) {
            (Some(path), Fault::Read(error)) => write!(f, "{}: {error}", path.display()),
            (None, Fault::Read(error)) => error.fmt(f),
            (Some(path), Fault::Line { number, fault }) => {
                write!(f, "{}:{number}: {fault}", path.display())
            }
            (None, Fault::Line { number, fault }) => write!(f, "line {number}: {fault}"),
        }
    }
}

impl Error for PasswordFileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.fault {
            Fault::Read(error) => Some(error),
            Fault::Line { .. } => None,
        }
    }
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("the line is not UTF-8"),
            Self::NoColon => f.write_str("a line is NAME:HASH, but there is no colon"),
            Self::Name => f.write_str("the name is empty or has a control character"),
            Self::Repeated { name } => write!(f, "the user {name:?} is in an earlier line, too"),
            Self::Hash(fault) => fault.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$04$abcdefghijklmnopqrstuuhiTVLHQPvYzPykOsCOnc5I00eOfh33K";

    #[track_caller]
    fn fault(text: &[u8]) -> String {
        parse(text).expect_err("a line is invalid").to_string()
    }

    #[test]
    fn comments_and_empty_lines_are_ignored() {
        let text = format!("# users\r\n\r\nada:{HASH}\r\n\n#eva:\n  \ngrace:{HASH}");
        let users = parse(text.as_bytes()).expect("the lines are valid");
        assert_eq!(users.hashes.len(), 2);
        assert!(users.by_name.contains_key("ada") && users.by_name.contains_key("grace"));
        assert!(parse(b"").is_ok_and(|users| users.hashes.is_empty()));
    }

    #[test]
    fn wrong_lines_are_named() {
        let ada = format!("ada:{HASH}\n");
        let after_ada = |line: &str| fault([ada.as_bytes(), line.as_bytes()].concat().as_slice());
        assert_eq!(
            after_ada("grace"),
            "line 2: a line is NAME:HASH, but there is no colon"
        );
        assert_eq!(
            after_ada(&format!("\n{ada}")),
            "line 3: the user \"ada\" is in an earlier line, too"
        );
        for name in ["", "a\0", "a\u{85}", "a\r"] {
            assert_eq!(
                after_ada(&format!("{name}:{HASH}")),
                "line 2: the name is empty or has a control character"
            );
        }
        assert_eq!(fault(b"ada:\xff"), "line 1: the line is not UTF-8");
        let plain = after_ada("grace:hopper");
        assert!(plain.starts_with("line 2: after the name, a hash of bcrypt or Argon2"));
        assert!(!plain.contains("hopper"));
    }

    #[test]
    fn changed_file_is_read_again_and_a_wrong_one_is_not_used() {
        let path = std::env::temp_dir().join(format!("httpool-passwords-{}", std::process::id()));
        let write = |text: &str| fs::write(&path, text).expect("the file can be written");
        write(&format!("ada:{HASH}"));
        let source = Source::open(&path).expect("the file is valid");
        let mut now = Instant::now();
        let mut names = || {
            now += INTERVAL;
            let users = source.users(now);
            let mut names: Vec<String> = users.by_name.keys().map(|name| (**name).into()).collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(names(), "ada");
        write(&format!("ada:{HASH}\ngrace:{HASH}"));
        assert_eq!(names(), "ada grace");
        write("grace");
        assert_eq!(names(), "ada grace");
        fs::remove_file(&path).expect("the file can be removed");
        assert_eq!(names(), "ada grace");
        write(&format!("grace:{HASH}"));
        assert_eq!(names(), "grace");
        write("\n\nada:{SHA}x");
        let error = Source::open(&path)
            .map(drop)
            .expect_err("a line is invalid");
        let expected = format!("{}:3: SHA-1 is too weak", path.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
        fs::remove_file(&path).expect("the file can be removed");
        let error = Source::open(&path).map(drop).expect_err("there is no file");
        assert!(error.to_string().contains("No such file"), "{error}");
    }
}
