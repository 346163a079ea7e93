//! Opens files without blocking, and inside a folder.

#[cfg(feature = "files")]
pub(crate) mod folder;
pub(crate) mod regular_file;
#[cfg(feature = "files")]
pub(crate) mod root;
#[cfg(feature = "files")]
mod walk;
