//! Uploads into a served folder: files by `PUT`, and forms with files by `POST`.

mod error;
mod form;
mod page;
mod put;
mod target;

use std::sync::Arc;

use http::header::HeaderValue;
use http::{Method, StatusCode};

use self::error::UploadError;
use self::page::OffersUploads;
pub(crate) use self::page::form;
use super::path::{Kind, Name, PathError};
use crate::fs::folder::Folder;
use crate::fs::new_file::Existing;
use crate::message::response::method_not_allowed;
use crate::message::{BodyMode, Handler, Request, Response};
use crate::web::ServeDir;
use crate::web::layers::{ConcurrencyLimit, CsrfProtection};

/// The methods of files, and of folders.
const OF_FILES: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS, PUT");
const OF_FOLDERS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS, POST");

/// The default for the largest file.
const MAX_FILE: u64 = 1 << 30;

/// The default for uploads at once.
const CONCURRENT: usize = 4;

/// The most files of one form. Browsers send all files that were chosen at once.
const MAX_FILES: usize = 1000;

/// Serves a folder, and takes uploads into it.
///
/// `GET` and `HEAD` get what [`ServeDir`] serves. `PUT /folder/file` stores a file. `POST /folder/` stores
/// the files of a form (`multipart/form-data`); with [`ServeDir::listing`], each listing has such a form.
///
/// Everyone who reaches this handler can store files, and files of the folder are served as pages of your
/// site. So put a layer for authentication before it, for example
/// [`BasicAuth`](crate::layers::BasicAuth), and do not keep other pages that need protection at the same
/// origin.
///
/// ```no_run
/// use httpool::{ServeDir, Server, Uploads};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let files = ServeDir::new("/srv/incoming")?.listing(true);
/// let uploads = Uploads::new(files).max_file(100 << 20);
/// Server::builder().listen("localhost:4000").bind()?.run(uploads)?;
/// # Ok(())
/// # }
/// ```
///
/// # Responses
///
/// `PUT` gets 201 for a new file, with its path in `Location`, and 204 for a file that was replaced. A form
/// gets 303 to its folder if its sender prefers HTML, as browsers do, and all files were stored; otherwise a
/// page or JSON with the result of each file, and the status of the first one that was not stored.
///
/// | status | reason |
/// |---|---|
/// | 400 | a name with control characters, or that is not UTF-8; `Content-Range` with `PUT` |
/// | 403 | a name that is not served, for example a dotfile; a page of another site |
/// | 405 | `PUT` to a folder, `POST` to a file |
/// | 409 | a file of that name exists (unless files may be [replaced](Self::overwrite)), or is being uploaded; something of that name is no file; the folder does not exist |
/// | 412 | a condition failed: `If-None-Match: *` or `If-Match` (RFC 9110 section 13) |
/// | 413 | a file is larger than the [limit](Self::max_file) |
/// | 415 | `Content-Encoding` with `PUT`, or a form of another type |
/// | 503 | too many uploads at once, with `Retry-After` |
/// | 507 | the disk is full |
///
/// Requests of pages of other origins are rejected as by [`CsrfProtection`](crate::layers::CsrfProtection).
///
/// # Files
///
/// Folders are found as `ServeDir` finds them, so no link leads out of the folder. The last part of the path
/// is never followed if it is a link. Folders are not created. The name of a file in a form is
/// [made safe](crate::multipart::PartHead::safe_file_name), and never a path; one that begins with a dot is
/// rejected.
///
/// A file is written under a hidden name beside its place (`.httpool-upload-` and digits, which is never
/// served), synchronised with the disk, and renamed. So a file is whole or not there, and an upload that
/// breaks off leaves nothing. If the process is killed, the hidden file stays until the next upload of the
/// same name, which replaces it; it may be removed by hand. It is locked while it is written, so the second
/// of two uploads of one name at once gets 409, also with several processes. New files have the permissions
/// that the umask leaves of `rw-rw-rw-`.
///
/// # Workers
///
/// The content is read while it arrives ([`BodyMode::Streaming`]), which occupies a worker until its last
/// byte. So only [some](Self::concurrent) uploads are taken at once, fewer than there are workers. The
/// timeouts of streamed bodies bound each.
#[derive(Debug, Clone)]
pub struct Uploads {
    files: Arc<ServeDir>,
    max_file: u64,
    existing: Existing,
    running: ConcurrencyLimit,
    csrf: CsrfProtection,
}

/// The folder and the name that a request has.
struct Located<'r> {
    folder: Folder,
    name: Name<'r>,
}

impl Uploads {
    /// Takes uploads into the folder that this handler serves.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    ///
    /// use httpool::{ServeDir, Uploads};
    ///
    /// let files = Arc::new(ServeDir::new("/srv/incoming")?);
    /// // The folder can be reloaded while it is served.
    /// let uploads = Uploads::new(Arc::clone(&files));
    /// files.reload()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(files: impl Into<Arc<ServeDir>>) -> Self {
        Self {
            files: files.into(),
            max_file: MAX_FILE,
            existing: Existing::Keep,
            running: ConcurrencyLimit::new(CONCURRENT),
            csrf: CsrfProtection::new(),
        }
    }

    /// Sets the most bytes of a file. Default: 1 GiB. A form may have 1000 files.
    #[must_use]
    pub fn max_file(mut self, bytes: u64) -> Self {
        self.max_file = bytes;
        self
    }

    /// Sets whether a file replaces one of the same name. Default: false.
    #[must_use]
    pub fn overwrite(mut self, allowed: bool) -> Self {
        self.existing = if allowed {
            Existing::Replace
        } else {
            Existing::Keep
        };
        self
    }

    /// Sets how many uploads are taken at once. Default: 4. Set it to half of the
    /// [workers](crate::Builder::workers) or less, so that others are left for other requests.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn concurrent(mut self, uploads: usize) -> Self {
        self.running = ConcurrencyLimit::new(uploads);
        self
    }

    fn respond(&self, request: &mut Request, prefix_length: usize) -> Response {
        match *request.method() {
            Method::GET | Method::HEAD => {
                request.extensions_mut().insert(OffersUploads);
                self.files.respond(request, prefix_length)
            }
            Method::PUT | Method::POST => {
                let result = self.take(request, prefix_length);
                result.unwrap_or_else(|error| error.respond(request))
            }
            _ => method_not_allowed(request, allowed(request)),
        }
    }

    fn take(&self, request: &mut Request, prefix_length: usize) -> Result<Response, UploadError> {
        if !self.csrf.admits(request) {
            return Err(UploadError::OtherOrigin);
        }
        // It borrows the path, and the request is read.
        let uri = request.uri().clone();
        let Located { folder, name } = self.locate(uri.path(), prefix_length)?;
        match (request.method(), name.kind) {
            (&Method::PUT, Kind::File) => self.put(&folder, &name.path, request),
            (&Method::POST, Kind::Folder) => self.post(&folder, &name.path, request),
            _ => Ok(method_not_allowed(request, allowed(request))),
        }
    }

    /// Finds what the path names, as for a request of the content.
    fn locate<'r>(&self, path: &'r str, prefix_length: usize) -> Result<Located<'r>, UploadError> {
        let files = &*self.files;
        let rest = files.path_within(path, prefix_length);
        let name = match rest.map(|rest| Name::parse(rest, files.dotfiles)) {
            Some(Ok(name)) => name,
            Some(Err(PathError::Malformed)) => return Err(UploadError::Name),
            Some(Err(PathError::Missing)) | None => return Err(UploadError::Hidden),
        };
        let folder = files.root.current().folder;
        Ok(Located { folder, name })
    }

    fn mode(&self, method: &Method) -> BodyMode {
        match *method {
            Method::PUT => BodyMode::Streaming {
                most: self.max_file,
            },
            Method::POST => BodyMode::Streaming {
                most: self.most_of_form(),
            },
            _ => BodyMode::HeadOnly,
        }
    }

    /// The most bytes of a form: of its files, and for what is around them.
    fn most_of_form(&self) -> u64 {
        const AROUND: u64 = 16 * 1024;
        let of_file = self.max_file.saturating_add(AROUND);
        of_file.saturating_mul(MAX_FILES as u64)
    }
}

impl Handler for Uploads {
    fn handle(&self, request: &mut Request) -> Response {
        self.respond(request, 0)
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        self.mode(request.method())
    }

    fn may_upgrade(&self) -> bool {
        false
    }
}

/// A router with this handler as its fallback, which can be nested.
impl<S: Send + Sync + 'static> From<Uploads> for crate::web::Router<S> {
    fn from(uploads: Uploads) -> Self {
        Self::new().fallback(uploads)
    }
}

#[diagnostic::do_not_recommend]
impl crate::web::router::Takes<Self> for Uploads {}

/// Lets a router call the handler like a function whose only argument is the request.
#[diagnostic::do_not_recommend]
impl<S> crate::web::router::Function<S, Self> for Uploads {
    // The limits are those of each handler, which checks them while it reads.
    const BODY_MODE: BodyMode = BodyMode::Streaming { most: u64::MAX };

    fn call(&self, call: &mut crate::web::extract::RequestContext<'_, S>) -> Response {
        let prefix_length = call.prefix_length();
        self.respond(call.request_mut(), prefix_length)
    }
}

/// The methods of the file or the folder that the path names.
fn allowed(request: &Request) -> HeaderValue {
    match request.uri().path().ends_with('/') {
        true => OF_FOLDERS,
        false => OF_FILES,
    }
}

/// The status of a file that was stored.
const STORED: StatusCode = StatusCode::CREATED;
