//! Selects the names for one page of a listing, in bounded memory for any number of names.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// The first names after a given one, in order.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    limit: usize,
    after: Option<&'a [u8]>,
    /// At most one name more than a page has. The last name in order is on top.
    kept: BinaryHeap<Name>,
    count: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Name(Vec<u8>);

impl<'a> Names<'a> {
    pub(crate) fn new(limit: usize, after: Option<&'a [u8]>) -> Self {
        Self {
            limit,
            after,
            kept: BinaryHeap::new(),
            count: 0,
        }
    }

    pub(crate) fn add(&mut self, name: &[u8]) {
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

    /// The number of names on all pages.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The names of the page in order, and whether more names follow.
    pub(crate) fn finish(self) -> (Vec<Vec<u8>>, bool) {
        let mut names: Vec<_> = self.kept.into_sorted_vec();
        let has_more = names.len() > self.limit;
        names.truncate(self.limit);
        (names.into_iter().map(|Name(name)| name).collect(), has_more)
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

    fn pages(names: &[Vec<u8>], limit: usize) -> Vec<Vec<u8>> {
        let (mut all, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let mut page = Names::new(limit, after.as_deref());
            names.iter().for_each(|name| page.add(name));
            assert_eq!(page.count(), names.len() as u64);
            assert!(page.kept.len() <= limit + 1);
            let (shown, has_more) = page.finish();
            assert!(shown.len() <= limit);
            after = shown.last().cloned();
            all.extend(shown);
            if !has_more {
                return all;
            }
        }
    }

    proptest! {
        #[test]
        fn pages_show_every_name_once_in_order(
            names in prop::collection::hash_set("[aAbB\\PC]{1,3}", 0..40),
            limit in 1_usize..8,
        ) {
            let names: Vec<_> = names.into_iter().map(String::into_bytes).collect();
            let mut sorted = names.clone();
            sorted.sort_by(|one, other| by_name(one, other));
            prop_assert_eq!(pages(&names, limit), sorted);
        }
    }
}
