//! Whatever response a handler returns, the client reads exactly that one, and no second response.

use std::io::Cursor;
use std::time::UNIX_EPOCH;

use httpool::http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING, UPGRADE};
use httpool::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use httpool::http1::{
    Content, Date, Ending, ResponseContext, chunk_line, encode, is_open_ended, last_chunk,
};
use httpool::{Body, Response};

/// A response as a client reads it (RFC 9112 section 6.3).
#[derive(Debug)]
struct Received {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// Bytes that a reader yields per read.
const PART: usize = 17;

/// Expects that this response, which has this body, arrives unchanged, and that the next response
/// begins where it ends.
pub fn check(response: &Response, body: &[u8], context: &ResponseContext, ending: Ending) {
    let mut out = Vec::new();
    match encode(response, context, ending, &Date::new(UNIX_EPOCH), &mut out) {
        Content::Omitted => {}
        Content::Follows => out.extend_from_slice(body),
        Content::FollowsInChunks => {
            for part in body.chunks(PART) {
                chunk_line(part.len(), &mut out);
                out.extend_from_slice(part);
                out.extend_from_slice(b"\r\n");
            }
            last_chunk(&HeaderMap::new(), &mut out);
        }
        Content::Switched => panic!("no response upgrades"),
    }
    let shown = out.escape_ascii().to_string();
    let received =
        receive(&out, context.is_head).unwrap_or_else(|reason| panic!("{reason}: {shown}"));

    // An interim response is replaced: the client would take the next response for the final one.
    let meant = match response.status() {
        status if status.is_informational() => StatusCode::INTERNAL_SERVER_ERROR,
        status => status,
    };
    assert_eq!(received.status, meant.as_u16(), "{shown}");
    let is_bodiless = matches!(received.status, 204 | 304);
    let is_empty = context.is_head || is_bodiless || received.status == 205;
    if is_empty {
        assert_eq!(received.body, b"", "{shown}");
    } else {
        assert_eq!(received.body, body, "{shown}");
    }

    let values = |name: &str| -> Vec<_> {
        let named = received.headers.iter().filter(|(is, _)| is == name);
        named.map(|(_, value)| &value[..]).collect()
    };
    let is_known = response.body().length().is_some() || received.status == 205;
    let is_chunked = !is_known && !is_bodiless && context.version == Version::HTTP_11;
    let coding: &[&[u8]] = if is_chunked { &[b"chunked"] } else { &[] };
    assert_eq!(values("transfer-encoding"), coding, "{shown}");
    assert_eq!(
        values("content-length").len(),
        usize::from(is_known && !is_bodiless),
        "{shown}"
    );
    assert!(!values("date").is_empty(), "{shown}");
    let connection: &[&[u8]] = match (ending, context.version) {
        (Ending::Close, _) => &[b"close"],
        (Ending::KeepAlive, Version::HTTP_10) => &[b"keep-alive"],
        (Ending::KeepAlive, _) => &[],
    };
    // Connection announces each Upgrade of a 426 (RFC 9110 section 15.5.22).
    let protocols = match received.status {
        426 => response.headers().get_all(UPGRADE).iter().count(),
        _ => 0,
    };
    let upgrades = vec![&b"upgrade"[..]; protocols];
    assert_eq!(
        values("connection"),
        [&upgrades[..], connection].concat(),
        "{shown}"
    );

    // All headers of the handler are there, in order, except those that the server sets.
    for name in response.headers().keys() {
        if [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE].contains(name) {
            continue;
        }
        let given = response.headers().get_all(name).iter();
        let given: Vec<_> = given.map(|value| trim(value.as_bytes())).collect();
        assert_eq!(values(name.as_str()), given, "{shown}");
    }
    let own = [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, DATE];
    let is_handlers = |name: &str| own.iter().all(|own| own != name);
    for (name, _) in &received.headers {
        let was_given = response.headers().contains_key(name);
        assert!(
            was_given || !is_handlers(name),
            "unexpected header {name}: {shown}"
        );
    }
}

/// [`check`] with a response that a text describes.
pub fn check_described(text: &[u8]) {
    let (response, body, context, ending) = described(text);
    check(&response, &body, &context, ending);
}

/// Reads the one response that `bytes` must contain, to the last byte.
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
    let mut headers = Vec::new();
    for line in &lines[1..] {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.ok_or("a line without a colon")?);
        let is_token =
            |byte: &u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(byte);
        if name.is_empty() || !name.iter().all(is_token) {
            return Err("a header name that is not a token".into());
        }
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        headers.push((name, trim(&value[1..]).to_vec()));
    }
    let value = |name: &str| -> Option<&[u8]> {
        let header = headers.iter().find(|(is, _)| is == name);
        header.map(|(_, value)| &value[..])
    };
    // A 426 has further values of Connection.
    let closes = (headers.iter()).any(|(name, value)| name == "connection" && value == b"close");
    let framing = (value("transfer-encoding"), value("content-length"));
    let (body, length) = match framing {
        _ if to_head || matches!(status, 100..=199 | 204 | 304) => (Vec::new(), 0),
        (Some(b"chunked"), None) => unchunked(rest)?,
        (None, Some(digits)) => {
            let length = String::from_utf8_lossy(digits).parse::<usize>();
            let length = length.map_err(|error| error.to_string())?;
            (rest[..length.min(rest.len())].to_vec(), length)
        }
        (None, None) if closes => (rest.to_vec(), rest.len()),
        _ => return Err("the end of the body is unknown".into()),
    };
    if rest.len() != length {
        return Err(format!("{} bytes follow instead of {length}", rest.len()));
    }
    Ok(Received {
        status,
        headers,
        body,
    })
}

/// The content of the chunks, and their length including the last one.
fn unchunked(bytes: &[u8]) -> Result<(Vec<u8>, usize), String> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let rest = &bytes[at..];
        let end = rest.windows(2).position(|part| part == b"\r\n");
        let end = end.ok_or("a chunk's line does not end")?;
        let digits = String::from_utf8_lossy(&rest[..end]);
        let size = usize::from_str_radix(&digits, 16).map_err(|error| error.to_string())?;
        let data = rest
            .get(end + 2..end + 2 + size)
            .ok_or("a chunk is truncated")?;
        body.extend_from_slice(data);
        at += end + 2 + size + 2;
        if bytes.get(at - 2..at) != Some(b"\r\n") {
            return Err("a chunk does not end".into());
        }
        if size == 0 {
            return Ok((body, at));
        }
    }
}

fn trim(value: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = value.iter().take_while(|byte| is_space(byte)).count();
    let value = &value[start..];
    let end = value.iter().rev().take_while(|byte| is_space(byte)).count();
    &value[..value.len() - end]
}

/// A response that a text describes, and its body: `status words` on the first line, then headers,
/// an empty line and the body. The words `HEAD`, `1.0` and `close` describe the request; `reader`
/// and `sized` choose the kind of body. Headers that cannot be constructed are skipped: a handler
/// cannot return them either.
fn described(text: &[u8]) -> (Response, Vec<u8>, ResponseContext, Ending) {
    let mut lines = text.split(|byte| *byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let has_word = |expected: &str| first.split(' ').any(|word| word == expected);
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
    let body = lines.collect::<Vec<_>>().join(&b'\n');
    let length = body.len() as u64;
    let reader = Cursor::new(body.clone());
    *response.body_mut() = match (has_word("reader"), has_word("sized")) {
        (true, _) => Body::from_reader(reader),
        (_, true) => Body::from_sized_reader(reader, length),
        _ => Body::from(body.clone()),
    };
    let context = ResponseContext {
        version: match has_word("1.0") {
            true => Version::HTTP_10,
            false => Version::HTTP_11,
        },
        is_head: has_word("HEAD"),
        ..ResponseContext::default()
    };
    let ending = match has_word("close") || is_open_ended(&response, &context) {
        true => Ending::Close,
        false => Ending::KeepAlive,
    };
    (response, body, context, ending)
}
