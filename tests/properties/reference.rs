//! A second implementation of the rules, which the decoder is compared with: it takes the whole
//! byte string at once, splits it, and is slow and stateless. It shares no code with the crate; it
//! takes the definition of a URI from the `http` crate.
//!
//! If a request breaks several rules, the decoder may report any of them. So a fault here is the
//! set of all correct statuses, and the decoder's must be among them.

use std::collections::BTreeSet;

use httpool::http::{Method, StatusCode, Uri};
use httpool::http1::{Limits, MAX_FIELDS};

/// What the bytes end with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// No byte of a further request.
    Nothing,
    /// A partial head. If there are faults, the rest cannot mend them: the decoder may reject the
    /// request now or later.
    Head(Faults),
    /// A head and a part of its body.
    Body,
    /// A request that must be rejected with one of these statuses.
    Rejected(Faults),
}

/// Statuses that are all correct; empty if the request is valid.
pub type Faults = BTreeSet<StatusCode>;

/// A parsed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub line: Vec<u8>,
    pub method: String,
    pub uri: Uri,
    /// The minor version.
    pub minor: u8,
    /// Names in lower case, sorted by name; headers of the same name in the order received.
    pub headers: Vec<(String, Vec<u8>)>,
    pub close: bool,
    pub body: Vec<u8>,
    pub raw: RawRequest,
}

/// A request as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawRequest {
    pub head: Vec<u8>,
    /// Names and values, in order.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Sizes, and the lines that contain them.
    pub chunks: Vec<(u64, Vec<u8>)>,
    /// The number of chunks after those.
    pub unkept_chunks: u64,
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
}

/// No more chunk lines are kept after this many bytes.
const KEPT_LINES: usize = 16 * 1024;

/// The most bytes of chunk extensions and trailers in one body.
const MAX_OVERHEAD: usize = 16 * 1024;

/// The requests in `bytes`, and what follows the last one.
pub fn read(bytes: &[u8], limits: &Limits) -> (Vec<Request>, End) {
    let (mut requests, mut rest) = (Vec::new(), bytes);
    loop {
        match read_one(rest, limits) {
            Ok((request, length)) => {
                requests.push(request);
                rest = &rest[length..];
            }
            Err(end) => return (requests, end),
        }
    }
}

fn read_one(bytes: &[u8], limits: &Limits) -> Result<(Request, usize), End> {
    let mut start = 0;
    while bytes[start..].starts_with(b"\r\n") {
        start += 2;
    }
    let bytes_left = &bytes[start..];
    if bytes_left.is_empty() || bytes_left == b"\r" {
        return Err(End::Nothing);
    }
    // Bytes beyond the limit do not affect a head.
    let window = &bytes_left[..bytes_left.len().min(limits.head)];
    let Some(end) = find(window, b"\r\n\r\n") else {
        let mut faults = faults_of_partial_head(window);
        if bytes_left.len() < limits.head {
            // Line ends other than CRLF would have ended it.
            return Err(End::Head(faults));
        }
        faults.insert(if window.contains(&b'\n') {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        } else {
            StatusCode::URI_TOO_LONG
        });
        return Err(End::Rejected(faults));
    };
    let (mut request, framing) = head(&window[..end], limits).map_err(End::Rejected)?;
    request.raw.head = window[..end + 4].to_vec();
    let after = start + end + 4;
    let length = match framing {
        Framing::Length(length) => {
            let body = bytes[after..].get(..length).ok_or(End::Body)?;
            request.body = body.to_vec();
            length
        }
        Framing::Chunked => {
            let (body, length) = chunked(&bytes[after..], limits, &mut request.raw)?;
            request.body = body;
            length
        }
    };
    Ok((request, after + length))
}

enum Framing {
    Length(usize),
    Chunked,
}

/// A complete head without its last two line ends.
fn head(head: &[u8], limits: &Limits) -> Result<(Request, Framing), Faults> {
    let mut faults = Faults::new();
    let lines: Vec<&[u8]> = split(head, b"\r\n");
    let (line, field_lines) = (lines[0], &lines[1..]);

    // Line ends other than CRLF are faults, but they count as line ends.
    if head.iter().filter(|byte| **byte == b'\n').count() > MAX_FIELDS {
        faults.insert(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let (method, target, minor) = request_line(line, &mut faults);
    let mut headers = Vec::new();
    for line in field_lines {
        match header(line) {
            Some(header) => headers.push(header),
            None => _ = faults.insert(StatusCode::BAD_REQUEST),
        }
    }
    let values = |name: &str| -> Vec<&[u8]> {
        let named = headers.iter().filter(|(is, _)| is == name);
        named.map(|(_, value)| &value[..]).collect()
    };

    match values("host")[..] {
        [] if minor == 0 => {}
        [host] if is_host(host) => {}
        _ => _ = faults.insert(StatusCode::BAD_REQUEST),
    }
    for single in ["authorization", "content-type", "origin"] {
        if values(single).len() > 1 {
            faults.insert(StatusCode::BAD_REQUEST);
        }
    }
    if minor == 1 && !values("expect").iter().all(|value| is_continue(value)) {
        faults.insert(StatusCode::EXPECTATION_FAILED);
    }
    if method == "CONNECT" {
        faults.insert(StatusCode::NOT_IMPLEMENTED);
    }
    let framing = match (
        &values("content-length")[..],
        &values("transfer-encoding")[..],
    ) {
        ([], []) => Ok(Framing::Length(0)),
        ([length], []) => content_length(length, limits),
        ([], [codings]) if minor == 1 => transfer_coding(codings),
        _ => Err(StatusCode::BAD_REQUEST),
    };
    let connection: Vec<_> = values("connection")
        .iter()
        .flat_map(|value| split(value, b","))
        .map(|item| trim(item).to_ascii_lowercase())
        .collect();
    let close = connection.contains(&b"close".to_vec())
        || minor == 0 && !connection.contains(&b"keep-alive".to_vec());

    let uri = uri(&method, &target);
    if uri
        .as_ref()
        .is_some_and(|uri| !agree(uri, values("host").first().copied()))
    {
        faults.insert(StatusCode::BAD_REQUEST);
    }
    match (framing, uri) {
        (Ok(framing), Some(uri)) if faults.is_empty() => {
            headers.sort_by(|(one, _), (other, _)| one.cmp(other));
            let request = Request {
                line: line.to_vec(),
                method,
                uri,
                minor,
                headers,
                close,
                body: Vec::new(),
                raw: RawRequest {
                    headers: field_lines
                        .iter()
                        .copied()
                        .filter_map(raw_request)
                        .collect(),
                    ..RawRequest::default()
                },
            };
            Ok((request, framing))
        }
        (framing, uri) => {
            faults.extend(framing.err());
            faults.extend(uri.is_none().then_some(StatusCode::BAD_REQUEST));
            Err(faults)
        }
    }
}

/// Faults that no continuation of this partial head can mend. It may find fewer than there are,
/// because the decoder may wait until the head is complete.
fn faults_of_partial_head(part: &[u8]) -> Faults {
    let mut faults = Faults::new();
    let mut lines: Vec<&[u8]> = split(part, b"\n");
    let last = lines.pop().unwrap_or_default();
    if lines.len() > MAX_FIELDS + 1 {
        faults.insert(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    for (index, line) in lines.iter().enumerate() {
        let Some(line) = line.strip_suffix(b"\r") else {
            faults.insert(StatusCode::BAD_REQUEST);
            // Its line end is a fault already, and the line may have others.
            if index == 0 {
                request_line(line, &mut faults);
            }
            continue;
        };
        if index == 0 {
            let (method, target, _) = request_line(line, &mut faults);
            faults.extend(
                uri(&method, &target)
                    .is_none()
                    .then_some(StatusCode::BAD_REQUEST),
            );
        } else if header(line).is_none() {
            faults.insert(StatusCode::BAD_REQUEST);
        }
    }
    let can_go_on = if lines.is_empty() {
        may_start_request_line(last)
    } else {
        last == b"\r" || may_start_header(last)
    };
    if !can_go_on {
        faults.insert(StatusCode::BAD_REQUEST);
    }
    faults
}

fn may_start_request_line(part: &[u8]) -> bool {
    let words = split(part, b" ");
    let (method, target) = (words[0], words.get(1).copied().unwrap_or_default());
    words.len() <= 3
        && method.iter().all(is_token_byte)
        && (words.len() < 2 || !method.is_empty())
        && target.iter().all(|byte| !byte.is_ascii_control())
        && (words.len() < 3 || !target.is_empty() && std::str::from_utf8(target).is_ok())
        && words.get(2).is_none_or(|version| {
            b"HTTP/1.1\r".starts_with(version) || b"HTTP/1.0\r".starts_with(version)
        })
}

fn may_start_header(part: &[u8]) -> bool {
    let name = split(part, b":")[0];
    let value = &part[name.len()..];
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    name.iter().all(is_token_byte)
        && value.iter().all(is_value_byte)
        && (part.is_empty() || !name.is_empty())
}

/// Method, target and minor version of a line `method SP target SP version`; for an invalid line,
/// any values with which the rest can be read.
fn request_line(line: &[u8], faults: &mut Faults) -> (String, String, u8) {
    let is_end = |byte: &u8| *byte == b'\r' || *byte == b'\n';
    if line.iter().any(is_end) {
        faults.insert(StatusCode::BAD_REQUEST);
    }
    let line = line.split(is_end).next().unwrap_or_default();
    let words = split(line, b" ");
    let text = |index: usize| {
        let word = words.get(index).copied().unwrap_or_default();
        String::from_utf8_lossy(word).into_owned()
    };
    let method = words[0];
    let is_text = |word: &&[u8]| std::str::from_utf8(word).is_ok();
    if words.len() != 3
        || !words.iter().all(is_text)
        || method.is_empty()
        || !method.iter().all(is_token_byte)
    {
        faults.insert(StatusCode::BAD_REQUEST);
    }
    let minor = match words.get(2) {
        Some(&b"HTTP/1.1") => 1,
        Some(&b"HTTP/1.0") => 0,
        Some([b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9']) => {
            faults.insert(StatusCode::HTTP_VERSION_NOT_SUPPORTED);
            1
        }
        _ => {
            faults.insert(StatusCode::BAD_REQUEST);
            1
        }
    };
    (text(0), text(1), minor)
}

/// The target, if it has the form that the method requires (RFC 9112 section 3.2).
pub fn uri(method: &str, target: &str) -> Option<Uri> {
    let lower = target.to_ascii_lowercase();
    let is_absolute = lower.starts_with("http://") || lower.starts_with("https://");
    let has_form = match method {
        "CONNECT" => false,
        "OPTIONS" => target == "*" || target.starts_with('/') || is_absolute,
        _ => target.starts_with('/') || is_absolute,
    };
    let path = target.split('?').next().unwrap_or_default();
    let is_plain = !target.contains('#')
        && !path.contains('\\')
        && is_encoded(path)
        && target.bytes().all(|byte| byte.is_ascii_graphic());
    let is_token = Method::from_bytes(method.as_bytes()).is_ok();
    (has_form && is_plain && is_token)
        .then(|| in_normal_form(target).parse().ok())
        .flatten()
}

/// The target with its path normalized as in RFC 3986 section 6.2.2.
fn in_normal_form(target: &str) -> String {
    let (before_query, query) = match target.find('?') {
        Some(at) => target.split_at(at),
        None => (target, ""),
    };
    let start = match before_query.find("://") {
        Some(at) if !before_query.starts_with('/') => {
            let authority = &before_query[at + 3..];
            at + 3 + authority.find('/').unwrap_or(authority.len())
        }
        _ => 0,
    };
    let (authority, path) = before_query.split_at(start);
    let segments: Vec<_> = path.split('/').map(segment_in_normal_form).collect();
    let path = without_dot_segments(&segments.join("/"));
    format!("{authority}{path}{query}")
}

/// The steps of RFC 3986 section 5.2.4, as they are written there.
fn without_dot_segments(path: &str) -> String {
    let (mut input, mut output) = (path.to_owned(), String::new());
    while !input.is_empty() {
        if let Some(rest) = input.strip_prefix("/./") {
            input = format!("/{rest}");
        } else if input == "/." {
            input = "/".to_owned();
        } else if let Some(rest) = input.strip_prefix("/../") {
            input = format!("/{rest}");
            output.truncate(output.rfind('/').unwrap_or(0));
        } else if input == "/.." {
            input = "/".to_owned();
            output.truncate(output.rfind('/').unwrap_or(0));
        } else {
            let end = input[1..].find('/').map_or(input.len(), |at| at + 1);
            output.push_str(&input[..end]);
            input.drain(..end);
        }
    }
    output
}

fn segment_in_normal_form(segment: &str) -> String {
    let mut octets = Vec::new();
    let mut bytes = segment.as_bytes().iter();
    while let Some(byte) = bytes.next().copied() {
        let digits = bytes.as_slice().get(..2).filter(|_| byte == b'%');
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits.and_then(|digits| std::str::from_utf8(digits).ok()) else {
            octets.push((byte, byte == b'%'));
            continue;
        };
        let octet = u8::from_str_radix(digits, 16).expect("the digits are a number");
        bytes.nth(1);
        octets.push((octet, true));
    }
    let write = |(octet, was_encoded): &(u8, bool)| {
        let is_unreserved = octet.is_ascii_alphanumeric() || b"-._~".contains(octet);
        if *was_encoded && !is_unreserved {
            format!("%{octet:02X}")
        } else {
            char::from(*octet).to_string()
        }
    };
    octets.iter().map(write).collect()
}

/// Whether the host of a target in absolute form equals the Host header.
fn agree(uri: &Uri, host: Option<&[u8]>) -> bool {
    let Some(authority) = uri.authority() else {
        return true;
    };
    let default = if uri.scheme_str() == Some("https") {
        ":443"
    } else {
        ":80"
    };
    let plain = |authority: &str| {
        let authority = authority.to_ascii_lowercase();
        let bare = authority.strip_suffix(default);
        let bare = bare.or(authority.strip_suffix(':'));
        bare.map(str::to_owned).unwrap_or(authority)
    };
    let authority = authority.as_str();
    !authority.is_empty()
        && is_host(authority.as_bytes())
        && host.is_none_or(|host| plain(&String::from_utf8_lossy(host)) == plain(authority))
}

pub fn is_continue(value: &[u8]) -> bool {
    let members = split(value, b",").into_iter().map(trim);
    let members: Vec<_> = members.filter(|member| !member.is_empty()).collect();
    let is_known = |member: &&[u8]| member.eq_ignore_ascii_case(b"100-continue");
    !members.is_empty() && members.iter().all(is_known)
}

/// Only `chunked` alone is supported. With codings before it, it still delimits the body.
fn transfer_coding(value: &[u8]) -> Result<Framing, StatusCode> {
    let members: Vec<Vec<u8>> = split(value, b",")
        .into_iter()
        .map(|member| trim(member).to_ascii_lowercase())
        .collect();
    let chunked = members.iter().filter(|member| *member == b"chunked");
    match (chunked.count(), members.last()) {
        (1, Some(last)) if last == b"chunked" => match members.len() {
            1 => Ok(Framing::Chunked),
            _ if members.iter().any(Vec::is_empty) => Err(StatusCode::BAD_REQUEST),
            _ => Err(StatusCode::NOT_IMPLEMENTED),
        },
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

/// Name and value of a line that is known to be a header.
fn raw_request(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (name, value) = line.split_at(find(line, b":")?);
    Some((name.to_vec(), trim(&value[1..]).to_vec()))
}

fn header(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
    let is_field =
        !name.is_empty() && name.iter().all(is_token_byte) && value.iter().all(is_value_byte);
    let name = String::from_utf8(name.to_ascii_lowercase()).ok()?;
    is_field.then(|| (name, value.to_vec()))
}

fn content_length(value: &[u8], limits: &Limits) -> Result<Framing, StatusCode> {
    let digits = std::str::from_utf8(value).map_err(|_| StatusCode::BAD_REQUEST)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let length: u64 = digits.parse().map_err(|_| StatusCode::BAD_REQUEST)?;
    match usize::try_from(length) {
        Ok(length) if length <= limits.body => Ok(Framing::Length(length)),
        _ => Err(StatusCode::PAYLOAD_TOO_LARGE),
    }
}

/// `uri-host [ ":" port ]`, or empty.
pub fn is_host(value: &[u8]) -> bool {
    let Ok(value) = std::str::from_utf8(value) else {
        return false;
    };
    let (is_name, port) = match value
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((literal, rest)) => (is_ipv6(literal) || is_ip_future(literal), rest),
        None => {
            let name = value.split(':').next().unwrap_or_default();
            let is_name = name.chars().all(|char| is_reg_name(char) || char == '%')
                && is_encoded(name)
                && !value.starts_with(':');
            (is_name, &value[name.len()..])
        }
    };
    let is_port = |port: &str| {
        let is_number = port.parse::<u16>().is_ok() && !port.starts_with('+');
        port.is_empty() || is_number
    };
    is_name && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

fn is_reg_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || "-._~!$&'()*+;=".contains(char)
}

/// Whether each percent sign begins an octet, none of which is zero.
fn is_encoded(text: &str) -> bool {
    let is_octet = |part: &str| {
        let digits: Vec<char> = part.chars().take(2).collect();
        let is_digit = |char: &char| char.is_ascii_hexdigit();
        digits.len() == 2 && digits.iter().all(is_digit) && digits != ['0', '0']
    };
    text.split('%').skip(1).all(is_octet)
}

/// An IPv6 address as in RFC 3986 section 3.2.2: eight groups, of which `::` stands for one or
/// more, and the last two of which may be an IPv4 address.
fn is_ipv6(literal: &str) -> bool {
    let is_octet = |part: &str| {
        part.parse::<u8>()
            .is_ok_and(|octet| octet.to_string() == part)
    };
    let is_group = |part: &str| {
        (1..=4).contains(&part.len()) && part.chars().all(|char| char.is_ascii_hexdigit())
    };
    let is_ipv4 = |part: &str| part.split('.').count() == 4 && part.split('.').all(is_octet);
    // The number of groups.
    let count = |part: &str, may_end_in_ipv4: bool| {
        let parts: Vec<&str> = match part {
            "" => Vec::new(),
            part => part.split(':').collect(),
        };
        let (last, others) = match parts.split_last() {
            Some((last, others)) => (*last, others),
            None => return Some(0),
        };
        let of_last = match last {
            last if is_group(last) => 1,
            last if may_end_in_ipv4 && is_ipv4(last) => 2,
            _ => return None,
        };
        others
            .iter()
            .all(|part| is_group(part))
            .then_some(others.len() + of_last)
    };
    match literal.split_once("::") {
        Some((before, after)) => match (count(before, false), count(after, true)) {
            (Some(before), Some(after)) => before + after < 8,
            _ => false,
        },
        None => count(literal, true) == Some(8),
    }
}

fn is_ip_future(literal: &str) -> bool {
    let Some((version, address)) = literal.split_once('.') else {
        return false;
    };
    let digits = version.strip_prefix(['v', 'V']).unwrap_or_default();
    !digits.is_empty()
        && digits.chars().all(|char| char.is_ascii_hexdigit())
        && !address.is_empty()
        && address.chars().all(|char| is_reg_name(char) || char == ':')
}

/// The content of a chunked body, and how many bytes it took.
fn chunked(bytes: &[u8], limits: &Limits, raw: &mut RawRequest) -> Result<(Vec<u8>, usize), End> {
    let rejected = |status| End::Rejected(Faults::from([status]));
    let broken = || rejected(StatusCode::BAD_REQUEST);
    let (mut body, mut at, mut overhead, mut kept) = (Vec::new(), 0, 0, 0);
    loop {
        let line = line(
            &bytes[at..],
            &[
                b"\r\n",
                b"\n",
                b"0\r\n",
                b";a\r\n",
                b"a\r\n",
                b"=a\r\n",
                b"\"\r\n",
                b"\"\"\r\n",
            ],
            |line| size_line(line).is_some_and(|(_, extra)| overhead + extra <= MAX_OVERHEAD),
        )?;
        at += line.len() + 2;
        let (size, extra) = size_line(line).ok_or_else(broken)?;
        overhead += extra;
        if kept < KEPT_LINES {
            kept += line.len() + 2;
            raw.chunks.push((size, line.to_vec()));
        } else {
            raw.unkept_chunks += 1;
        }
        if size == 0 {
            break;
        }
        if size > (limits.body - body.len()) as u64 {
            return Err(rejected(StatusCode::PAYLOAD_TOO_LARGE));
        }
        let rest = &bytes[at..];
        let size = usize::try_from(size).map_err(|_| broken())?;
        let data = rest.get(..size).ok_or(End::Body)?;
        body.extend_from_slice(data);
        at += size;
        match rest[size..] {
            [b'\r', b'\n', ..] => at += 2,
            [] | [b'\r'] => return Err(End::Body),
            _ => return Err(broken()),
        }
    }
    loop {
        let trailer = line(&bytes[at..], &[b"\r\n", b"\n", b":\r\n"], |line| {
            (line.is_empty() || header(line).is_some()) && overhead + line.len() <= MAX_OVERHEAD
        })?;
        at += trailer.len() + 2;
        overhead += trailer.len();
        if trailer.is_empty() {
            return Ok((body, at));
        }
        raw.trailers.extend(raw_request(trailer));
    }
}

/// The first line of `bytes`, which must be valid. If its end is missing, one of the `endings`
/// must make it valid.
fn line<'a>(
    bytes: &'a [u8],
    endings: &[&[u8]],
    is_good: impl Fn(&[u8]) -> bool,
) -> Result<&'a [u8], End> {
    let whole = |bytes: &[u8]| {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let line = bytes[..end].strip_suffix(b"\r")?;
        is_good(line).then_some(line.len())
    };
    if let Some(length) = whole(bytes) {
        return Ok(&bytes[..length]);
    }
    let could_be = |ending: &&[u8]| whole(&[bytes, ending].concat()).is_some();
    if !bytes.contains(&b'\n') && endings.iter().any(could_be) {
        return Err(End::Body);
    }
    Err(End::Rejected(Faults::from([StatusCode::BAD_REQUEST])))
}

/// The size in a line `digits *( padding ";" padding extension )`, and how many bytes of it are
/// overhead.
fn size_line(line: &[u8]) -> Option<(u64, usize)> {
    let is_digit = |byte: &&u8| byte.is_ascii_hexdigit();
    let (digits, mut rest) = line.split_at(line.iter().take_while(is_digit).count());
    if !(1..=16).contains(&digits.len()) {
        return None;
    }
    let extra = rest.len();
    while !rest.is_empty() {
        rest = extension(rest)?;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u64::from_str_radix(digits, 16).ok()?, extra))
}

/// The bytes after one extension with its semicolon (RFC 9112 section 7.1.1).
fn extension(line: &[u8]) -> Option<&[u8]> {
    let (_, name) = trim_start(line)
        .split_at_checked(1)
        .filter(|(first, _)| *first == b";")?;
    let rest = token(trim_start(name))?;
    let Some((b"=", value)) = trim_start(rest).split_at_checked(1) else {
        return Some(rest);
    };
    match trim_start(value) {
        [b'"', quoted @ ..] => end_of_quoted(quoted),
        value => token(value),
    }
}

/// The bytes after the token that these bytes begin with.
fn token(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.iter().take_while(|byte| is_token_byte(byte)).count();
    (length > 0).then(|| &bytes[length..])
}

/// The bytes after the quotation mark that ends a quoted string.
fn end_of_quoted(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let (byte, rest) = match bytes {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', byte, rest @ ..] => (byte, rest),
            [b'\\'] | [] => return None,
            [byte, rest @ ..] => (byte, rest),
        };
        if !is_value_byte(byte) {
            return None;
        }
        bytes = rest;
    }
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let spaces = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
    &bytes[spaces.count()..]
}

pub fn is_token_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

pub fn is_value_byte(byte: &u8) -> bool {
    *byte == b'\t' || !byte.is_ascii_control()
}

fn trim(value: &[u8]) -> &[u8] {
    let is_visible = |byte: &u8| *byte != b' ' && *byte != b'\t';
    match (
        value.iter().position(is_visible),
        value.iter().rposition(is_visible),
    ) {
        (Some(first), Some(last)) => &value[first..=last],
        _ => b"",
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|part| part == what)
}

/// Splits at every `separator`; returns at least one part.
fn split<'a>(mut bytes: &'a [u8], separator: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(end) = find(bytes, separator) {
        parts.push(&bytes[..end]);
        bytes = &bytes[end + separator.len()..];
    }
    parts.push(bytes);
    parts
}
