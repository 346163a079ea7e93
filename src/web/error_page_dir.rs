//! Error pages from files.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::RwLock;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue, VARY};

use crate::fs::regular_file;
use crate::message::{ErrorPages, Html, IntoResponse as _, Problem, ProblemFormat, Response};
use crate::sync::ignore_poison;

/// Largest page in bytes. Pages are kept in memory, and there may be two hundred.
const MAX_PAGE: u64 = 256 * 1024;

/// [Error pages](crate::Builder::error_pages) from the files of a folder: `404.html` for one
/// status, `4xx.html` and `5xx.html` for all other statuses of a class. They are sent unchanged to
/// clients that prefer HTML.
///
/// The files are read by [`open`](Self::open) and by [`reload`](Self::reload), never for a
/// response. A page is UTF-8 and has at most 256 KiB. Other files in the folder are ignored.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use httpool::{ErrorPageDir, Server};
///
/// let pages = Arc::new(ErrorPageDir::open("/etc/shop/errors")?);
/// let server = Server::builder()
///     .listen("127.0.0.1:4000")
///     .error_pages(Arc::clone(&pages))
///     .bind()?;
/// // Later, from any thread:
/// pages.reload()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ErrorPageDir {
    path: PathBuf,
    pages: RwLock<Pages>,
}

/// The pages by file name without the extension.
type Pages = BTreeMap<Box<str>, Bytes>;

/// The error of a folder that provides no pages. Its text is one line and begins with the path of
/// the folder or file.
///
/// ```
/// use httpool::ErrorPageDir;
///
/// let error = ErrorPageDir::open("/no/such/folder").expect_err("the folder does not exist");
/// assert!(error.to_string().starts_with("/no/such/folder: "));
/// ```
#[derive(Debug)]
pub struct ErrorPageDirError {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    System(io::Error),
    TooLarge,
    NotText,
    Empty,
}

impl ErrorPageDir {
    /// Reads the pages of this folder.
    ///
    /// # Errors
    ///
    /// If the folder can't be read or has no page, or if a page can't be read, is too large, or is
    /// not UTF-8.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ErrorPageDirError> {
        let path = path.into();
        let pages = RwLock::new(read(&path)?);
        Ok(Self { path, pages })
    }

    /// Reads the pages again.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open). The previous pages are then kept.
    pub fn reload(&self) -> Result<(), ErrorPageDirError> {
        let pages = read(&self.path)?;
        *ignore_poison(self.pages.write()) = pages;
        Ok(())
    }
}

impl ErrorPages for ErrorPageDir {
    fn page(&self, problem: &Problem, request: &HeaderMap) -> Option<Response> {
        if ProblemFormat::preferred(request) != ProblemFormat::Html {
            return None;
        }
        let status = problem.status();
        let class = match status.as_u16() / 100 {
            4 => "4xx",
            5 => "5xx",
            _ => return None,
        };
        let page = {
            let pages = ignore_poison(self.pages.read());
            let page = pages.get(status.as_str()).or_else(|| pages.get(class))?;
            page.clone()
        };
        let mut response = Html(page).into_response();
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("accept"));
        Some(response)
    }
}

fn read(folder: &Path) -> Result<Pages, ErrorPageDirError> {
    let failed = |path: &Path, reason| ErrorPageDirError {
        path: path.to_owned(),
        reason,
    };
    let mut pages = Pages::new();
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, error.into()))? {
        let name = entry
            .map_err(|error| failed(folder, error.into()))?
            .file_name();
        let Some(status) = name.to_str().and_then(|name| name.strip_suffix(".html")) else {
            continue;
        };
        if is_error_status(status) {
            let path = folder.join(&name);
            let page = read_page(&path).map_err(|reason| failed(&path, reason))?;
            pages.insert(status.into(), page);
        }
    }
    if pages.is_empty() {
        return Err(failed(folder, Reason::Empty));
    }
    Ok(pages)
}

/// Whether a file name without its extension is an error status or a class of them.
fn is_error_status(text: &str) -> bool {
    matches!(
        text.as_bytes(),
        [b'4' | b'5', b'0'..=b'9', b'0'..=b'9'] | [b'4' | b'5', b'x', b'x']
    )
}

fn read_page(path: &Path) -> Result<Bytes, Reason> {
    let mut page = Vec::new();
    let file = regular_file::open(path)?;
    file.take(MAX_PAGE + 1).read_to_end(&mut page)?;
    if page.len() as u64 > MAX_PAGE {
        return Err(Reason::TooLarge);
    }
    match String::from_utf8(page) {
        Ok(page) => Ok(page.into()),
        Err(_) => Err(Reason::NotText),
    }
}

impl From<io::Error> for Reason {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl fmt::Display for ErrorPageDirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.reason {
            Reason::System(error) => error.fmt(f),
            Reason::TooLarge => write!(f, "larger than {} KiB", MAX_PAGE / 1024),
            Reason::NotText => f.write_str("not valid UTF-8"),
            Reason::Empty => {
                f.write_str("no error page found (for example 404.html, 4xx.html or 5xx.html)")
            }
        }
    }
}

impl Error for ErrorPageDirError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            Reason::System(error) => Some(error),
            _ => None,
        }
    }
}
