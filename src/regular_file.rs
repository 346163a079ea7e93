//! Files that are read whole.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Opens a file to read it. Anything else that has a name is refused: to open a pipe waits for whoever
/// writes to it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    File::open(path)
}
