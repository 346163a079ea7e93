//! Files that are complete or not there.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

use super::MultipartError;

/// The permissions of a new file, of which the process's umask removes some.
const NEW_FILE: u32 = 0o666;

/// The treatment of a file that already has the name.
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_full_disk_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder can be created");
        let path = folder.path().join("a");
        for existing in [Existing::Keep, Existing::Replace] {
            let result = write(&path, existing, |file| {
                file.write_all(b"half")?;
                let entries = folder.path().read_dir()?.count();
                assert_eq!(entries, 1, "the file has another name");
                Err(io::Error::from(ErrorKind::StorageFull).into())
            });
            assert!(matches!(result, Err(MultipartError::Io(_))));
            let mut entries = folder.path().read_dir().expect("the folder can be listed");
            assert!(entries.next().is_none());
        }
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_kept() {
        let folder = tempfile::tempdir().expect("a folder can be created");
        let path = folder.path().join("a");
        let result = write(&path, Existing::Keep, |file| {
            fs::write(&path, b"other")?;
            file.write_all(b"new")?;
            Ok(3)
        });
        assert!(matches!(result, Err(MultipartError::Exists)));
        assert_eq!(fs::read(&path).expect("the file exists"), b"other");
        assert_eq!(
            folder.path().read_dir().expect("it can be listed").count(),
            1
        );
    }
}
