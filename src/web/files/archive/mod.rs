//! Folders as archives.
//!
//! An archive is a reader, and nothing of it exists before the connection reads. So a client that
//! reads slowly occupies no worker, and no archive is ever whole in memory or on a disk.

mod content;
mod limits;
mod tar;
mod tree;
mod zip;

use std::io::{self, Read};

use flate2::Compression;
use flate2::read::GzEncoder;
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};

use self::limits::Limits;
use self::tar::TarReader;
use self::tree::{Extent, Tree, WalkError};
use self::zip::ZipReader;
use super::conditions;
use super::conditions::Precondition;
use super::path::Dotfiles;
use crate::fs::folder::{Folder, OpenError};
use crate::message::problem::try_again;
use crate::message::{Attachment, Body, IntoResponse as _, Problem, Request, Response};
use crate::web::layers::{ConcurrencyLimit, Permit};

/// How many archives are sent at once by default.
const CONCURRENT: usize = 8;

/// The name of an archive of the whole served folder, whose own name clients need not know.
const NAMELESS: &[u8] = b"files";

/// The memory of a compressor, and of the buffers around it.
const COMPRESSOR: usize = 512 * 1024;

/// The memory that a ZIP archive keeps of each entry until its end, without the name.
const ZIP_ENTRY: usize = 512;

/// The limits of the archives that [`ServeDir::archives`](crate::ServeDir::archives) serves.
///
/// ```no_run
/// use httpool::{Archives, ServeDir};
///
/// let archives = Archives::new().max_bytes(1 << 30).concurrent(2);
/// let files = ServeDir::new("public")?.archives(archives);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Content
///
/// An archive has what a client gets by requests for each path: no dotfiles unless they are
/// [served](crate::ServeDir::dotfiles), files and folders behind symbolic links that are
/// [followed](crate::ServeDir::symlinks), under the names of the links, and nothing that is neither a
/// file nor a folder or that the process may not read. It also has the files of folders that are not
/// listed. All paths in it begin with the name of the folder (`files` for the served folder itself).
/// Modification times and the executable bit are kept; users and groups are not.
///
/// Names keep their bytes in `tar` (PAX headers, where they are long or not ASCII). In `zip` they are
/// UTF-8: bytes that are not, and backslashes, which some programs take for a folder, are written as
/// `%` and two digits.
///
/// # A folder that changes
///
/// Each file has the size that it had when it was opened: bytes that are appended are left out. If a
/// file becomes shorter while it is read, the response is aborted. A file that vanishes is left out.
///
/// # Sending
///
/// The folder is walked once before the response begins, which occupies the worker: for about a
/// second for 100,000 files. If a limit is exceeded, the response is 413. If too many archives are being
/// sent, it is 503 with `Retry-After`. If the folder has grown beyond a limit while it is sent, or
/// can't be read, the response is aborted, so that no part passes for the whole: the connection is
/// reset, and in HTTP/2 the stream.
///
/// An archive is made while it is sent, a part at a time, and occupies no worker while the client reads
/// slowly. `tar.gz` and `zip` are compressed at the fastest level, and occupy a worker for that. A response
/// needs up to 64 KiB of memory, with compression 512 KiB more, and the names of the folders that are being
/// read. `zip` keeps 512 bytes and the name of each entry until its end. It counts in
/// [`Builder::max_buffered_memory`](crate::Builder::max_buffered_memory).
///
/// The length is not known in advance, so parts can't be requested (`Accept-Ranges: none`).
#[derive(Debug, Clone)]
pub struct Archives {
    limits: Limits,
    sent: ConcurrencyLimit,
}

/// A format of archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Tar,
    TarGz,
    Zip,
}

/// The archive that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Requested {
    Format(Format),
    Unknown,
}

impl Archives {
    /// Creates the default limits: 100,000 files and folders, 10 GiB, 64 folders inside each other, and
    /// 8 archives at once.
    #[must_use]
    pub fn new() -> Self {
        Self {
            limits: Limits::default(),
            sent: ConcurrencyLimit::new(CONCURRENT),
        }
    }

    /// Sets the most files and folders in an archive. Default: 100,000.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.limits.entries = entries;
        self
    }

    /// Sets the most bytes that the files of an archive have together, before compression. Default: 10
    /// GiB.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Sets how many folders may be inside each other. Default: 64.
    #[must_use]
    pub fn max_depth(mut self, folders: usize) -> Self {
        self.limits.depth = folders;
        self
    }

    /// Sets how many archives are sent at once. Default: 8. Clones have one limit together.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn concurrent(mut self, archives: usize) -> Self {
        self.sent = ConcurrencyLimit::new(archives);
        self
    }

    /// Responds with an archive of the folder at this path, relative to the root.
    pub(super) fn respond(
        &self,
        root: &Folder,
        path: &[u8],
        dotfiles: Dotfiles,
        requested: Requested,
        request: &Request,
    ) -> Result<Response, OpenError> {
        let problem = |status, detail: String| {
            let problem = Problem::new(status).detail(detail);
            problem.to_response(request.headers())
        };
        let tree = match Tree::open(root, path, dotfiles, self.limits) {
            Ok(tree) => tree,
            Err(WalkError::Open(missed)) => return Err(missed),
            Err(WalkError::Exceeded(exceeded)) => {
                return Ok(problem(StatusCode::PAYLOAD_TOO_LARGE, exceeded.to_string()));
            }
        };
        let Requested::Format(format) = requested else {
            let detail = "archive must be tar, tar.gz or zip".to_owned();
            return Ok(problem(StatusCode::BAD_REQUEST, detail));
        };
        match conditions::evaluate(request.headers(), None) {
            Precondition::Send => {}
            Precondition::NotModified => return Ok(StatusCode::NOT_MODIFIED.into_response()),
            Precondition::Failed => {
                let status = StatusCode::PRECONDITION_FAILED;
                return Ok(Problem::new(status).to_response(request.headers()));
            }
        }
        let Some(permit) = self.sent.permit() else {
            let detail = "too many archives are being sent".to_owned();
            return Ok(try_again(problem(StatusCode::SERVICE_UNAVAILABLE, detail)));
        };
        let extent = match tree.measure() {
            Ok(extent) => extent,
            Err(WalkError::Open(missed)) => return Err(missed),
            Err(WalkError::Exceeded(exceeded)) => {
                return Ok(problem(StatusCode::PAYLOAD_TOO_LARGE, exceeded.to_string()));
            }
        };
        let folder = last_name(path);
        let body = match *request.method() {
            // Its length would be known at its end only.
            Method::HEAD => Body::from_reader(io::empty()),
            _ => {
                let tree = Tree::open(root, path, dotfiles, self.limits);
                let tree = tree.map_err(|error| OpenError::Failed(error.into()))?;
                format.body(tree, path, folder, extent, permit)
            }
        };
        Ok(format.response(folder, body))
    }
}

impl Default for Archives {
    fn default() -> Self {
        Self::new()
    }
}

impl Format {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "tar" => Some(Self::Tar),
            "tar.gz" => Some(Self::TarGz),
            "zip" => Some(Self::Zip),
            _ => None,
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::TarGz => "tar.gz",
            Self::Zip => "zip",
        }
    }

    const fn media_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Tar => "application/x-tar",
            Self::TarGz => "application/gzip",
            Self::Zip => "application/zip",
        })
    }

    fn body(self, tree: Tree, path: &[u8], folder: &[u8], extent: Extent, permit: Permit) -> Body {
        let names = Names {
            served: path.len(),
            folder: folder.to_vec(),
        };
        let held = match self {
            Self::Tar => 0,
            Self::TarGz => COMPRESSOR,
            Self::Zip => COMPRESSOR + extent.entries * ZIP_ENTRY + extent.names,
        };
        match self {
            Self::Tar => Counted::body(TarReader::new(tree, names), permit),
            Self::TarGz => {
                let tar = TarReader::new(tree, names);
                Counted::body(GzEncoder::new(tar, Compression::fast()), permit)
            }
            Self::Zip => Counted::body(ZipReader::new(tree, names), permit),
        }
        .holding(held)
    }

    fn response(self, folder: &[u8], body: Body) -> Response {
        let name = String::from_utf8_lossy(folder);
        let file_name = format!("{name}.{}", self.extension());
        let mut response = Attachment::new(&file_name, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, self.media_type());
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
        // It has no validator, so caches would keep it in vain.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// The names of entries: the name of the folder, and the path within it.
#[derive(Debug)]
struct Names {
    /// The length of the folder's path relative to the root.
    served: usize,
    folder: Vec<u8>,
}

impl Names {
    /// The name of the entry at this path relative to the root.
    fn of(&self, path: &[u8]) -> Vec<u8> {
        let within = path.get(self.served..).unwrap_or_default();
        let within = within.strip_prefix(b"/").unwrap_or(within);
        [&self.folder, &b"/"[..], within].concat()
    }
}

/// A reader that counts as an archive until it is dropped.
struct Counted<R> {
    reader: R,
    _permit: Permit,
}

impl<R: Read + Send + 'static> Counted<R> {
    fn body(reader: R, permit: Permit) -> Body {
        Body::from_reader(Self {
            reader,
            _permit: permit,
        })
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

/// The archive that a request asks for in its query, if it does.
pub(super) fn requested(request: &Request) -> Option<Requested> {
    let query = request.uri().query()?;
    let word = query
        .split('&')
        .find_map(|part| part.strip_prefix("archive="))?;
    Some(Format::parse(word).map_or(Requested::Unknown, Requested::Format))
}

/// The last name of a path without a slash at its ends.
fn last_name(path: &[u8]) -> &[u8] {
    match path.rsplit(|byte| *byte == b'/').next() {
        None | Some([]) => NAMELESS,
        Some(name) => name,
    }
}

#[cfg(test)]
mod tests;
