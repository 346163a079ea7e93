//! A record of the table, as `README.md` explains it, and the bytes that it stands for.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

/// A case longer than this is not cut at every place.
const SHORT: usize = 300;

/// A case longer than this is sent in pieces of [`PIECE`] instead of byte by byte.
const MEDIUM: usize = 2_000;
const PIECE: usize = 997;

/// What stands for each member of a record's `each`.
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
    pub(crate) why: String,
    send: String,
    #[serde(default)]
    each: Vec<String>,
    /// The client waits for `100 Continue` once it has sent the head.
    #[serde(default)]
    pub(crate) interim: bool,
    /// The client sends nothing more and says so.
    #[serde(default)]
    pub(crate) half_close: bool,
    pub(crate) answers: Vec<Answer>,
    pub(crate) after: After,
}

/// What one answer must be.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    Status(u16),
    Details(Details),
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Details {
    #[serde(default = "ok")]
    pub(crate) status: u16,
    /// It answers HEAD: no body follows, whatever its fields say.
    #[serde(default)]
    pub(crate) head: bool,
    /// Method and target of the request that the handler saw.
    pub(crate) request: Option<String>,
    /// Fields that the handler saw.
    #[serde(default)]
    pub(crate) seen: Vec<String>,
    /// Names of fields that the handler did not see.
    #[serde(default)]
    pub(crate) unseen: Vec<String>,
    /// The content that the handler saw.
    pub(crate) content: Option<String>,
    /// The body of the answer itself.
    pub(crate) body: Option<String>,
    /// Fields of the answer.
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, String>,
    /// Names of fields that the answer does not have.
    #[serde(default)]
    pub(crate) absent: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum After {
    /// Another request is taken.
    Open,
    /// The server has finished sending.
    Closed,
    /// The server waits for the rest of a request.
    Waiting,
}

/// The bytes of one case: those of a record, or of one member of its `each`.
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

impl Answer {
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
    /// Everything that the network may do to the bytes, each with its name.
    pub(crate) fn ways(&self) -> Vec<(String, Vec<&[u8]>)> {
        let bytes = &self.bytes[..];
        let mut ways = vec![("whole".to_owned(), vec![bytes])];
        let cuts = if bytes.len() < SHORT {
            (1..bytes.len()).collect()
        } else {
            vec![bytes.len() / 2, bytes.len() - 1]
        };
        for aborted in cuts {
            let (first, second) = bytes.split_at(aborted);
            ways.push((format!("cut at {aborted}"), vec![first, second]));
        }
        let piece = if bytes.len() < MEDIUM { 1 } else { PIECE };
        ways.push((
            format!("in pieces of {piece}"),
            bytes.chunks(piece).collect(),
        ));
        ways
    }
}

pub(crate) fn read(path: &Path) -> Vec<Record> {
    let text = fs::read_to_string(path).expect("the table can be read");
    match toml::from_str::<Table>(&text) {
        Ok(table) => table.case,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// Undoes the escapes. A line break of the file itself is none of the bytes.
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
                    .unwrap_or_else(|| panic!("\\x wants two digits: {text}"))
            }
            escape => panic!("no such escape: {escape:?} in {text}"),
        });
    }
    bytes
}

/// Writes out `{3 * ab}` as `ababab`.
fn repeat(text: &str) -> String {
    let mut written = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let repeated = after.split_once('}').and_then(|(inner, rest)| {
            let (count, what) = inner.split_once(" * ")?;
            Some((count.parse().ok()?, what, rest))
        });
        let Some((count, what, after)): Option<(usize, _, _)> = repeated else {
            panic!("a brace that repeats nothing: {text}");
        };
        written.push_str(before);
        written.push_str(&what.repeat(count));
        rest = after;
    }
    written + rest
}

fn ok() -> u16 {
    200
}
