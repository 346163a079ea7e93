//! The text of a configuration file, and the lines in it.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::ops::Range;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use toml::Spanned;
use toml::de::DeTable;

/// The largest file. A configuration with a thousand hosts is smaller.
const MAX_SIZE: u64 = 1024 * 1024;

/// A configuration file that was read.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    text: String,
}

/// The reason why a file is no configuration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FileError {
    /// It can't be read.
    Unreadable(String),
    /// A line of it is wrong.
    Wrong(String),
}

impl Source {
    /// Reads a file. The error is one line that names it.
    pub(crate) fn read(path: &Path) -> Result<Self, FileError> {
        let text = read(path).map_err(|reason| {
            FileError::Unreadable(format!("configuration {}: {reason}", path.display()))
        })?;
        Ok(Self::new(path, text))
    }

    pub(crate) fn new(path: &Path, text: String) -> Self {
        Self {
            path: path.to_owned(),
            text,
        }
    }

    /// The folder of relative paths in the file.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new(""))
    }

    /// Parses the file as TOML.
    pub(crate) fn parse(&self) -> Result<Spanned<DeTable<'_>>, FileError> {
        DeTable::parse(&self.text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let reason: Vec<&str> = error.message().lines().map(str::trim).collect();
            let place = format!("{}:{}", self.at(start..start), self.column(start));
            FileError::Wrong(format!("{place}: not TOML: {}", reason.join(", ")))
        })
    }

    /// `FILE:LINE` of a part of the text.
    pub(crate) fn at(&self, span: Range<usize>) -> String {
        format!("{}:{}", self.path.display(), self.line(span.start))
    }

    /// One line about a part of the text.
    pub(crate) fn error(&self, span: Range<usize>, reason: impl Display) -> FileError {
        FileError::Wrong(format!("{}: {reason}", self.at(span)))
    }

    fn line(&self, offset: usize) -> usize {
        1 + self.before(offset).matches('\n').count()
    }

    /// The number of the character in its line.
    fn column(&self, offset: usize) -> usize {
        let before = self.before(offset);
        let line = before.rsplit('\n').next().unwrap_or_default();
        1 + line.chars().count()
    }

    fn before(&self, offset: usize) -> &str {
        let mut ends = (0..=offset.min(self.text.len())).rev();
        let end = ends.find(|end| self.text.is_char_boundary(*end));
        &self.text[..end.unwrap_or(0)]
    }
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| error.to_string();
    // A FIFO without a writer would block a reload forever.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
        .map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err("it is a folder".into());
    }
    // `/dev/null` is an empty file.
    if !metadata.is_file() && !metadata.file_type().is_char_device() {
        return Err("it is not a regular file".into());
    }
    let mut bytes = Vec::new();
    let limited = file.take(MAX_SIZE + 1).read_to_end(&mut bytes);
    limited.map_err(failed)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err("it is larger than 1MiB".into());
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n');
        format!("line {} is not UTF-8", line.count())
    })
}
