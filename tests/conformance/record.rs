//! Records of the table, as `README.md` explains them, and their bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

/// Longer cases are not split at every position.
const SHORT: usize = 300;

/// Longer cases are sent in pieces of [`PIECE`] bytes instead of byte by byte.
const MEDIUM: usize = 2_000;
const PIECE: usize = 997;

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
    send: String,
    #[serde(default)]
    each: Vec<String>,
    /// The server speaks no HTTP/2.
    #[serde(default)]
    pub(crate) http1_only: bool,
    /// The client sends the head and waits for `100 Continue`.
    #[serde(default)]
    pub(crate) interim: bool,
    /// The client shuts down its sending side.
    #[serde(default)]
    pub(crate) half_close: bool,
    pub(crate) responses: Vec<ExpectedResponse>,
    pub(crate) after: After,
}

/// An expected response.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum ExpectedResponse {
    Status(u16),
    Details(Details),
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Details {
    #[serde(default = "ok")]
    pub(crate) status: u16,
    /// The response is to HEAD: no body follows.
    #[serde(default)]
    pub(crate) head: bool,
    /// Method and target that the handler saw.
    pub(crate) request: Option<String>,
    /// Headers that the handler saw.
    #[serde(default)]
    pub(crate) seen: Vec<String>,
    /// Names of headers that the handler did not see.
    #[serde(default)]
    pub(crate) unseen: Vec<String>,
    /// The body that the handler saw.
    pub(crate) content: Option<String>,
    /// The body of the response.
    pub(crate) body: Option<String>,
    /// Headers of the response.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Names of headers that the response does not have.
    #[serde(default)]
    pub(crate) absent: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum After {
    /// Another request is accepted.
    Open,
    /// The server has closed its sending side.
    Closed,
    /// The server waits for the rest of a request.
    Waiting,
}

/// The bytes of one case: of a record, or of one member of its `each`.
pub(crate) struct Case {
    pub(crate) bytes: Vec<u8>,
}

impl Record {
    pub(crate) fn cases(&self) -> Vec<Case> {
        let case = |text: &str| Case {
            bytes: unescape(&repeat(text)),
        };
        if self.each.is_empty() {
            return vec![case(&self.send)];
        }
        assert!(self.send.contains(MEMBER), "{} has no {MEMBER}", self.id);
        let members = self.each.iter();
        members
            .map(|member| case(&self.send.replace(MEMBER, member)))
            .collect()
    }
}

impl ExpectedResponse {
    pub(crate) fn details(&self) -> Details {
        match self {
            Self::Status(status) => Details {
                status: *status,
                ..Details::default()
            },
            Self::Details(details) => details.clone(),
        }
    }
}

impl Case {
    /// Splits the bytes in every way, each with a description.
    pub(crate) fn splits(&self) -> Vec<(String, Vec<&[u8]>)> {
        let bytes = &self.bytes[..];
        let mut splits = vec![("whole".to_owned(), vec![bytes])];
        let positions = if bytes.len() < SHORT {
            (1..bytes.len()).collect()
        } else {
            vec![bytes.len() / 2, bytes.len() - 1]
        };
        for position in positions {
            let (first, second) = bytes.split_at(position);
            splits.push((format!("split at {position}"), vec![first, second]));
        }
        let piece = if bytes.len() < MEDIUM { 1 } else { PIECE };
        splits.push((
            format!("in pieces of {piece}"),
            bytes.chunks(piece).collect(),
        ));
        splits
    }
}

pub(crate) fn read(path: &Path) -> Vec<Record> {
    let text = fs::read_to_string(path).expect("the table can be read");
    match toml::from_str::<Table>(&text) {
        Ok(table) => table.case,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// Resolves the escapes. Line breaks of the file are ignored.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes().filter(|byte| *byte != b'\n');
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                let (high, low) = (digit(), digit());
                high.zip(low)
                    .and_then(|(high, low)| u8::try_from(high << 4 | low).ok())
                    .unwrap_or_else(|| panic!("\\x needs two digits: {text}"))
            }
            escape => panic!("unknown escape: {escape:?} in {text}"),
        });
    }
    bytes
}

/// Expands `{3 * ab}` to `ababab`.
fn repeat(text: &str) -> String {
    let mut written = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let repeated = after.split_once('}').and_then(|(inner, rest)| {
            let (count, part) = inner.split_once(" * ")?;
            Some((count.parse().ok()?, part, rest))
        });
        let Some((count, part, after)): Option<(usize, _, _)> = repeated else {
            panic!("braces without a repetition: {text}");
        };
        written.push_str(before);
        written.push_str(&part.repeat(count));
        rest = after;
    }
    written + rest
}

fn ok() -> u16 {
    200
}
