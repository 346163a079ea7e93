//! Files that are complete or not there.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

use super::MultipartError;

/// The permissions of a new file, of which the process's umask removes some.
const NEW_FILE: u32 = 0o666;

/// What happens to a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    Keep,
    Replace,
}

/// Creates a file with what `write` writes. Until it is complete, it has another name beside its own.
pub(super) fn write(
    path: &Path,
    existing: Existing,
    write: impl FnOnce(&mut File) -> Result<u64, MultipartError>,
) -> Result<u64, MultipartError> {
    // A client should not have to upload a file that will be refused.
    if existing == Existing::Keep && fs::symlink_metadata(path).is_ok() {
        return Err(MultipartError::Exists);
    }
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let mut file = tempfile::Builder::new()
        .prefix(".upload-")
        .permissions(Permissions::from_mode(NEW_FILE))
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    let length = write(file.as_file_mut())?;
    let renamed = match existing {
        Existing::Keep => file.persist_noclobber(path),
        Existing::Replace => file.persist(path),
    };
    match renamed {
        Ok(_) => Ok(length),
        Err(failure) if failure.error.kind() == ErrorKind::AlreadyExists => {
            Err(MultipartError::Exists)
        }
        Err(failure) => Err(failure.error.into()),
    }
}

/// A file that vanishes when it is dropped.
pub(super) fn temporary() -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix("upload-").tempfile()
}
