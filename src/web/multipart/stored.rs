//! Files of a form that have arrived.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use bytes::Bytes;
use tempfile::{NamedTempFile, TempPath};

use super::MultipartError;
use super::save::{self, Existing};
use crate::form_data::PartHead;

/// A file of a form, in memory: a field of the struct of a [`MultipartForm`](super::MultipartForm), also
/// as `Option` or `Vec`. The [name, file name and headers](PartHead) are those of the part.
///
/// ```
/// use httpool::Router;
/// use httpool::multipart::{FileBytes, MultipartForm};
///
/// #[derive(serde::Deserialize)]
/// struct Profile {
///     name: String,
///     /// `None` if no file was chosen.
///     picture: Option<FileBytes>,
/// }
///
/// fn save(MultipartForm(profile): MultipartForm<Profile>) -> String {
///     match profile.picture {
///         Some(picture) => format!("{}: {} bytes", profile.name, picture.bytes().len()),
///         None => profile.name,
///     }
/// }
///
/// let router: Router = Router::new().post("/profile", save);
/// ```
///
/// The bytes count towards [`MultipartLimits::IN_MEMORY`](super::MultipartLimits::IN_MEMORY).
#[derive(Clone, PartialEq, Eq)]
pub struct FileBytes {
    head: Box<PartHead>,
    bytes: Bytes,
}

/// A file of a form, in a temporary file: a field of the struct of a
/// [`MultipartForm`](super::MultipartForm), also as `Option` or `Vec`. The [name, file name and
/// headers](PartHead) are those of the part.
///
/// The file is removed when this is dropped, also after it was [saved](Self::save_to). It is in the folder
/// that `TMPDIR` names, by default `/tmp`, and only this user can open it. If the process is killed, it
/// stays there.
///
/// ```
/// use httpool::Router;
/// use httpool::multipart::{MultipartError, MultipartForm, TempFile};
///
/// #[derive(serde::Deserialize)]
/// struct Upload {
///     album: u32,
///     photos: Vec<TempFile>,
/// }
///
/// fn add(MultipartForm(upload): MultipartForm<Upload>) -> Result<String, MultipartError> {
///     let mut bytes = 0;
///     for (number, photo) in upload.photos.into_iter().enumerate() {
///         bytes += photo.length();
///         photo.save_to(format!("albums/{}/{number}.jpg", upload.album))?;
///     }
///     Ok(format!("{bytes} bytes\n"))
/// }
///
/// let router: Router = Router::new().post("/photos", add);
/// ```
pub struct TempFile {
    head: Box<PartHead>,
    /// It is closed, because a form may have many files, and a process few descriptors.
    path: TempPath,
    length: u64,
}

impl FileBytes {
    pub(super) fn new(head: PartHead, bytes: Bytes) -> Self {
        Self {
            head: Box::new(head),
            bytes,
        }
    }

    /// The content.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The content, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

impl TempFile {
    pub(super) fn new(head: PartHead, file: NamedTempFile, length: u64) -> Self {
        Self {
            head: Box::new(head),
            path: file.into_temp_path(),
            length,
        }
    }

    /// The number of bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The path of the temporary file, for programs that need one.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file at its beginning.
    ///
    /// # Errors
    ///
    /// If the file can't be opened, for example because another program has removed it.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// Copies the content to a new file, which gets its name when it is complete, and removes the
    /// temporary one. The kernel copies, and some file systems share the bytes instead. The file has the
    /// permissions of any new file.
    ///
    /// # Errors
    ///
    /// [`MultipartError::Exists`] if there is a file of that name, which stays as it is. Otherwise if
    /// the file can't be written.
    pub fn save_to(self, path: impl AsRef<Path>) -> Result<(), MultipartError> {
        self.save(path.as_ref(), Existing::Keep)
    }

    /// Copies the content to a file like [`save_to`](Self::save_to), but replaces a file of that name.
    ///
    /// # Errors
    ///
    /// If the file can't be written.
    pub fn replace(self, path: impl AsRef<Path>) -> Result<(), MultipartError> {
        self.save(path.as_ref(), Existing::Replace)
    }

    fn save(self, path: &Path, existing: Existing) -> Result<(), MultipartError> {
        let mut content = self.open()?;
        save::write(path, existing, |file| Ok(io::copy(&mut content, file)?))?;
        Ok(())
    }
}

macro_rules! has_head {
    ($($file:ident)*) => {
        $(
            impl Deref for $file {
                type Target = PartHead;

                fn deref(&self) -> &PartHead {
                    &self.head
                }
            }
        )*
    };
}

has_head! { FileBytes TempFile }

/// Shows the length only: files are large and hold data that clients sent.
impl fmt::Debug for FileBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "FileBytes({:?}, {} bytes)",
            self.name(),
            self.bytes.len()
        )
    }
}

impl fmt::Debug for TempFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TempFile({:?}, {} bytes)", self.name(), self.length)
    }
}
