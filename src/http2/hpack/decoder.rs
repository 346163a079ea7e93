//! Decodes blocks of headers.

use std::ops::{ControlFlow, Range};

use super::dynamic_table::DynamicTable;
use super::static_table::{self, StaticName};
use super::{FIELD_OVERHEAD, HpackError, INITIAL_TABLE_SIZE, huffman, integer};

/// A block begins with at most this many updates of the table's size: the smallest size since the
/// last block, and the new one (RFC 7541 section 4.2).
const MAX_SIZE_UPDATES: usize = 2;

/// A decoded header. Neither name nor value is validated; both may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, in lower case if the peer follows the rules.
    pub name: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// The name, if the static table has it, however it was sent. It saves comparisons.
    pub(in crate::http2) known: Option<StaticName>,
    /// Whether no intermediary may put this header into a table, because its value is a secret (RFC
    /// 7541 section 7.1.3).
    pub never_indexed: bool,
}

impl Field<'_> {
    /// What the header counts in the size of a list of headers (RFC 9113 section 6.5.2).
    #[must_use]
    pub fn size(&self) -> usize {
        self.name.len() + self.value.len() + FIELD_OVERHEAD
    }
}

/// The decoder of a connection, with the table that the peer's encoder fills (RFC 7541).
///
/// Every block of a connection must be decoded in full, because later blocks refer to its headers.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use httpool::http2::hpack::Decoder;
///
/// let mut decoder = Decoder::default();
/// let mut headers = Vec::new();
/// // `:method: GET`, and a header that the second block refers to by its index.
/// for block in [&b"\x82\x40\x01a\x01b"[..], b"\xbe"] {
///     let decoded = decoder.decode(block, &mut Vec::new(), 1024, |field| {
///         headers.push((field.name.to_vec(), field.value.to_vec()));
///         ControlFlow::<()>::Continue(())
///     });
///     assert_eq!(decoded, Ok(ControlFlow::Continue(())));
/// }
/// let pair = |name: &str, value: &str| (name.into(), value.into());
/// assert_eq!(headers, [pair(":method", "GET"), pair("a", "b"), pair("a", "b")]);
/// ```
#[derive(Debug)]
pub struct Decoder {
    table: DynamicTable,
    /// The largest size that the peer may choose for the table.
    limit: u16,
    /// Whether the next block must begin with an update, because the limit is below the size.
    needs_update: bool,
    /// 0 if the table has changed since [`set_mark`](Self::set_mark).
    mark: u64,
}

impl Default for Decoder {
    /// The decoder of a new connection, whose table may have [`INITIAL_TABLE_SIZE`] bytes.
    fn default() -> Self {
        Self {
            table: DynamicTable::new(INITIAL_TABLE_SIZE),
            limit: INITIAL_TABLE_SIZE,
            needs_update: false,
            mark: 0,
        }
    }
}

impl Decoder {
    /// Sets the largest size of the table, when the peer has acknowledged the
    /// SETTINGS_HEADER_TABLE_SIZE that announced it. If the table may be larger now, the next block
    /// must change that (RFC 9113 section 4.3.1).
    pub fn set_table_limit(&mut self, limit: u16) {
        self.mark = 0;
        self.limit = limit;
        self.needs_update = self.table.max_size() > limit;
    }

    /// The mark, or 0 if the table has changed since it was set.
    pub(in crate::http2) fn mark(&self) -> u64 {
        self.mark
    }

    /// Sets a mark by which the table is recognized while it is the same.
    pub(in crate::http2) fn set_mark(&mut self, mark: u64) {
        self.mark = mark;
    }

    /// The bytes that the table has allocated.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.table.memory()
    }

    /// Decodes a complete block, that is a HEADERS frame and its CONTINUATION frames, and gives each
    /// header to `sink`. If `sink` breaks, it receives no more headers, but decoding continues, so
    /// that the table stays right; what it broke with is returned.
    ///
    /// Headers that exceed `most` bytes in total, each with its [`FIELD_OVERHEAD`], end the
    /// connection, whether `sink` received them or not. Nothing is stored that exceeds `most`.
    /// `scratch` is overwritten; its memory can be reused.
    ///
    /// # Errors
    ///
    /// All are errors of the connection. The decoder can't be used any more.
    pub fn decode<B>(
        &mut self,
        block: &[u8],
        scratch: &mut Vec<u8>,
        most: usize,
        mut sink: impl FnMut(Field<'_>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>, HpackError> {
        let mut block = Block { rest: block };
        self.update_size(&mut block)?;
        let mut room = Room(most);
        let mut flow = ControlFlow::Continue(());
        while let Some(first) = block.rest.first() {
            let field = match Kind::of(*first) {
                Kind::Indexed => self.indexed(&mut block, &mut room)?,
                Kind::Literal(indexing) => {
                    self.literal(indexing, &mut block, scratch, &mut room)?
                }
                Kind::SizeUpdate => return Err(HpackError::TableSize),
            };
            if flow.is_continue() {
                flow = sink(field);
            }
        }
        Ok(flow)
    }

    /// Decodes the updates of the table's size at the start of a block.
    fn update_size(&mut self, block: &mut Block<'_>) -> Result<(), HpackError> {
        for _ in 0..MAX_SIZE_UPDATES {
            if block.rest.first().map(|first| Kind::of(*first)) != Some(Kind::SizeUpdate) {
                break;
            }
            self.mark = 0;
            let size = block.integer(5)?;
            let size = u16::try_from(size).ok().filter(|size| *size <= self.limit);
            self.table.set_max_size(size.ok_or(HpackError::TableSize)?);
            self.needs_update = false;
        }
        match self.needs_update {
            true => Err(HpackError::TableSize),
            false => Ok(()),
        }
    }

    /// Decodes a header that is in a table (RFC 7541 section 6.1).
    #[inline(always)]
    fn indexed(&self, block: &mut Block<'_>, room: &mut Room) -> Result<Field<'_>, HpackError> {
        let field = self.entry(block.integer(7)?)?;
        room.take(field.size())?;
        Ok(field)
    }

    /// Decodes a header whose value, and perhaps whose name, is in the block (RFC 7541 section 6.2).
    fn literal<'s, 'b: 's>(
        &mut self,
        indexing: Indexing,
        block: &mut Block<'b>,
        scratch: &'s mut Vec<u8>,
        room: &mut Room,
    ) -> Result<Field<'s>, HpackError> {
        scratch.clear();
        room.take(FIELD_OVERHEAD)?;
        let (name, known) = match block.integer(indexing.prefix_bits())? {
            0 => (block.string(scratch, room)?, None),
            index => self.name(index, scratch, room)?,
        };
        let value = block.string(scratch, room)?;
        let name = name.bytes(scratch);
        let field = Field {
            name,
            value: value.bytes(scratch),
            known: known.or_else(|| StaticName::find(name)),
            never_indexed: indexing == Indexing::Never,
        };
        if indexing == Indexing::Add {
            self.mark = 0;
            self.table.insert(&field);
        }
        Ok(field)
    }

    /// The name of an entry. One that only the dynamic table has is copied, because the insertion of
    /// the header may evict it.
    fn name(
        &self,
        index: usize,
        scratch: &mut Vec<u8>,
        room: &mut Room,
    ) -> Result<(Text<'static>, Option<StaticName>), HpackError> {
        let Field { name, known, .. } = self.entry(index)?;
        room.take(name.len())?;
        if let Some(known) = known {
            return Ok((Text::Borrowed(known.text()), Some(known)));
        }
        let start = scratch.len();
        scratch.extend_from_slice(name);
        Ok((Text::Scratch(start..scratch.len()), None))
    }

    /// The entry of an index into both tables (RFC 7541 section 2.3.3).
    #[inline]
    fn entry(&self, index: usize) -> Result<Field<'_>, HpackError> {
        let field = match index.checked_sub(static_table::LEN + 1) {
            Some(index) => self.table.get(index),
            None => static_table::field(index),
        };
        field.ok_or(HpackError::Index)
    }
}

/// The kind of the next instruction in a block, by its first byte (RFC 7541 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Indexed,
    Literal(Indexing),
    SizeUpdate,
}

/// Whether a literal is added to the table, and whether intermediaries may add it to theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Indexing {
    Add,
    Without,
    Never,
}

impl Kind {
    fn of(first: u8) -> Self {
        match first {
            0x80.. => Self::Indexed,
            0x40.. => Self::Literal(Indexing::Add),
            0x20.. => Self::SizeUpdate,
            0x10.. => Self::Literal(Indexing::Never),
            _ => Self::Literal(Indexing::Without),
        }
    }
}

impl Indexing {
    fn prefix_bits(self) -> u32 {
        match self {
            Self::Add => 6,
            Self::Without | Self::Never => 4,
        }
    }
}

/// How many bytes of headers may still be decoded.
struct Room(usize);

impl Room {
    fn take(&mut self, count: usize) -> Result<(), HpackError> {
        self.0 = self.0.checked_sub(count).ok_or(HpackError::TooLarge)?;
        Ok(())
    }
}

/// Where the bytes of a string are.
enum Text<'a> {
    /// In the block or in the static table.
    Borrowed(&'a [u8]),
    Scratch(Range<usize>),
}

impl<'a> Text<'a> {
    fn bytes(self, scratch: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Scratch(range) => &scratch[range],
        }
    }
}

/// The part of a block that is not decoded yet.
struct Block<'a> {
    rest: &'a [u8],
}

impl<'a> Block<'a> {
    #[inline]
    fn integer(&mut self, prefix_bits: u32) -> Result<usize, HpackError> {
        let (value, length) = integer::decode(self.rest, prefix_bits)?;
        self.rest = &self.rest[length..];
        Ok(value)
    }

    /// Decodes a string (RFC 7541 section 5.2), with a Huffman code into `scratch`.
    fn string(&mut self, scratch: &mut Vec<u8>, room: &mut Room) -> Result<Text<'a>, HpackError> {
        let is_coded = self.rest.first().is_some_and(|first| first & 0x80 != 0);
        let length = self.integer(7)?;
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(HpackError::Truncated)?;
        self.rest = rest;
        if !is_coded {
            room.take(bytes.len())?;
            return Ok(Text::Borrowed(bytes));
        }
        let start = scratch.len();
        huffman::decode(bytes, room.0, scratch)?;
        room.take(scratch.len() - start)?;
        Ok(Text::Scratch(start..scratch.len()))
    }
}
