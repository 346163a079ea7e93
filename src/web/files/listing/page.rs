//! Listings as HTML, without scripts.

use std::time::SystemTime;

use percent_encoding::percent_decode_str;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::folder_size::{Counted, FolderSize};
use super::order::{Column, Direction, Entry, EntryKind, Order};
use super::page_links::{PageLinks, breadcrumbs};
use super::query::{FolderSizes, Query};
use super::style::STYLE;
use super::tools::tools;
use super::{BOUNDS, Extent, Listed, Listing, Totals, href};
use crate::message::Html;
use crate::message::problem::html_page::HtmlPage;

const TIME: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]");

pub(crate) fn html(
    listing: &Listing<'_>,
    listed: &Listed<'_>,
    query: &Query,
    path: &str,
) -> Html<String> {
    let title = percent_decode_str(path).decode_utf8_lossy();
    let mut page = HtmlPage::styled(&visible(&title), STYLE);
    let links = PageLinks::new(&listing.extent, query);
    path_links(path, listed, &mut page);
    page.markup("<div class=\"bar\">\n");
    summary(listing, query, &mut page);
    folder_sizes(listing, query, &mut page);
    search(query, &mut page);
    page.markup("</div>\n");
    tools(listed, &mut page);
    page_links(&links, "Pages, above the names", &listing.extent, &mut page);
    table(listing, listed, query, &mut page);
    page_links(&links, "Pages", &listing.extent, &mut page);
    if let Some(readme) = &listing.readme {
        readme.html(&mut page);
    }
    Html(page.finish())
}

/// The path as the title. Each folder above is a link.
fn path_links(path: &str, listed: &Listed<'_>, page: &mut HtmlPage) {
    let crumbs = breadcrumbs(path, listed.path);
    page.markup("<nav aria-label=\"Path\"><h1>");
    if let Some((here, above)) = crumbs.split_last() {
        for crumb in above {
            link(&crumb.href, &visible(&crumb.name), page);
        }
        page.markup("<span aria-current=\"page\">");
        page.text(&visible(&here.name));
        page.markup("</span>");
    }
    page.markup("</h1></nav>\n");
}

/// What there is in the folder, or what was found in it.
fn summary(listing: &Listing<'_>, query: &Query, page: &mut HtmlPage) {
    let (counts, note) = match &listing.extent {
        Extent::Whole { totals, .. } if totals.is_empty() && query.search.is_none() => {
            ("This folder is empty".to_owned(), String::new())
        }
        Extent::Whole { totals, .. } => (totals.to_string(), String::new()),
        Extent::Part { names, .. } => (
            format!("{names} names"),
            format!(
                ". These are too many to sort by size or time: they are shown in pages of {}, \
                 sorted by name",
                BOUNDS.page
            ),
        ),
    };
    page.markup("<p>");
    page.text(&counts);
    if let Some(search) = &query.search {
        page.markup(" with “");
        page.text(&visible(search.text()));
        page.markup("” in the name");
    }
    page.text(&note);
    if query.search.is_some() {
        let all = Query {
            search: None,
            ..query.first_page()
        };
        page.markup(". ");
        link(&all.link(), "Show all", page);
    }
    page.markup("</p>\n");
}

/// The link that shows the sizes of folders.
fn folder_sizes(listing: &Listing<'_>, query: &Query, page: &mut HtmlPage) {
    if query.sizes == FolderSizes::Unknown && listing.entries.iter().any(Entry::is_folder) {
        let counted = Query {
            sizes: FolderSizes::Counted,
            ..query.clone()
        };
        page.markup("<p>");
        link(&counted.link(), "Sizes of folders", page);
        page.markup("</p>\n");
    }
}

/// The form that searches names. Its fields are the whole query, so it keeps the order.
fn search(query: &Query, page: &mut HtmlPage) {
    page.markup("<form role=\"search\">");
    for (is_set, field) in [
        (
            query.order.column == Column::Size,
            "<input type=\"hidden\" name=\"sort\" value=\"size\">",
        ),
        (
            query.order.column == Column::Modified,
            "<input type=\"hidden\" name=\"sort\" value=\"modified\">",
        ),
        (
            query.order.direction == Direction::Down,
            "<input type=\"hidden\" name=\"order\" value=\"desc\">",
        ),
        (
            query.sizes == FolderSizes::Counted,
            "<input type=\"hidden\" name=\"sizes\" value=\"\">",
        ),
    ] {
        page.markup(if is_set { field } else { "" });
    }
    page.markup("<input type=\"search\" name=\"search\" aria-label=\"Search names\" value=\"");
    page.text(query.search.as_ref().map_or("", |search| search.text()));
    page.markup("\"><button>Search</button></form>\n");
}

fn table(listing: &Listing<'_>, listed: &Listed<'_>, query: &Query, page: &mut HtmlPage) {
    page.markup("<table class=\"names\">\n<caption>Files and folders</caption>\n<thead><tr>");
    for (column, text) in [
        (Column::Name, "Name"),
        (Column::Size, "Size"),
        (Column::Modified, "Modified (UTC)"),
    ] {
        match listing.extent {
            Extent::Whole { .. } => heading(column, text, query, page),
            Extent::Part { .. } => plain_heading(text, page),
        }
    }
    page.markup("</tr></thead>\n<tbody>\n");
    if !listed.path.is_empty() {
        page.markup("<tr class=\"up\"><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for entry in listing.entries {
        row(entry, page);
    }
    page.markup("</tbody>\n</table>\n");
}

fn row(entry: &Entry<'_>, page: &mut HtmlPage) {
    page.markup(if entry.is_folder() {
        "<tr class=\"folder\"><td>"
    } else {
        "<tr><td>"
    });
    let slash = if entry.is_folder() { "/" } else { "" };
    let name = String::from_utf8_lossy(entry.name);
    link(&href(entry), &(visible(&name) + slash), page);
    page.markup("</td><td>");
    match entry.kind {
        EntryKind::File(size) => page.text(&format_size(size)),
        EntryKind::Folder(Some(size)) => page.text(&format_folder_size(size)),
        EntryKind::Folder(None) => {}
    }
    page.markup("</td><td>");
    page.text(&format_time(entry.modified));
    page.markup("</td></tr>\n");
}

fn plain_heading(text: &str, page: &mut HtmlPage) {
    page.markup("<th scope=\"col\">");
    page.text(text);
    page.markup("</th>");
}

/// A column heading with a link that sorts by the column. For the current order, the link reverses
/// it.
fn heading(column: Column, text: &str, query: &Query, page: &mut HtmlPage) {
    let direction = (query.order.column == column).then_some(query.order.direction);
    page.markup(match direction {
        None => "<th scope=\"col\">",
        Some(Direction::Up) => "<th scope=\"col\" aria-sort=\"ascending\">",
        Some(Direction::Down) => "<th scope=\"col\" aria-sort=\"descending\">",
    });
    let order = Order {
        column,
        direction: match direction {
            Some(Direction::Up) => Direction::Down,
            None | Some(Direction::Down) => Direction::Up,
        },
    };
    let sorted = Query {
        order,
        ..query.first_page()
    };
    link(&sorted.link(), text, page);
    page.markup("</th>");
}

/// Links to other pages, if there are any.
fn page_links(links: &PageLinks, label: &str, extent: &Extent, page: &mut HtmlPage) {
    if links.is_empty() {
        return;
    }
    page.markup("<nav class=\"pages\" aria-label=\"");
    page.text(label);
    page.markup("\">");
    optional_link(links.first.as_deref(), "First", page);
    optional_link(links.previous.as_deref(), "Previous", page);
    if let Extent::Whole {
        page: current,
        pages,
        ..
    } = *extent
    {
        for (number, href) in &links.near {
            if *number == current {
                page.markup("<span aria-current=\"page\">");
                page.text(&format!("{number} of {pages}"));
                page.markup("</span>");
            } else {
                link(href, &number.to_string(), page);
            }
        }
    }
    optional_link(links.next.as_deref(), "Next", page);
    optional_link(links.last.as_deref(), "Last", page);
    page.markup("</nav>\n");
}

fn optional_link(href: Option<&str>, text: &str, page: &mut HtmlPage) {
    if let Some(href) = href {
        link(href, text, page);
    }
}

fn link(href: &str, text: &str, page: &mut HtmlPage) {
    page.markup("<a href=\"");
    page.text(href);
    page.markup("\">");
    page.text(text);
    page.markup("</a>");
}

/// The text with a sign in place of characters that do not show, or that change the order of others
/// and so hide the end of a name.
fn visible(text: &str) -> String {
    let is_hidden = |character: char| {
        character.is_control()
            || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(character, '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars()
        .map(|character| match is_hidden(character) {
            true => char::REPLACEMENT_CHARACTER,
            false => character,
        })
        .collect()
}

impl std::fmt::Display for Totals {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = |count| if count == 1 { "" } else { "s" };
        write!(
            formatter,
            "{} folder{}, {} file{}, {}",
            self.folders,
            plural(self.folders),
            self.files,
            plural(self.files),
            format_size(self.bytes)
        )
    }
}

/// This fails for no time between the epoch and now.
fn format_time(time: SystemTime) -> String {
    OffsetDateTime::from(time).format(TIME).unwrap_or_default()
}

fn format_folder_size(size: FolderSize) -> String {
    match (size.extent, size.bytes) {
        (Counted::Whole, bytes) => format_size(bytes),
        (Counted::Part, 0) => "unknown".to_owned(),
        (Counted::Part, bytes) => format!("more than {}", format_size(bytes)),
    }
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

    #[test]
    fn characters_that_do_not_show_get_a_sign() {
        let name = "a\nb\u{202e}gpj.exe\u{200b}\u{7f}\u{2069}é👍";
        assert_eq!(
            visible(name),
            "a\u{fffd}b\u{fffd}gpj.exe\u{fffd}\u{fffd}\u{fffd}é👍"
        );
    }
}
