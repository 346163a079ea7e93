//! The events that a broadcast has sent last.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::super::Event;

/// Events are copied behind each other into a part of about this size, so that a listener that is
/// behind needs few sends.
const GATHERED: usize = 16 * 1024;

/// The last events in their order, bounded in number and bytes. Each has a number, one more than the
/// event before it.
pub(super) struct History {
    entries: VecDeque<Entry>,
    /// The number of the oldest entry.
    first: u64,
    size: usize,
    max_events: usize,
    max_bytes: usize,
}

struct Entry {
    /// The event as it is sent.
    encoded: Bytes,
    /// Its own id. Without one, its number is its id.
    id: Option<Box<str>>,
}

/// The events behind a position.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Following {
    /// One or more events, and the position behind them.
    Events(Bytes, u64),
    /// Nothing yet.
    Nothing,
    /// Events that are not kept any more.
    Lost,
}

impl History {
    /// The first event has the number `first`. The last event is kept whatever the limits are.
    pub(super) fn new(first: u64, max_events: usize, max_bytes: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            first,
            size: 0,
            max_events,
            max_bytes,
        }
    }

    /// The number of the next event.
    pub(super) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Adds an event, and removes the oldest ones beyond the limits. An event without an id gets its
    /// number as its id.
    pub(super) fn push(&mut self, event: Event) {
        let id = event.own_id().map(Into::into);
        let event = match id {
            Some(_) => event,
            None => event.id(self.end()),
        };
        let encoded = event.encode();
        self.size += encoded.len();
        self.entries.push_back(Entry { encoded, id });
        while self.entries.len() > 1
            && (self.entries.len() > self.max_events || self.size > self.max_bytes)
        {
            self.remove_oldest();
        }
    }

    fn remove_oldest(&mut self) {
        if let Some(oldest) = self.entries.pop_front() {
            self.size -= oldest.encoded.len();
            self.first += 1;
        }
    }

    /// The number of the next event for a listener whose last event has this id, if it has had one.
    pub(super) fn position(&self, last_event_id: Option<&str>) -> u64 {
        last_event_id.map_or_else(|| self.end(), |id| self.position_after(id))
    }

    /// Returns the position behind the event with this id; the position of the oldest event if there
    /// is none.
    pub(super) fn position_after(&self, id: &str) -> u64 {
        let index = self.numbered(id).or_else(|| {
            let has_id = |entry: &Entry| entry.id.as_deref() == Some(id);
            self.entries.iter().rposition(has_id)
        });
        match index {
            Some(index) => self.first + index as u64 + 1,
            None => self.first,
        }
    }

    /// The index of the entry whose number is this id.
    fn numbered(&self, id: &str) -> Option<usize> {
        let number: u64 = id.parse().ok()?;
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let entry = self.entries.get(index)?;
        entry.id.is_none().then_some(index)
    }

    /// Whether the event at `position` is not kept any more.
    pub(super) fn has_lost(&self, position: u64) -> bool {
        position < self.first
    }

    /// Returns the events at `position`, as many as fit a part.
    pub(super) fn following(&self, position: u64) -> Following {
        let Some(index) = position.checked_sub(self.first) else {
            return Following::Lost;
        };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let mut entries = self.entries.range(index.min(self.entries.len())..);
        match (entries.next(), entries.len()) {
            (None, _) => Following::Nothing,
            (Some(only), 0) => Following::Events(only.encoded.clone(), position + 1),
            (Some(entry), _) if entry.encoded.len() >= GATHERED => {
                Following::Events(entry.encoded.clone(), position + 1)
            }
            (Some(entry), _) => gather(entry, entries, position),
        }
    }
}

/// Copies `first` and the following entries into one part.
fn gather<'a>(
    first: &Entry,
    following: impl Iterator<Item = &'a Entry>,
    position: u64,
) -> Following {
    let mut part = BytesMut::with_capacity(GATHERED);
    part.extend_from_slice(&first.encoded);
    let mut end = position + 1;
    for entry in following {
        if part.len() + entry.encoded.len() > GATHERED {
            break;
        }
        part.extend_from_slice(&entry.encoded);
        end += 1;
    }
    Following::Events(part.freeze(), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(max_events: usize, max_bytes: usize, events: &[Event]) -> History {
        let mut history = History::new(1000, max_events, max_bytes);
        for event in events {
            history.push(event.clone());
        }
        history
    }

    /// The events at a position as text.
    fn text(history: &History, position: u64) -> Option<String> {
        match history.following(position) {
            Following::Events(part, _) => {
                Some(String::from_utf8(part.to_vec()).expect("events are UTF-8"))
            }
            _ => None,
        }
    }

    fn own(id: &str) -> Event {
        Event::data(id).try_id(id).expect("the id is valid")
    }

    #[test]
    fn events_get_their_number_as_id() {
        let history = history(10, 1000, &[Event::data("a"), own("x"), Event::data("b")]);
        let expected = "id: 1000\ndata: a\n\nid: x\ndata: x\n\nid: 1002\ndata: b\n\n";
        assert_eq!(text(&history, 1000).as_deref(), Some(expected));
        assert_eq!(
            text(&history, 1002).as_deref(),
            Some("id: 1002\ndata: b\n\n")
        );
        assert_eq!(history.following(1003), Following::Nothing);
    }

    #[test]
    fn oldest_events_leave_beyond_each_limit() {
        let events = ["a", "b", "c"].map(Event::data);
        let by_number = history(2, 1000, &events);
        assert_eq!(by_number.following(1000), Following::Lost);
        assert!(
            text(&by_number, 1001).is_some_and(|text| text.starts_with("id: 1001\ndata: b\n\n"))
        );
        // Each event has 18 bytes.
        let by_bytes = history(10, 40, &events);
        assert_eq!(by_bytes.following(1000), Following::Lost);
        assert_eq!((by_bytes.entries.len(), by_bytes.size), (2, 36));
        let large = history(0, 0, &events);
        assert_eq!(text(&large, 1002).as_deref(), Some("id: 1002\ndata: c\n\n"));
    }

    #[test]
    fn position_follows_the_event_with_the_id() {
        let events = [Event::data("a"), own("x"), own("1001"), own("x")];
        let history = history(10, 1000, &events);
        for (id, position) in [
            ("1000", 1001),
            // The number of an event with an id of its own is not its id.
            ("1001", 1003),
            ("1002", 1000),
            // The last one of equal ids.
            ("x", 1004),
            ("999", 1000),
            ("1004", 1000),
            ("unknown", 1000),
            ("", 1000),
            ("99999999999999999999999", 1000),
        ] {
            assert_eq!(history.position_after(id), position, "{id}");
        }
    }

    #[test]
    fn few_parts_hold_many_events() {
        let events = vec![Event::data("x".repeat(1000)); 40];
        let history = history(100, 100_000, &events);
        let (mut position, mut parts) = (1000, 0);
        while let Following::Events(part, end) = history.following(position) {
            assert!(part.len() <= GATHERED);
            (position, parts) = (end, parts + 1);
        }
        assert_eq!((position, parts), (1040, 3));
    }

    #[test]
    fn large_event_is_a_part_of_its_own() {
        let large = Event::data("x".repeat(2 * GATHERED));
        let history = history(
            10,
            1_000_000,
            &[Event::data("a"), large.clone(), Event::data("b")],
        );
        let mut ends = Vec::new();
        let mut position = 1000;
        while let Following::Events(_, end) = history.following(position) {
            ends.push(end);
            position = end;
        }
        assert_eq!(ends, [1001, 1002, 1003]);
    }
}
