//! The frames that a record expects of the server, and how they are compared.

use super::client::{error_code, setting_entry};
use super::line::Line;
use super::received::{Field, Frame, Received};
use super::words::{Word, number};

/// One line of the server.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// The line as it is written.
    source: String,
    /// 0 is the connection.
    pub(crate) stream: u32,
    /// It may be absent.
    pub(crate) is_optional: bool,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// SETTINGS with at least these entries.
    Settings(Vec<(u16, u32)>),
    SettingsAck,
    Ping(Vec<u8>),
    PingAck(Vec<u8>),
    Goaway {
        last: Option<u32>,
        code: u32,
    },
    WindowUpdate,
    Reset {
        code: u32,
    },
    Headers {
        fields: Vec<Rule>,
        end: bool,
    },
    Data {
        content: Vec<Rule>,
        end: bool,
    },
    /// HEADERS with a status and DATA, which end the stream.
    Response {
        rules: Vec<Rule>,
    },
}

/// What holds for headers and content.
#[derive(Debug, Clone)]
enum Rule {
    Has(String, Vec<u8>),
    HasNot(String),
    Content(Vec<u8>),
    Contains(Vec<u8>),
    Lacks(Vec<u8>),
    Length(usize),
}

/// The result of a comparison.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Match {
    Complete,
    /// More must arrive. Says what.
    Incomplete(String),
    Mismatch(String),
}

impl Expected {
    /// The expectations of a line: one for each of its streams.
    pub(crate) fn parse(text: &str, is_optional: bool) -> Vec<Self> {
        let line = Line::parse(text);
        let one = |stream: &u32| Self {
            source: text.to_owned(),
            stream: *stream,
            is_optional,
            kind: Kind::parse(line.clone()),
        };
        let all: Vec<_> = line.streams.iter().map(one).collect();
        let times = line.times * all.len();
        all.into_iter().cycle().take(times).collect()
    }

    fn is_update(&self) -> bool {
        matches!(self.kind, Kind::WindowUpdate)
    }

    /// Compares with the frames at the start and returns how many of them match.
    fn compare(&self, frames: &[&Frame]) -> Result<usize, Match> {
        let Some(first) = frames.first() else {
            return Err(Match::Incomplete(self.source.clone()));
        };
        let is_as_expected = match (&self.kind, first) {
            (Kind::Settings(expected), Frame::Settings(entries)) => {
                expected.iter().all(|entry| entries.contains(entry))
            }
            (Kind::SettingsAck, Frame::SettingsAck) | (Kind::WindowUpdate, Frame::WindowUpdate) => {
                true
            }
            (Kind::Ping(expected), Frame::Ping(bytes))
            | (Kind::PingAck(expected), Frame::PingAck(bytes)) => expected == bytes,
            (
                Kind::Goaway { last, code },
                Frame::Goaway {
                    last: got,
                    code: got_code,
                },
            ) => last.is_none_or(|last| last == *got) && code == got_code,
            (Kind::Reset { code }, Frame::Reset { code: got }) => code == got,
            (
                Kind::Headers { fields, end },
                Frame::Headers {
                    fields: got,
                    end: ends,
                },
            ) => end == ends && fields.iter().all(|rule| rule.holds(got, &[])),
            (
                Kind::Data { content, end },
                Frame::Data {
                    content: got,
                    end: ends,
                },
            ) => {
                return self.compare_data(content, *end, got, *ends);
            }
            (Kind::Response { rules }, Frame::Headers { fields, end }) => {
                return self.compare_response(rules, fields, *end, frames.get(1).copied());
            }
            _ => false,
        };
        match is_as_expected {
            true => Ok(1),
            false => Err(self.mismatch(first)),
        }
    }

    fn compare_data(
        &self,
        rules: &[Rule],
        end: bool,
        content: &[u8],
        ends: bool,
    ) -> Result<usize, Match> {
        let holds = rules.iter().all(|rule| rule.holds(&[], content));
        match holds && end == ends {
            true => Ok(1),
            // More content or the end may follow.
            false if !ends => Err(Match::Incomplete(format!(
                "{} after {} bytes",
                self.source,
                content.len()
            ))),
            false => Err(self.mismatch(&Frame::Data {
                content: content.to_vec(),
                end: ends,
            })),
        }
    }

    fn compare_response(
        &self,
        rules: &[Rule],
        fields: &[Field],
        end: bool,
        data: Option<&Frame>,
    ) -> Result<usize, Match> {
        let (content, frames): (&[u8], usize) = match data {
            _ if end => (&[], 1),
            Some(Frame::Data { content, end: true }) => (content, 2),
            Some(Frame::Data { end: false, .. }) | None => {
                return Err(Match::Incomplete(self.source.clone()));
            }
            Some(other) => return Err(self.mismatch(other)),
        };
        let length = fields.iter().find(|(name, _)| name == "content-length");
        let length = length.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        let is_named = rules
            .iter()
            .any(|rule| matches!(rule, Rule::Has(name, _) if name == "content-length"));
        let is_framed = length.is_none_or(|length| length == content.len().to_string());
        if is_framed || is_named {
            let broken = rules.iter().find(|rule| !rule.holds(fields, content));
            if broken.is_none() {
                return Ok(frames);
            }
        }
        Err(Match::Mismatch(format!(
            "{} expected, got {} with the content {}",
            self.source,
            shown(fields),
            content.escape_ascii()
        )))
    }

    fn mismatch(&self, got: &Frame) -> Match {
        let got = match got {
            Frame::Headers { fields, end } => format!("HEADERS {} end={end}", shown(fields)),
            Frame::Data { content, end } => format!("DATA {} end={end}", content.escape_ascii()),
            other => format!("{other:?}"),
        };
        Match::Mismatch(format!("{} expected, got {got}", self.source))
    }
}

impl Kind {
    fn parse(mut line: Line) -> Self {
        match &*line.kind.clone() {
            "SETTINGS" if line.take("ACK") => Self::SettingsAck,
            "SETTINGS" => Self::Settings(line.words.iter().map(setting_entry).collect()),
            "PING" if line.take("ACK") => Self::PingAck(line.bytes()),
            "PING" => Self::Ping(line.bytes()),
            "GOAWAY" => {
                let code = line.words.pop().expect("GOAWAY has a code");
                Self::Goaway {
                    last: line.words.pop().map(|word| word.number()),
                    code: error_code(&code.source),
                }
            }
            "WINDOW_UPDATE" => Self::WindowUpdate,
            "RST_STREAM" => Self::Reset {
                code: error_code(&line.words[0].source),
            },
            "HEADERS" => Self::Headers {
                end: line.take("END_STREAM"),
                fields: line.words.iter().map(Rule::parse).collect(),
            },
            "DATA" => Self::Data {
                end: line.take("END_STREAM"),
                content: line.words.iter().map(Rule::parse).collect(),
            },
            "RESPONSE" => {
                let status = line.words.remove(0).source;
                let status = Rule::Has(":status".to_owned(), status.into_bytes());
                let rules = line.words.iter().map(Rule::parse);
                Self::Response {
                    rules: std::iter::once(status).chain(rules).collect(),
                }
            }
            other => panic!("no frame of a server: {other}"),
        }
    }
}

impl Rule {
    /// `name=value`, `-name`, `"content"`, `~"part"`, `!"part"` or `length(5)`.
    fn parse(word: &Word) -> Self {
        let name = || String::from_utf8_lossy(&word.name).into_owned();
        match (word.source.as_bytes()[0], &word.value) {
            (b'"', None) => Self::Content(word.name.clone()),
            (b'~', None) => Self::Contains(word.name[1..].to_vec()),
            (b'!', None) => Self::Lacks(word.name[1..].to_vec()),
            (b'-', None) => Self::HasNot(name()[1..].to_owned()),
            (_, Some(value)) => Self::Has(name(), value.clone()),
            _ => {
                let length = word
                    .argument("length")
                    .unwrap_or_else(|| panic!("{word:?}"));
                Self::Length(number(length) as usize)
            }
        }
    }

    fn holds(&self, fields: &[Field], content: &[u8]) -> bool {
        let contains = |part: &[u8]| content.windows(part.len()).any(|window| window == part);
        match self {
            Self::Has(name, value) => fields
                .iter()
                .any(|field| (&field.0, &field.1) == (name, value)),
            Self::HasNot(name) => !fields.iter().any(|field| field.0 == *name),
            Self::Content(expected) => content == expected,
            Self::Contains(part) => contains(part),
            Self::Lacks(part) => !contains(part),
            Self::Length(length) => content.len() == *length,
        }
    }
}

/// Compares all frames with all expectations. Frames of one stream must arrive in the order of
/// their lines, except WINDOW_UPDATEs; the order of streams is free. WINDOW_UPDATEs that no line
/// names are ignored.
pub(crate) fn compare(expected: &[Expected], received: &[Received]) -> Match {
    let mut streams: Vec<_> = expected.iter().map(|line| line.stream).collect();
    streams.extend(received.iter().map(|frame| frame.stream));
    streams.sort_unstable();
    streams.dedup();
    let mut missing = None;
    for stream in streams {
        let lines = expected.iter().filter(|line| line.stream == stream);
        let (updates, lines): (Vec<_>, Vec<_>) = lines.partition(|line| line.is_update());
        let frames = received.iter().filter(|frame| frame.stream == stream);
        let frames = frames.map(|frame| &frame.frame);
        let (got_updates, frames): (Vec<_>, Vec<_>) =
            frames.partition(|frame| **frame == Frame::WindowUpdate);
        if let Some(line) = updates.get(got_updates.len()) {
            missing = Some(line.source.clone());
        }
        match compare_stream(&lines, &frames) {
            Match::Complete => {}
            Match::Incomplete(what) => missing = Some(what),
            mismatch => return mismatch,
        }
    }
    missing.map_or(Match::Complete, Match::Incomplete)
}

fn compare_stream(lines: &[&Expected], frames: &[&Frame]) -> Match {
    let mut at = 0;
    for line in lines {
        match line.compare(&frames[at..]) {
            Ok(count) => at += count,
            Err(_) if line.is_optional => {}
            Err(result) => return result,
        }
    }
    match frames.get(at) {
        None => Match::Complete,
        Some(frame) => Match::Mismatch(format!("more than expected: {frame:?}")),
    }
}

fn shown(fields: &[Field]) -> String {
    let fields = fields.iter();
    let fields = fields.map(|(name, value)| format!("{name}={}", value.escape_ascii()));
    format!("[{}]", fields.collect::<Vec<_>>().join(", "))
}
