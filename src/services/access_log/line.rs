//! Formats the lines of the access log.

mod brief;
mod json;

use std::fmt;
use std::io::Write;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use self::brief::write_brief;
use self::json::write_json;
use crate::message::{MatchedPath, PeerAddr, RequestRecord};

const COMMON_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");

/// The format of an [`AccessLog`](crate::services::AccessLog).
///
/// ```
/// use std::io::{self, IsTerminal};
///
/// use httpool::services::{AccessFormat, AccessLog};
///
/// // People look at a terminal, and programs at anything else.
/// let format = if io::stdout().is_terminal() {
///     AccessFormat::Common
/// } else {
///     AccessFormat::Json
/// };
/// let log = AccessLog::start(format, io::stdout())?;
/// # log.finish();
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessFormat {
    /// Common Log Format: client, user, time, request line, status, and length of the response's content.
    /// If the server [assigns ids](crate::Builder::request_ids), the request's id follows in
    /// quotes.
    Common,
    /// Combined Log Format: `Common` with `Referer` and `User-Agent` before the id. Most log
    /// analyzers expect it.
    Combined,
    /// One JSON object on each line. Unknown members are omitted. `route` is the
    /// [path of the route](crate::MatchedPath). `outcome` is present if no
    /// handler has responded: `rejected`, with its `reason`, or `panicked`; or, for a
    /// [`Later`](crate::Later), `timed_out`, `abandoned` or `cancelled`.
    Json,
    /// A short line for people who watch a terminal: time (UTC), method, target, status, length of the
    /// response's content and duration. If the server [assigns ids](crate::Builder::request_ids), the
    /// request's id follows in quotes.
    ///
    /// Each line is written at once, unless the output is slower than the requests.
    Brief,
}

/// Whether lines of the text formats end with the route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteColumn {
    Absent,
    Last,
}

/// The formatted time, cached for a second.
#[derive(Debug, Default)]
pub(crate) struct Timestamp {
    second: u64,
    text: String,
    /// Length of the text up to the seconds.
    seconds_length: usize,
}

pub(crate) fn write_line(
    (format, route): (AccessFormat, RouteColumn),
    record: &RequestRecord<'_>,
    now: SystemTime,
    timestamp: &mut Timestamp,
    out: &mut Vec<u8>,
) {
    match format {
        AccessFormat::Common => {
            write_common(record, now, timestamp, out);
            push_last(route, record, out);
        }
        AccessFormat::Combined => {
            write_common(record, now, timestamp, out);
            for value in header_values(record, ["referer", "user-agent"]) {
                push_quoted(value.unwrap_or(b"-"), out);
            }
            push_last(route, record, out);
        }
        AccessFormat::Json => write_json(record, now, timestamp, out),
        AccessFormat::Brief => {
            write_brief(record, now, timestamp, out);
            push_last(route, record, out);
        }
    }
    out.push(b'\n');
}

/// Appends the columns that the text formats do not have by themselves.
fn push_last(route: RouteColumn, record: &RequestRecord<'_>, out: &mut Vec<u8>) {
    if let Some(id) = record.id() {
        push_quoted(id.as_bytes(), out);
    }
    if route == RouteColumn::Last {
        let path = record.matched_path().map_or("-", MatchedPath::as_str);
        push_quoted(path.as_bytes(), out);
    }
}

fn push_quoted(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b" \"");
    push_escaped(bytes, out);
    out.push(b'"');
}

fn write_common(
    record: &RequestRecord<'_>,
    now: SystemTime,
    timestamp: &mut Timestamp,
    out: &mut Vec<u8>,
) {
    match record.client_info().client() {
        Some(client) => push(client.ip().map_or(client, PeerAddr::from), out),
        None => out.push(b'-'),
    }
    out.extend_from_slice(b" - ");
    push_user(record.user(), out);
    out.extend_from_slice(b" [");
    out.extend_from_slice(timestamp.at(now, COMMON_TIME).as_bytes());
    out.extend_from_slice(b"] \"");
    match record.raw_request().request_line() {
        b"" => out.push(b'-'),
        line => push_escaped(line, out),
    }
    out.extend_from_slice(b"\" ");
    out.extend_from_slice(record.status().as_str().as_bytes());
    out.push(b' ');
    match record.sent() {
        Some(sent) => out.extend_from_slice(itoa::Buffer::new().format(sent).as_bytes()),
        None => out.push(b'-'),
    }
}

impl Timestamp {
    fn at(&mut self, now: SystemTime, format: &[BorrowedFormatItem<'_>]) -> &str {
        let second = since_epoch(now).as_secs();
        if second != self.second || self.text.is_empty() {
            self.second = second;
            // Formatting succeeds for every time that a clock shows.
            self.text = OffsetDateTime::from(now).format(format).unwrap_or_default();
            self.seconds_length = self.text.len();
        }
        &self.text
    }

    /// The time with milliseconds (RFC 3339).
    fn with_millis(&mut self, now: SystemTime, format: &[BorrowedFormatItem<'_>]) -> &str {
        self.at(now, format);
        self.text.truncate(self.seconds_length);
        // The digit in front pads the number to three digits.
        let millis = 1000 + since_epoch(now).subsec_millis();
        self.text.push('.');
        self.text.push_str(&itoa::Buffer::new().format(millis)[1..]);
        self.text.push('Z');
        &self.text
    }
}

fn since_epoch(now: SystemTime) -> Duration {
    now.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// The values of the first header line with each name.
fn header_values<'a, const N: usize>(
    record: &'a RequestRecord<'_>,
    names: [&str; N],
) -> [Option<&'a [u8]>; N] {
    let mut values = [None; N];
    for (name, value) in record.raw_request().header_lines() {
        let is_name = |wanted: &&str| name.eq_ignore_ascii_case(wanted.as_bytes());
        if let Some(index) = names.iter().position(is_name) {
            values[index].get_or_insert(value);
        }
    }
    values
}

fn push(value: impl fmt::Display, out: &mut Vec<u8>) {
    write!(out, "{value}").expect("writing to a Vec can't fail");
}

/// Appends the name of a user. It has no quotes, so its spaces are escaped, too.
fn push_user(user: Option<&str>, out: &mut Vec<u8>) {
    let name = user.unwrap_or("-").as_bytes();
    for (index, word) in name.split(|byte| *byte == b' ').enumerate() {
        if index > 0 {
            out.extend_from_slice(b"\\x20");
        }
        push_escaped(word, out);
    }
}

/// Appends bytes of the client, escaped so that they end neither the quotes nor the line.
fn push_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' | ..=0x1f | 0x7f.. => push(format_args!("\\x{byte:02X}"), out),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use http::{HeaderValue, StatusCode};

    use super::*;
    #[cfg(feature = "proxy")]
    use crate::message::ClientSource;
    use crate::message::Outcome;
    #[cfg(feature = "proxy")]
    use crate::message::client_info;
    use crate::message::user_name::UserName;
    use crate::message::{ClientInfo, RawRequest, RequestError};

    const NOW: Duration = Duration::from_millis(971_186_136_789);

    #[track_caller]
    fn line(
        format: AccessFormat,
        head: &[u8],
        change: impl FnOnce(&mut RequestRecord<'_>),
    ) -> String {
        line_from(
            &ClientInfo::new(addr("192.0.2.7:4711")),
            format,
            head,
            change,
        )
    }

    fn addr(address: &str) -> PeerAddr {
        let address: std::net::SocketAddr = address.parse().expect("the address is valid");
        address.into()
    }

    #[track_caller]
    fn line_from(
        client_info: &ClientInfo,
        format: AccessFormat,
        head: &[u8],
        change: impl FnOnce(&mut RequestRecord<'_>),
    ) -> String {
        let raw_request = RawRequest::new(head.to_vec().into(), None);
        let mut record = RequestRecord {
            worker: 0,
            raw_request: &raw_request,
            client_info,
            matched_path: None,
            user: None,
            id: None,
            outcome: Outcome::Handled,
            status: StatusCode::OK,
            received: 3,
            sent: Some(2326),
            duration: Duration::from_micros(1500),
        };
        change(&mut record);
        let mut out = Vec::new();
        let now = SystemTime::UNIX_EPOCH + NOW;
        let columns = (format, RouteColumn::Absent);
        write_line(columns, &record, now, &mut Timestamp::default(), &mut out);
        // Another column changes nothing before it.
        let mut longer = Vec::new();
        let columns = (format, RouteColumn::Last);
        write_line(
            columns,
            &record,
            now,
            &mut Timestamp::default(),
            &mut longer,
        );
        assert!(longer.starts_with(out.trim_ascii_end()));
        String::from_utf8(out).expect("lines are UTF-8")
    }

    #[test]
    fn text_lines_end_with_the_route_if_wanted() {
        let client_info = ClientInfo::new(addr("192.0.2.7:4711"));
        let raw_request = RawRequest::new(HEAD.into(), None);
        let path = MatchedPath::new("/\"{größe}");
        let end = |format, matched_path, id| {
            let record = RequestRecord {
                worker: 0,
                raw_request: &raw_request,
                client_info: &client_info,
                matched_path,
                user: None,
                id,
                outcome: Outcome::Handled,
                status: StatusCode::OK,
                received: 0,
                sent: Some(1),
                duration: Duration::ZERO,
            };
            let (now, mut timestamp) = (SystemTime::UNIX_EPOCH + NOW, Timestamp::default());
            let (mut out, columns) = (Vec::new(), (format, RouteColumn::Last));
            write_line(columns, &record, now, &mut timestamp, &mut out);
            let line = String::from_utf8(out).expect("lines are UTF-8");
            let (_, end) = line.split_once(" 200 1").expect("the line has a status");
            end.trim_end().to_owned()
        };
        let escaped = r#" "/\x22{gr\xC3\xB6\xC3\x9Fe}""#;
        assert_eq!(end(AccessFormat::Common, Some(&path), None), escaped);
        assert_eq!(end(AccessFormat::Common, None, None), " \"-\"");
        let named = end(AccessFormat::Combined, Some(&path), Some(&ID));
        assert!(named.ends_with(&format!(" \"a-1\"{escaped}")), "{named}");
    }

    #[test]
    fn user_is_one_word_of_a_text_line() {
        let user = UserName::new("ada \"von\" lovelace");
        let user: &'static UserName = Box::leak(Box::new(user));
        let common = line(AccessFormat::Common, HEAD, |record| {
            record.user = Some(user);
        });
        let expected = r"192.0.2.7 - ada\x20\x22von\x22\x20lovelace [10/";
        assert!(common.starts_with(expected), "{common}");
        let json = line(AccessFormat::Json, HEAD, |record| record.user = Some(user));
        assert!(json.contains(r#""user":"ada \"von\" lovelace""#), "{json}");
    }

    static ID: HeaderValue = HeaderValue::from_static("a-1");
    static PATH: LazyLock<MatchedPath> = LazyLock::new(|| MatchedPath::new("/{name}"));

    const HEAD: &[u8] = b"GET /a?b HTTP/1.1\r\nHost: x\r\nuser-AGENT: curl/8 \"\\\xe9\r\n\r\n";

    #[test]
    fn text_lines_have_the_usual_form() {
        let common = "192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] \"GET /a?b HTTP/1.1\" 200 2326";
        let unchanged = |_: &mut RequestRecord<'_>| {};
        assert_eq!(
            line(AccessFormat::Common, HEAD, unchanged),
            format!("{common}\n")
        );
        assert_eq!(
            line(AccessFormat::Combined, HEAD, unchanged),
            format!("{common} \"-\" \"curl/8 \\x22\\x5C\\xE9\"\n"),
        );
        let named = |record: &mut RequestRecord<'_>| record.id = Some(&ID);
        assert_eq!(
            line(AccessFormat::Common, HEAD, named),
            format!("{common} \"a-1\"\n")
        );
        assert_eq!(
            line(AccessFormat::Combined, HEAD, named),
            format!("{common} \"-\" \"curl/8 \\x22\\x5C\\xE9\" \"a-1\"\n"),
        );
        let rejected = line(AccessFormat::Common, b"", |record| {
            record.status = StatusCode::BAD_REQUEST;
            record.sent = None;
        });
        assert!(rejected.ends_with("] \"-\" 400 -\n"), "{rejected}");
    }

    #[test]
    fn brief_lines_fit_a_terminal() {
        let brief = "13:55:36Z GET /a?b 200 2326 B 1.5 ms";
        let text = line(AccessFormat::Brief, HEAD, |_| {});
        assert_eq!(text, format!("{brief}\n"));
        let text = line(AccessFormat::Brief, HEAD, |record| record.id = Some(&ID));
        assert_eq!(text, format!("{brief} \"a-1\"\n"));
        let rejected = line(AccessFormat::Brief, b"", |record| {
            record.status = StatusCode::BAD_REQUEST;
            record.sent = None;
        });
        assert_eq!(rejected, "13:55:36Z - - 400 - 1.5 ms\n");
        let hostile = b"G\x1b[2J /\x1b]0;x\x07\xc2\x9b HTTP/1.1\r\n\r\n";
        let text = line(AccessFormat::Brief, hostile, |_| {});
        let escaped = r"G\x1B[2J /\x1B]0;x\x07\xC2\x9B 200";
        assert!(text.contains(escaped), "{text}");
    }

    #[test]
    fn requests_of_http2_are_named_as_such() {
        let head = b"POST /a?b HTTP/2.0\r\nhost: x\r\nuser-agent: curl/8\r\n\r\n";
        let unchanged = |_: &mut RequestRecord<'_>| {};
        for format in [AccessFormat::Common, AccessFormat::Combined] {
            let text = line(format, head, unchanged);
            assert!(text.contains("] \"POST /a?b HTTP/2.0\" 200 "), "{text}");
        }
        let text = line(AccessFormat::Json, head, unchanged);
        let value: serde_json::Value = serde_json::from_str(&text).expect("the line is JSON");
        let members = ["method", "target", "version", "host", "user_agent"];
        assert_eq!(
            members.map(|name| value[name].as_str()),
            ["POST", "/a?b", "HTTP/2.0", "x", "curl/8"].map(Some)
        );
    }

    #[test]
    fn json_lines_have_all_members() {
        let text = line(AccessFormat::Json, HEAD, |record| {
            record.id = Some(&ID);
            record.matched_path = Some(&PATH);
            record.outcome = Outcome::Rejected(RequestError::HeadTimeout.into());
        });
        let value: serde_json::Value = serde_json::from_str(&text).expect("the line is JSON");
        let expected = serde_json::json!({
            "ts": "2000-10-10T13:55:36.789Z",
            "client_info": {
                "peer": "192.0.2.7:4711", "client": "192.0.2.7:4711", "scheme": "http",
            },
            "method": "GET", "target": "/a?b", "version": "HTTP/1.1",
            "route": "/{name}", "host": "x", "status": 200, "outcome": "rejected", "reason": "head_timeout",
            "received": 3, "sent": 2326, "duration_us": 1500,
            "user_agent": "curl/8 \"\\\u{fffd}", "request_id": "a-1",
        });
        assert_eq!(value, expected);
        assert_eq!(text.matches('\n').count(), 1);
    }

    #[test]
    fn json_lines_have_no_terminal_control_characters() {
        let agent = "\u{9b}2J\u{85}\u{2028}\u{202e}\u{2066}x\u{7f}";
        let head = format!("GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\n\r\n");
        let text = line(AccessFormat::Json, head.as_bytes(), |_| {});
        let content = text.strip_suffix('\n').expect("the text is one line");
        assert!(
            content.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{content:?}"
        );
        let value: serde_json::Value = serde_json::from_str(&text).expect("the line is JSON");
        assert_eq!(value["user_agent"], agent);
    }

    #[test]
    #[cfg(feature = "proxy")]
    fn client_info_is_written_as_it_serializes() {
        let direct = ClientInfo::new(addr("[2001:db8::1]:80"));
        let source = ClientSource::ProxyProtocol;
        let proxied =
            |client, scheme| direct.with_route(direct.route().on_behalf_of(client, scheme, source));
        let named = proxied(Some(addr("192.0.2.1:4")), Some(client_info::Scheme::Https));
        let local = ClientInfo::new(PeerAddr::UNIX);
        for client_info in [&direct, &local, &named, &proxied(None, None)] {
            let text = line_from(client_info, AccessFormat::Json, HEAD, |_| {});
            let json = serde_json::to_string(client_info).expect("client info is JSON");
            assert!(
                text.contains(&format!(",\"client_info\":{json},\"")),
                "{text}"
            );
        }
    }

    #[test]
    fn text_from_clients_ends_neither_line_nor_quotes() {
        for byte in 0..=u8::MAX {
            let mut out = Vec::new();
            push_escaped(&[b'a', byte, b'b'], &mut out);
            assert!(
                out.iter()
                    .all(|byte| (b' '..=b'~').contains(byte) && *byte != b'"')
            );
            assert!(out == [b'a', byte, b'b'] || out == format!("a\\x{byte:02X}b").as_bytes());
        }
    }
}
