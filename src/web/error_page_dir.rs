//! Error pages that are files.

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

/// The largest page in bytes. They are kept in memory, and there may be two hundred.
const LARGEST: u64 = 256 * 1024;

/// [Error pages](crate::Builder::error_pages) from a folder: `404.html` for one status, `4xx.html`
/// and `5xx.html` for all others of their class. Clients that prefer HTML get them, as they are.
///
/// They are read when this is made and when it is [told to](Self::reload), never for an answer. A
/// page has 256 KiB at most, in UTF-8; other files in the folder are passed over.
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

/// By the names of their files without the extension.
type Pages = BTreeMap<Box<str>, Bytes>;

/// Why there are no pages in a folder. As text it is one line that names the folder, or the file.
///
/// ```
/// use httpool::ErrorPageDir;
///
/// let error = ErrorPageDir::open("/no/such/folder").expect_err("there is none");
/// assert!(error.to_string().starts_with("/no/such/folder: "));
/// ```
#[derive(Debug)]
pub struct ErrorPageDirError {
    path: PathBuf,
    why: Reason,
}

#[derive(Debug)]
enum Reason {
    System(io::Error),
    TooLarge,
    NotText,
    Empty,
}

impl ErrorPageDir {
    /// Reads the pages in this folder.
    ///
    /// # Errors
    ///
    /// If it can't be read, has no page, or has one that can't be read, is too large, or is not
    /// UTF-8.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ErrorPageDirError> {
        let path = path.into();
        let pages = RwLock::new(read(&path)?);
        Ok(Self { path, pages })
    }

    /// Reads them again.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open). Those that were read before stay then.
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
        let fields = response.headers_mut();
        fields.insert(VARY, HeaderValue::from_static("accept"));
        Some(response)
    }
}

fn read(folder: &Path) -> Result<Pages, ErrorPageDirError> {
    let wrong = |path: &Path, why| ErrorPageDirError {
        path: path.to_owned(),
        why,
    };
    let mut pages = Pages::new();
    for entry in fs::read_dir(folder).map_err(|error| wrong(folder, error.into()))? {
        let name = entry
            .map_err(|error| wrong(folder, error.into()))?
            .file_name();
        let Some(of) = name.to_str().and_then(|name| name.strip_suffix(".html")) else {
            continue;
        };
        if is_of_errors(of) {
            let path = folder.join(&name);
            let page = read_page(&path).map_err(|why| wrong(&path, why))?;
            pages.insert(of.into(), page);
        }
    }
    if pages.is_empty() {
        return Err(wrong(folder, Reason::Empty));
    }
    Ok(pages)
}

/// Whether these are a status of an error, or a class of them.
fn is_of_errors(text: &str) -> bool {
    matches!(
        text.as_bytes(),
        [b'4' | b'5', b'0'..=b'9', b'0'..=b'9'] | [b'4' | b'5', b'x', b'x']
    )
}

fn read_page(path: &Path) -> Result<Bytes, Reason> {
    let mut page = Vec::new();
    let file = regular_file::open(path)?;
    file.take(LARGEST + 1).read_to_end(&mut page)?;
    if page.len() as u64 > LARGEST {
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
        match &self.why {
            Reason::System(error) => error.fmt(f),
            Reason::TooLarge => write!(f, "it has more than {} KiB", LARGEST / 1024),
            Reason::NotText => f.write_str("it is not UTF-8"),
            Reason::Empty => {
                f.write_str("there is no page, such as 404.html, 4xx.html or 5xx.html")
            }
        }
    }
}

impl Error for ErrorPageDirError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.why {
            Reason::System(error) => Some(error),
            _ => None,
        }
    }
}
