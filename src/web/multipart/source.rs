//! The body of a form, and the bytes of it that have arrived.

use std::fmt;
use std::io::{ErrorKind, Read};
use std::ops::Range;

use super::MultipartError;
use crate::form_data::{Event, Limit, PartHead, ScanError, Scanner};
use crate::message::Body;

/// Bytes that one read may return. As many are sent to a file at once.
const BUFFER: usize = 64 * 1024;

/// Reads a body and scans it.
pub(super) struct Source {
    body: Body,
    /// All of the body has arrived in the buffer.
    is_complete: bool,
    buffer: Box<[u8]>,
    /// The part of the buffer that the scanner has not read.
    unread: Range<usize>,
    /// The part of the buffer that is content of the current part and not consumed.
    content: Range<usize>,
    scanner: Scanner,
    position: Position,
    /// Bytes that parts may still keep in memory, and how many they might at first.
    memory_left: u64,
    memory: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    BetweenParts,
    InPart,
    End,
}

impl Source {
    pub(super) fn new(body: Body, scanner: Scanner, memory: u64) -> Self {
        let capacity = BUFFER.max(scanner.most_unread() + BUFFER / 8);
        Self {
            body,
            is_complete: false,
            buffer: vec![0; capacity].into(),
            unread: 0..0,
            content: 0..0,
            scanner,
            position: Position::BetweenParts,
            memory_left: memory,
            memory,
        }
    }

    /// The head of the next part, after the rest of the current one.
    pub(super) fn next_part(&mut self) -> Result<Option<Box<PartHead>>, MultipartError> {
        while self.position == Position::InPart {
            let skipped = self.content()?.len();
            self.consume(skipped);
        }
        if self.position == Position::End {
            return Ok(None);
        }
        match self.next_event()? {
            Event::Part(head) => {
                self.position = Position::InPart;
                Ok(Some(head))
            }
            _ => {
                self.position = Position::End;
                Ok(None)
            }
        }
    }

    /// Content of the current part. Empty at its end.
    pub(super) fn content(&mut self) -> Result<&[u8], MultipartError> {
        if self.content.is_empty()
            && self.position == Position::InPart
            && self.next_event()? == Event::PartEnd
        {
            self.position = Position::BetweenParts;
        }
        Ok(&self.buffer[self.content.clone()])
    }

    /// Removes this many bytes of the content.
    pub(super) fn consume(&mut self, count: usize) {
        self.content.start += count.min(self.content.len());
    }

    /// Reserves memory for content of a part.
    pub(super) fn reserve_memory(&mut self, count: usize) -> Result<(), MultipartError> {
        let left = self.memory_left.checked_sub(count as u64);
        self.memory_left = left.ok_or(ScanError::TooLarge {
            limit: Limit::Memory,
            most: self.memory,
        })?;
        Ok(())
    }

    /// Waits for the next event that is not [`Event::Incomplete`].
    fn next_event(&mut self) -> Result<Event, MultipartError> {
        loop {
            let unread = &self.buffer[self.unread.clone()];
            let (count, event) = self.scanner.next(unread, self.is_complete)?;
            let read = self.unread.start..self.unread.start + count;
            self.unread.start = read.end;
            match event {
                Event::Incomplete => self.receive()?,
                Event::Content => {
                    self.content = read;
                    return Ok(event);
                }
                _ => return Ok(event),
            }
        }
    }

    /// Reads more of the body into the buffer, behind what the scanner has left.
    fn receive(&mut self) -> Result<(), MultipartError> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        let count = loop {
            match self.body.read(&mut self.buffer[self.unread.end..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result.map_err(MultipartError::Io)?,
            }
        };
        self.is_complete = count == 0;
        self.unread.end += count;
        Ok(())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}", self.position, self.body)
    }
}
