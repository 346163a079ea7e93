//! A folder of files as a handler.

mod answer;
mod coding;
mod conditions;
mod listing;
mod media_type;
mod multipart;
mod path;
mod ranges;
mod root;
mod validators;

use std::borrow::Cow;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, HeaderMap, HeaderValue, LOCATION};
use http::{Method, StatusCode, Uri};
use log::{error, warn};

use self::answer::{Caching, Representation};
use self::coding::Coding;
use self::listing::Listing;
use self::path::{Dotfiles, Kind, Name, Unnamed};
pub use self::root::Symlinks;
use self::root::{Found, Missed, Root};
use crate::{Handler, IntoResponse, Problem, Request, Response, weights};

const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// What caches may do with a file unless they are told otherwise: keep it, and ask each time whether
/// it is still the same, which costs an answer without content.
const ASK_EACH_TIME: HeaderValue = HeaderValue::from_static("no-cache");

/// The same of what never changes under its name.
const KEEP: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

const BY_ENCODING: HeaderValue = HeaderValue::from_static("accept-encoding");
const BY_BOTH: HeaderValue = HeaderValue::from_static("accept, accept-encoding");

/// The file that stands for its folder.
const INDEX: &[u8] = b"index.html";

/// Serves a folder: `GET` and `HEAD` of what is in it.
///
/// ```no_run
/// use httpool::{Files, ListenAddr, Server};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let files = Files::new("public")?.precompressed(true).immutable("/assets/");
/// Server::builder().listen("localhost:4000".parse::<ListenAddr>()?).bind()?.run(files)?;
/// # Ok(())
/// # }
/// ```
///
/// # Paths
///
/// A request's path is percent-decoded once, segment by segment. The system looks for the file
/// beneath the root and nowhere else (`openat2` with `RESOLVE_BENEATH`), so that neither `..` in any
/// form nor a symbolic link that is put there at the wrong moment leads out. Only regular files are
/// served, and names that begin with a dot are not, but for `/.well-known/`.
///
/// A path that ends with a slash is a folder: its `index.html` is served. A folder without the slash
/// is redirected to the one with it.
///
/// The folder is opened once. A symbolic link by which it was found may be turned to another folder
/// afterwards; that one is served when the program starts again.
///
/// # Answers
///
/// Each has its media type by its name, and text is UTF-8. `ETag`, `Last-Modified` and all
/// conditional fields are as in RFC 9110 section 13, in the order of its section 13.2.2. Entity tags are strong
/// unless the file has changed within the last two seconds. One or several ranges are sent as asked
/// for (section 14), up to 16; more are answered 416. `Cache-Control` is `no-cache` unless it is
/// [set](Self::cache_control).
///
/// Content is sent as [`Body::from_file`](crate::Body::from_file) says: a file that is cut short
/// meanwhile resets its connection. Put files in place by renaming them.
///
/// # Under a router
///
/// It can be a [fallback](crate::Router::fallback), also of a nested router if it knows
/// [where it is](Self::under).
#[derive(Debug)]
pub struct Files {
    root: Root,
    under: String,
    dotfiles: Dotfiles,
    copies: Copies,
    listing: Listings,
    fallback: Option<Vec<u8>>,
    cache_control: HeaderValue,
    /// How paths begin of what never changes, without their first slash.
    immutable: Vec<Vec<u8>>,
}

/// Whether compressed copies are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copies {
    Ignored,
    Served,
}

/// Whether it is told what is in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listings {
    None,
    Told,
}

impl Files {
    /// Serves this folder.
    ///
    /// # Errors
    ///
    /// If it is no folder, or can't be read, or the system has no `openat2` (Linux 5.6) or does not
    /// let this process call it.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self {
            root: Root::new(root.as_ref())?,
            under: String::new(),
            dotfiles: Dotfiles::Hidden,
            copies: Copies::Ignored,
            listing: Listings::None,
            fallback: None,
            cache_control: ASK_EACH_TIME,
            immutable: Vec::new(),
        })
    }

    /// Serves it under this path, as `/static`, which is no part of files' names; what is asked for
    /// elsewhere is not found. It is `/` by default.
    ///
    /// ```no_run
    /// use httpool::{Files, Router};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let files = Router::new().fallback(Files::new("public")?.under("/static"));
    /// let router: Router = Router::new().get("/", || "home").nest("/static", files);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn under(mut self, path: &str) -> Self {
        path.trim_end_matches('/').clone_into(&mut self.under);
        self
    }

    /// Which symbolic links are followed: those that stay beneath the root by default.
    #[must_use]
    pub fn symlinks(mut self, symlinks: Symlinks) -> Self {
        self.root.set_symlinks(symlinks);
        self
    }

    /// Whether names that begin with a dot are served: not by default, but for `/.well-known/`
    /// (RFC 8615), which always is.
    #[must_use]
    pub fn dotfiles(mut self, served: bool) -> Self {
        self.dotfiles = if served {
            Dotfiles::Served
        } else {
            Dotfiles::Hidden
        };
        self
    }

    /// Whether `style.css.br`, `style.css.zst` or `style.css.gz` is sent in place of `style.css` to
    /// clients that take it (`Accept-Encoding`): not by default. Every file then varies by that, and
    /// costs a look for each coding that its client takes.
    ///
    /// Nobody looks whether both say the same. A copy is served only where its original is.
    #[must_use]
    pub fn precompressed(mut self, served: bool) -> Self {
        self.copies = if served {
            Copies::Served
        } else {
            Copies::Ignored
        };
        self
    }

    /// Whether a folder without an `index.html` is answered with what is in it: not by default.
    ///
    /// It tells what would be served and nothing else, up to 10,000 names: as a page that sorts by
    /// name, size or time (`?sort=size&order=desc`), or as JSON for who prefers that (`Accept`).
    #[must_use]
    pub fn listing(mut self, told: bool) -> Self {
        self.listing = if told { Listings::Told } else { Listings::None };
        self
    }

    /// A file, as `index.html`, that is served where there is none: for programs in a browser that
    /// read the path themselves. There is none by default.
    ///
    /// A path whose last segment has a dot seems to be that of a file, and is not found unless the
    /// client asks for HTML: a script that is missing must not be answered with a page.
    #[must_use]
    pub fn fallback(mut self, file: impl AsRef<Path>) -> Self {
        let path = file.as_ref().as_os_str().as_bytes();
        self.fallback = Some(path.strip_prefix(b"/").unwrap_or(path).to_vec());
        self
    }

    /// The `Cache-Control` of all files: `no-cache` by default, so that caches keep a file and ask
    /// each time whether it is still the same.
    #[must_use]
    pub fn cache_control(mut self, value: HeaderValue) -> Self {
        self.cache_control = value;
        self
    }

    /// Files whose paths begin with this, as `/assets/`, never change under their names: caches may
    /// keep them for a year and need not ask. Can be called again for more.
    #[must_use]
    pub fn immutable(mut self, prefix: &str) -> Self {
        let prefix = prefix.strip_prefix('/').unwrap_or(prefix);
        self.immutable.push(prefix.into());
        self
    }

    /// Whether there is a file of this name that would be served.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn find(&self, file: impl AsRef<Path>) -> io::Result<()> {
        let path = file.as_ref().as_os_str().as_bytes();
        match self.root.open(path.strip_prefix(b"/").unwrap_or(path)) {
            Ok(Found::File(..)) => Ok(()),
            Ok(Found::Folder(_)) => Err(io::ErrorKind::IsADirectory.into()),
            Err(Missed::Missing) => Err(io::ErrorKind::NotFound.into()),
            Err(Missed::Forbidden) => Err(io::ErrorKind::PermissionDenied.into()),
            Err(Missed::Busy(error) | Missed::Failed(error)) => Err(error),
        }
    }

    fn serve(&self, request: &Request) -> Response {
        let rest = request.uri().path().strip_prefix(&*self.under);
        let name = rest.map_or(Err(Unnamed::Missing), |rest| {
            Name::read(rest, self.dotfiles)
        });
        let name = match name {
            Ok(name) => name,
            Err(Unnamed::Missing) => return self.stand_in(request),
            Err(Unnamed::Malformed) => {
                let problem =
                    Problem::new(StatusCode::BAD_REQUEST).detail("no file has such a name");
                return problem.answer(request.headers());
            }
        };
        let path = match name.kind {
            Kind::File => Cow::Borrowed(&*name.path),
            Kind::Folder => Cow::Owned(join(&name.path, INDEX)),
        };
        match (self.root.open(&path), name.kind) {
            (Ok(Found::File(file, metadata)), _) => {
                let never_changes = self.immutable.iter().any(|prefix| path.starts_with(prefix));
                let caching = Caching {
                    control: if never_changes {
                        &KEEP
                    } else {
                        &self.cache_control
                    },
                    vary: self.vary(),
                };
                self.choose(&path, file, &metadata, request)
                    .answer(request, caching)
            }
            (Ok(Found::Folder(_)), Kind::File) => redirect(request.uri()),
            (Ok(Found::Folder(_)) | Err(Missed::Missing), _) => self
                .list(&name, request)
                .unwrap_or_else(|| self.stand_in(request)),
            (Err(missed), _) => refuse(missed, request),
        }
    }

    /// Answers with what is in a folder that has no index, if that may be told.
    fn list(&self, name: &Name<'_>, request: &Request) -> Option<Response> {
        if self.listing == Listings::None || name.kind == Kind::File {
            return None;
        }
        let listing = match self.root.open(&name.path) {
            Ok(Found::Folder(folder)) => {
                Listing::read(&self.root, &folder, &name.path, self.dotfiles)
            }
            Ok(Found::File(..)) | Err(Missed::Missing) => return None,
            Err(missed) => return Some(refuse(missed, request)),
        };
        Some(match listing {
            Ok(listing) => listing.answer(request),
            Err(error) => refuse(Missed::Failed(error), request),
        })
    }

    /// Answers where there is no file.
    fn stand_in(&self, request: &Request) -> Response {
        let missing = || Problem::new(StatusCode::NOT_FOUND).answer(request.headers());
        let path = request.uri().path();
        let seems_file = path
            .rsplit('/')
            .next()
            .is_some_and(|name| name.contains('.'));
        let Some(fallback) = &self.fallback else {
            return missing();
        };
        if seems_file && !asks_for_page(request.headers()) {
            return missing();
        }
        match self.root.open(fallback) {
            Ok(Found::File(file, metadata)) => {
                let caching = Caching {
                    control: &self.cache_control,
                    vary: if seems_file {
                        Some(BY_BOTH)
                    } else {
                        self.vary()
                    },
                };
                self.choose(fallback, file, &metadata, request)
                    .answer(request, caching)
            }
            Ok(Found::Folder(_)) | Err(Missed::Missing) => missing(),
            Err(missed) => refuse(missed, request),
        }
    }

    /// The file itself, or the copy of it that the client likes best.
    fn choose(
        &self,
        path: &[u8],
        file: File,
        metadata: &Metadata,
        request: &Request,
    ) -> Representation {
        let media_type = media_type::of(path);
        if self.copies == Copies::Served {
            for coding in Coding::wanted(request.headers()) {
                let copy = [path, coding.extension().as_bytes()].concat();
                if let Ok(Found::File(file, metadata)) = self.root.open(&copy) {
                    return Representation::new(file, &metadata, media_type, Some(coding));
                }
            }
        }
        Representation::new(file, metadata, media_type, None)
    }

    /// What files are chosen by besides their names.
    fn vary(&self) -> Option<HeaderValue> {
        (self.copies == Copies::Served).then_some(BY_ENCODING)
    }
}

impl Handler for Files {
    fn handle(&self, request: &mut Request) -> Response {
        match *request.method() {
            Method::GET | Method::HEAD => self.serve(request),
            Method::OPTIONS => allowing(StatusCode::NO_CONTENT.into_response()),
            _ => allowing(Problem::new(StatusCode::METHOD_NOT_ALLOWED).answer(request.headers())),
        }
    }
}

/// As a function of a router, which has no arguments but the whole request.
#[cfg(feature = "router")]
impl<S> crate::routing::Function<S, Self> for Files {
    fn call(&self, call: &mut crate::routing::Call<'_, S>) -> Response {
        self.handle(call.request_mut())
    }
}

fn allowing(mut response: Response) -> Response {
    response.headers_mut().insert(ALLOW, ALLOWED);
    response
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match folder {
        [] => name.to_vec(),
        _ => [folder, b"/", name].concat(),
    }
}

/// Whether a page would be of use to the client, who says so.
fn asks_for_page(fields: &HeaderMap) -> bool {
    weights::in_field(fields, &ACCEPT).any(|(name, weight)| name == "text/html" && weight > 0)
}

/// To the same path with a slash behind it. It is said from where the client is: so it is right
/// behind a proxy that changes paths, and can't be read as another host whatever the path is.
fn redirect(uri: &Uri) -> Response {
    let name = uri.path().rsplit('/').next().unwrap_or_default();
    let target = match uri.query() {
        Some(query) => format!("./{name}/?{query}"),
        None => format!("./{name}/"),
    };
    let mut response = StatusCode::MOVED_PERMANENTLY.into_response();
    let fields = response.headers_mut();
    // What a request's target may have in it, a field may have.
    if let Ok(target) = HeaderValue::try_from(target) {
        fields.insert(LOCATION, target);
    }
    fields.insert(CACHE_CONTROL, ASK_EACH_TIME);
    response
}

fn refuse(missed: Missed, request: &Request) -> Response {
    let path = request.uri().path();
    let status = match missed {
        Missed::Missing => StatusCode::NOT_FOUND,
        Missed::Forbidden => StatusCode::FORBIDDEN,
        Missed::Busy(error) => {
            warn!("{path:?} can't be opened now: {error}");
            StatusCode::SERVICE_UNAVAILABLE
        }
        Missed::Failed(error) => {
            error!("{path:?} can't be opened: {error}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    Problem::new(status).answer(request.headers())
}
