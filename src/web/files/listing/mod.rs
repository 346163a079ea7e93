//! Listings of folders.

mod folder_size;
mod json;
mod names;
mod order;
mod page;
mod page_links;
mod query;
mod readme;
mod search;
mod style;
mod tools;

use std::time::SystemTime;

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue, VARY};
use percent_encoding::percent_encode;
use rustix::fs::{Dir, FileType};

use self::folder_size::Allowance;
use self::names::{Bounds, Collected, NameList, Names};
use self::order::{Column, Entry, EntryKind};
use self::query::{FolderSizes, Query};
use self::readme::{Candidate, Readme};
use super::path::is_visible;
use super::validators::clamped;
use super::{ENCODED, REVALIDATE, join};
use crate::fs::folder::{Folder, OpenError};
use crate::message::headers::media_type;
use crate::message::{IntoResponse as _, Request, Response};
use crate::web::ServeDir;

/// The bounds of one response, regardless of the number of names in the folder. They bound its
/// memory to about 14 MiB, and its system calls to two for each name that is sorted.
const BOUNDS: Bounds = Bounds {
    page: 1000,
    names: 100_000,
    bytes: 8 * 1024 * 1024,
};

/// The folder that is listed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listed<'a> {
    pub(crate) files: &'a ServeDir,
    pub(crate) root: &'a Folder,
    /// Its path below the root.
    pub(crate) path: &'a [u8],
    /// The form that uploads files to the folder, if it takes them.
    #[cfg(feature = "upload")]
    pub(crate) upload_form: Option<&'static str>,
}

/// One page of a listing: files and folders that would be served.
#[derive(Debug)]
struct Listing<'a> {
    entries: &'a [Entry<'a>],
    extent: Extent,
    readme: Option<Readme>,
}

/// How much of a folder a listing knows.
#[derive(Debug)]
enum Extent {
    /// All files and folders, sorted. The page and the number of pages are counted from 1.
    Whole {
        totals: Totals,
        page: u64,
        pages: u64,
    },
    /// The names of one page. Size and time of other names are not known.
    Part {
        /// The number of names on all pages.
        names: u64,
        /// The last name of this page, if another page follows.
        next: Option<Vec<u8>>,
    },
}

/// The number of files and folders on all pages.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    folders: u64,
    files: u64,
    /// The size of all files, without those in folders.
    bytes: u64,
}

impl Totals {
    fn is_empty(self) -> bool {
        self.folders == 0 && self.files == 0
    }
}

/// The format of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Html,
    Json,
}

/// Lists this folder.
pub(crate) fn respond(
    listed: Listed<'_>,
    mut folder: Dir,
    request: &Request,
) -> Result<Response, OpenError> {
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let (collected, candidate) = collect(&listed, &mut folder, &query)?;
    let (names, part) = match collected {
        Collected::All(names) => (names, None),
        Collected::Page {
            names,
            count,
            has_more,
        } => (names, Some((count, has_more))),
    };
    let mut entries = entries(&listed, &folder, &names)?;
    drop(folder);
    let (extent, shown) = match part {
        None => whole(&listed, &query, &mut entries),
        Some((count, has_more)) => {
            let next = names.iter().last().filter(|_| has_more);
            let extent = Extent::Part {
                names: count,
                next: next.map(<[u8]>::to_vec),
            };
            (extent, &mut entries[..])
        }
    };
    if query.sizes == FolderSizes::Counted && !extent.sorts_by_size(&query) {
        count_folders(&listed, shown);
    }
    let is_first = query.after.is_none() && !matches!(extent, Extent::Whole { page: 2.., .. });
    let readme = match query.search {
        None if is_first => candidate.read(listed.root, listed.path)?,
        _ => None,
    };
    let listing = Listing {
        entries: shown,
        extent,
        readme,
    };
    Ok(listing.respond(&listed, &query, request))
}

/// Reads the names that would be listed if they are files or folders.
fn collect(
    listed: &Listed<'_>,
    folder: &mut Dir,
    query: &Query,
) -> Result<(Collected, Candidate), OpenError> {
    let mut names = Names::new(BOUNDS, query.after.as_deref());
    let mut candidate = Candidate::default();
    while let Some(entry) = folder.read() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        let is_in_root = listed.path.is_empty();
        if matches!(name, b"." | b"..") || !is_visible(name, is_in_root, listed.files.dotfiles) {
            continue;
        }
        candidate.consider(name);
        if query
            .search
            .as_ref()
            .is_none_or(|search| search.matches(name))
        {
            names.add(name);
        }
    }
    Ok((names.finish(), candidate))
}

/// Keeps the names that would be served, so the listing shows what a request would get.
fn entries<'n>(
    listed: &Listed<'_>,
    folder: &Dir,
    names: &'n NameList,
) -> Result<Vec<Entry<'n>>, OpenError> {
    let now = SystemTime::now();
    let folder = folder.fd()?;
    let mut entries = Vec::with_capacity(names.len());
    for name in names.iter() {
        let path = || join(listed.path, name);
        let status = match listed.root.entry(folder, name, path) {
            Ok(status) => status,
            Err(OpenError::NotFound | OpenError::Forbidden) => continue,
            Err(missed) => return Err(missed),
        };
        let kind = match status.file_type {
            FileType::RegularFile => EntryKind::File(status.size),
            FileType::Directory => EntryKind::Folder(None),
            _ => continue,
        };
        entries.push(Entry {
            name,
            kind,
            modified: clamped(status.modified, now),
        });
    }
    Ok(entries)
}

/// Selects the page of all entries.
fn whole<'s, 'n>(
    listed: &Listed<'_>,
    query: &Query,
    entries: &'s mut [Entry<'n>],
) -> (Extent, &'s mut [Entry<'n>]) {
    let mut totals = Totals::default();
    for entry in &*entries {
        match entry.kind {
            EntryKind::Folder(_) => totals.folders += 1,
            EntryKind::File(size) => {
                totals.files += 1;
                totals.bytes = totals.bytes.saturating_add(size);
            }
        }
    }
    let pages = entries.len().div_ceil(BOUNDS.page).max(1);
    let page = usize::try_from(query.page).unwrap_or(pages).clamp(1, pages);
    let extent = Extent::Whole {
        totals,
        page: page as u64,
        pages: pages as u64,
    };
    if query.sizes == FolderSizes::Counted && extent.sorts_by_size(query) {
        count_folders(listed, entries);
    }
    let start = (page - 1) * BOUNDS.page;
    let end = entries.len().min(start + BOUNDS.page);
    (extent, query.order.select(entries, start..end))
}

/// Counts the sizes of the folders among these entries.
fn count_folders(listed: &Listed<'_>, entries: &mut [Entry<'_>]) {
    let mut left = entries.iter().filter(|entry| entry.is_folder()).count() as u64;
    let mut allowance = Allowance::new();
    for entry in entries.iter_mut().filter(|entry| entry.is_folder()) {
        let path = join(listed.path, entry.name);
        let size = allowance.count(listed.root, path, listed.files.dotfiles, left);
        entry.kind = EntryKind::Folder(Some(size));
        left -= 1;
    }
}

impl Extent {
    /// Whether the sizes of all folders are needed for the order of one page.
    fn sorts_by_size(&self, query: &Query) -> bool {
        matches!(self, Self::Whole { .. }) && query.order.column == Column::Size
    }
}

impl Listing<'_> {
    /// The response in the format that the client prefers.
    fn respond(&self, listed: &Listed<'_>, query: &Query, request: &Request) -> Response {
        let path = request.uri().path();
        let mut response = match Format::preferred(request.headers()) {
            Format::Json => json::json(self, listed, query, path).into_response(),
            Format::Html => page::html(self, listed, query, path).into_response(),
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, style::POLICY.clone());
        set_caching(headers);
        response
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

/// A link relative to the folder. It begins with `./`, so no name can be taken for another URL.
fn href(entry: &Entry<'_>) -> String {
    let slash = if entry.is_folder() { "/" } else { "" };
    format!("./{}{slash}", percent_encode(entry.name, ENCODED))
}
