//! Listings of folders.

mod names;
mod page;

use std::fs::Metadata;
use std::time::SystemTime;

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue, VARY};
use percent_encoding::percent_decode_str;
use rustix::fs::Dir;

use self::names::{Names, by_name};
use super::path::{Dotfiles, is_visible};
use super::validators::clamped_mtime;
use super::{REVALIDATE, join};
use crate::fs::folder::{Folder, OpenError};
use crate::message::headers::media_type;
use crate::message::problem::html_page::POLICY;
use crate::message::{IntoResponse as _, Request, Response};

/// Most names in one response. Each costs four system calls. The limit also bounds the memory of a
/// response, regardless of the number of names in the folder.
const PAGE_SIZE: usize = 10_000;

/// The files and folders in a folder that would be served.
#[derive(Debug)]
pub(crate) struct Listing {
    entries: Vec<Entry>,
    extent: Extent,
}

/// How much of a folder a listing shows.
#[derive(Debug)]
enum Extent {
    Whole,
    /// One page of the names. Size and time of the other names are not known, so pages are sorted
    /// by name only.
    Page {
        /// The number of names on all pages.
        names: u64,
        /// The last name of this page, if another page follows.
        next: Option<Vec<u8>>,
    },
}

/// The format of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Html,
    Json,
}

/// The parameters of the query.
#[derive(Debug)]
pub(crate) struct Query {
    order: Order,
    /// The page begins after this name.
    after: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Entry {
    name: Vec<u8>,
    /// `None` for a folder.
    size: Option<u64>,
    modified: SystemTime,
}

/// The order of entries. Folders always come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Order {
    column: Column,
    direction: Direction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    Size,
    Modified,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

impl Listing {
    /// Reads the folder, and keeps the entries that would be served.
    pub(crate) fn read(
        root: &Folder,
        folder: Dir,
        path: &[u8],
        dotfiles: Dotfiles,
        query: &Query,
    ) -> Result<Self, OpenError> {
        let mut names = Names::new(PAGE_SIZE, query.after.as_deref());
        for entry in folder {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") && is_visible(name, path.is_empty(), dotfiles) {
                names.add(name);
            }
        }
        let count = names.count();
        let (names, has_more) = names.finish();
        let extent = match (&query.after, has_more) {
            (None, false) => Extent::Whole,
            _ => Extent::Page {
                names: count,
                next: names.last().filter(|_| has_more).cloned(),
            },
        };
        let now = SystemTime::now();
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            // Resolve the name as for a request, so the listing shows what a request would get.
            match root.metadata(&join(path, &name)) {
                Ok(metadata) => entries.extend(Entry::new(name, &metadata, now)),
                Err(OpenError::NotFound | OpenError::Forbidden) => {}
                Err(missed) => return Err(missed),
            }
        }
        if let Extent::Whole = extent {
            query.order.sort(&mut entries);
        }
        Ok(Self { entries, extent })
    }

    /// The response in the format that the client prefers.
    pub(crate) fn respond(self, request: &Request, query: &Query) -> Response {
        let path = percent_decode_str(request.uri().path()).decode_utf8_lossy();
        let mut response = match Format::preferred(request.headers()) {
            Format::Json => page::json(&self, &path).into_response(),
            Format::Html => page::html(&self, &path, query.order).into_response(),
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, POLICY);
        set_caching(headers);
        response
    }
}

impl Entry {
    fn new(name: Vec<u8>, metadata: &Metadata, now: SystemTime) -> Option<Self> {
        (metadata.is_file() || metadata.is_dir()).then(|| Self {
            name,
            size: metadata.is_file().then_some(metadata.len()),
            modified: clamped_mtime(metadata, now),
        })
    }
}

impl Format {
    /// HTML, unless the client prefers JSON.
    fn preferred(request: &HeaderMap) -> Self {
        const FORMATS: [(Format, &[&str]); 2] = [
            (Format::Html, &["text/html"]),
            (Format::Json, &["application/json"]),
        ];
        media_type::preferred(request, &FORMATS).unwrap_or(Self::Html)
    }
}

/// The 304 response for a listing.
pub(crate) fn not_modified() -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    set_caching(response.headers_mut());
    response
}

/// Sets the caching headers.
fn set_caching(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, REVALIDATE);
    headers.insert(VARY, HeaderValue::from_static("accept"));
}

impl Query {
    /// Parses a query, for example `sort=size&order=desc`. Other parameters and values are ignored.
    pub(crate) fn parse(query: &str) -> Self {
        let mut order = Order {
            column: Column::Name,
            direction: Direction::Up,
        };
        let mut after = None;
        for part in query.split('&') {
            match part {
                "sort=name" => order.column = Column::Name,
                "sort=size" => order.column = Column::Size,
                "sort=modified" => order.column = Column::Modified,
                "order=asc" => order.direction = Direction::Up,
                "order=desc" => order.direction = Direction::Down,
                _ => {
                    let name = part.strip_prefix("after=");
                    after = name
                        .map(|name| percent_decode_str(name).collect())
                        .or(after);
                }
            }
        }
        Self { order, after }
    }
}

impl Order {
    fn sort(self, entries: &mut [Entry]) {
        entries.sort_by(|one, other| by_name(&one.name, &other.name));
        match self.column {
            Column::Name => {}
            Column::Size => entries.sort_by_key(|entry| entry.size),
            Column::Modified => entries.sort_by_key(|entry| entry.modified),
        }
        if self.direction == Direction::Down {
            entries.reverse();
        }
        entries.sort_by_key(|entry| entry.size.is_some());
    }
}
