//! A single event and its text format.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

/// The characters that end a line in an event stream.
const LINE_END: [char; 2] = ['\r', '\n'];

/// One event of an event stream (HTML section 9.2.6).
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
/// No value can inject another field or another event. In data and comments, a line end (CR, LF or
/// CRLF) starts another line of the same field; clients receive it as LF. A name or an id can't
/// contain a line end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    name: Option<Cow<'static, str>>,
    id: Option<String>,
    /// The lines of all other fields, each with its line end.
    lines: String,
}

/// The error of a name or an id that would end its line, or that browsers ignore.
///
/// ```
/// use httpool::sse::Event;
///
/// let error = Event::data("").try_id("7\ndata: 8").expect_err("the id contains a line end");
/// assert_eq!(error.to_string(), "invalid value for the field `id`");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventError {
    field: &'static str,
}

impl Event {
    /// An event with this data. Browsers pass it to `onmessage`.
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
    /// If the value can't be serialized.
    #[cfg(feature = "json")]
    pub fn json(value: &impl serde::Serialize) -> serde_json::Result<Self> {
        serde_json::to_string(value).map(Self::data)
    }

    /// A comment. Browsers ignore it, but it keeps the connection open.
    #[must_use]
    pub fn comment(comment: impl AsRef<str>) -> Self {
        let mut event = Self::default();
        event.push_lines(": ", comment.as_ref());
        event
    }

    /// Sets how long browsers wait before they reconnect, in milliseconds. Browsers report no event
    /// for it.
    #[must_use]
    pub fn retry(after: Duration) -> Self {
        Self {
            lines: format!("retry: {}\n", after.as_millis()),
            ..Self::default()
        }
    }

    /// Sets the name of the event. Browsers pass the event to the listeners of this name instead of
    /// to `onmessage`.
    ///
    /// # Panics
    ///
    /// If the name contains a line end; see [`try_name`](Self::try_name).
    #[must_use]
    #[track_caller]
    pub fn name(mut self, name: &'static str) -> Self {
        assert!(
            !name.contains(LINE_END),
            "the event name {name:?} contains a line end"
        );
        self.name = Some(name.into());
        self
    }

    /// Sets a name that is computed at run time.
    ///
    /// # Errors
    ///
    /// If the name contains a line end.
    pub fn try_name(mut self, name: impl Into<String>) -> Result<Self, EventError> {
        self.name = Some(checked("event", name.into(), &LINE_END)?.into());
        Ok(self)
    }

    /// Sets a number as the id. A browser that reconnects sends the last id that it received
    /// ([`last_event_id`](super::last_event_id)).
    #[must_use]
    pub fn id(mut self, id: u64) -> Self {
        self.id = Some(id.to_string());
        self
    }

    /// Sets text as the id. Empty text makes browsers forget the last id.
    ///
    /// # Errors
    ///
    /// If the id contains a line end, or a NUL, because browsers ignore an id with a NUL.
    pub fn try_id(mut self, id: impl Into<String>) -> Result<Self, EventError> {
        self.id = Some(checked("id", id.into(), &['\r', '\n', '\0'])?);
        Ok(self)
    }

    /// The id that was set.
    pub(super) fn own_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The event as it is sent.
    pub(crate) fn encode(self) -> Bytes {
        match (&self.name, &self.id) {
            (None, None) => (self.lines + "\n").into(),
            _ => self.to_string().into(),
        }
    }

    fn push_lines(&mut self, start: &str, text: &str) {
        let mut rest = text;
        while let Some(end) = rest.find(LINE_END) {
            self.lines.extend([start, &rest[..end], "\n"]);
            let after = &rest[end..];
            rest = after.strip_prefix("\r\n").unwrap_or(&after[1..]);
        }
        self.lines.extend([start, rest, "\n"]);
    }
}

fn checked(field: &'static str, value: String, forbidden: &[char]) -> Result<String, EventError> {
    if value.contains(forbidden) {
        return Err(EventError { field });
    }
    Ok(value)
}

/// Writes the event as it is sent: its lines and the empty line that ends it.
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
        write!(f, "invalid value for the field `{}`", self.field)
    }
}

impl Error for EventError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event: &Event, expected: &str) {
        assert_eq!(event.to_string(), expected);
        assert_eq!(event.clone().encode(), expected);
    }

    #[test]
    fn data_of_several_lines_stays_one_event() {
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
    fn comments_inject_no_event() {
        check(&Event::comment(""), ": \n\n");
        check(
            &Event::comment("a\rdata: b\n\n"),
            ": a\n: data: b\n: \n: \n\n",
        );
    }

    #[test]
    fn events_have_a_name_and_an_id() {
        let event = Event::data("a").id(7).name("news");
        check(&event, "event: news\nid: 7\ndata: a\n\n");
        let event = Event::data("a").try_id("é: 1").expect("the id is valid");
        check(&event, "id: é: 1\ndata: a\n\n");
    }

    #[test]
    fn names_and_ids_with_a_line_end_are_rejected() {
        for value in ["a\n", "\ra", "a\r\ndata: b"] {
            assert!(Event::data("").try_name(value).is_err(), "{value:?}");
            assert!(Event::data("").try_id(value).is_err(), "{value:?}");
        }
        assert!(Event::data("").try_name("a\0").is_ok());
        let error = Event::data("")
            .try_id("a\0")
            .expect_err("the id contains a NUL");
        assert_eq!(error.to_string(), "invalid value for the field `id`");
    }
}
