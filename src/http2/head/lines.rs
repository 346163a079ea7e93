//! The header lines of a head as text.

use std::ops::Range;

use super::Rejection;
use crate::http2::hpack::{Field, StaticName};
use crate::message::request_error::RequestError;

pub(super) const LINE_END: &[u8] = b"\r\n";
pub(super) const COLON: &[u8] = b": ";

/// The place of a header line in the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) start: usize,
    colon: usize,
    end: usize,
    /// The name, if the static table has it.
    pub(super) known: Option<StaticName>,
}

impl Line {
    pub(super) fn name(self) -> Range<usize> {
        self.start..self.colon
    }

    pub(super) fn value(self) -> Range<usize> {
        self.colon + COLON.len()..self.end
    }

    #[inline]
    fn is(self, field: &Field<'_>, text: &[u8]) -> bool {
        let is_name = match self.known {
            Some(known) => field.known == Some(known),
            None => field.known.is_none() && &text[self.name()] == field.name,
        };
        is_name && &text[self.value()] == field.value
    }
}

/// The header lines of a head, in their order. While a head arrives, those of the last one are still
/// there: most begin with the same headers, and a comparison costs less than a copy.
#[derive(Debug, Default)]
pub(super) struct HeaderLines {
    text: Vec<u8>,
    lines: Vec<Line>,
    /// How many lines are of the head that arrives. The others are of the last one.
    count: usize,
}

impl HeaderLines {
    /// Begins another head.
    pub(super) fn begin(&mut self) {
        self.count = 0;
    }

    /// Adds a header, which is not validated yet. The text may have `most` bytes.
    #[inline]
    pub(super) fn add(&mut self, field: &Field<'_>, most: usize) -> Result<(), Rejection> {
        let line = match self.lines.get(self.count) {
            Some(last) if last.is(field, &self.text) => *last,
            _ => self.next(field),
        };
        if line.end + 2 * LINE_END.len() > most {
            return Err(RequestError::HeadTooLarge.into());
        }
        if self.count == self.lines.len() {
            self.text.reserve(line.end + LINE_END.len() - line.start);
            self.text.extend_from_slice(field.name);
            self.text.extend_from_slice(COLON);
            self.text.extend_from_slice(field.value);
            self.text.extend_from_slice(LINE_END);
            self.lines.push(line);
        }
        self.count += 1;
        Ok(())
    }

    /// The place of a header that the last head does not have here. Drops the rest of that one.
    fn next(&mut self, field: &Field<'_>) -> Line {
        self.end();
        let start = self.text.len();
        let colon = start + field.name.len();
        Line {
            start,
            colon,
            end: colon + COLON.len() + field.value.len(),
            known: field.known,
        }
    }

    /// Ends the head.
    pub(super) fn end(&mut self) {
        if let Some(other) = self.lines.get(self.count) {
            self.text.truncate(other.start);
            self.lines.truncate(self.count);
        }
    }

    /// The text, after the end of the head.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The lines, after the end of the head.
    pub(super) fn iter(&self) -> impl Iterator<Item = Line> + Clone + '_ {
        self.lines.iter().copied()
    }
}
