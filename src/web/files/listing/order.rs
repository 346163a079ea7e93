//! The entries of a listing and their order.

use std::cmp::Ordering;
use std::ops::Range;
use std::time::SystemTime;

use super::folder_size::FolderSize;
use super::names::by_name;

/// A file or a folder.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) kind: EntryKind,
    pub(crate) modified: SystemTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// With its size, if it was counted.
    Folder(Option<FolderSize>),
    /// With its size.
    File(u64),
}

/// The order of entries. Folders always come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) column: Column,
    pub(crate) direction: Direction,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Column {
    #[default]
    Name,
    Size,
    Modified,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Direction {
    #[default]
    Up,
    Down,
}

impl Entry<'_> {
    pub(crate) fn is_folder(&self) -> bool {
        matches!(self.kind, EntryKind::Folder(_))
    }

    /// The size of a file, or of a folder as far as it was counted.
    pub(crate) fn size(&self) -> Option<u64> {
        match self.kind {
            EntryKind::File(size) => Some(size),
            EntryKind::Folder(size) => size.map(|size| size.bytes),
        }
    }
}

impl Column {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Size => "size",
            Self::Modified => "modified",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Name, Self::Size, Self::Modified]
            .into_iter()
            .find(|column| column.as_str() == name)
    }
}

impl Direction {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "asc",
            Self::Down => "desc",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Up, Self::Down]
            .into_iter()
            .find(|direction| direction.as_str() == name)
    }
}

impl Order {
    /// Moves the entries of a page, in order, to the beginning of the returned slice. Others are not
    /// sorted. No two entries are equal, so the pages of an unchanged folder have each entry once.
    pub(crate) fn select<'s, 'a>(
        self,
        entries: &'s mut [Entry<'a>],
        page: Range<usize>,
    ) -> &'s mut [Entry<'a>] {
        let compare = |one: &Entry<'_>, other: &Entry<'_>| self.compare(one, other);
        let mut rest = entries;
        if page.start > 0 && page.start < rest.len() {
            rest.select_nth_unstable_by(page.start, compare);
        }
        rest = &mut rest[page.start..];
        let length = page.len();
        if length < rest.len() {
            rest.select_nth_unstable_by(length, compare);
        }
        let shown = &mut rest[..length];
        shown.sort_unstable_by(compare);
        shown
    }

    fn compare(self, one: &Entry<'_>, other: &Entry<'_>) -> Ordering {
        let column = match self.column {
            Column::Name => Ordering::Equal,
            Column::Size => one.size().cmp(&other.size()),
            Column::Modified => one.modified.cmp(&other.modified),
        };
        let up = column.then_with(|| by_name(one.name, other.name));
        let directed = match self.direction {
            Direction::Up => up,
            Direction::Down => up.reverse(),
        };
        other.is_folder().cmp(&one.is_folder()).then(directed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    type Described = (Vec<u8>, bool, u64, u64);

    fn entries(described: &[Described]) -> Vec<Entry<'_>> {
        fn entry((name, is_folder, size, time): &Described) -> Entry<'_> {
            Entry {
                name,
                kind: match is_folder {
                    true => EntryKind::Folder(None),
                    false => EntryKind::File(*size),
                },
                modified: SystemTime::UNIX_EPOCH + Duration::from_secs(*time),
            }
        }
        described.iter().map(entry).collect()
    }

    proptest! {
        #[test]
        fn pages_are_parts_of_the_whole_order(
            described in prop::collection::hash_map(
                prop::collection::vec(any::<u8>(), 1..3), (any::<bool>(), 0_u64..4, 0_u64..4), 0..40,
            ),
            size in 1_usize..8,
            column in 0_usize..3,
            is_down in any::<bool>(),
        ) {
            let described: Vec<_> = described
                .into_iter()
                .map(|(name, (is_folder, size, time))| (name, is_folder, size, time))
                .collect();
            let order = Order {
                column: [Column::Name, Column::Size, Column::Modified][column],
                direction: [Direction::Up, Direction::Down][usize::from(is_down)],
            };
            let mut all = entries(&described);
            all.sort_by(|one, other| order.compare(one, other));
            let expected: Vec<_> = all.iter().map(|entry| entry.name).collect();
            let mut shown = Vec::new();
            for start in (0..described.len()).step_by(size) {
                let mut entries = entries(&described);
                let page = start..described.len().min(start + size);
                shown.extend(order.select(&mut entries, page).iter().map(|entry| entry.name));
            }
            prop_assert_eq!(shown, expected);
        }
    }
}
