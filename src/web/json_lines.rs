//! JSON lines: a value on each line.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::time::{Duration, Instant};

use http::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;

use crate::message::{Body, BodySender, IntoResponse, Response};

/// Neither this type nor `application/x-ndjson` is registered; OpenAPI names this one first.
const JSON_LINES: HeaderValue = HeaderValue::from_static("application/jsonl");

/// How long lines are gathered before they are sent.
const GATHERING: Duration = Duration::from_millis(1);

/// As a response, values serialized as JSON, each on a line of its own (<https://jsonlines.org>), with
/// `Content-Type: application/jsonl`. Values are serialized while the response is sent, so a large
/// table needs little memory, and a client can use each line when it arrives.
///
/// ```
/// use httpool::testing::Client;
/// use httpool::{JsonLines, Request};
///
/// #[derive(serde::Serialize)]
/// struct Row {
///     id: u32,
/// }
///
/// let rows = |_: Request| JsonLines::new((1..=2).map(|id| Row { id }));
/// let response = Client::new(rows).get("/").send();
/// assert_eq!(response.text(), "{\"id\":1}\n{\"id\":2}\n");
/// ```
///
/// A tuple sets another content type: `([(CONTENT_TYPE, "application/x-ndjson")], lines)`.
///
/// A value that can't be serialized ends the response: the connection is reset, or the stream of
/// HTTP/2, so that the client does not take a part for the whole. The log has the reason.
#[derive(Debug)]
pub struct JsonLines(Body);

/// Sends values to a client as JSON lines, from any thread. [`JsonLines::channel`] creates it.
///
/// ```
/// use httpool::{JsonLines, JsonLinesSender, Request};
/// use httpool::testing::Client;
///
/// fn count(sender: &JsonLinesSender) -> std::io::Result<()> {
///     (1..=3).try_for_each(|number| sender.send(&number))
/// }
///
/// let numbers = |_: Request| {
///     let (sender, lines) = JsonLines::channel(64 * 1024);
///     std::thread::spawn(move || count(&sender));
///     lines
/// };
/// assert_eq!(Client::new(numbers).get("/").send().text(), "1\n2\n3\n");
/// ```
#[derive(Debug, Clone)]
pub struct JsonLinesSender(BodySender);

/// Serializes values while they are read.
struct LineReader<I> {
    values: I,
    lines: Vec<u8>,
    /// The bytes of `lines` that were read.
    read: usize,
}

impl JsonLines {
    /// Creates a response from values. The iterator runs on a worker while the response is sent, as a
    /// [reader](Body::from_reader) does. If it waits for its next value, it occupies that worker.
    pub fn new<T: Serialize + 'static>(
        values: impl IntoIterator<Item = T, IntoIter: Send + 'static>,
    ) -> Self {
        let values = values.into_iter().map(Ok::<_, Infallible>);
        Self::from_results(values)
    }

    /// Creates a response from values that may fail to come, for example rows of a database. An error ends
    /// the response as one that a value can't be serialized.
    ///
    /// ```
    /// use httpool::{JsonLines, Request};
    ///
    /// let numbers = |_: Request| JsonLines::from_results(["1", "2"].map(str::parse::<u8>));
    /// ```
    pub fn from_results<T: Serialize, E: Into<Box<dyn Error + Send + Sync>>>(
        values: impl IntoIterator<Item = Result<T, E>, IntoIter: Send + 'static>,
    ) -> Self {
        Self(Body::from_reader(LineReader {
            values: values.into_iter(),
            lines: Vec::new(),
            read: 0,
        }))
    }

    /// Creates a response whose values other threads send, and its first sender. While it waits for a
    /// value it occupies no worker. At most `limit` bytes wait until the client takes them
    /// ([`Body::channel`]).
    #[must_use]
    pub fn channel(limit: usize) -> (JsonLinesSender, Self) {
        let (sender, body) = Body::channel(limit);
        (JsonLinesSender(sender), Self(body))
    }
}

impl JsonLinesSender {
    /// Sends a value, and waits until the queue has room for it.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](ErrorKind::InvalidData) if the value can't be serialized; the response can
    /// continue without it. [`BrokenPipe`](ErrorKind::BrokenPipe) if the response has ended or its client
    /// has left.
    pub fn send(&self, value: &impl Serialize) -> io::Result<()> {
        let mut line = Vec::new();
        write_line(value, &mut line)
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        Ok(self.0.send(line)?)
    }

    /// The sender of the body, for everything else: whether the client has left, or the server is
    /// draining, and the failure of the whole response.
    ///
    /// ```
    /// use httpool::JsonLines;
    ///
    /// let (sender, lines) = JsonLines::channel(64 * 1024);
    /// drop(lines);
    /// assert!(sender.body().is_closed());
    /// ```
    #[must_use]
    pub fn body(&self) -> &BodySender {
        &self.0
    }
}

fn write_line(value: &impl Serialize, lines: &mut Vec<u8>) -> serde_json::Result<()> {
    serde_json::to_writer(&mut *lines, value)?;
    lines.push(b'\n');
    Ok(())
}

impl<T: Serialize, E: Into<Box<dyn Error + Send + Sync>>, I: Iterator<Item = Result<T, E>>>
    LineReader<I>
{
    /// Serializes the next values, up to about this many bytes. A slow iterator does not delay those that
    /// it has given.
    fn fill(&mut self, most: usize) -> io::Result<()> {
        self.lines.clear();
        self.read = 0;
        let since = Instant::now();
        while self.lines.len() < most {
            let Some(value) = self.values.next() else {
                break;
            };
            let value = value.map_err(io::Error::other)?;
            write_line(&value, &mut self.lines)?;
            if since.elapsed() >= GATHERING {
                break;
            }
        }
        Ok(())
    }
}

impl<T: Serialize, E: Into<Box<dyn Error + Send + Sync>>, I: Iterator<Item = Result<T, E>>> Read
    for LineReader<I>
{
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.lines.len() {
            self.fill(buffer.len())?;
        }
        let count = (&self.lines[self.read..]).read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

impl IntoResponse for JsonLines {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.0);
        response.headers_mut().insert(CONTENT_TYPE, JSON_LINES);
        response
    }
}

impl<I> fmt::Debug for LineReader<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineReader").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn text(lines: JsonLines) -> io::Result<String> {
        let mut text = String::new();
        let mut body = lines.0;
        body.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn each_value_is_on_a_line() {
        let lines = JsonLines::new(["a\nb", "c"]);
        assert_eq!(text(lines).ok().as_deref(), Some("\"a\\nb\"\n\"c\"\n"));
        assert_eq!(text(JsonLines::new([0; 0])).ok().as_deref(), Some(""));
        let many = text(JsonLines::new(0..100_000)).expect("numbers are JSON");
        assert_eq!(many.lines().count(), 100_000);
    }

    #[test]
    fn small_reads_lose_nothing() {
        let mut body = JsonLines::new([123, 45]).0;
        let mut all = Vec::new();
        let mut byte = [0];
        while body.read(&mut byte).expect("numbers are JSON") == 1 {
            all.push(byte[0]);
        }
        assert_eq!(all, b"123\n45\n");
    }

    #[test]
    fn failing_value_fails_the_body() {
        let parsed = ["1", "x"].map(str::parse::<u8>);
        let error = text(JsonLines::from_results(parsed)).expect_err("x is not a number");
        assert_eq!(error.to_string(), "invalid digit found in string");
        let no_json = BTreeMap::from([([1, 2], "a key that is not a string")]);
        text(JsonLines::new([no_json])).expect_err("it can't be serialized");
    }

    #[test]
    fn sender_continues_after_a_value_that_is_not_json() {
        let (sender, lines) = JsonLines::channel(1000);
        let no_json = BTreeMap::from([([1, 2], "a key that is not a string")]);
        let error = sender.send(&no_json).expect_err("it can't be serialized");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        sender.send(&7).expect("the body is there");
        drop(sender);
        assert_eq!(text(lines).ok().as_deref(), Some("7\n"));
        let (sender, lines) = JsonLines::channel(1000);
        drop(lines);
        let error = sender.send(&7).expect_err("nobody reads it");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}
