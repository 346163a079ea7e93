//! Opens files without blocking, and inside a folder.

#[cfg(feature = "files")]
pub(crate) mod folder;
#[cfg(feature = "upload")]
pub(crate) mod new_file;
#[cfg(feature = "files")]
mod open_files;
pub(crate) mod regular_file;
#[cfg(feature = "files")]
pub(crate) mod root;
pub(crate) mod shared_file;
#[cfg(feature = "files")]
mod walk;
