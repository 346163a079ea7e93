//! A second implementation of the rules for heads in HTTP/2, which the decoder is compared with. It
//! takes the decoded headers, and shares the rules for targets and hosts with the second
//! implementation of HTTP/1.1.

use httpool::http::{Method, StatusCode, Uri};

use crate::reference::{Faults, is_continue, is_host, is_token_byte, is_value_byte, uri};

/// Most headers in one head.
const MAX_FIELDS: usize = 100;

/// A name and a value.
pub type Field = (Vec<u8>, Vec<u8>);

/// A request without content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub uri: Uri,
    /// Sorted by name; headers of the same name in the order received. The parts of a cookie are
    /// joined.
    pub headers: Vec<(String, Vec<u8>)>,
    pub content_length: Option<u64>,
    pub expects_continue: bool,
    /// The head as text.
    pub text: Vec<u8>,
}

/// The request of these headers, whose text has at most `most` bytes.
///
/// # Errors
///
/// The statuses that are all correct, if rules are broken.
pub fn head(fields: &[Field], most: usize) -> Result<Request, Faults> {
    let mut faults = Faults::new();
    let mut reject = |status: StatusCode| _ = faults.insert(status);
    let pseudo_count = fields
        .iter()
        .take_while(|(name, _)| is_pseudo(name))
        .count();
    let (pseudo, regular) = fields.split_at(pseudo_count);
    if regular.iter().any(|(name, _)| is_pseudo(name)) {
        reject(StatusCode::BAD_REQUEST);
    }
    let known: [&[u8]; 5] = [
        b":method",
        b":scheme",
        b":authority",
        b":path",
        b":protocol",
    ];
    let [method, scheme, authority, path, protocol] = known.map(|known| {
        let values: Vec<_> = pseudo.iter().filter(|(name, _)| name == known).collect();
        if values.len() > 1 {
            reject(StatusCode::BAD_REQUEST);
        }
        values.first().map(|(_, value)| &value[..])
    });
    if pseudo.iter().any(|(name, _)| !known.contains(&&name[..])) {
        reject(StatusCode::BAD_REQUEST);
    }
    for (_, value) in pseudo {
        if value.len() > most {
            reject(StatusCode::URI_TOO_LONG);
            reject(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
    }

    let is_connect = method == Some(b"CONNECT");
    let is_websocket =
        is_connect && protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
    if is_connect && !is_websocket {
        reject(StatusCode::NOT_IMPLEMENTED);
    }
    if protocol.is_some() && (!is_connect || authority.is_none()) {
        reject(StatusCode::BAD_REQUEST);
    }
    let method = match is_websocket {
        true => Some(&b"GET"[..]),
        false => method,
    };
    let is_https = scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https"));
    let is_http = scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"http"));
    let uri = match (method, path) {
        (Some(method), Some(path)) => target(method, path),
        _ => None,
    };
    if !(is_https || is_http) || uri.is_none() {
        reject(StatusCode::BAD_REQUEST);
    }

    if !regular.iter().all(is_field) {
        reject(StatusCode::BAD_REQUEST);
    }
    let values = |wanted: &str| -> Vec<&[u8]> {
        let named = regular.iter().filter(|(name, _)| name == wanted.as_bytes());
        named.map(|(_, value)| &value[..]).collect()
    };
    let hosts = values("host");
    let named: Vec<_> = authority.iter().chain(&hosts).copied().collect();
    let agree = match (authority, &hosts[..]) {
        (Some(_), []) | (None, [_]) => true,
        (Some(authority), [host]) => plain(authority, is_https) == plain(host, is_https),
        _ => false,
    };
    if !agree || !named.iter().all(|host| !host.is_empty() && is_host(host)) {
        reject(StatusCode::BAD_REQUEST);
    }
    if values("te").len() > 1 {
        reject(StatusCode::BAD_REQUEST);
    }
    for single in ["authorization", "content-type", "origin", "content-length"] {
        if values(single).len() > 1 {
            reject(StatusCode::BAD_REQUEST);
        }
    }
    let expectations = values("expect");
    if !expectations.iter().all(|value| is_continue(value)) {
        reject(StatusCode::EXPECTATION_FAILED);
    }
    let content_length = values("content-length").first().map(|value| number(value));
    if content_length == Some(None) || is_websocket && content_length.is_some() {
        reject(StatusCode::BAD_REQUEST);
    }

    let shown: Vec<Field> = authority
        .map(|authority| (b"host".to_vec(), authority.to_vec()))
        .into_iter()
        .chain(is_websocket.then(|| (b"upgrade".to_vec(), b"websocket".to_vec())))
        .chain(
            regular
                .iter()
                .filter(|(name, _)| authority.is_none() || name != b"host")
                .cloned(),
        )
        .collect();
    let made = usize::from(authority.is_some()) + usize::from(is_websocket);
    if regular.len() + made > MAX_FIELDS {
        reject(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let line = [
        method.unwrap_or_default(),
        b" ",
        path.unwrap_or_default(),
        b" HTTP/2.0\r\n",
    ];
    let mut text = line.concat();
    if text.len() + 2 > most {
        reject(StatusCode::URI_TOO_LONG);
    }
    for (name, value) in &shown {
        text.extend([&name[..], b": ", value, b"\r\n"].concat());
    }
    text.extend(b"\r\n");
    if text.len() > most {
        reject(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }

    // If a rule is broken before `:protocol`, nothing behind it is known.
    if is_connect && !faults.is_empty() {
        faults.insert(StatusCode::NOT_IMPLEMENTED);
    }
    match uri {
        Some(uri) if faults.is_empty() => Ok(Request {
            method: String::from_utf8_lossy(method.unwrap_or_default()).into_owned(),
            uri,
            headers: sorted(&shown),
            content_length: content_length.flatten(),
            expects_continue: !expectations.is_empty(),
            text,
        }),
        _ => Err(faults),
    }
}

/// The lines of trailers.
///
/// # Errors
///
/// As [`head`].
pub fn trailers(fields: &[Field], most: usize) -> Result<Vec<u8>, Faults> {
    let mut faults = Faults::new();
    let mut text = Vec::new();
    for field in fields {
        let (name, value) = field;
        if is_pseudo(name) || !is_field(field) {
            faults.insert(StatusCode::BAD_REQUEST);
        }
        text.extend([&name[..], b": ", value, b"\r\n"].concat());
    }
    if fields.len() > MAX_FIELDS || text.len() > most {
        faults.insert(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    match faults.is_empty() {
        true => Ok(text),
        false => Err(faults),
    }
}

fn is_pseudo(name: &[u8]) -> bool {
    name.starts_with(b":")
}

/// Whether a header is well-formed and may occur (RFC 9113 section 8.2).
fn is_field((name, value): &Field) -> bool {
    let is_name = !name.is_empty()
        && name
            .iter()
            .all(|byte| is_token_byte(byte) && !byte.is_ascii_uppercase());
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let is_value =
        value.iter().all(is_value_byte) && !is_space(value.first()) && !is_space(value.last());
    let is_of_connection = match &name[..] {
        b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => {
            true
        }
        b"te" => !value.eq_ignore_ascii_case(b"trailers"),
        _ => false,
    };
    is_name && is_value && !is_of_connection
}

/// The target, which is a path, or `*` for OPTIONS.
fn target(method: &[u8], path: &[u8]) -> Option<Uri> {
    let (method, path) = (str::from_utf8(method).ok()?, str::from_utf8(path).ok()?);
    Method::from_bytes(method.as_bytes()).ok()?;
    (path.starts_with('/') || path == "*").then(|| uri(method, path))?
}

/// A host in lower case without the port of the scheme.
fn plain(host: &[u8], is_https: bool) -> Vec<u8> {
    let host = host.to_ascii_lowercase();
    let port = if is_https { &b":443"[..] } else { b":80" };
    let bare = host.strip_suffix(port).or(host.strip_suffix(b":"));
    bare.unwrap_or(&host).to_vec()
}

fn number(value: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(value).ok()?;
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| digits.parse().ok())?
}

fn sorted(shown: &[Field]) -> Vec<(String, Vec<u8>)> {
    let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, value) in shown {
        let name = String::from_utf8_lossy(name).into_owned();
        let cookie = headers.iter_mut().find(|(known, _)| known == "cookie");
        match cookie {
            Some((_, joined)) if name == "cookie" => {
                joined.extend(b"; ");
                joined.extend(value);
            }
            _ => headers.push((name, value.clone())),
        }
    }
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    headers
}
