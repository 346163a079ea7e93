//! What a client asks of a listing, and the links that ask for something else.

use std::borrow::Cow;

use percent_encoding::{percent_decode_str, percent_encode};

use super::order::{Column, Direction, Order};
use super::search::Search;
use crate::web::files::ENCODED;

/// The parameters of the query.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) order: Order,
    pub(crate) search: Option<Search>,
    /// Whether the sizes of folders are counted.
    pub(crate) sizes: FolderSizes,
    /// Counted from 1.
    pub(crate) page: u64,
    /// The page begins after this name.
    pub(crate) after: Option<Vec<u8>>,
}

/// Whether the sizes of folders are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FolderSizes {
    Unknown,
    Counted,
}

impl Query {
    /// Parses a query, for example `sort=size&order=desc`. Other parameters and values are ignored.
    pub(crate) fn parse(query: &str) -> Self {
        let mut parsed = Self {
            order: Order::default(),
            search: None,
            sizes: FolderSizes::Unknown,
            page: 1,
            after: None,
        };
        for part in query.split('&') {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            match key {
                "sort" => parsed.order.column = Column::named(value).unwrap_or_default(),
                "order" => parsed.order.direction = Direction::named(value).unwrap_or_default(),
                "search" => parsed.search = Search::parse(&decoded(value)),
                "sizes" => parsed.sizes = FolderSizes::Counted,
                "page" => parsed.page = page(value),
                "after" => parsed.after = Some(decoded(value)),
                _ => {}
            }
        }
        parsed
    }

    /// The first page with the same names and order.
    pub(crate) fn first_page(&self) -> Self {
        Self {
            page: 1,
            after: None,
            ..self.clone()
        }
    }

    /// The link to what this query asks for, relative to the folder.
    pub(crate) fn link(&self) -> String {
        let mut parts = Vec::new();
        if self.order.column != Column::default() {
            parts.push(format!("sort={}", self.order.column.as_str()));
        }
        if self.order.direction != Direction::default() {
            parts.push(format!("order={}", self.order.direction.as_str()));
        }
        if let Some(search) = &self.search {
            let text = percent_encode(search.text().as_bytes(), ENCODED);
            parts.push(format!("search={text}"));
        }
        if self.sizes == FolderSizes::Counted {
            parts.push("sizes".to_owned());
        }
        if self.page != 1 {
            parts.push(format!("page={}", self.page));
        }
        if let Some(name) = &self.after {
            parts.push(format!("after={}", percent_encode(name, ENCODED)));
        }
        match parts.is_empty() {
            true => "./".to_owned(),
            false => format!("?{}", parts.join("&")),
        }
    }
}

/// Decodes a value as a form encodes it.
fn decoded(value: &str) -> Vec<u8> {
    let spaced = match value.contains('+') {
        true => Cow::Owned(value.replace('+', " ")),
        false => Cow::Borrowed(value),
    };
    percent_decode_str(&spaced).collect()
}

/// The number of a page. A number that is too large is the last page, and anything else the first.
fn page(value: &str) -> u64 {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match is_number {
        true => value.parse().unwrap_or(u64::MAX).max(1),
        false => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_ask_for_what_they_were_made_of() {
        for query in [
            "./",
            "?sort=size",
            "?sort=modified&order=desc&search=a%20b&sizes&page=7",
            "?order=desc&after=%FF%26",
            "?search=%2B%26%3D%3F%23",
        ] {
            let parsed = Query::parse(query.trim_start_matches(['.', '/', '?']));
            assert_eq!(parsed.link(), query);
        }
        let parsed = Query::parse("page=5&search=a+b&sort=name&sizes=&x=1&&=");
        assert_eq!(parsed.link(), "?search=a%20b&sizes&page=5");
        assert_eq!(parsed.first_page().link(), "?search=a%20b&sizes");
    }

    #[test]
    fn wrong_pages_are_the_first_or_the_last() {
        for (value, expected) in [
            ("0", 1),
            ("-1", 1),
            ("", 1),
            ("x", 1),
            ("%31", 1),
            ("+2", 1),
            ("2", 2),
            ("99999999", 99_999_999),
            ("99999999999999999999999999", u64::MAX),
        ] {
            assert_eq!(page(value), expected, "{value}");
        }
    }
}
