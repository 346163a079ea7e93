//! Finds the parts of a body.

use memchr::memmem::Finder;

use super::boundary::Boundary;
use super::error::{Limit, Malformed, ScanError};
use super::head::PartHead;

/// Limits of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole body.
    pub total: u64,
    /// Number of parts.
    pub parts: usize,
    /// Bytes of the content of one part.
    pub part: u64,
    /// Bytes of the header lines of one part, with their ends.
    pub part_head: usize,
}

/// Scans a body for its parts.
///
/// The caller keeps the bytes and gives the unread ones to [`next`](Self::next), which returns how
/// many are read and what they are.
#[derive(Debug)]
pub struct Scanner {
    /// Finds CRLF, two dashes and the boundary.
    finder: Finder<'static>,
    limits: Limits,
    state: State,
    /// Bytes read.
    total: u64,
    /// Parts begun.
    parts: usize,
    /// Bytes of content that the current part may still have.
    part_left: u64,
    /// A scan that has failed fails again.
    failure: Option<ScanError>,
}

/// A finding of the scanner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Nothing more without further bytes.
    Incomplete,
    /// A part begins.
    Part(Box<PartHead>),
    /// All bytes that were read with this event are content of the part.
    Content,
    /// The part is complete, and the line of the boundary behind it is valid.
    PartEnd,
    /// The body is complete.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble(Line),
    /// Directly behind a boundary.
    Boundary(Before),
    /// Behind a boundary, in what may follow it on its line.
    Padding(Before, After),
    /// Behind the line of a boundary that a part follows.
    NextPart,
    Head,
    Content(Line),
    Epilogue,
}

/// The position in text that a boundary may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// The bytes before are a line break, so the boundary needs none.
    Start,
    Within,
}

/// The text before the line of a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Preamble,
    Part,
}

/// The text behind the line of a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Part,
    Epilogue,
}

/// The result of a search for a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// The boundary follows this many bytes and has this length.
    Boundary { before: usize, length: usize },
    /// No boundary begins in this many bytes. More bytes decide about the rest.
    Text(usize),
}

impl Scanner {
    /// Scans a body with this boundary.
    pub fn new(boundary: &Boundary, limits: Limits) -> Self {
        Self {
            finder: Finder::new(&boundary.delimiter()).into_owned(),
            limits,
            state: State::Preamble(Line::Start),
            total: 0,
            parts: 0,
            part_left: 0,
            failure: None,
        }
    }

    /// The most bytes that can be unread when [`Event::Incomplete`] has been returned, so a buffer
    /// must have more.
    pub fn most_unread(&self) -> usize {
        self.finder.needle().len().max(self.limits.part_head) + 2
    }

    /// Reads unread bytes. `is_last` says that none follow them.
    ///
    /// # Errors
    ///
    /// If the body is malformed or exceeds a limit. Later calls return the same error.
    pub fn next(&mut self, unread: &[u8], is_last: bool) -> Result<(usize, Event), ScanError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let result = self.read(unread, is_last);
        self.failure = result.as_ref().err().cloned();
        result
    }

    fn read(&mut self, unread: &[u8], is_last: bool) -> Result<(usize, Event), ScanError> {
        let mut read = 0;
        loop {
            let (count, event) = self.step(&unread[read..], is_last)?;
            read += count;
            self.total += count as u64;
            if self.total > self.limits.total {
                return Err(self.too_large(Limit::Total));
            }
            if let Some(event) = event {
                return Ok((read, event));
            }
        }
    }

    /// Reads bytes in one state. Without an event, another step follows.
    fn step(&mut self, unread: &[u8], is_last: bool) -> Result<(usize, Option<Event>), ScanError> {
        match self.state {
            State::Preamble(line) => self.preamble(line, unread, is_last),
            State::Boundary(before) => self.boundary(before, unread, is_last),
            State::Padding(before, after) => self.padding(before, after, unread, is_last),
            State::NextPart => self.begin_part(),
            State::Head => self.head(unread, is_last),
            State::Content(line) => self.content(line, unread, is_last),
            State::Epilogue if is_last => Ok((unread.len(), Some(Event::End))),
            State::Epilogue => Ok((unread.len(), Some(Event::Incomplete))),
        }
    }

    fn preamble(
        &mut self,
        line: Line,
        unread: &[u8],
        is_last: bool,
    ) -> Result<(usize, Option<Event>), ScanError> {
        match self.find(line, unread) {
            Found::Boundary { before, length } => {
                self.state = State::Boundary(Before::Preamble);
                Ok((before + length, None))
            }
            Found::Text(0) if is_last => {
                Err(Malformed::new(0, "the body does not have the boundary of Content-Type").into())
            }
            Found::Text(0) => Ok((0, Some(Event::Incomplete))),
            Found::Text(count) => {
                self.state = State::Preamble(Line::Within);
                Ok((count, None))
            }
        }
    }

    fn boundary(
        &mut self,
        before: Before,
        unread: &[u8],
        is_last: bool,
    ) -> Result<(usize, Option<Event>), ScanError> {
        match unread {
            [b'-', b'-', ..] => {
                self.state = State::Padding(before, After::Epilogue);
                Ok((2, None))
            }
            [] | [b'-'] => self.incomplete(is_last),
            _ => {
                self.state = State::Padding(before, After::Part);
                Ok((0, None))
            }
        }
    }

    /// Reads the rest of a boundary's line. Only behind it, the part before the boundary is complete: a
    /// malformed line may be meant as content.
    fn padding(
        &mut self,
        before: Before,
        after: After,
        unread: &[u8],
        is_last: bool,
    ) -> Result<(usize, Option<Event>), ScanError> {
        let is_padding = |byte: &&u8| matches!(byte, b' ' | b'\t');
        let count = unread.iter().take_while(is_padding).count();
        if count > 0 {
            return Ok((count, None));
        }
        let line_end = match (unread, after) {
            ([b'\r', b'\n', ..], _) => 2,
            ([], After::Epilogue) if is_last => 0,
            ([] | [b'\r'], _) => return self.incomplete(is_last),
            _ => return Err(self.malformed("a boundary is not alone on its line")),
        };
        self.state = match after {
            After::Part => State::NextPart,
            After::Epilogue => State::Epilogue,
        };
        Ok((line_end, (before == Before::Part).then_some(Event::PartEnd)))
    }

    fn begin_part(&mut self) -> Result<(usize, Option<Event>), ScanError> {
        if self.parts == self.limits.parts {
            return Err(self.too_large(Limit::Parts));
        }
        self.parts += 1;
        self.part_left = self.limits.part;
        self.state = State::Head;
        Ok((0, None))
    }

    fn head(&mut self, unread: &[u8], is_last: bool) -> Result<(usize, Option<Event>), ScanError> {
        // A part without headers begins with the empty line.
        let (lines, length) = if unread.starts_with(b"\r\n") {
            (0, 2)
        } else {
            let most = self.limits.part_head + 2;
            let searched = &unread[..unread.len().min(most)];
            match memchr::memmem::find(searched, b"\r\n\r\n") {
                Some(at) => (at + 2, at + 4),
                None if searched.len() == most => return Err(self.too_large(Limit::PartHead)),
                None => return self.incomplete(is_last),
            }
        };
        let head = PartHead::parse(&unread[..lines], self.parts)?;
        self.state = State::Content(Line::Start);
        Ok((length, Some(Event::Part(Box::new(head)))))
    }

    fn content(
        &mut self,
        line: Line,
        unread: &[u8],
        is_last: bool,
    ) -> Result<(usize, Option<Event>), ScanError> {
        let count = match self.find(line, unread) {
            Found::Boundary { before: 0, length } => {
                self.state = State::Boundary(Before::Part);
                return Ok((length, None));
            }
            Found::Text(0) => return self.incomplete(is_last),
            Found::Boundary { before, .. } | Found::Text(before) => before,
        };
        // Content up to the limit is passed on, however the body is split.
        let total_left = self.limits.total - self.total;
        for (left, limit) in [(total_left, Limit::Total), (self.part_left, Limit::Part)] {
            if left == 0 {
                return Err(self.too_large(limit));
            }
        }
        let most = usize::try_from(total_left.min(self.part_left)).unwrap_or(usize::MAX);
        let count = count.min(most);
        self.part_left -= count as u64;
        self.state = State::Content(Line::Within);
        Ok((count, Some(Event::Content)))
    }

    /// Searches for the next boundary.
    fn find(&self, line: Line, unread: &[u8]) -> Found {
        let delimiter = self.finder.needle();
        if line == Line::Start {
            let boundary = &delimiter[2..];
            if unread.starts_with(boundary) {
                return Found::Boundary {
                    before: 0,
                    length: boundary.len(),
                };
            }
            if boundary.starts_with(unread) {
                return Found::Text(0);
            }
        }
        match self.finder.find(unread) {
            Some(before) => Found::Boundary {
                before,
                length: delimiter.len(),
            },
            None => Found::Text(unread.len() - beginning_length(delimiter, unread)),
        }
    }

    /// More bytes are needed here.
    fn incomplete(&self, is_last: bool) -> Result<(usize, Option<Event>), ScanError> {
        match is_last {
            true => Err(self.malformed("the body ends before its last boundary")),
            false => Ok((0, Some(Event::Incomplete))),
        }
    }

    fn malformed(&self, reason: &'static str) -> ScanError {
        Malformed::new(self.parts, reason).into()
    }

    fn too_large(&self, limit: Limit) -> ScanError {
        let most = match limit {
            Limit::Parts => self.limits.parts as u64,
            Limit::Part => self.limits.part,
            Limit::PartHead => self.limits.part_head as u64,
            _ => self.limits.total,
        };
        ScanError::TooLarge { limit, most }
    }
}

/// The length of the longest end of `text` with which `delimiter` begins. A boundary has no CR, so
/// only the last CR can begin a delimiter.
fn beginning_length(delimiter: &[u8], text: &[u8]) -> usize {
    let tail = &text[text.len().saturating_sub(delimiter.len() - 1)..];
    let beginning = memchr::memrchr(b'\r', tail).map_or(&[][..], |at| &tail[at..]);
    match delimiter.starts_with(beginning) {
        true => beginning.len(),
        false => 0,
    }
}

#[cfg(test)]
mod tests;
