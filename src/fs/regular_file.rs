//! Opens files that are read whole.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading. Other file types are refused without opening them, because
/// opening a pipe or a device has side effects. If the file is replaced between the check and the
/// opening, another type may be opened, but without blocking, and is refused then.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    require_regular(&fs::metadata(path)?)?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    require_regular(&file.metadata()?)?;
    Ok(file)
}

fn require_regular(metadata: &Metadata) -> io::Result<()> {
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::env::temp_dir;
    use std::sync::mpsc::{self, TryRecvError};
    use std::time::{Duration, Instant};
    use std::{process, thread};

    use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    /// Another thread keeps exchanging the file for a pipe.
    #[test]
    fn pipe_that_replaces_a_file_does_not_block() {
        let folder = temp_dir().join(format!("httpool-regular-file-{}", process::id()));
        fs::create_dir_all(&folder).expect("the folder is writable");
        let (file, pipe) = (folder.join("file"), folder.join("pipe"));
        fs::write(&file, "x").expect("the folder is writable");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).expect("the folder is writable");
        let (done, end) = mpsc::channel();
        let opened = file.clone();
        thread::spawn(move || {
            for _ in 0..20_000 {
                if let Ok(file) = open(&opened) {
                    assert!(file.metadata().is_ok_and(|metadata| metadata.is_file()));
                }
            }
            done.send(())
        });
        let start = Instant::now();
        let mut ended = Err(TryRecvError::Empty);
        while ended == Err(TryRecvError::Empty) && start.elapsed() < TIMEOUT {
            renameat_with(CWD, &file, CWD, &pipe, RenameFlags::EXCHANGE).expect("both files exist");
            ended = end.try_recv();
        }
        fs::remove_dir_all(&folder).expect("the folder can be removed");
        assert_eq!(ended, Ok(()), "the reader blocks or has panicked");
    }
}
