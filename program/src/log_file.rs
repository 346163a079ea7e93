//! Files to append lines to: the log file and the access log.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl, fstat};

/// A log file. To rotate it, rename the file and send SIGHUP: [`Self::reopen`] then creates a new
/// one.
#[derive(Debug, Clone)]
pub(crate) struct LogFile {
    /// The name of this log in messages.
    pub(crate) name: &'static str,
    path: PathBuf,
    lines: Arc<Mutex<Lines<File>>>,
}

/// An output in which each line starts at the beginning of a line, even if the line before it was
/// written in part.
#[derive(Debug)]
struct Lines<W> {
    output: W,
    end: End,
}

/// The state of the last line of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Line,
    /// The last line is incomplete, and its rest may follow.
    Part,
    /// The last line is incomplete, and its rest is lost.
    Torn,
}

impl LogFile {
    pub(crate) fn open(name: &'static str, path: &Path) -> Result<Self, String> {
        Ok(Self {
            name,
            path: path.to_owned(),
            lines: Arc::new(Mutex::new(Self::append(path)?)),
        })
    }

    /// Opens the file again by its path. If that fails, the open file stays in use.
    pub(crate) fn reopen(&self) -> Result<(), String> {
        let lines = Self::append(&self.path)?;
        *self.lock() = lines;
        Ok(())
    }

    fn append(path: &Path) -> Result<Lines<File>, String> {
        append(path).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn lock(&self) -> MutexGuard<'_, Lines<File>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().flush()
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let begins_with_end = bytes.first() == Some(&b'\n');
        // No line is empty. This newline ends a line whose first part is in the file before the
        // reopening.
        if begins_with_end && self.end == End::Line {
            return Ok(1);
        }
        if !begins_with_end && !bytes.is_empty() && self.end == End::Torn {
            self.output.write_all(b"\n")?;
            self.end = End::Line;
        }
        let written = self.output.write(bytes);
        match &written {
            Ok(0) => {}
            Ok(count) if bytes[count - 1] == b'\n' => self.end = End::Line,
            Ok(_) => self.end = End::Part,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The writer does not retry the rest of this line.
            Err(_) if self.end == End::Part => self.end = End::Torn,
            Err(_) => {}
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Standard output without a buffer, so that the result of each write is the result of the system
/// call.
pub(crate) fn standard_output() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// Standard output or standard error, if this path names it and it is not a regular file. Opening
/// `/dev/stdout` fails if it is a socket, as under systemd, or a pipe of another user, as in some
/// containers.
pub(crate) fn standard_stream(path: &Path) -> Option<File> {
    let named = path.metadata().ok().filter(|named| !named.is_file())?;
    let is_it = |stream: &BorrowedFd<'_>| {
        fstat(stream).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (named.dev(), named.ino()))
    };
    let (output, errors) = (io::stdout(), io::stderr());
    let stream = [output.as_fd(), errors.as_fd()].into_iter().find(is_it)?;
    Some(stream.try_clone_to_owned().ok()?.into())
}

fn append(path: &Path) -> io::Result<Lines<File>> {
    let output = match open(path) {
        Ok(file) => file,
        Err(error) => standard_stream(path).ok_or_else(|| explain(error, path))?,
    };
    let end = match is_torn(path, &output) {
        true => End::Torn,
        false => End::Line,
    };
    Ok(Lines { output, end })
}

/// Opens the file for appending, so that several processes can share it and a rotation may truncate
/// it. Opening a pipe without a reader fails and does not block.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    let flags = fcntl_getfl(&file)?;
    fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    Ok(file)
}

fn explain(error: io::Error, path: &Path) -> io::Error {
    let is_socket = |path: &Path| {
        path.metadata()
            .is_ok_and(|found| found.file_type().is_socket())
    };
    match is_socket(path) {
        true => io::Error::new(error.kind(), "this is a socket, not a file"),
        false => error,
    }
}

/// Whether the file ends with an incomplete line, because the disk was full or a process was
/// killed. A file that can't be read counts as complete.
fn is_torn(path: &Path, file: &File) -> bool {
    let Ok(metadata) = file.metadata() else {
        return false;
    };
    let Some(last) = metadata.len().checked_sub(1) else {
        return false;
    };
    if !metadata.is_file() {
        return false;
    }
    let read = || -> io::Result<u8> {
        let mut byte = [0];
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)?;
        file.read_exact_at(&mut byte, last)?;
        Ok(byte[0])
    };
    read().is_ok_and(|byte| byte != b'\n')
}

#[cfg(test)]
mod tests {
    use std::env::temp_dir;
    use std::{fs, process};

    use super::*;

    /// A disk with room for a number of bytes.
    struct Disk {
        content: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            let count = bytes.len().min(self.room);
            self.content.extend_from_slice(&bytes[..count]);
            self.room -= count;
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn line_after_a_torn_line_starts_on_its_own() {
        let content = Vec::new();
        let output = Disk { content, room: 8 };
        let end = End::Line;
        let mut lines = Lines { output, end };
        lines.write_all(b"first\n").expect("there is room");
        assert!(lines.write_all(b"second\n").is_err());
        assert!(lines.write_all(b"third\n").is_err());
        lines.output.room = 100;
        lines.write_all(b"fourth\n").expect("there is room");
        lines.write_all(b"fifth\n").expect("there is room");
        assert_eq!(lines.output.content, b"first\nse\nfourth\nfifth\n");
    }

    #[test]
    fn newline_after_a_torn_line_adds_no_empty_line() {
        for (end, expected) in [(End::Torn, &b"\nnext\n"[..]), (End::Line, b"next\n")] {
            let output = Disk {
                content: Vec::new(),
                room: 100,
            };
            let mut lines = Lines { output, end };
            lines.write_all(b"\n").expect("there is room");
            lines.write_all(b"next\n").expect("there is room");
            assert_eq!(lines.output.content, expected);
        }
    }

    #[test]
    fn torn_line_of_an_earlier_process_is_ended() {
        let path = temp_dir().join(format!("httpool-torn-{}", process::id()));
        for (before, after) in [
            ("", "next\n"),
            ("whole\n", "whole\nnext\n"),
            ("who", "who\nnext\n"),
        ] {
            fs::write(&path, before).expect("the folder is writable");
            let mut log = LogFile::open("log", &path).expect("the file can be opened");
            log.write_all(b"next\n").expect("the file can be written");
            let content = fs::read_to_string(&path).expect("the file exists");
            assert_eq!(content, after);
        }
        fs::remove_file(&path).expect("the test owns the file");
    }
}
