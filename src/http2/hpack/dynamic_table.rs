//! The dynamic table (RFC 7541 section 2.3.2).

use std::collections::VecDeque;

use super::static_table::StaticName;
use super::{FIELD_OVERHEAD, Field};

/// The first allocation for names and values: enough for a client of few headers, of which there may
/// be many idle connections. The table of a browser grows a few times in its first head.
const FIRST_CAPACITY: usize = 64;

/// The entries that a peer added. Nothing is allocated before the first one.
///
/// Names and values are in one buffer, without the names that the static table has. It never
/// exceeds the size of the table. If a new entry does not fit behind the last one, the others move
/// to the start. An insertion copies at most the whole buffer, and the limit of a block's decoded
/// size bounds the number of insertions.
#[derive(Debug)]
pub(super) struct DynamicTable {
    /// The entries in the order of their insertion, after bytes of evicted ones.
    bytes: Vec<u8>,
    entries: VecDeque<Entry>,
    /// The size of all entries, each with its overhead.
    size: usize,
    max_size: u16,
}

/// The place of an entry. Tables have at most `u16::MAX` bytes.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: u16,
    name: u16,
    value: u16,
    /// The name, if the static table has it. Then it is not in the buffer.
    known: Option<StaticName>,
}

impl Entry {
    fn size(self) -> usize {
        usize::from(self.name) + usize::from(self.value) + FIELD_OVERHEAD
    }
}

impl DynamicTable {
    pub(super) fn new(max_size: u16) -> Self {
        Self {
            bytes: Vec::new(),
            entries: VecDeque::new(),
            size: 0,
            max_size,
        }
    }

    /// The size up to which the table keeps entries.
    pub(super) fn max_size(&self) -> u16 {
        self.max_size
    }

    /// The allocated bytes.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// An entry. The newest one has index 0.
    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<Field<'_>> {
        let position = self.entries.len().checked_sub(index + 1)?;
        let entry = self.entries[position];
        let bytes = self.bytes.get(entry.start.into()..)?;
        let (name, bytes) = match entry.known {
            Some(known) => (known.text(), bytes),
            None => bytes.split_at_checked(entry.name.into())?,
        };
        Some(Field {
            name,
            value: bytes.get(..entry.value.into())?,
            known: entry.known,
            never_indexed: false,
        })
    }

    /// Evicts what exceeds the new size. A table of size zero holds no memory.
    pub(super) fn set_max_size(&mut self, max_size: u16) {
        self.max_size = max_size;
        self.evict_down_to(max_size.into());
        if max_size == 0 {
            self.bytes = Vec::new();
            self.entries = VecDeque::new();
        }
    }

    /// Adds an entry and evicts the oldest ones to make room. An entry that is larger than the table
    /// leaves it empty, which is no error (RFC 7541 section 4.4).
    pub(super) fn insert(&mut self, field: &Field<'_>) {
        let size = field.size();
        let Some(room) = usize::from(self.max_size).checked_sub(size) else {
            self.evict_down_to(0);
            return;
        };
        self.evict_down_to(room);
        let stored_name = match field.known {
            Some(_) => &[],
            None => field.name,
        };
        self.make_room(stored_name.len() + field.value.len());
        // The buffer is not larger than the table, whose size is a `u16`.
        self.entries.push_back(Entry {
            start: self.bytes.len() as u16,
            name: field.name.len() as u16,
            value: field.value.len() as u16,
            known: field.known,
        });
        self.bytes.extend_from_slice(stored_name);
        self.bytes.extend_from_slice(field.value);
        self.size += size;
    }

    fn evict_down_to(&mut self, size: usize) {
        while self.size > size {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.size -= oldest.size();
        }
        if self.entries.is_empty() {
            self.bytes.clear();
        }
    }

    /// Makes room for this many bytes behind the last entry.
    fn make_room(&mut self, count: usize) {
        if self.bytes.len() + count <= self.bytes.capacity() {
            return;
        }
        self.move_to_start();
        // A buffer that stays half empty is not filled again soon, so entries seldom move.
        let enough = 2 * (self.bytes.len() + count);
        let capacity = enough.max(FIRST_CAPACITY).min(self.max_size.into());
        if capacity > self.bytes.capacity() {
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
    }

    fn move_to_start(&mut self) {
        let unused = self.entries.front().map_or(0, |oldest| oldest.start);
        self.bytes.drain(..usize::from(unused));
        for entry in &mut self.entries {
            entry.start -= unused;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds an entry as the decoder does.
    fn insert(table: &mut DynamicTable, name: &[u8], value: &[u8]) {
        table.insert(&Field {
            name,
            value,
            known: StaticName::find(name),
            never_indexed: false,
        });
    }

    fn get(table: &DynamicTable, index: usize) -> Option<(&[u8], &[u8])> {
        let field = table.get(index)?;
        Some((field.name, field.value))
    }

    /// All entries, newest first, as `name: value`.
    fn entries(table: &DynamicTable) -> Vec<String> {
        let text = |(name, value): (&[u8], &[u8])| {
            format!("{}: {}", name.escape_ascii(), value.escape_ascii())
        };
        (0..)
            .map_while(|index| get(table, index))
            .map(text)
            .collect()
    }

    #[test]
    fn nothing_is_allocated_before_the_first_insertion() {
        let mut table = DynamicTable::new(4096);
        assert_eq!(table.memory(), 0);
        table.set_max_size(100);
        insert(&mut table, &[b'x'; 69], b"");
        assert_eq!(table.memory(), 0);
        insert(&mut table, b"a", b"b");
        assert!((1..=256).contains(&table.memory()), "{}", table.memory());
        table.set_max_size(0);
        assert_eq!(table.memory(), 0);
    }

    #[test]
    fn newest_entry_comes_first() {
        let mut table = DynamicTable::new(4096);
        insert(&mut table, b"a", b"1");
        insert(&mut table, b"", b"");
        insert(&mut table, b"a", b"1");
        assert_eq!(entries(&table), ["a: 1", ": ", "a: 1"]);
        assert_eq!(get(&table, usize::MAX - 1), None);
    }

    #[test]
    fn oldest_entries_are_evicted_exactly() {
        let mut table = DynamicTable::new(3 * 34);
        for (name, value) in [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")] {
            insert(&mut table, name, value);
        }
        assert_eq!(entries(&table), ["c: 3", "b: 2", "a: 1"]);
        insert(&mut table, b"d", b"4");
        assert_eq!(entries(&table), ["d: 4", "c: 3", "b: 2"]);
        // One byte more than the oldest needs two places.
        insert(&mut table, b"e", b"55");
        assert_eq!(entries(&table), ["e: 55", "d: 4"]);
        table.set_max_size(35 + 34);
        assert_eq!(entries(&table), ["e: 55", "d: 4"]);
        table.set_max_size(35 + 33);
        assert_eq!(entries(&table), ["e: 55"]);
        table.set_max_size(34);
        assert!(entries(&table).is_empty());
    }

    #[test]
    fn entry_larger_than_the_table_empties_it() {
        let mut table = DynamicTable::new(100);
        insert(&mut table, b"a", b"1");
        insert(&mut table, b"b", &[b'x'; 67]);
        assert_eq!(get(&table, 0), Some((&b"b"[..], &[b'x'; 67][..])));
        assert_eq!(table.size, 100);
        insert(&mut table, b"b", &[b'x'; 68]);
        assert!(entries(&table).is_empty());
        assert_eq!(table.size, 0);
        insert(&mut table, b"c", b"3");
        assert_eq!(entries(&table), ["c: 3"]);
    }

    #[test]
    fn names_of_the_static_table_are_not_stored() {
        let mut table = DynamicTable::new(4096);
        for (name, value) in [(&b"user-agent"[..], b"x"), (b"b", b"2"), (b"accept", b"3")] {
            insert(&mut table, name, value);
        }
        assert_eq!(entries(&table), ["accept: 3", "b: 2", "user-agent: x"]);
        assert_eq!(table.bytes, b"xb23");
        assert_eq!(table.size, 11 + 2 + 7 + 3 * FIELD_OVERHEAD);
    }

    /// Compares with a plain list of entries, for many lengths.
    #[test]
    fn entries_survive_moves_in_the_buffer() {
        for max_size in [64, 100, 333, 1000, 4096, u16::MAX] {
            let mut table = DynamicTable::new(max_size);
            let mut expected: VecDeque<(Vec<u8>, Vec<u8>)> = VecDeque::new();
            for round in 0..2000_usize {
                let name = vec![round as u8; round * 7 % 13];
                let value = vec![!round as u8; round * round % 71];
                insert(&mut table, &name, &value);
                expected.push_front((name, value));
                let size = |(name, value): &(Vec<u8>, Vec<u8>)| name.len() + value.len() + 32;
                while expected.iter().map(size).sum::<usize>() > max_size.into() {
                    expected.pop_back();
                }
                assert_eq!(get(&table, expected.len()), None);
                for (index, (name, value)) in expected.iter().enumerate().step_by(1 + round % 5) {
                    assert_eq!(get(&table, index), Some((&name[..], &value[..])));
                }
                assert!(table.bytes.capacity() <= max_size.into());
            }
        }
    }

    /// The smallest entries need the most places.
    #[test]
    fn memory_is_bounded_by_the_size_of_the_table() {
        for length in [0, 1, 32, 500, 4000] {
            let mut table = DynamicTable::new(4096);
            for _ in 0..1000 {
                insert(&mut table, &vec![b'x'; length], b"");
            }
            assert!(
                table.memory() <= 4096 + 128 * size_of::<Entry>(),
                "{}",
                table.memory()
            );
        }
    }
}
