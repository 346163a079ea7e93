//! Files that are read whole.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a file to read it. Anything else that has a name is refused, and not opened unless it is put
/// there just now: that alone is to use a pipe or a device. Then it is not waited for.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    expect_file(&fs::metadata(path)?)?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    expect_file(&file.metadata()?)?;
    Ok(file)
}

fn expect_file(found: &Metadata) -> io::Result<()> {
    if !found.is_file() {
        return Err(io::Error::other("it is no file"));
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

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Somebody puts a pipe in the place of a file, again and again.
    #[test]
    fn a_pipe_that_is_put_there_meanwhile_is_not_waited_for() {
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
                    assert!(file.metadata().is_ok_and(|found| found.is_file()));
                }
            }
            done.send(())
        });
        let start = Instant::now();
        let mut ended = Err(TryRecvError::Empty);
        while ended == Err(TryRecvError::Empty) && start.elapsed() < PATIENCE {
            renameat_with(CWD, &file, CWD, &pipe, RenameFlags::EXCHANGE).expect("both are there");
            ended = end.try_recv();
        }
        fs::remove_dir_all(&folder).expect("it is ours");
        assert_eq!(ended, Ok(()), "it waits, or has panicked");
    }
}
