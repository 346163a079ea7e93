//! Records of the HTTP/2 table, as `README.md` in this folder explains them.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::client::encode;
use super::expected::Expected;
use super::line::Line;
use super::words::number;

/// What a client sends first, unless the record says otherwise.
const OPENING: [&str; 3] = ["PREFACE", "SETTINGS", "SETTINGS ACK"];

/// What a server responds to that.
const SERVER_OPENING: [&str; 2] = ["SETTINGS", "SETTINGS ACK"];

/// Placeholder for each member of a record's `each`.
const MEMBER: &str = "{each}";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    case: Vec<Record>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) rfc: String,
    pub(crate) reason: String,
    /// The frames of both sides.
    frames: String,
    #[serde(default)]
    each: Vec<String>,
    /// Where the case runs, if not everywhere.
    pub(crate) only: Option<Place>,
    /// The frames begin with the first byte of the connection.
    #[serde(default)]
    from_start: bool,
    pub(crate) after: After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum After {
    /// PING and another request get their responses.
    Open,
    /// The server has closed its sending side.
    Closed,
    /// The server waits for the rest of a frame or of a header block.
    Waiting,
}

/// A place where a case runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// The protocol alone.
    Protocol,
    /// A server behind a socket.
    Socket,
}

/// One case: of a record, or of one member of its `each`.
pub(crate) struct Case {
    pub(crate) text: String,
    pub(crate) steps: Vec<Step>,
    /// The highest number of a stream that the client has named, made odd.
    highest_stream: u32,
    /// The SETTINGS_MAX_FRAME_SIZE of the client.
    pub(crate) max_frame_size: usize,
    /// The bytes at the start that every case has. They are not split.
    pub(crate) opening: usize,
}

/// What happens in one go, and what the server must have sent when it is over.
#[derive(Default)]
pub(crate) struct Step {
    /// The server begins its drain before the bytes arrive.
    pub(crate) drains: bool,
    pub(crate) bytes: Vec<u8>,
    /// The client shuts down its sending side after the bytes.
    pub(crate) half_close: bool,
    pub(crate) expected: Vec<Expected>,
    /// The expected statuses of responses in HTTP/1.1.
    pub(crate) http1: Vec<u16>,
}

impl Record {
    pub(crate) fn cases(&self) -> Vec<Case> {
        if self.each.is_empty() {
            return vec![self.case(&self.frames)];
        }
        assert!(self.frames.contains(MEMBER), "{} has no {MEMBER}", self.id);
        let members = self.each.iter();
        let texts = members.map(|member| self.frames.replace(MEMBER, member));
        texts.map(|text| self.case(&text)).collect()
    }

    fn case(&self, text: &str) -> Case {
        let mut case = Case {
            text: text.to_owned(),
            steps: vec![Step::default()],
            highest_stream: 0,
            max_frame_size: 16_384,
            opening: 0,
        };
        if !self.from_start {
            for line in OPENING {
                case.client(line);
            }
            for line in SERVER_OPENING {
                case.server(line, false);
            }
            case.opening = case.step().bytes.len();
        }
        let mut is_opening = !self.from_start;
        for line in lines(text) {
            let (side, line) = line.split_once(' ').unwrap_or((&line, ""));
            let begins_step = match side {
                ">" => case.step().has_expectation() && !is_opening,
                "*" => !case.step().is_empty(),
                _ => false,
            };
            if begins_step {
                case.steps.push(Step::default());
            }
            match side {
                ">" => case.client(line),
                "<" => case.server(line, false),
                "<?" => case.server(line, true),
                "*" => case.drain(line),
                other => panic!("{}: no side of the connection: {other}", self.id),
            }
            is_opening &= side == ">";
        }
        if self.after == After::Open {
            case.probe();
        }
        case
    }
}

impl Case {
    fn step(&mut self) -> &mut Step {
        self.steps.last_mut().expect("there is always a step")
    }

    fn client(&mut self, text: &str) {
        if text == "EOF" {
            self.step().half_close = true;
            return;
        }
        let line = Line::parse(text);
        let named = line
            .streams
            .iter()
            .copied()
            .filter(|stream| *stream < 1 << 30);
        self.highest_stream = named.fold(self.highest_stream, u32::max) | 1;
        let size = line
            .words
            .iter()
            .find(|word| word.name == b"MAX_FRAME_SIZE");
        if let Some(value) = size.and_then(|word| word.value.as_deref()) {
            let size = number(&String::from_utf8_lossy(value)) as usize;
            self.max_frame_size = size.max(self.max_frame_size);
        }
        self.step().bytes.extend(encode(text));
    }

    fn server(&mut self, text: &str, is_optional: bool) {
        match text.strip_prefix("HTTP/1.1 ") {
            Some(statuses) => {
                let statuses = statuses.split(' ').map(|status| number(status) as u16);
                self.step().http1 = statuses.collect();
            }
            None => self
                .step()
                .expected
                .extend(Expected::parse(text, is_optional)),
        }
    }

    /// Another request, and a PING. The request is HEAD, because windows may be used up.
    fn probe(&mut self) {
        let stream = self.highest_stream + 2;
        self.steps.push(Step::default());
        self.client("PING \"probe...\"");
        self.client(&format!("HEADERS {stream} END_STREAM HEAD /probe"));
        self.server("PING ACK \"probe...\"", false);
        self.server(&format!("HEADERS {stream} END_STREAM :status=200"), false);
    }

    /// The server begins its drain, before it receives the bytes of this step.
    fn drain(&mut self, text: &str) {
        assert_eq!(text, "drain", "the only other event");
        let step = self.step();
        assert!(step.bytes.is_empty(), "a drain begins a step");
        step.drains = true;
    }
}

impl Step {
    fn has_expectation(&self) -> bool {
        !self.http1.is_empty() || !self.expected.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.has_expectation()
    }
}

/// The lines, each with the indented ones that continue it.
fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match (line.starts_with(' '), lines.last_mut()) {
            (true, Some(last)) => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => lines.push(line.trim().to_owned()),
        }
    }
    lines
}

pub(crate) fn read(path: &Path) -> Vec<Record> {
    let text = fs::read_to_string(path).expect("the table can be read");
    match toml::from_str::<Table>(&text) {
        Ok(table) => table.case,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
