//! Requests for other tools: as JSON, as HTTP Archive, as a command of curl.

pub(crate) mod curl;
pub(crate) mod har;
pub(crate) mod json;

use std::io::{self, Read};
use std::vec;

use serde::Serialize;

use super::entry::Shown;

/// A JSON document with a list of requests, each written when the client has read those before it. So
/// an export takes the memory of one request.
pub(crate) struct Export<F> {
    requests: vec::IntoIter<Shown>,
    write: F,
    part: io::Cursor<Vec<u8>>,
    step: Step,
    end: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    First,
    Next,
    Done,
}

impl<T: Serialize, F: Fn(&Shown) -> T> Export<F> {
    /// Begins with `start`, writes each request, and ends with `end`.
    pub(crate) fn new(requests: Vec<Shown>, start: String, end: &'static str, write: F) -> Self {
        Self {
            requests: requests.into_iter(),
            write,
            part: io::Cursor::new(start.into_bytes()),
            step: Step::First,
            end,
        }
    }

    fn next_part(&mut self) -> io::Result<Vec<u8>> {
        let Some(request) = self.requests.next() else {
            self.step = Step::Done;
            return Ok(self.end.into());
        };
        let mut part = match self.step {
            Step::Next => b",\n".to_vec(),
            Step::First | Step::Done => Vec::new(),
        };
        self.step = Step::Next;
        serde_json::to_writer(&mut part, &(self.write)(&request))?;
        Ok(part)
    }
}

impl<T: Serialize, F: Fn(&Shown) -> T> Read for Export<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.part.read(buffer)?;
            if read > 0 || self.step == Step::Done || buffer.is_empty() {
                return Ok(read);
            }
            self.part = io::Cursor::new(self.next_part()?);
        }
    }
}
