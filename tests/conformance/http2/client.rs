//! Encodes the frames that a client sends, valid or not.

use httpool::http2::{ErrorCode, PREFACE};

use super::line::Line;
use super::wire::{encode_frame, hpack_integer};
use super::words::{Word, number};

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The names of the frame types; the position of each is its number (RFC 9113 section 6).
const TYPES: [&str; 10] = [
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
];
const PRIORITY_UPDATE: u8 = 0x10;

/// The names of the settings; the first has the number 1 (RFC 9113 section 6.5.2). The last is of
/// RFC 9218.
pub(crate) const SETTINGS: [&str; 9] = [
    "HEADER_TABLE_SIZE",
    "ENABLE_PUSH",
    "MAX_CONCURRENT_STREAMS",
    "INITIAL_WINDOW_SIZE",
    "MAX_FRAME_SIZE",
    "MAX_HEADER_LIST_SIZE",
    "",
    "ENABLE_CONNECT_PROTOCOL",
    "NO_RFC7540_PRIORITIES",
];

/// The bytes of a line.
pub(crate) fn encode(text: &str) -> Vec<u8> {
    let line = Line::parse(text);
    let mut bytes = Vec::new();
    for stream in &line.streams {
        bytes.extend(one(line.clone(), *stream));
    }
    bytes.repeat(line.times)
}

fn one(mut line: Line, stream: u32) -> Vec<u8> {
    match &*line.kind.clone() {
        "PREFACE" => PREFACE.to_vec(),
        "RAW" => line.bytes(),
        "FRAME" => generic(&line),
        "SETTINGS" if line.take("ACK") => encode_frame(4, ACK, 0, &line.bytes()),
        "SETTINGS" => {
            let entries = line.words.iter().flat_map(setting);
            encode_frame(4, 0, 0, &entries.collect::<Vec<_>>())
        }
        "PING" => {
            let flags = if line.take("ACK") { ACK } else { 0 };
            encode_frame(6, flags, 0, &line.bytes())
        }
        "GOAWAY" => {
            let code = error_code(&line.words[1].source);
            let debug = line.words[2..].iter().flat_map(Word::bytes);
            let numbers = [line.words[0].number(), code];
            let payload = numbers.into_iter().flat_map(u32::to_be_bytes).chain(debug);
            encode_frame(7, 0, 0, &payload.collect::<Vec<_>>())
        }
        "WINDOW_UPDATE" => encode_frame(8, 0, stream, &line.words[0].number().to_be_bytes()),
        "RST_STREAM" => {
            let code = error_code(&line.words[0].source);
            encode_frame(3, 0, stream, &code.to_be_bytes())
        }
        "PRIORITY" => encode_frame(2, 0, stream, &priority(&line.words[0].source)),
        "PRIORITY_UPDATE" => {
            let prioritized = line.words[0].number().to_be_bytes();
            let value = line.words[1].bytes();
            encode_frame(PRIORITY_UPDATE, 0, 0, &[&prioritized[..], &value].concat())
        }
        "DATA" => padded(0, 0, stream, &mut line, Line::bytes),
        "HEADERS" => padded(1, END_HEADERS, stream, &mut line, |line| block(&line.words)),
        "CONTINUATION" => padded(9, END_HEADERS, stream, &mut line, |line| block(&line.words)),
        other => panic!("no frame of a client: {other}"),
    }
}

/// `FRAME type flags stream bytes…`. Type and flags are names or numbers.
fn generic(line: &Line) -> Vec<u8> {
    let name = &*line.words[0].source;
    let known = TYPES.iter().position(|known| *known == name);
    let kind = known.map_or_else(|| number(name), |at| at as u32);
    let payload: Vec<u8> = line.words[3..].iter().flat_map(Word::bytes).collect();
    let flags = line.words[1].number() as u8;
    encode_frame(kind as u8, flags, line.words[2].number(), &payload)
}

/// A frame with the flags that its line names: `END_STREAM`, `PADDED(length)`,
/// `PRIORITY(dependency,weight)`, and `-END_HEADERS` to leave a header block incomplete.
fn padded(
    kind: u8,
    mut flags: u8,
    stream: u32,
    line: &mut Line,
    content: impl Fn(&Line) -> Vec<u8>,
) -> Vec<u8> {
    if line.take("END_STREAM") {
        flags |= END_STREAM;
    }
    if line.take("-END_HEADERS") {
        flags &= !END_HEADERS;
    }
    let (mut before, mut after) = (Vec::new(), Vec::new());
    if let Some(length) = line.take_argument("PADDED") {
        flags |= PADDED;
        let length = number(&length) as u8;
        before.push(length);
        after = vec![0; usize::from(length)];
    }
    if let Some(fields) = line.take_argument("PRIORITY") {
        flags |= PRIORITY;
        before.extend(priority(&fields));
    }
    let payload = [before, content(line), after].concat();
    encode_frame(kind, flags, stream, &payload)
}

/// `dependency,weight` with weights from 1 to 256, and `,exclusive` behind.
fn priority(fields: &str) -> Vec<u8> {
    let fields: Vec<_> = fields.split(',').collect();
    let exclusive = u32::from(fields.get(2) == Some(&"exclusive")) << 31;
    let dependency = (number(fields[0]) | exclusive).to_be_bytes();
    [&dependency[..], &[(number(fields[1]) - 1) as u8]].concat()
}

/// `NAME=value`; the name may be a number.
fn setting(word: &Word) -> Vec<u8> {
    let (identifier, value) = setting_entry(word);
    [&identifier.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

pub(crate) fn setting_entry(word: &Word) -> (u16, u32) {
    let name = String::from_utf8_lossy(&word.name);
    let known = SETTINGS.iter().position(|known| *known == name);
    let identifier = known.map_or_else(|| number(&name), |at| at as u32 + 1);
    let value = word.value.as_deref().expect("a setting has a value");
    (identifier as u16, number(&String::from_utf8_lossy(value)))
}

/// The number of an error code, by name or as a number.
pub(crate) fn error_code(text: &str) -> u32 {
    let known = ErrorCode::ALL.iter().find(|code| code.as_str() == text);
    known.map_or_else(|| number(text), |code| code.number())
}

/// A header block. Its words are explained in `README.md`.
fn block(words: &[Word]) -> Vec<u8> {
    let mut block = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (times, source) = repeated(&word.source);
        match (source.strip_prefix('#'), &word.value) {
            (Some(index), None) => hpack_integer(number(index) as usize, 0x80, 7, &mut block),
            (_, Some(value)) => {
                let name = &word.name[word.source.len() - source.len()..];
                let field = field(source, name, value);
                block.extend(field.repeat(times));
            }
            _ if source.starts_with("hex:") || source.starts_with('"') => {
                block.extend(word.bytes());
            }
            _ => {
                let path = words.next().expect("a path follows the method");
                block.extend(request(&word.name, &path.name));
            }
        }
    }
    block
}

/// Takes the `100*` off a field that occurs 100 times.
fn repeated(source: &str) -> (usize, &str) {
    let digits = source
        .split_once('*')
        .map(|(times, rest)| (times.parse(), rest));
    match digits {
        Some((Ok(times), rest)) => (times, rest),
        _ => (1, source),
    }
}

/// The pseudo-fields of a request, `http` and `it`, as a browser would encode them.
fn request(method: &[u8], path: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    match method {
        b"GET" => block.push(0x82),
        b"POST" => block.push(0x83),
        other => literal(0x00, b":method", other, &mut block),
    }
    block.push(0x86);
    match path {
        b"/" => block.push(0x84),
        other => literal(0x00, b":path", other, &mut block),
    }
    literal(0x00, b":authority", b"it", &mut block);
    block
}

/// A literal (RFC 7541 section 6.2): with a `+` it is added to the dynamic table, with a `!` it is
/// never indexed.
fn field(source: &str, name: &[u8], value: &[u8]) -> Vec<u8> {
    let (pattern, name) = match source.as_bytes()[0] {
        b'+' => (0x40, &name[1..]),
        b'!' => (0x10, &name[1..]),
        _ => (0x00, name),
    };
    let mut encoded = Vec::new();
    literal(pattern, name, value, &mut encoded);
    encoded
}

fn literal(pattern: u8, name: &[u8], value: &[u8], block: &mut Vec<u8>) {
    block.push(pattern);
    for text in [name, value] {
        hpack_integer(text.len(), 0, 7, block);
        block.extend_from_slice(text);
    }
}
