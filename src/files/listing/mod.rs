//! What is in a folder, for who looks around.

mod page;

use std::io;
use std::time::SystemTime;

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue, VARY};
use percent_encoding::percent_decode_str;
use rustix::fs::Dir;

use super::path::{Dotfiles, is_visible};
use super::root::{Missed, Root};
use super::validators::modified_before;
use super::{ASK_EACH_TIME, join};
use crate::page::POLICY;
use crate::problem::ProblemForm;
use crate::{Body, IntoResponse as _, Request, Response};

/// Most names that are looked at for one answer: each costs four system calls, and who has more of
/// them is not served by a page of them all.
const MOST: usize = 10_000;

/// What of a folder would be served.
#[derive(Debug)]
pub(super) struct Listing {
    entries: Vec<Entry>,
    /// Whether all of it was looked at.
    is_complete: bool,
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
    pub(super) fn read(
        root: &Root,
        folder: Dir,
        path: &[u8],
        dotfiles: Dotfiles,
    ) -> Result<Self, Missed> {
        let now = SystemTime::now();
        let (mut entries, mut is_complete) = (Vec::new(), true);
        let mut seen = 0;
        for entry in folder {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if seen == MOST {
                is_complete = false;
                break;
            }
            seen += 1;
            if name.contains(&b'\\') || !is_visible(name, path.is_empty(), dotfiles) {
                continue;
            }
            // What is found as a request would find it is what a request would get.
            let metadata = match root.look(&join(path, name)) {
                Ok(metadata) => metadata,
                Err(Missed::Missing | Missed::Forbidden) => continue,
                Err(missed) => return Err(missed),
            };
            if !metadata.is_file() && !metadata.is_dir() {
                continue;
            }
            entries.push(Entry {
                name: name.to_vec(),
                size: metadata.is_file().then_some(metadata.len()),
                modified: modified_before(&metadata, now),
            });
        }
        Ok(Self {
            entries,
            is_complete,
        })
    }

    /// The answer to a HEAD, for which nothing is looked at: how long the content of a GET would be is
    /// the only thing that only this would tell, and it need not be told (RFC 9110 section 9.3.2).
    pub(super) fn answer_head(request: &Request) -> Response {
        let nothing = Self {
            entries: Vec::new(),
            is_complete: true,
        };
        let mut response = nothing.answer(request);
        *response.body_mut() = Body::from_reader(io::empty());
        response
    }

    /// The answer in the order that the client asks for and the form that it prefers.
    pub(super) fn answer(mut self, request: &Request) -> Response {
        let order = Order::asked_for(request.uri().query().unwrap_or_default());
        order.sort(&mut self.entries);
        let path = percent_decode_str(request.uri().path()).decode_utf8_lossy();
        let mut response = match ProblemForm::preferred(request.headers()) {
            ProblemForm::Json => page::json(&self, &path).into_response(),
            ProblemForm::Html | ProblemForm::Text => {
                page::html(&self, &path, order).into_response()
            }
        };
        let fields = response.headers_mut();
        fields.insert(CONTENT_SECURITY_POLICY, POLICY);
        mark(fields);
        response
    }
}

/// The answer to who wants to know of nothing that is there.
pub(super) fn not_modified() -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    mark(response.headers_mut());
    response
}

/// Tells caches what they may do.
fn mark(fields: &mut HeaderMap) {
    fields.insert(CACHE_CONTROL, ASK_EACH_TIME);
    fields.insert(VARY, HeaderValue::from_static("accept"));
}

impl Order {
    /// What a query such as `sort=size&order=desc` asks for; what it says otherwise counts for nothing.
    fn asked_for(query: &str) -> Self {
        let mut order = Self {
            column: Column::Name,
            direction: Direction::Up,
        };
        for part in query.split('&') {
            match part {
                "sort=name" => order.column = Column::Name,
                "sort=size" => order.column = Column::Size,
                "sort=modified" => order.column = Column::Modified,
                "order=asc" => order.direction = Direction::Up,
                "order=desc" => order.direction = Direction::Down,
                _ => {}
            }
        }
        order
    }

    fn sort(self, entries: &mut [Entry]) {
        // Names without regard to case, and by their bytes where that tells none apart.
        entries.sort_by_cached_key(|entry| (entry.name.to_ascii_lowercase(), entry.name.clone()));
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
