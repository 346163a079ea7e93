//! Which names of a folder one response shows, in bounded memory however many there are.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// The names of a page: the first ones by name behind a given one.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    most: usize,
    after: Option<&'a [u8]>,
    /// One more than a page has, if there are so many: the last of them is at the top.
    kept: BinaryHeap<Name>,
    seen: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Name(Vec<u8>);

impl<'a> Names<'a> {
    pub(crate) fn new(most: usize, after: Option<&'a [u8]>) -> Self {
        Self {
            most,
            after,
            kept: BinaryHeap::new(),
            seen: 0,
        }
    }

    pub(crate) fn add(&mut self, name: &[u8]) {
        self.seen += 1;
        let is_before = |other: &[u8]| by_name(name, other).is_lt();
        if self
            .after
            .is_some_and(|after| !by_name(name, after).is_gt())
        {
            return;
        }
        if self.kept.len() <= self.most {
            self.kept.push(Name(name.to_vec()));
        } else if let Some(mut last) = self.kept.peek_mut()
            && is_before(&last.0)
        {
            *last = Name(name.to_vec());
        }
    }

    /// How many names there are, on this page or not.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// The names of the page in their order, and whether more names follow them.
    pub(crate) fn finish(self) -> (Vec<Vec<u8>>, bool) {
        let mut names: Vec<_> = self.kept.into_sorted_vec();
        let is_more = names.len() > self.most;
        names.truncate(self.most);
        (names.into_iter().map(|Name(name)| name).collect(), is_more)
    }
}

/// Without regard to case, and by their bytes where that does not tell two names apart.
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

    fn pages(names: &[Vec<u8>], most: usize) -> Vec<Vec<u8>> {
        let (mut all, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let mut page = Names::new(most, after.as_deref());
            names.iter().for_each(|name| page.add(name));
            assert_eq!(page.seen(), names.len() as u64);
            assert!(page.kept.len() <= most + 1);
            let (shown, is_more) = page.finish();
            assert!(shown.len() <= most);
            after = shown.last().cloned();
            all.extend(shown);
            if !is_more {
                return all;
            }
        }
    }

    proptest! {
        #[test]
        fn pages_show_every_name_once_in_order(
            names in prop::collection::hash_set("[aAbB\\PC]{1,3}", 0..40),
            most in 1_usize..8,
        ) {
            let names: Vec<_> = names.into_iter().map(String::into_bytes).collect();
            let mut sorted = names.clone();
            sorted.sort_by(|one, other| by_name(one, other));
            prop_assert_eq!(pages(&names, most), sorted);
        }
    }
}
