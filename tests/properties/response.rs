//! Whatever a handler answers, the client reads exactly that, and no second response.

use std::time::UNIX_EPOCH;

use httpool::http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING, UPGRADE};
use httpool::http::{HeaderName, HeaderValue, StatusCode, Version};
use httpool::http1::{Content, Date, Ending, Terms, encode};
use httpool::{Body, Response};

/// A response as its bytes say it, read by the rules for clients (RFC 9112 section 6.3).
#[derive(Debug)]
struct Received {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// This response arrives as it was meant, and where it ends the next one begins.
pub fn check(response: &Response, terms: &Terms, ending: Ending) {
    let mut out = Vec::new();
    let content = encode(response, terms, ending, &Date::new(UNIX_EPOCH), &mut out);
    if content == Content::Follows {
        out.extend_from_slice(response.body().as_bytes());
    }
    let shown = out.escape_ascii().to_string();
    let received = receive(&out, terms.is_head).unwrap_or_else(|why| panic!("{why}: {shown}"));

    // An interim response is none: the client would take the next answer for this one's.
    let meant = match response.status() {
        status if status.is_informational() => StatusCode::INTERNAL_SERVER_ERROR,
        status => status,
    };
    assert_eq!(received.status, meant.as_u16(), "{shown}");
    let is_bodiless = matches!(received.status, 204 | 304);
    let is_empty = terms.is_head || is_bodiless || received.status == 205;
    if is_empty {
        assert_eq!(received.body, b"", "{shown}");
    } else {
        assert_eq!(received.body, response.body().as_bytes(), "{shown}");
    }

    let values = |name: &str| -> Vec<_> {
        let named = received.fields.iter().filter(|(is, _)| is == name);
        named.map(|(_, value)| &value[..]).collect()
    };
    assert_eq!(values("transfer-encoding"), [b""; 0], "{shown}");
    assert_eq!(
        values("content-length").len(),
        usize::from(!is_bodiless),
        "{shown}"
    );
    assert!(!values("date").is_empty(), "{shown}");
    let connection: &[&[u8]] = match (ending, terms.version) {
        (Ending::Close, _) => &[b"close"],
        (Ending::KeepAlive, Version::HTTP_10) => &[b"keep-alive"],
        (Ending::KeepAlive, _) => &[],
    };
    assert_eq!(values("connection"), connection, "{shown}");

    // The handler's own fields are all there, in their order, but for those that are ours.
    for name in response.headers().keys() {
        if [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE].contains(name) {
            continue;
        }
        let given = response.headers().get_all(name).iter();
        let given: Vec<_> = given.map(|value| trim(value.as_bytes())).collect();
        assert_eq!(values(name.as_str()), given, "{shown}");
    }
    let ours = [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, DATE];
    let is_theirs = |name: &str| ours.iter().all(|ours| ours != name);
    for (name, _) in &received.fields {
        let was_given = response.headers().contains_key(name);
        assert!(was_given || !is_theirs(name), "{name} is nobody's: {shown}");
    }
}

/// [`check`], with a response that a text describes.
pub fn check_described(text: &[u8]) {
    let (response, terms, ending) = described(text);
    check(&response, &terms, ending);
}

/// Reads the one response that `bytes` must be, to the last byte.
fn receive(bytes: &[u8], to_head: bool) -> Result<Received, String> {
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n");
    let end = end.ok_or("the head does not end")?;
    let (head, rest) = (&bytes[..end], &bytes[end + 4..]);
    let mut lines = Vec::new();
    for line in head.split(|byte| *byte == b'\n') {
        lines.push(line.strip_suffix(b"\r").unwrap_or(line));
    }
    let line_ends = lines.len() - 1;
    let is_break = |byte: &&u8| matches!(byte, b'\r' | b'\n' | b'\0');
    if head.iter().filter(is_break).count() != 2 * line_ends {
        return Err("a bare CR, LF or NUL".into());
    }
    let status_line = std::str::from_utf8(lines[0]).map_err(|error| error.to_string())?;
    let status = match status_line
        .strip_prefix("HTTP/1.1 ")
        .map(|rest| rest.split_at(3))
    {
        Some((code, reason)) if reason.starts_with(' ') => code.parse::<u16>(),
        _ => return Err("no status line".into()),
    };
    let status = status.map_err(|error| error.to_string())?;
    let mut fields = Vec::new();
    for line in &lines[1..] {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.ok_or("a line without a colon")?);
        let is_token =
            |byte: &u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(byte);
        if name.is_empty() || !name.iter().all(is_token) {
            return Err("a name that is no token".into());
        }
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        fields.push((name, trim(&value[1..]).to_vec()));
    }
    let length = fields.iter().find(|(name, _)| name == "content-length");
    let length = match (status, length) {
        (100..=199 | 204 | 304, _) => 0,
        _ if to_head => 0,
        (_, Some((_, digits))) => String::from_utf8_lossy(digits)
            .parse::<usize>()
            .map_err(|error| error.to_string())?,
        (_, None) => return Err("a body that ends with the connection".into()),
    };
    if rest.len() != length {
        return Err(format!("{} bytes follow instead of {length}", rest.len()));
    }
    Ok(Received {
        status,
        fields,
        body: rest.to_vec(),
    })
}

fn trim(value: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = value.iter().take_while(|byte| is_space(byte)).count();
    let value = &value[start..];
    let end = value.iter().rev().take_while(|byte| is_space(byte)).count();
    &value[..value.len() - end]
}

/// A response that a text describes: `status words` on the first line, where the
/// words HEAD, 1.0 and close mean what they say; fields, an empty line, the body. A field that
/// can't be made is one that a handler can't give.
fn described(text: &[u8]) -> (Response, Terms, Ending) {
    let mut lines = text.split(|byte| *byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let says = |what: &str| first.split(' ').any(|word| word == what);
    let status = first.split(' ').next().and_then(|word| word.parse().ok());
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status.unwrap_or(StatusCode::OK);
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.get(1..).unwrap_or_default();
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value);
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
    let body: Vec<&[u8]> = lines.collect();
    *response.body_mut() = Body::from(body.join(&b'\n'));
    let terms = Terms {
        version: match says("1.0") {
            true => Version::HTTP_10,
            false => Version::HTTP_11,
        },
        is_head: says("HEAD"),
        ..Terms::default()
    };
    let ending = match says("close") {
        true => Ending::Close,
        false => Ending::KeepAlive,
    };
    (response, terms, ending)
}
