//! What is in a folder, for who looks around.

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
use super::validators::modified_before;
use super::{ASK_EACH_TIME, join};
use crate::fs::folder::{Folder, Missed};
use crate::message::headers::media_type;
use crate::message::problem::page::POLICY;
use crate::message::{IntoResponse as _, Request, Response};

/// Most names that one response shows. Each costs four system calls, and their number bounds the
/// memory of a response, however many names the folder has.
const MOST: usize = 10_000;

/// What of a folder would be served.
#[derive(Debug)]
pub(crate) struct Listing {
    entries: Vec<Entry>,
    extent: Extent,
}

/// How much of a folder is shown.
#[derive(Debug)]
enum Extent {
    Whole,
    /// The names of one page. Size and time are not known of the others, so these are sorted by name
    /// alone.
    Page {
        /// How many names there are on all pages.
        names: u64,
        /// The last name of this page, if another one follows.
        next: Option<Vec<u8>>,
    },
}

/// The form of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Html,
    Json,
}

/// What the query asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    order: Order,
    /// The name behind which the page begins.
    after: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Entry {
    name: Vec<u8>,
    /// None for a folder.
    size: Option<u64>,
    modified: SystemTime,
}

/// How entries are sorted; folders come first in any case.
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
    /// Looks at what is in the folder of this name, as far as it would be served.
    pub(crate) fn read(
        root: &Folder,
        folder: Dir,
        path: &[u8],
        dotfiles: Dotfiles,
        asked: &Asked,
    ) -> Result<Self, Missed> {
        let mut names = Names::new(MOST, asked.after.as_deref());
        for entry in folder {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") && is_visible(name, path.is_empty(), dotfiles) {
                names.add(name);
            }
        }
        let seen = names.seen();
        let (names, is_more) = names.finish();
        let extent = match (&asked.after, is_more) {
            (None, false) => Extent::Whole,
            _ => Extent::Page {
                names: seen,
                next: names.last().filter(|_| is_more).cloned(),
            },
        };
        let now = SystemTime::now();
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            // What is found as a request would find it is what a request would get.
            match root.look(&join(path, &name)) {
                Ok(metadata) => entries.extend(Entry::new(name, &metadata, now)),
                Err(Missed::Missing | Missed::Forbidden) => {}
                Err(missed) => return Err(missed),
            }
        }
        if let Extent::Whole = extent {
            asked.order.sort(&mut entries);
        }
        Ok(Self { entries, extent })
    }

    /// The response in the form that the client prefers.
    pub(crate) fn answer(self, request: &Request, asked: &Asked) -> Response {
        let path = percent_decode_str(request.uri().path()).decode_utf8_lossy();
        let mut response = match Form::preferred(request.headers()) {
            Form::Json => page::json(&self, &path).into_response(),
            Form::Html => page::html(&self, &path, asked.order).into_response(),
        };
        let fields = response.headers_mut();
        fields.insert(CONTENT_SECURITY_POLICY, POLICY);
        mark(fields);
        response
    }
}

impl Entry {
    fn new(name: Vec<u8>, metadata: &Metadata, now: SystemTime) -> Option<Self> {
        (metadata.is_file() || metadata.is_dir()).then(|| Self {
            name,
            size: metadata.is_file().then_some(metadata.len()),
            modified: modified_before(metadata, now),
        })
    }
}

impl Form {
    /// A page, unless the client prefers JSON.
    fn preferred(request: &HeaderMap) -> Self {
        const FORMS: [(Form, &[&str]); 2] = [
            (Form::Html, &["text/html"]),
            (Form::Json, &["application/json"]),
        ];
        media_type::preferred(request, &FORMS).unwrap_or(Self::Html)
    }
}

/// The answer to who wants to know of nothing that is there.
pub(crate) fn not_modified() -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    mark(response.headers_mut());
    response
}

/// Tells caches what they may do.
fn mark(fields: &mut HeaderMap) {
    fields.insert(CACHE_CONTROL, ASK_EACH_TIME);
    fields.insert(VARY, HeaderValue::from_static("accept"));
}

impl Asked {
    /// What a query such as `sort=size&order=desc` asks for; what it says otherwise counts for nothing.
    pub(crate) fn read(query: &str) -> Self {
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
