//! Collects the names of a folder for a listing, in bounded memory for any number of names.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// The bounds of a listing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Most names on one page.
    pub(crate) page: usize,
    /// Most names that are sorted as a whole.
    pub(crate) names: usize,
    /// Most bytes of all names that are sorted as a whole.
    pub(crate) bytes: usize,
}

/// Names in one piece of memory.
#[derive(Debug, Default)]
pub(crate) struct NameList {
    bytes: Vec<u8>,
    /// Where each name ends.
    ends: Vec<usize>,
}

/// The names that a listing may show.
#[derive(Debug)]
pub(crate) enum Collected {
    /// All of them, in no order.
    All(NameList),
    /// One page, in order of the names.
    Page {
        names: NameList,
        /// The number of names on all pages.
        count: u64,
        has_more: bool,
    },
}

/// Collects all names, or those of one page if there are too many.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    bounds: Bounds,
    kept: Kept<'a>,
}

#[derive(Debug)]
enum Kept<'a> {
    All(NameList),
    Page(FirstNames<'a>),
}

/// The first names after a given one, in order.
#[derive(Debug)]
struct FirstNames<'a> {
    limit: usize,
    after: Option<&'a [u8]>,
    /// At most one name more than a page has. The last name in order is on top.
    kept: BinaryHeap<Name>,
    count: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Name(Vec<u8>);

impl<'a> Names<'a> {
    /// Collects the page after a name, if there is one, and all names otherwise.
    pub(crate) fn new(bounds: Bounds, after: Option<&'a [u8]>) -> Self {
        let kept = match after {
            None => Kept::All(NameList::default()),
            after => Kept::Page(FirstNames::new(bounds.page, after)),
        };
        Self { bounds, kept }
    }

    pub(crate) fn add(&mut self, name: &[u8]) {
        match &mut self.kept {
            Kept::All(names) => {
                names.push(name);
                if names.len() > self.bounds.names || names.bytes.len() > self.bounds.bytes {
                    let mut first = FirstNames::new(self.bounds.page, None);
                    names.iter().for_each(|name| first.add(name));
                    self.kept = Kept::Page(first);
                }
            }
            Kept::Page(first) => first.add(name),
        }
    }

    pub(crate) fn finish(self) -> Collected {
        match self.kept {
            Kept::All(names) => Collected::All(names),
            Kept::Page(first) => first.finish(),
        }
    }
}

impl NameList {
    fn push(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let name = &self.bytes[start..*end];
            start = *end;
            name
        })
    }
}

impl<'a> FirstNames<'a> {
    fn new(limit: usize, after: Option<&'a [u8]>) -> Self {
        Self {
            limit,
            after,
            kept: BinaryHeap::new(),
            count: 0,
        }
    }

    fn add(&mut self, name: &[u8]) {
        self.count += 1;
        let is_before = |other: &[u8]| by_name(name, other).is_lt();
        if self
            .after
            .is_some_and(|after| !by_name(name, after).is_gt())
        {
            return;
        }
        if self.kept.len() <= self.limit {
            self.kept.push(Name(name.to_vec()));
        } else if let Some(mut last) = self.kept.peek_mut()
            && is_before(&last.0)
        {
            *last = Name(name.to_vec());
        }
    }

    fn finish(self) -> Collected {
        let has_more = self.kept.len() > self.limit;
        let mut names = NameList::default();
        let kept = self.kept.into_sorted_vec();
        kept.iter()
            .take(self.limit)
            .for_each(|name| names.push(&name.0));
        Collected::Page {
            names,
            count: self.count,
            has_more,
        }
    }
}

/// Compares names without case. If they are equal, compares their bytes.
pub(crate) fn by_name(one: &[u8], other: &[u8]) -> Ordering {
    let folded = one.iter().map(u8::to_ascii_lowercase);
    let folded = folded.cmp(other.iter().map(u8::to_ascii_lowercase));
    folded.then_with(|| one.cmp(other))
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        by_name(&self.0, &other.0)
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The names of all pages, in their order.
    fn pages(names: &[Vec<u8>], bounds: Bounds) -> Vec<Vec<u8>> {
        let (mut all, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let mut page = Names::new(bounds, after.as_deref());
            names.iter().for_each(|name| page.add(name));
            match page.finish() {
                Collected::All(list) => {
                    assert!(list.len() <= bounds.names && list.bytes.len() <= bounds.bytes);
                    let mut list: Vec<_> = list.iter().map(<[u8]>::to_vec).collect();
                    list.sort_by(|one, other| by_name(one, other));
                    return list;
                }
                Collected::Page {
                    names: shown,
                    count,
                    has_more,
                } => {
                    assert_eq!(count, names.len() as u64);
                    assert!(shown.len() <= bounds.page);
                    after = shown.iter().last().map(<[u8]>::to_vec);
                    all.extend(shown.iter().map(<[u8]>::to_vec));
                    if !has_more {
                        return all;
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn pages_show_every_name_once_in_order(
            names in prop::collection::hash_set("[aAbB\\PC]{1,3}", 0..40),
            page in 1_usize..8,
            limit in 0_usize..50,
            bytes in 0_usize..100,
        ) {
            let names: Vec<_> = names.into_iter().map(String::into_bytes).collect();
            let mut sorted = names.clone();
            sorted.sort_by(|one, other| by_name(one, other));
            let bounds = Bounds { page, names: limit, bytes };
            prop_assert_eq!(pages(&names, bounds), sorted);
        }
    }
}
