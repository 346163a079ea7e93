//! Renders listings as HTML and JSON.

use std::time::SystemTime;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::{Column, Direction, Entry, Extent, Listing, Order, PAGE_SIZE};
use crate::message::problem::html_page::HtmlPage;
use crate::message::{Html, IntoResponse};
use crate::web::Json;

/// The characters of a name that are percent-encoded in a link.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The time format in HTML.
const HTML_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]");

/// The time format in JSON (RFC 3339).
const JSON_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

#[derive(Serialize)]
struct JsonListing {
    path: String,
    /// Whether this response has all entries of the folder.
    complete: bool,
    /// The number of names on all pages, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<u64>,
    /// The link to the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    entries: Vec<JsonEntry>,
}

#[derive(Serialize)]
struct JsonEntry {
    name: String,
    href: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    modified: String,
}

pub(crate) fn json(listing: &Listing, path: &str) -> impl IntoResponse {
    let entries = listing.entries.iter().map(|entry| JsonEntry {
        name: String::from_utf8_lossy(&entry.name).into_owned(),
        href: href(entry),
        r#type: if entry.size.is_some() {
            "file"
        } else {
            "folder"
        },
        size: entry.size,
        modified: format_time(entry.modified, JSON_TIME),
    });
    let (names, next) = match &listing.extent {
        Extent::Whole => (None, None),
        Extent::Page { names, next } => (Some(*names), next.as_deref().map(page_after)),
    };
    Json(JsonListing {
        path: path.to_owned(),
        complete: names.is_none(),
        names,
        next,
        entries: entries.collect(),
    })
}

pub(crate) fn html(listing: &Listing, path: &str, order: Order) -> Html<String> {
    let mut page = HtmlPage::new(path);
    page.markup("<h1>");
    page.text(path);
    page.markup("</h1>\n<table>\n<thead><tr>");
    for (column, text) in [
        (Column::Name, "Name"),
        (Column::Size, "Size"),
        (Column::Modified, "Modified (UTC)"),
    ] {
        match listing.extent {
            Extent::Whole => heading(column, text, order, &mut page),
            Extent::Page { .. } => plain_heading(text, &mut page),
        }
    }
    page.markup("</tr></thead>\n<tbody>\n");
    if path != "/" {
        page.markup("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for entry in &listing.entries {
        page.markup("<tr><td><a href=\"");
        page.text(&href(entry));
        page.markup("\">");
        page.text(&String::from_utf8_lossy(&entry.name));
        page.markup(if entry.size.is_none() {
            "/</a></td><td>"
        } else {
            "</a></td><td>"
        });
        page.text(&entry.size.map_or_else(String::new, format_size));
        page.markup("</td><td>");
        page.text(&format_time(entry.modified, HTML_TIME));
        page.markup("</td></tr>\n");
    }
    page.markup("</tbody>\n</table>\n");
    if let Extent::Page { names, next } = &listing.extent {
        page_links(*names, next.as_deref(), &mut page);
    }
    Html(page.finish())
}

/// Adds the number of names and the links to other pages.
fn page_links(names: u64, next: Option<&[u8]>, page: &mut HtmlPage) {
    page.markup("<p>");
    page.text(&format!(
        "This folder has {names} names. They are shown in pages of {PAGE_SIZE}, sorted by name."
    ));
    page.markup(" <a href=\"?\">First page</a>");
    if let Some(next) = next {
        page.markup(" <a href=\"");
        page.text(&page_after(next));
        page.markup("\">Next page</a>");
    }
    page.markup("</p>\n");
}

/// The link to the page that begins after this name.
fn page_after(name: &[u8]) -> String {
    format!("?after={}", percent_encode(name, ENCODED))
}

fn plain_heading(text: &str, page: &mut HtmlPage) {
    page.markup("<th>");
    page.text(text);
    page.markup("</th>");
}

/// A column heading with a link that sorts by the column. For the current order, the link reverses
/// it.
fn heading(column: Column, text: &str, order: Order, page: &mut HtmlPage) {
    let direction = (order.column == column).then_some(order.direction);
    page.markup(match direction {
        None => "<th>",
        Some(Direction::Up) => "<th aria-sort=\"ascending\">",
        Some(Direction::Down) => "<th aria-sort=\"descending\">",
    });
    page.markup(match column {
        Column::Name => "<a href=\"?sort=name",
        Column::Size => "<a href=\"?sort=size",
        Column::Modified => "<a href=\"?sort=modified",
    });
    page.markup(match direction {
        Some(Direction::Up) => "&amp;order=desc\">",
        None | Some(Direction::Down) => "\">",
    });
    page.text(text);
    page.markup("</a></th>");
}

/// A link relative to the folder. It begins with `./`, so no name can be taken for another URL.
fn href(entry: &Entry) -> String {
    let slash = if entry.size.is_none() { "/" } else { "" };
    format!("./{}{slash}", percent_encode(&entry.name, ENCODED))
}

/// This fails for no time between the epoch and now.
fn format_time(time: SystemTime, form: &[BorrowedFormatItem<'_>]) -> String {
    OffsetDateTime::from(time).format(form).unwrap_or_default()
}

/// Formats a size in the largest unit of which there is at least one.
fn format_size(bytes: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match UNITS.iter().find(|(shift, _)| bytes >> shift > 0) {
        Some((shift, unit)) => {
            let tenths = (u128::from(bytes) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_use_the_largest_unit() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_500_000, "1.4 MiB"),
            (10 << 30, "10.0 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(format_size(bytes), expected);
        }
    }
}
