//! A second reader of forms, simple and slow: it has the whole body and hardly any limits.

/// A part: its name, its file name and its content.
pub type Part = (String, Option<String>, Vec<u8>);

/// What a body has.
#[derive(Debug)]
pub struct Form {
    pub parts: Vec<Part>,
    /// The content of the last part if its end is missing.
    pub cut: Option<Part>,
    pub end: End,
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Complete,
    Malformed,
    /// A content transfer encoding that is not decoded.
    Encoded,
    /// A part with more than 20 header lines.
    TooManyLines,
}

const DELIMITER: &[u8] = b"\r\n--b";

/// Reads a body with the boundary `b`.
pub fn read(body: &[u8]) -> Form {
    let mut form = Form {
        parts: Vec::new(),
        cut: None,
        end: End::Complete,
    };
    // The beginning of the body is the beginning of a line.
    let body = [b"\r\n", body].concat();
    if let Err(end) = read_parts(&body, &mut form) {
        form.end = end;
    }
    form
}

fn read_parts(body: &[u8], form: &mut Form) -> Result<(), End> {
    let mut rest = &body[find(body, DELIMITER).ok_or(End::Malformed)? + DELIMITER.len()..];
    if !is_line_valid(rest) {
        return Err(End::Malformed);
    }
    while !rest.starts_with(b"--") {
        // From here on, the line break before the headers or the content is a part of the text.
        let text = trim_start(rest);
        let empty_line = find(text, b"\r\n\r\n").ok_or(End::Malformed)?;
        let (name, file_name) = head(&text[..empty_line])?;
        let text = &text[empty_line + 2..];
        let Some(end) = find(text, DELIMITER) else {
            form.cut = Some((name, file_name, text[2..].to_vec()));
            return Err(End::Malformed);
        };
        let content = text[..end].get(2..).unwrap_or_default();
        let part = (name, file_name, content.to_vec());
        rest = &text[end + DELIMITER.len()..];
        if !is_line_valid(rest) {
            form.cut = Some(part);
            return Err(End::Malformed);
        }
        form.parts.push(part);
    }
    Ok(())
}

/// Whether this is the valid rest of a boundary's line.
fn is_line_valid(rest: &[u8]) -> bool {
    match rest.strip_prefix(b"--").map(trim_start) {
        Some(epilogue) => epilogue.is_empty() || epilogue.starts_with(b"\r\n"),
        None => trim_start(rest).starts_with(b"\r\n"),
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    (0..text.len()).find(|at| text[*at..].starts_with(wanted))
}

fn trim_start(text: &[u8]) -> &[u8] {
    let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t');
    &text[text.iter().take_while(is_space).count()..]
}

/// Reads header lines, each with a line break before it.
fn head(mut lines: &[u8]) -> Result<(String, Option<String>), End> {
    let mut found = Vec::new();
    while let Some(line) = lines.strip_prefix(b"\r\n") {
        if found.len() == 20 {
            return Err(End::TooManyLines);
        }
        let end = find(line, b"\r\n").unwrap_or(line.len());
        let (line, after) = line.split_at(end);
        lines = after;
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.ok_or(End::Malformed)?);
        let is_token =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        let is_text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
        let value: Vec<u8> = trim_start(&value[1..]).iter().rev().copied().collect();
        let value: Vec<u8> = trim_start(&value).iter().rev().copied().collect();
        if name.is_empty() || !name.iter().all(is_token) || !value.iter().all(is_text) {
            return Err(End::Malformed);
        }
        found.push((name.to_ascii_lowercase(), value));
    }
    let values = |wanted: &str| -> Vec<&[u8]> {
        let is_wanted = |(name, _): &&(Vec<u8>, Vec<u8>)| name == wanted.as_bytes();
        let wanted = found.iter().filter(is_wanted);
        wanted.map(|(_, value)| &value[..]).collect()
    };
    let [disposition] = values("content-disposition")[..] else {
        return Err(End::Malformed);
    };
    if values("content-type").len() > 1 {
        return Err(End::Malformed);
    }
    for encoding in values("content-transfer-encoding") {
        let encoding = encoding.to_ascii_lowercase();
        if ![&b"7bit"[..], b"8bit", b"binary"].contains(&&encoding[..]) {
            return Err(End::Encoded);
        }
    }
    names(disposition).ok_or(End::Malformed)
}

fn names(disposition: &[u8]) -> Option<(String, Option<String>)> {
    let mut pieces = split_unquoted(disposition)?.into_iter();
    if !pieces
        .next()?
        .trim_ascii()
        .eq_ignore_ascii_case(b"form-data")
    {
        return None;
    }
    let mut parameters = Vec::new();
    for piece in pieces {
        let piece = piece.trim_ascii();
        if piece.is_empty() {
            continue;
        }
        let equals = piece.iter().position(|byte| *byte == b'=')?;
        let name = piece[..equals].trim_ascii().to_ascii_lowercase();
        if equals == 0 {
            return None;
        }
        parameters.push((name, decode(&piece[equals + 1..])?));
    }
    let one = |wanted: &[u8]| {
        let mut values = parameters.iter().filter(|(name, _)| name == wanted);
        let value = values.next().map(|(_, value)| value.clone());
        values.next().is_none().then_some(value)
    };
    let name = one(b"name")??.text()?;
    match one(b"filename")? {
        Some(file_name) => Some((name, Some(file_name.text()?))),
        None => one(b"filename*")?.is_none().then_some((name, None)),
    }
}

/// The value of a parameter, without backslashes that escape.
#[derive(Clone)]
struct Value {
    bytes: Vec<u8>,
    is_quoted: bool,
}

impl Value {
    fn text(self) -> Option<String> {
        let text = String::from_utf8(self.bytes).ok()?;
        if !self.is_quoted {
            return Some(text);
        }
        let text = text.replace("%22", "\"").replace("%0D", "\r");
        Some(text.replace("%0A", "\n"))
    }
}

/// Splits at semicolons outside of quotes. `None` if a quote is not closed.
fn split_unquoted(text: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut pieces, mut start, mut at) = (Vec::new(), 0, 0);
    let mut is_quoted = false;
    while at < text.len() {
        let begins_value = text[..at].ends_with(b"=");
        match text[at] {
            b'"' if is_quoted || begins_value => is_quoted = !is_quoted,
            b'\\' if is_quoted && is_escape(&text[at..]) => at += 1,
            b';' if !is_quoted => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    pieces.push(&text[start..]);
    (!is_quoted).then_some(pieces)
}

/// Whether a backslash escapes what follows it.
fn is_escape(text: &[u8]) -> bool {
    match text {
        [_, b'"', after @ ..] => !after.trim_ascii().is_empty(),
        [_, b'\\', ..] => true,
        _ => false,
    }
}

/// Reads the value of a parameter.
fn decode(value: &[u8]) -> Option<Value> {
    let Some(quoted) = value.strip_prefix(b"\"") else {
        let is_special = |byte: &u8| b"\" \t".contains(byte);
        let is_plain = !value.is_empty() && !value.iter().any(is_special);
        return is_plain.then(|| Value {
            bytes: value.to_vec(),
            is_quoted: false,
        });
    };
    let quoted = quoted.strip_suffix(b"\"")?;
    let (mut bytes, mut at) = (Vec::new(), 0);
    while at < quoted.len() {
        match quoted[at..] {
            // The closing quote is not here any more, so a backslash at the end is alone.
            [b'\\', escaped @ (b'"' | b'\\'), ..] => {
                bytes.push(escaped);
                at += 1;
            }
            // There was a quote behind the value.
            [b'"', ..] => return None,
            [byte, ..] => bytes.push(byte),
            [] => unreachable!("the position is within the text"),
        }
        at += 1;
    }
    Some(Value {
        bytes,
        is_quoted: true,
    })
}
