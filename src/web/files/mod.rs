//! A handler that serves a folder of files.

pub(crate) mod content;
pub(crate) mod respond;
pub(crate) mod validators;

#[cfg(feature = "archive")]
mod archive;
mod conditions;
mod digests;
mod listing;
mod media_type;
mod multipart;
mod path;
mod ranges;
mod resolve;
mod serve;
#[cfg(feature = "upload")]
mod upload;

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

#[cfg(feature = "archive")]
pub use self::archive::Archives;
use self::digests::Digests;
use self::media_type::MediaTypes;
use self::path::{Dotfiles, may_be_served};
use self::resolve::{PathStyle, index_names};
#[cfg(feature = "upload")]
pub use self::upload::Uploads;
pub use self::validators::EntityTags;
pub use crate::fs::folder::Symlinks;
use crate::fs::folder::{Folder, OpenError, Opened};
use crate::fs::root::Root;

/// The default `Cache-Control`: caches keep a file and revalidate it each time, which costs a 304
/// response.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// The file that is served for a folder by default.
const INDEX: &[u8] = b"index.html";

/// The characters of a name that are percent-encoded in a link.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Serves the files of a folder in response to `GET` and `HEAD`.
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
/// The server resolves the segments `.` and `..` of a request's path before any handler sees it. In
/// a path that a program makes itself, they match no file. The path is percent-decoded once,
/// segment by segment. Files are opened with `openat2` and `RESOLVE_BENEATH`, so neither `..` in
/// any form nor a symbolic link created at the wrong moment leads outside the folder. Where that
/// call is missing (before Linux 5.6) or forbidden, for example in many sandboxes, the server opens
/// one folder after another itself, with the same result. It logs this once and needs two system
/// calls for each folder. It finds no file if links go up and down again through more than 4096
/// folders. Only regular files are served. Names that begin with a dot are not served, except
/// `/.well-known/`.
///
/// The last 32 files of up to 1 MiB stay open. A request for one of them looks at the metadata of its
/// path, and opens the file again if the path names another one or anything about it has changed. The
/// content of those of up to 128 KiB that are requested more than once a second stays in memory, at
/// most 4 MiB of a folder. It is not kept within two seconds of a change, and is read again after a
/// second, so only a change through a memory mapping can be served late, and by no more than that.
///
/// For a path that ends with a slash, the `index.html` of that folder is served, or the first of the
/// names that are [set](Self::index). The path of a folder without the slash is redirected to the
/// path with it.
///
/// # Replacing the folder
///
/// The folder is kept open. At most once a second, a request checks which folder the path names
/// now. If it is another one, because a build created it anew or a symbolic link was switched, that
/// folder is served from then on, and a message is logged. [`reload`](Self::reload) does this at
/// once. Each response comes from one of the two. While the path names no folder, files that are
/// still in the old folder are served, and missing files get 503 with `Retry-After` instead of 404.
///
/// # Responses
///
/// Files get their [media type](Self::media_type) by their extension. Text is sent as UTF-8, except
/// XML, which declares its own encoding. `.svgz` is sent with `Content-Encoding: gzip`. `ETag`,
/// `Last-Modified` and all conditional headers work as in RFC 9110 section 13, in the order of
/// section 13.2.2. [Entity tags](Self::entity_tags) are the same for all copies of a file that keep
/// its modification time. They are strong unless the file has changed within the last two seconds.
/// One or several ranges are sent (section 14). Ranges that overlap or lie close together are
/// joined; a request for more than 64 ranges after that gets 416. A date in `If-Range` allows a
/// range if it is equal to `Last-Modified` and the entity tag is made of that time. A repeated
/// `Range` or `If-Range` header gets the whole file. `Cache-Control` is `no-cache` unless it is
/// [set](Self::cache_control).
///
/// Content is sent as described for [`Body::from_file`](crate::Body::from_file): if a file is
/// truncated while it is sent, the connection is reset, and in HTTP/2 only the stream. Replace files
/// by renaming new ones over them. Each response keeps its file open until it is sent. When the
/// process has reached its limit of open files, requests get 503 with `Retry-After`.
///
/// # Under a router
///
/// It can be a [fallback](crate::Router::fallback), and can be [nested](crate::Router::nest) like a
/// router. File names do not include the path at which it is nested.
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
    index: Vec<Vec<u8>>,
    path_style: PathStyle,
    copies: Copies,
    listing: Listings,
    #[cfg(feature = "archive")]
    archives: Option<Archives>,
    fallback: Option<Vec<u8>>,
    media_types: MediaTypes,
    entity_tags: Digests,
    cache_control: HeaderValue,
    /// Path prefixes of immutable files, without the first slash.
    immutable: Vec<Vec<u8>>,
}

/// Whether compressed copies of files are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copies {
    Ignored,
    Served,
}

/// Whether folders are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listings {
    Disabled,
    Enabled,
}

impl ServeDir {
    /// Serves this folder.
    ///
    /// # Errors
    ///
    /// If it is not a folder, or can't be read.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self {
            root: Root::new(root.as_ref())?,
            under: String::new(),
            dotfiles: Dotfiles::Hidden,
            index: vec![INDEX.to_vec()],
            path_style: PathStyle::Exact,
            copies: Copies::Ignored,
            listing: Listings::Disabled,
            #[cfg(feature = "archive")]
            archives: None,
            fallback: None,
            media_types: MediaTypes::default(),
            entity_tags: Digests::default(),
            cache_control: REVALIDATE,
            immutable: Vec::new(),
        })
    }

    /// Serves the folder under this path, for example `/static`. File names do not include it, and
    /// requests outside it get 404. Write it as requests do: `/caf%C3%A9`, not `/café`. Default:
    /// the path at which a router has it, and `/` without a router.
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

    /// Sets which symbolic links are followed. Default: links that stay within the folder.
    #[must_use]
    pub fn symlinks(mut self, symlinks: Symlinks) -> Self {
        self.root.set_symlinks(symlinks);
        self
    }

    /// Sets whether names that begin with a dot are served. Default: false. `/.well-known/` (RFC
    /// 8615) is always served.
    #[must_use]
    pub fn dotfiles(mut self, served: bool) -> Self {
        self.dotfiles = if served {
            Dotfiles::Served
        } else {
            Dotfiles::Hidden
        };
        self
    }

    /// Sets whether `style.css.br`, `style.css.zst` or `style.css.gz` is sent instead of
    /// `style.css` to clients that accept it (`Accept-Encoding`). Default: false. Of codings that a
    /// client accepts equally, the first in this order is sent. Every file then varies by
    /// `Accept-Encoding`, and costs one lookup for each coding that the client accepts.
    ///
    /// The server does not check that a copy matches its original. It serves a copy only if the
    /// original exists.
    #[must_use]
    pub fn precompressed(mut self, served: bool) -> Self {
        self.copies = if served {
            Copies::Served
        } else {
            Copies::Ignored
        };
        self
    }

    /// Sets the files that are served for a folder, in this order. Default: `index.html`. Without
    /// names, folders have no index. Each name that is tried costs one lookup.
    ///
    /// ```no_run
    /// use httpool::ServeDir;
    ///
    /// let files = ServeDir::new("public")?.index(["index.html", "index.htm"])?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a name is not a single file name, for example because it has a slash.
    pub fn index<N: AsRef<Path>>(mut self, names: impl IntoIterator<Item = N>) -> io::Result<Self> {
        self.index = index_names(names)?;
        Ok(self)
    }

    /// Sets whether pages are served at paths without `.html`. Default: false.
    ///
    /// `/about` is then the file `about.html`, and `/about.html` is redirected there (308, with the
    /// query), as is `/docs/index.html` to `/docs/`. If there is a folder `about`, too, `/about/` is
    /// its index or listing; without either, it is redirected to `/about`. A file `about` without
    /// an extension is served at `/about`, and `about.html` then at its own path.
    ///
    /// ```no_run
    /// use httpool::ServeDir;
    ///
    /// let files = ServeDir::new("public")?.pretty_urls(true);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn pretty_urls(mut self, enabled: bool) -> Self {
        self.path_style = match enabled {
            true => PathStyle::Pretty,
            false => PathStyle::Exact,
        };
        self
    }

    /// Sets whether a folder without an index is listed. Default: false.
    ///
    /// A listing shows only files and folders that would be served. It is an HTML page without
    /// scripts, or JSON with the same members for clients that prefer `application/json`
    /// (`Accept`). It has a link to each folder above, the number of files and folders, and the
    /// total size of the files. A `README.md`, `README` or `README.txt` of up to 256 KiB is shown
    /// below the names; Markdown is rendered with the feature `readme`.
    ///
    /// The query chooses what is shown:
    ///
    /// * `sort=size` or `sort=modified` sorts by size or time, and `order=desc` in reverse.
    /// * `search=TEXT` shows the names that contain the text, without regard to case.
    /// * `page=N` shows the next 1,000 names. All pages together are sorted.
    /// * `sizes` adds the sizes of folders, without links and files that are not served. Counting
    ///   ends after 100,000 names or a second; the page then says "more than".
    ///
    /// A folder with more than 100,000 names, or with names of more than 8 MiB together, is sorted
    /// by name only, and has no numbers of pages: its pages have a link to the next one
    /// (`?after=NAME`). Listing reads the metadata of all names that it sorts, which takes two
    /// system calls for each.
    #[must_use]
    pub fn listing(mut self, enabled: bool) -> Self {
        self.listing = if enabled {
            Listings::Enabled
        } else {
            Listings::Disabled
        };
        self
    }

    /// Serves each folder as an archive, too. Default: none.
    ///
    /// `/photos/?archive=zip` is the folder `/photos/` with all that is in it, `?archive=tar` and
    /// `?archive=tar.gz` are other formats. See [`Archives`] for what is in it, and for the limits.
    ///
    /// ```no_run
    /// use httpool::{Archives, ServeDir};
    ///
    /// let files = ServeDir::new("public")?.listing(true).archives(Archives::new());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "archive")]
    #[must_use]
    pub fn archives(mut self, archives: Archives) -> Self {
        self.archives = Some(archives);
        self
    }

    /// Sets a file, for example `index.html`, that is served in place of missing files. This is for
    /// browser applications that route by the path themselves. Default: none.
    ///
    /// If the last segment of the path contains a dot, the file is served only to clients that
    /// accept HTML; others get 404, because a missing script must not be answered with a page. A
    /// file that would not be served under its own name is not served as a fallback either; check
    /// it with [`find`](Self::find).
    ///
    /// ```no_run
    /// use httpool::ServeDir;
    ///
    /// let app = ServeDir::new("dist")?.immutable("/assets/").fallback("index.html");
    /// // Fail now, not at the first request.
    /// app.find("index.html")?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn fallback(mut self, file: impl AsRef<Path>) -> Self {
        let path = file.as_ref().as_os_str().as_bytes();
        self.fallback = Some(path.strip_prefix(b"/").unwrap_or(path).to_vec());
        self
    }

    /// Sets the `Cache-Control` of all files. Default: `no-cache`, so caches keep a file and
    /// revalidate it each time.
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

    /// Sets what entity tags are made of. Default: [size and modification time](EntityTags::Mtime),
    /// so that all servers of a fleet give the copies of a file the same tag.
    ///
    /// ```no_run
    /// use httpool::{EntityTags, ServeDir};
    ///
    /// // Files are replaced by others of the same size and time.
    /// let files = ServeDir::new("public")?.entity_tags(EntityTags::Change);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn entity_tags(mut self, tags: EntityTags) -> Self {
        self.entity_tags.kind = tags;
        self
    }

    /// Sets the `Content-Type` of files with this extension, in any case, in place of the known
    /// one. Call it again for more extensions. The value is sent unchanged: include the `charset`
    /// of text.
    ///
    /// ```no_run
    /// use httpool::{ServeDir, http::HeaderValue};
    ///
    /// // TypeScript sources, not stream segments.
    /// let source = HeaderValue::from_static("text/plain; charset=utf-8");
    /// let files = ServeDir::new("public")?.media_type("ts", source);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn media_type(mut self, extension: &str, value: HeaderValue) -> Self {
        self.media_types.set(extension, value);
        self
    }

    /// Declares that files whose paths begin with this prefix, for example `/assets/`, never
    /// change: caches may keep them for a year without revalidation. Call it again for more
    /// prefixes.
    #[must_use]
    pub fn immutable(mut self, prefix: &str) -> Self {
        let prefix = prefix.strip_prefix('/').unwrap_or(prefix);
        self.immutable.push(prefix.into());
        self
    }

    /// Opens the folder that the path names now, and serves it instead of the open one.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    ///
    /// use httpool::{ServeDir, Server};
    ///
    /// let files = Arc::new(ServeDir::new("/srv/site/current")?);
    /// let server = Server::builder().listen("localhost:4000").bind()?;
    /// let reloads = Arc::clone(&files);
    /// // After `current` was switched, from any thread:
    /// std::thread::spawn(move || reloads.reload());
    /// server.run(files)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If it can't be opened. The open folder is then still served.
    pub fn reload(&self) -> io::Result<()> {
        self.root.reopen()
    }

    /// Checks that this file exists and would be served.
    ///
    /// # Errors
    ///
    /// The reason why it would not be served.
    pub fn find(&self, file: impl AsRef<Path>) -> io::Result<()> {
        let path = file.as_ref().as_os_str().as_bytes();
        let folder = self.root.current().folder;
        match self.open_named(&folder, path.strip_prefix(b"/").unwrap_or(path)) {
            Ok(Opened::File(..)) => Ok(()),
            Ok(Opened::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            Err(OpenError::NotFound) => Err(io::ErrorKind::NotFound.into()),
            Err(OpenError::Forbidden) => Err(io::ErrorKind::PermissionDenied.into()),
            Err(OpenError::Busy(error) | OpenError::Failed(error)) => Err(error),
        }
    }

    /// Opens a file that the program names, under the rules for files that clients name.
    fn open_named(&self, folder: &Folder, path: &[u8]) -> Result<Opened, OpenError> {
        if may_be_served(path, self.dotfiles) {
            folder.open_path(path)
        } else {
            Err(OpenError::NotFound)
        }
    }
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match folder {
        [] => name.to_vec(),
        _ => [folder, b"/", name].concat(),
    }
}
