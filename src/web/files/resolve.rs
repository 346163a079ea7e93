//! Finds what a path stands for: a file, a folder, or another path. Index files and clean URLs are
//! decided here.

use std::borrow::Cow;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use percent_encoding::percent_encode;

use super::path::{Kind, Name, is_file_name, is_visible};
use super::{ENCODED, join};
use crate::fs::folder::{Folder, OpenError, OpenFile, Opened};
use crate::web::ServeDir;

/// The extension that clean URLs lack.
const PAGE: &[u8] = b".html";

/// Whether pages are served at paths without their extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathStyle {
    /// A path is the name of a file.
    Exact,
    /// `/about` is `about.html`, and `/about.html` is redirected there.
    Pretty,
}

/// A file with its path.
type Found = (Vec<u8>, Arc<OpenFile>);

/// What a path stands for.
#[derive(Debug)]
pub(crate) enum Target<'a> {
    File(Cow<'a, [u8]>, Arc<OpenFile>),
    /// A folder, at a path without its final slash.
    FolderWithoutSlash,
    /// A folder without an index, or nothing.
    NoIndex,
    /// A page, whose path is this relative URL. It begins with a dot, so no name can be taken for
    /// another host.
    Moved(String),
    Missed(OpenError),
}

/// Converts the names of index files, each of which must be a single file name.
pub(crate) fn index_names<N: AsRef<Path>>(
    names: impl IntoIterator<Item = N>,
) -> io::Result<Vec<Vec<u8>>> {
    let convert = |name: N| {
        let name = name.as_ref().as_os_str();
        match is_file_name(name.as_bytes()) {
            true => Ok(name.as_bytes().to_vec()),
            false => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{name:?} is not the name of a file without a folder"),
            )),
        }
    };
    names.into_iter().map(convert).collect()
}

impl ServeDir {
    pub(crate) fn target<'a>(&self, root: &Folder, name: &'a Name<'_>) -> Target<'a> {
        match name.kind {
            Kind::File => self.at_file_path(root, &name.path),
            Kind::Folder => match self.index_of(root, &name.path) {
                Ok(Some((path, file))) => Target::File(Cow::Owned(path), file),
                Ok(None) => Target::NoIndex,
                Err(missed) => Target::Missed(missed),
            },
        }
    }

    fn at_file_path<'a>(&self, root: &Folder, path: &'a [u8]) -> Target<'a> {
        let opened = root.open_path(path);
        let is_missing = match opened {
            Ok(Opened::File(file)) => {
                let clean = match self.path_style {
                    PathStyle::Exact => None,
                    PathStyle::Pretty => self.clean_url(root, path),
                };
                return clean.map_or(Target::File(Cow::Borrowed(path), file), Target::Moved);
            }
            Ok(Opened::Folder) => false,
            Err(OpenError::NotFound) => true,
            Err(missed) => return Target::Missed(missed),
        };
        match (self.page(root, path), is_missing) {
            (Some((page, _)), _) if self.is_index(root, &page) => Target::Moved("./".to_owned()),
            (Some((page, file)), _) => Target::File(Cow::Owned(page), file),
            (None, false) => Target::FolderWithoutSlash,
            (None, true) => Target::Missed(OpenError::NotFound),
        }
    }

    /// The page at a path without the extension, if URLs are clean.
    fn page(&self, root: &Folder, path: &[u8]) -> Option<Found> {
        if self.path_style == PathStyle::Exact || path.is_empty() {
            return None;
        }
        let page = [path, PAGE].concat();
        match root.open_path(&page) {
            Ok(Opened::File(file)) => Some((page, file)),
            _ => None,
        }
    }

    /// The clean URL of this file, relative to its own, if it has another one.
    fn clean_url(&self, root: &Folder, path: &[u8]) -> Option<String> {
        if self.is_index(root, path) {
            return Some("./".to_owned());
        }
        let stem = path.strip_suffix(PAGE)?;
        let (_, name) = split(stem);
        // A file with the shorter name is served at that path.
        let is_free = matches!(
            root.open_path(stem),
            Ok(Opened::Folder) | Err(OpenError::NotFound)
        );
        (is_file_name(name) && is_free).then(|| format!("./{}", percent_encode(name, ENCODED)))
    }

    /// The URL of the page with the name of a folder that is not served, relative to the folder's.
    pub(crate) fn page_beside(&self, root: &Folder, folder: &[u8]) -> Option<String> {
        self.page(root, folder)?;
        // A file without the extension is served at that path.
        if let Ok(Opened::File(_)) = root.open_path(folder) {
            return None;
        }
        let (_, name) = split(folder);
        Some(format!("../{}", percent_encode(name, ENCODED)))
    }

    /// Whether this file is served for its folder.
    fn is_index(&self, root: &Folder, path: &[u8]) -> bool {
        let (folder, name) = split(path);
        self.index.iter().any(|index| index == name)
            && matches!(self.index_of(root, folder), Ok(Some((index, _))) if index == path)
    }

    /// The first index file of a folder.
    fn index_of(&self, root: &Folder, folder: &[u8]) -> Result<Option<Found>, OpenError> {
        for index in &self.index {
            if !is_visible(index, folder.is_empty(), self.dotfiles) {
                continue;
            }
            let path = join(folder, index);
            match root.open_path(&path) {
                Ok(Opened::File(file)) => return Ok(Some((path, file))),
                Ok(Opened::Folder) | Err(OpenError::NotFound) => {}
                Err(missed) => return Err(missed),
            }
        }
        Ok(None)
    }
}

/// Splits a path into its folder and the last name.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b'/', path) {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}
