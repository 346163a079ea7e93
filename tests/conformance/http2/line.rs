//! The start of each line: what it is, how often, and on which streams.

use super::words::{Word, number, words};

/// A frame, or several that differ only in their stream.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The first word, for example `HEADERS`.
    pub(crate) kind: String,
    /// The streams, one frame each; 0 is the connection.
    pub(crate) streams: Vec<u32>,
    /// How often the frames are sent.
    pub(crate) times: usize,
    /// The words after kind and stream.
    pub(crate) words: Vec<Word>,
}

/// Kinds that have no stream in their line.
const WITHOUT_STREAM: [&str; 9] = [
    "PREFACE",
    "SETTINGS",
    "PING",
    "GOAWAY",
    "PRIORITY_UPDATE",
    "FRAME",
    "RAW",
    "HTTP/1.1",
    "EOF",
];

impl Line {
    /// Parses `[times*] KIND [stream] words…`.
    pub(crate) fn parse(text: &str) -> Self {
        let mut words = words(text);
        let first = words[0].source.strip_suffix('*').map(number);
        let times = first.map_or(1, |times| times as usize);
        if first.is_some() {
            words.remove(0);
        }
        let kind = words.remove(0).source;
        let streams = match WITHOUT_STREAM.contains(&&*kind) {
            true => vec![0],
            false => streams(&words.remove(0).source),
        };
        Self {
            kind,
            streams,
            times,
            words,
        }
    }

    /// Removes a keyword if it is there.
    pub(crate) fn take(&mut self, keyword: &str) -> bool {
        let at = self.words.iter().position(|word| word.source == keyword);
        at.map(|at| self.words.remove(at)).is_some()
    }

    /// Removes `name(inner)` and returns its `inner`.
    pub(crate) fn take_argument(&mut self, name: &str) -> Option<String> {
        let at = self
            .words
            .iter()
            .position(|word| word.argument(name).is_some())?;
        self.words.remove(at).argument(name).map(ToOwned::to_owned)
    }

    /// The bytes of the remaining words together.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(Word::bytes).collect()
    }
}

/// `3`, or `1-7` for 1, 3, 5 and 7.
fn streams(text: &str) -> Vec<u32> {
    match text.split_once('-') {
        Some((first, last)) => (number(first)..=number(last)).step_by(2).collect(),
        None => vec![number(text)],
    }
}
