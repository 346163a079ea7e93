//! A folder of files as a handler.

pub(crate) mod respond;

mod coding;
mod conditions;
mod digests;
mod listing;
mod media_type;
mod multipart;
mod path;
mod ranges;
mod serve;
mod validators;

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use http::HeaderValue;

use self::digests::Digests;
use self::media_type::MediaTypes;
use self::path::{Dotfiles, may_be_served};
pub use self::validators::EntityTags;
pub use crate::fs::folder::Symlinks;
use crate::fs::folder::{Folder, Found, Missed};
use crate::fs::root::Root;

/// What caches may do with a file unless they are told otherwise: keep it, and ask each time whether
/// it is still the same, which costs an answer without content.
const ASK_EACH_TIME: HeaderValue = HeaderValue::from_static("no-cache");

/// Serves a folder: `GET` and `HEAD` of what is in it.
///
/// ```no_run
/// use httpool::{ServeDir, Server};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let files = ServeDir::new("public")?.precompressed(true).immutable("/assets/");
/// Server::builder().listen("localhost:4000").bind()?.run(files)?;
/// # Ok(())
/// # }
/// ```
///
/// # Paths
///
/// A server has resolved the segments `.` and `..` of a request's path before any handler sees it;
/// in a path that a program makes itself they name nothing. The path is percent-decoded once, segment
/// by segment. The system looks for the file
/// beneath the root and nowhere else (`openat2` with `RESOLVE_BENEATH`), so that neither `..` in any
/// form nor a symbolic link that is put there at the wrong moment leads out. Where that call is
/// missing (before Linux 5.6) or not allowed, as in many sandboxes, the server goes from folder to
/// folder itself, to the same effect: it logs so once, pays two system calls for each, and finds
/// nothing where links lead up and down again through more than 4096. Only regular files are served,
/// and names that begin with a dot are not, but for `/.well-known/`.
///
/// A path that ends with a slash is a folder: its `index.html` is served. A folder without the slash
/// is redirected to the one with it.
///
/// # Another folder in its place
///
/// The folder is held open, and the path is looked at again at most once a second, by a request. When
/// it names another folder, because a build made it anew or a symbolic link was switched, that one is
/// served from then on, and the log says so; [`reload`](Self::reload) does so at once. A request is
/// answered from one of them. While the path names no folder, what is still in the old one is served,
/// and what is not found is answered 503 with `Retry-After` rather than 404.
///
/// # Answers
///
/// Each has its [media type](Self::media_type) by its name. Text is UTF-8, and XML says itself in
/// what it is written. `.svgz` is sent with `Content-Encoding: gzip`. `ETag`, `Last-Modified` and all
/// conditional fields are as in RFC 9110 section 13, in the order of its section 13.2.2.
/// [Entity tags](Self::entity_tags) are the same on all copies of a file that keep its time, and
/// strong unless the file has changed within the last two seconds. One or several ranges are sent as asked
/// for (section 14). Ranges that overlap or lie close together become one; more than 64 of the others
/// are answered 416. A date in `If-Range` brings the part if it is that of
/// `Last-Modified` and the tag is made of it; two fields of `Range` or `If-Range` bring the whole.
/// `Cache-Control` is `no-cache` unless it is [set](Self::cache_control).
///
/// Content is sent as [`Body::from_file`](crate::Body::from_file) says: a file that is cut short
/// meanwhile resets its connection. Put files in place by renaming them. Each answer keeps its file
/// open until it is sent; when the process may open no more, requests are answered 503 with
/// `Retry-After`.
///
/// # Under a router
///
/// It can be a [fallback](crate::Router::fallback), and be [nested](crate::Router::nest) as a router
/// is: what leads to it is no part of files' names.
///
/// ```no_run
/// use httpool::{ServeDir, Router};
///
/// # fn main() -> std::io::Result<()> {
/// let router: Router = Router::new()
///     .get("/", || "home")
///     .nest("/static", ServeDir::new("public")?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ServeDir {
    root: Root,
    under: String,
    dotfiles: Dotfiles,
    copies: Copies,
    listing: Listings,
    fallback: Option<Vec<u8>>,
    media_types: MediaTypes,
    entity_tags: Digests,
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

impl ServeDir {
    /// Serves this folder.
    ///
    /// # Errors
    ///
    /// If it is no folder, or can't be read.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self {
            root: Root::new(root.as_ref())?,
            under: String::new(),
            dotfiles: Dotfiles::Hidden,
            copies: Copies::Ignored,
            listing: Listings::None,
            fallback: None,
            media_types: MediaTypes::default(),
            entity_tags: Digests::default(),
            cache_control: ASK_EACH_TIME,
            immutable: Vec::new(),
        })
    }

    /// Serves it under this path, as `/static`, which is no part of files' names; what is asked for
    /// elsewhere is not found. It is in the form in which requests have it: `/caf%C3%A9`, not `/café`.
    /// By default that is where a router has it, and `/` without one.
    ///
    /// ```no_run
    /// use httpool::{ServeDir, Handler, IntoResponse, Request};
    ///
    /// let files = ServeDir::new("public")?.under("/static");
    /// let handler = move |mut request: Request| match request.uri().path() {
    ///     "/" => "home".into_response(),
    ///     _ => files.handle(&mut request),
    /// };
    /// # Ok::<(), std::io::Error>(())
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
    /// It shows what would be served and nothing else: as a page that sorts by name, size or time
    /// (`?sort=size&order=desc`), or as JSON for clients that prefer `application/json` (`Accept`).
    ///
    /// A folder with more than 10,000 names is shown in pages of 10,000, sorted by name alone. In JSON
    /// `complete` is false then, `names` is the number of names, and `next` is the link to the next
    /// page (`?after=NAME`).
    #[must_use]
    pub fn listing(mut self, told: bool) -> Self {
        self.listing = if told { Listings::Told } else { Listings::None };
        self
    }

    /// A file, as `index.html`, that is served where there is none: for programs in a browser that
    /// read the path themselves. There is none by default.
    ///
    /// A path whose last segment has a dot seems to be that of a file, and is not found unless the
    /// client asks for HTML: a script that is missing must not be answered with a page. A file that
    /// is not served by its own name is none here either; [`find`](Self::find) tells.
    ///
    /// ```no_run
    /// use httpool::ServeDir;
    ///
    /// let app = ServeDir::new("dist")?.immutable("/assets/").fallback("index.html");
    /// // Now, rather than with the first client.
    /// app.find("index.html")?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn fallback(mut self, file: impl AsRef<Path>) -> Self {
        let path = file.as_ref().as_os_str().as_bytes();
        self.fallback = Some(path.strip_prefix(b"/").unwrap_or(path).to_vec());
        self
    }

    /// The `Cache-Control` of all files: `no-cache` by default, so that caches keep a file and ask
    /// each time whether it is still the same.
    ///
    /// ```no_run
    /// use httpool::{ServeDir, http::HeaderValue};
    ///
    /// let for_a_minute = HeaderValue::from_static("public, max-age=60");
    /// let files = ServeDir::new("public")?.cache_control(for_a_minute);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn cache_control(mut self, value: HeaderValue) -> Self {
        self.cache_control = value;
        self
    }

    /// Sets what entity tags are made of: [size and time of modification](EntityTags::Mtime) by
    /// default, so that the servers of a fleet give the copies of a file one tag.
    ///
    /// ```no_run
    /// use httpool::{EntityTags, ServeDir};
    ///
    /// // ServeDir are replaced by others of the same size and time.
    /// let files = ServeDir::new("public")?.entity_tags(EntityTags::Change);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn entity_tags(mut self, tags: EntityTags) -> Self {
        self.entity_tags.basis = tags;
        self
    }

    /// Sets the `Content-Type` of files whose names end with a dot and this extension, in any case,
    /// in place of the known one. Can be called again for more. It is sent as it is: name the
    /// `charset` of text.
    ///
    /// ```no_run
    /// use httpool::{ServeDir, http::HeaderValue};
    ///
    /// // Not segments of a stream here, but TypeScript.
    /// let source = HeaderValue::from_static("text/plain; charset=utf-8");
    /// let files = ServeDir::new("public")?.media_type("ts", source);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn media_type(mut self, extension: &str, value: HeaderValue) -> Self {
        self.media_types.set(extension, value);
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

    /// Opens the folder that the path names now, in place of the one that is open.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    ///
    /// use httpool::{ServeDir, Server};
    ///
    /// let files = Arc::new(ServeDir::new("/srv/site/current")?);
    /// let server = Server::builder().listen("localhost:4000").bind()?;
    /// let reloads = Arc::clone(&files);
    /// // When `current` was switched, from any thread:
    /// std::thread::spawn(move || reloads.reload());
    /// server.run(files)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If it can't be opened. The one that is open is served on then.
    pub fn reload(&self) -> io::Result<()> {
        self.root.reopen()
    }

    /// Whether there is a file of this name that would be served.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn find(&self, file: impl AsRef<Path>) -> io::Result<()> {
        let path = file.as_ref().as_os_str().as_bytes();
        let folder = self.root.current().folder;
        match self.open_named(&folder, path.strip_prefix(b"/").unwrap_or(path)) {
            Ok(Found::File(..)) => Ok(()),
            Ok(Found::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            Err(Missed::Missing) => Err(io::ErrorKind::NotFound.into()),
            Err(Missed::Forbidden) => Err(io::ErrorKind::PermissionDenied.into()),
            Err(Missed::Busy(error) | Missed::Failed(error)) => Err(error),
        }
    }

    /// Opens what a program names, by the rules for what clients name.
    fn open_named(&self, folder: &Folder, path: &[u8]) -> Result<Found, Missed> {
        if may_be_served(path, self.dotfiles) {
            folder.find(path)
        } else {
            Err(Missed::Missing)
        }
    }
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match folder {
        [] => name.to_vec(),
        _ => [folder, b"/", name].concat(),
    }
}
