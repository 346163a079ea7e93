//! Listings as JSON.

use percent_encoding::percent_decode_str;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::folder_size::Counted;
use super::order::{Entry, EntryKind};
use super::page_links::{Crumb, PageLinks, breadcrumbs};
use super::query::Query;
use super::{Extent, Listed, Listing, href};
use crate::message::IntoResponse;
use crate::web::Json;

/// The time format (RFC 3339).
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

#[derive(Serialize)]
struct JsonListing {
    path: String,
    breadcrumbs: Vec<JsonCrumb>,
    /// Whether this response has all entries.
    complete: bool,
    /// The number of entries on all pages.
    names: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    folders: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<u64>,
    /// The size of all files on all pages, without those in folders.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<String>,
    sort: &'static str,
    order: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    /// The name of the file that the page shows below the names.
    #[serde(skip_serializing_if = "Option::is_none")]
    readme: Option<String>,
    entries: Vec<JsonEntry>,
}

#[derive(Serialize)]
struct JsonCrumb {
    name: String,
    href: String,
}

#[derive(Serialize)]
struct JsonEntry {
    name: String,
    href: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// Present for folders whose sizes are counted: whether all of it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    size_complete: Option<bool>,
    modified: String,
}

pub(crate) fn json(
    listing: &Listing<'_>,
    listed: &Listed<'_>,
    query: &Query,
    path: &str,
) -> impl IntoResponse + use<> {
    let links = PageLinks::new(&listing.extent, query);
    let crumbs = breadcrumbs(path, listed.path).into_iter();
    let (names, totals, page) = match listing.extent {
        Extent::Whole {
            totals,
            page,
            pages,
        } => (
            totals.folders + totals.files,
            Some(totals),
            Some((page, pages)),
        ),
        Extent::Part { names, .. } => (names, None, None),
    };
    Json(JsonListing {
        path: percent_decode_str(path).decode_utf8_lossy().into_owned(),
        breadcrumbs: crumbs.map(JsonCrumb::from).collect(),
        complete: page.is_some() && links.is_empty(),
        names,
        folders: totals.map(|totals| totals.folders),
        files: totals.map(|totals| totals.files),
        size: totals.map(|totals| totals.bytes),
        search: query.search.as_ref().map(|search| search.text().to_owned()),
        sort: query.order.column.as_str(),
        order: query.order.direction.as_str(),
        page: page.map(|(page, _)| page),
        pages: page.map(|(_, pages)| pages),
        first: links.first,
        previous: links.previous,
        next: links.next,
        last: links.last,
        readme: listing.readme.as_ref().map(|readme| lossy(&readme.name)),
        entries: listing.entries.iter().map(JsonEntry::from).collect(),
    })
}

fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

impl From<Crumb> for JsonCrumb {
    fn from(crumb: Crumb) -> Self {
        Self {
            name: crumb.name,
            href: crumb.href,
        }
    }
}

impl From<&Entry<'_>> for JsonEntry {
    fn from(entry: &Entry<'_>) -> Self {
        let counted = match entry.kind {
            EntryKind::Folder(size) => size.map(|size| size.extent == Counted::Whole),
            EntryKind::File(_) => None,
        };
        let modified = OffsetDateTime::from(entry.modified);
        Self {
            name: lossy(entry.name),
            href: href(entry),
            r#type: if entry.is_folder() { "folder" } else { "file" },
            size: entry.size(),
            size_complete: counted,
            // This fails for no time between the epoch and now.
            modified: modified.format(TIME).unwrap_or_default(),
        }
    }
}
