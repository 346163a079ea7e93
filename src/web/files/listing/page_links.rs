//! Links to the other pages of a listing, and to the folders above it.

use percent_encoding::percent_decode_str;

use super::Extent;
use super::query::Query;

/// How many numbers are shown on each side of the page.
const AROUND: u64 = 2;

/// Links to other pages, if there are any.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PageLinks {
    pub(crate) first: Option<String>,
    pub(crate) previous: Option<String>,
    pub(crate) next: Option<String>,
    pub(crate) last: Option<String>,
    /// The numbers of pages near this one, in order.
    pub(crate) near: Vec<(u64, String)>,
}

impl PageLinks {
    pub(crate) fn new(extent: &Extent, query: &Query) -> Self {
        match extent {
            Extent::Whole { pages, .. } if *pages < 2 => Self::default(),
            Extent::Whole { page, pages, .. } => Self::numbered(*page, *pages, query),
            Extent::Part { next, .. } => Self {
                first: query.after.is_some().then(|| query.first_page().link()),
                next: next.as_ref().map(|name| {
                    let mut query = query.first_page();
                    query.after = Some(name.clone());
                    query.link()
                }),
                ..Self::default()
            },
        }
    }

    fn numbered(page: u64, pages: u64, query: &Query) -> Self {
        let link = |page| {
            let mut query = query.first_page();
            query.page = page;
            query.link()
        };
        let is_first = page == 1;
        let is_last = page == pages;
        let near = page.saturating_sub(AROUND).max(1)..=pages.min(page + AROUND);
        Self {
            first: (!is_first).then(|| link(1)),
            previous: (!is_first).then(|| link(page - 1)),
            next: (!is_last).then(|| link(page + 1)),
            last: (!is_last).then(|| link(pages)),
            near: near.map(|page| (page, link(page))).collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A folder on the path of the listed one, with a relative link to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Crumb {
    pub(crate) name: String,
    pub(crate) href: String,
}

/// The folders from the served one to the listed one. The first has the path at which it is served.
/// `folder` is the path of the listed folder below the served one.
pub(crate) fn breadcrumbs(path: &str, folder: &[u8]) -> Vec<Crumb> {
    let depth = match folder {
        [] => 0,
        _ => memchr::memchr_iter(b'/', folder).count() + 1,
    };
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut names: Vec<_> = path.rsplitn(depth + 1, '/').collect();
    names.reverse();
    let crumb = |(index, name): (usize, &&str)| Crumb {
        name: format!("{}/", percent_decode_str(name).decode_utf8_lossy()),
        href: match depth - index.min(depth) {
            0 => "./".to_owned(),
            above => "../".repeat(above),
        },
    };
    names.iter().enumerate().map(crumb).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Totals;
    use super::*;

    fn links(page: u64, pages: u64) -> PageLinks {
        let extent = Extent::Whole {
            totals: Totals::default(),
            page,
            pages,
        };
        PageLinks::new(&extent, &Query::parse("sort=size&page=3"))
    }

    #[test]
    fn pages_link_to_their_neighbours() {
        assert!(links(1, 1).is_empty());
        let first = links(1, 60);
        assert_eq!((&first.first, &first.previous), (&None, &None));
        assert_eq!(first.next.as_deref(), Some("?sort=size&page=2"));
        assert_eq!(first.last.as_deref(), Some("?sort=size&page=60"));
        let middle = links(30, 60);
        assert_eq!(middle.first.as_deref(), Some("?sort=size"));
        assert_eq!(middle.previous.as_deref(), Some("?sort=size&page=29"));
        let numbers =
            |links: &PageLinks| links.near.iter().map(|(page, _)| *page).collect::<Vec<_>>();
        assert_eq!(numbers(&middle), [28, 29, 30, 31, 32]);
        let last = links(60, 60);
        assert_eq!((&last.next, &last.last), (&None, &None));
        assert_eq!(numbers(&last), [58, 59, 60]);
    }

    #[test]
    fn each_folder_of_a_path_is_a_link() {
        let crumbs = |path: &str, folder: &str| -> Vec<(String, String)> {
            breadcrumbs(path, folder.as_bytes())
                .into_iter()
                .map(|crumb| (crumb.name, crumb.href))
                .collect()
        };
        let pair = |name: &str, href: &str| (name.to_owned(), href.to_owned());
        assert_eq!(crumbs("/", ""), [pair("/", "./")]);
        assert_eq!(
            crumbs("/a/b%20c/", "a/b c"),
            [pair("/", "../../"), pair("a/", "../"), pair("b c/", "./")]
        );
        assert_eq!(
            crumbs("/static/files/a/", "a"),
            [pair("/static/files/", "../"), pair("a/", "./")]
        );
        assert_eq!(crumbs("/static/", ""), [pair("/static/", "./")]);
    }
}
