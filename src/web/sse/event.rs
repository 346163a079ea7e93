//! One event, as it is written.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What ends a line for the reader of a stream.
const LINE_END: [char; 2] = ['\r', '\n'];

/// One event of a stream (HTML section 9.2.6).
///
/// ```
/// use std::time::Duration;
///
/// use httpool::sse::Event;
///
/// let event = Event::data("first line\nsecond line").name("news").id(7);
/// assert_eq!(
///     event.to_string(),
///     "event: news\nid: 7\ndata: first line\ndata: second line\n\n"
/// );
/// assert_eq!(Event::comment("nothing new").to_string(), ": nothing new\n\n");
/// assert_eq!(Event::retry(Duration::from_secs(2)).to_string(), "retry: 2000\n\n");
/// ```
///
/// No value can begin another field or another event. In data and comments, a line end (CR, LF, or
/// both) begins another line of the same; clients get it as LF. A name or an id has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    name: Option<Cow<'static, str>>,
    id: Option<String>,
    /// The lines of everything else, each with its end.
    lines: String,
}

/// A name or an id that would be something else to its reader.
///
/// ```
/// use httpool::sse::Event;
///
/// let error = Event::data("").try_id("7\ndata: 8").expect_err("it would be two lines");
/// assert_eq!(error.to_string(), "the field `id` can't have this value");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventError {
    what: &'static str,
}

impl Event {
    /// An event with this data, which a browser passes to `onmessage`.
    #[must_use]
    pub fn data(data: impl AsRef<str>) -> Self {
        let mut event = Self::default();
        event.push_lines("data: ", data.as_ref());
        event
    }

    /// An event whose data is this value as JSON.
    ///
    /// ```
    /// use httpool::sse::Event;
    ///
    /// let event = Event::json(&["tea", "cake"])?;
    /// assert_eq!(event.to_string(), "data: [\"tea\",\"cake\"]\n\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the value can't be written as JSON.
    #[cfg(feature = "json")]
    pub fn json(value: &impl serde::Serialize) -> serde_json::Result<Self> {
        serde_json::to_string(value).map(Self::data)
    }

    /// A comment. It is no event for a browser, but keeps the connection.
    #[must_use]
    pub fn comment(comment: impl AsRef<str>) -> Self {
        let mut event = Self::default();
        event.push_lines(": ", comment.as_ref());
        event
    }

    /// No event, but how long a browser waits before it connects again, to the millisecond.
    #[must_use]
    pub fn retry(after: Duration) -> Self {
        Self {
            lines: format!("retry: {}\n", after.as_millis()),
            ..Self::default()
        }
    }

    /// Gives the event a name: a browser passes it to those who listen to that instead of to
    /// `onmessage`.
    ///
    /// # Panics
    ///
    /// If the name has a line end; see [`try_name`](Self::try_name).
    #[must_use]
    #[track_caller]
    pub fn name(mut self, name: &'static str) -> Self {
        assert!(!name.contains(LINE_END), "{name:?} is no event's name");
        self.name = Some(name.into());
        self
    }

    /// The same with a name that is not known before.
    ///
    /// # Errors
    ///
    /// If it has a line end.
    pub fn try_name(mut self, name: impl Into<String>) -> Result<Self, EventError> {
        self.name = Some(checked("event", name.into(), &LINE_END)?.into());
        Ok(self)
    }

    /// Gives the event a number, which a browser that connects again names as the last that it has
    /// seen ([`last_event_id`](super::last_event_id)).
    #[must_use]
    pub fn id(mut self, id: u64) -> Self {
        self.id = Some(id.to_string());
        self
    }

    /// The same with an id that is no number. An empty one has the browser forget the last.
    ///
    /// # Errors
    ///
    /// If it has a line end, or a NUL, with which a browser would not take it.
    pub fn try_id(mut self, id: impl Into<String>) -> Result<Self, EventError> {
        self.id = Some(checked("id", id.into(), &['\r', '\n', '\0'])?);
        Ok(self)
    }

    fn push_lines(&mut self, start: &str, text: &str) {
        let mut rest = text;
        while let Some(end) = rest.find(LINE_END) {
            self.lines.extend([start, &rest[..end], "\n"]);
            let behind = &rest[end..];
            rest = behind.strip_prefix("\r\n").unwrap_or(&behind[1..]);
        }
        self.lines.extend([start, rest, "\n"]);
    }
}

fn checked(what: &'static str, value: String, never: &[char]) -> Result<String, EventError> {
    if value.contains(never) {
        return Err(EventError { what });
    }
    Ok(value)
}

/// As it is sent: its lines, and the empty one that ends it.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            writeln!(f, "event: {name}")?;
        }
        if let Some(id) = &self.id {
            writeln!(f, "id: {id}")?;
        }
        writeln!(f, "{}", self.lines)
    }
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the field `{}` can't have this value", self.what)
    }
}

impl Error for EventError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event: &Event, expected: &str) {
        assert_eq!(event.to_string(), expected);
    }

    #[test]
    fn data_of_several_lines_stays_data() {
        check(&Event::data(""), "data: \n\n");
        check(&Event::data(" a"), "data:  a\n\n");
        check(&Event::data("a\n"), "data: a\ndata: \n\n");
        check(
            &Event::data("a\rb\r\nc\nd"),
            "data: a\ndata: b\ndata: c\ndata: d\n\n",
        );
        check(&Event::data("\n\nid: 1"), "data: \ndata: \ndata: id: 1\n\n");
        check(&Event::data("é\0\u{2028}"), "data: é\0\u{2028}\n\n");
    }

    #[test]
    fn a_comment_begins_no_event() {
        check(&Event::comment(""), ": \n\n");
        check(
            &Event::comment("a\rdata: b\n\n"),
            ": a\n: data: b\n: \n: \n\n",
        );
    }

    #[test]
    fn an_event_has_a_name_and_an_id() {
        let event = Event::data("a").id(7).name("news");
        check(&event, "event: news\nid: 7\ndata: a\n\n");
        let event = Event::data("a").try_id("é: 1").expect("it is one");
        check(&event, "id: é: 1\ndata: a\n\n");
    }

    #[test]
    fn a_name_or_an_id_with_a_line_end_is_refused() {
        for value in ["a\n", "\ra", "a\r\ndata: b"] {
            assert!(Event::data("").try_name(value).is_err(), "{value:?}");
            assert!(Event::data("").try_id(value).is_err(), "{value:?}");
        }
        assert!(Event::data("").try_name("a\0").is_ok());
        let error = Event::data("")
            .try_id("a\0")
            .expect_err("it would not be taken");
        assert_eq!(error.to_string(), "the field `id` can't have this value");
    }
}
