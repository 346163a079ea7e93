//! What a request's line in the access log looks like.

use std::fmt;
use std::io::Write;
use std::time::{Duration, SystemTime};

use http::uri::Scheme;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::logging::escape_json;
use crate::message::{ClientInfo, Outcome, PeerAddr, RequestRecord};

const JSON_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");

const COMMON_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");

/// What the lines of an [`AccessLog`](crate::services::AccessLog) look like.
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
    /// The Common Log Format: client, time, request line, status, bytes of the answer's content. If
    /// the server [gives ids](crate::Builder::request_ids), the request's is behind them, in quotes.
    Common,
    /// The same with `Referer` and `User-Agent` before the id, as most programs that read such logs
    /// expect.
    Combined,
    /// One JSON object a line, with all that is known; what is not has no name in it. `outcome` is
    /// there for requests that no handler has answered: `refused`, with its `reason`, or `panicked`.
    Json,
}

/// The time as it stands in lines, made once a second.
#[derive(Debug, Default)]
pub(crate) struct Stamp {
    second: u64,
    text: String,
    /// How much of the text is the second.
    length: usize,
}

pub(crate) fn write_line(
    format: AccessFormat,
    exchange: &RequestRecord<'_>,
    now: SystemTime,
    stamp: &mut Stamp,
    out: &mut Vec<u8>,
) {
    match format {
        AccessFormat::Common => {
            write_common(exchange, now, stamp, out);
            push_id(exchange, out);
        }
        AccessFormat::Combined => {
            write_common(exchange, now, stamp, out);
            for value in fields(exchange, ["referer", "user-agent"]) {
                push_quoted(value.unwrap_or(b"-"), out);
            }
            push_id(exchange, out);
        }
        AccessFormat::Json => write_json(exchange, now, stamp, out),
    }
    out.push(b'\n');
}

fn push_id(exchange: &RequestRecord<'_>, out: &mut Vec<u8>) {
    if let Some(id) = exchange.id() {
        push_quoted(id.as_bytes(), out);
    }
}

fn push_quoted(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b" \"");
    push_escaped(bytes, out);
    out.push(b'"');
}

fn write_common(
    exchange: &RequestRecord<'_>,
    now: SystemTime,
    stamp: &mut Stamp,
    out: &mut Vec<u8>,
) {
    match exchange.client_info().client() {
        Some(client) => push(client.ip().map_or(client, PeerAddr::from), out),
        None => out.push(b'-'),
    }
    out.extend_from_slice(b" - - [");
    out.extend_from_slice(stamp.at(now, COMMON_TIME).as_bytes());
    out.extend_from_slice(b"] \"");
    match exchange.raw_request().request_line() {
        b"" => out.push(b'-'),
        line => push_escaped(line, out),
    }
    out.extend_from_slice(b"\" ");
    out.extend_from_slice(exchange.status().as_str().as_bytes());
    out.push(b' ');
    match exchange.sent() {
        Some(sent) => out.extend_from_slice(itoa::Buffer::new().format(sent).as_bytes()),
        None => out.push(b'-'),
    }
}

impl Stamp {
    fn at(&mut self, now: SystemTime, form: &[BorrowedFormatItem<'_>]) -> &str {
        let second = since_epoch(now).as_secs();
        if second != self.second || self.text.is_empty() {
            self.second = second;
            // It fails for no time that a clock shows.
            self.text = OffsetDateTime::from(now).format(form).unwrap_or_default();
            self.length = self.text.len();
        }
        &self.text
    }

    /// The same with milliseconds, as RFC 3339 has it.
    fn with_millis(&mut self, now: SystemTime, form: &[BorrowedFormatItem<'_>]) -> &str {
        self.at(now, form);
        self.text.truncate(self.length);
        // The digit before them makes three of them.
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

fn write_json(exchange: &RequestRecord<'_>, now: SystemTime, stamp: &mut Stamp, out: &mut Vec<u8>) {
    let line = exchange.raw_request().request_line();
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let (outcome, reason) = match exchange.outcome() {
        Outcome::Handled => (None, None),
        Outcome::Panicked => (Some("panicked"), None),
        Outcome::Rejected(reason) => (Some("refused"), Some(reason.as_str())),
    };
    let names = ["host", "referer", "user-agent", "traceparent"];
    let [host, referer, user_agent, traceparent] = fields(exchange, names);
    let duration = u64::try_from(exchange.duration().as_micros()).unwrap_or(u64::MAX);
    let mut object = Object { out, mark: b'{' };
    object.put("ts", Some(stamp.with_millis(now, JSON_TIME)));
    object.put_origin("origin", exchange.client_info());
    object.put("method", words.next().filter(|method| !method.is_empty()));
    object.put("target", words.next());
    object.put("version", words.next());
    object.put("host", host);
    object.put_number("status", Some(exchange.status().as_u16().into()));
    object.put("outcome", outcome);
    object.put("reason", reason);
    object.put_number("received", Some(exchange.received()));
    object.put_number("sent", exchange.sent());
    object.put_number("duration_us", Some(duration));
    object.put("referer", referer);
    object.put("user_agent", user_agent);
    object.put("request_id", exchange.id());
    object.put("traceparent", traceparent);
    out.push(b'}');
}

/// An object of the JSON format, on its way. What there is not has no name in it.
///
/// Through serde's traits for the whole of it a line would take twice as long.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    /// What comes before the next name.
    mark: u8,
}

impl Object<'_> {
    fn put(&mut self, name: &str, text: Option<impl AsRef<[u8]>>) {
        let Some(text) = text else { return };
        self.name(name);
        push_text(text.as_ref(), self.out);
    }

    fn put_number(&mut self, name: &str, number: Option<u64>) {
        let Some(number) = number else { return };
        self.name(name);
        self.out
            .extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// What its `Serialize` says, in a third of the time.
    fn put_origin(&mut self, name: &str, origin: &ClientInfo) {
        self.name(name);
        let mut block = Object {
            out: self.out,
            mark: b'{',
        };
        block.put_node("peer", Some(origin.peer()));
        block.put_node("proxy", origin.proxy());
        block.put_node("client", origin.client());
        block.put("scheme", origin.scheme().map(Scheme::as_str));
        #[cfg(feature = "_tls")]
        if let Some(tls) = origin.tls() {
            block.name("tls");
            push_value(tls, block.out);
        }
        self.out.push(b'}');
    }

    /// No node has anything in its text that needs an escape.
    fn put_node(&mut self, name: &str, node: Option<PeerAddr>) {
        let Some(node) = node else { return };
        self.name(name);
        self.out.push(b'"');
        push(node, self.out);
        self.out.push(b'"');
    }

    fn name(&mut self, name: &str) {
        self.out.extend_from_slice(&[self.mark, b'"']);
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.mark = b',';
    }
}

/// Appends a string, which most likely needs no escapes.
fn push_text(text: &[u8], out: &mut Vec<u8>) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    // Without an end at the first that isn't, several are looked at at once.
    if text.iter().fold(true, |plain, byte| plain & is_plain(byte)) {
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
        return;
    }
    push_value(&String::from_utf8_lossy(text), out);
}

fn push_value(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    let json = serde_json::to_string(value);
    debug_assert!(json.is_ok(), "writing to memory can't fail");
    out.extend_from_slice(escape_json(&json.unwrap_or_default()).as_bytes());
}

/// The values of the first field lines of these names.
fn fields<'a, const N: usize>(
    exchange: &'a RequestRecord<'_>,
    names: [&str; N],
) -> [Option<&'a [u8]>; N] {
    let mut values = [None; N];
    for (name, value) in exchange.raw_request().field_lines() {
        let is_it = |wanted: &&str| name.eq_ignore_ascii_case(wanted.as_bytes());
        if let Some(place) = names.iter().position(is_it) {
            values[place].get_or_insert(value);
        }
    }
    values
}

fn push(value: impl fmt::Display, out: &mut Vec<u8>) {
    write!(out, "{value}").expect("writing to a Vec can't fail");
}

/// Appends what a client has sent so that it ends neither its quotes nor its line.
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
    use http::{HeaderValue, StatusCode};

    use super::*;
    #[cfg(feature = "proxy")]
    use crate::message::client_info;
    use crate::message::{ClientInfo, RawRequest, RequestError};

    const NOW: Duration = Duration::from_millis(971_186_136_789);

    #[track_caller]
    fn line(
        format: AccessFormat,
        head: &[u8],
        change: impl FnOnce(&mut RequestRecord<'_>),
    ) -> String {
        line_from(
            &ClientInfo::new(node("192.0.2.7:4711")),
            format,
            head,
            change,
        )
    }

    fn node(address: &str) -> PeerAddr {
        let address: std::net::SocketAddr = address.parse().expect("an address");
        address.into()
    }

    #[track_caller]
    fn line_from(
        origin: &ClientInfo,
        format: AccessFormat,
        head: &[u8],
        change: impl FnOnce(&mut RequestRecord<'_>),
    ) -> String {
        let raw_request = RawRequest::new(head.to_vec().into(), None);
        let mut exchange = RequestRecord {
            worker: 0,
            raw_request: &raw_request,
            client_info: origin,
            id: None,
            outcome: Outcome::Handled,
            status: StatusCode::OK,
            received: 3,
            sent: Some(2326),
            duration: Duration::from_micros(1500),
        };
        change(&mut exchange);
        let mut out = Vec::new();
        let now = SystemTime::UNIX_EPOCH + NOW;
        write_line(format, &exchange, now, &mut Stamp::default(), &mut out);
        String::from_utf8(out).expect("lines are text")
    }

    static ID: HeaderValue = HeaderValue::from_static("a-1");

    const HEAD: &[u8] = b"GET /a?b HTTP/1.1\r\nHost: x\r\nuser-AGENT: curl/8 \"\\\xe9\r\n\r\n";

    #[test]
    fn text_lines_are_as_programs_expect_them() {
        let common = "192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] \"GET /a?b HTTP/1.1\" 200 2326";
        let same = |_: &mut RequestRecord<'_>| {};
        assert_eq!(
            line(AccessFormat::Common, HEAD, same),
            format!("{common}\n")
        );
        assert_eq!(
            line(AccessFormat::Combined, HEAD, same),
            format!("{common} \"-\" \"curl/8 \\x22\\x5C\\xE9\"\n"),
        );
        let named = |exchange: &mut RequestRecord<'_>| exchange.id = Some(&ID);
        assert_eq!(
            line(AccessFormat::Common, HEAD, named),
            format!("{common} \"a-1\"\n")
        );
        assert_eq!(
            line(AccessFormat::Combined, HEAD, named),
            format!("{common} \"-\" \"curl/8 \\x22\\x5C\\xE9\" \"a-1\"\n"),
        );
        let refused = line(AccessFormat::Common, b"", |exchange| {
            exchange.status = StatusCode::BAD_REQUEST;
            exchange.sent = None;
        });
        assert!(refused.ends_with("] \"-\" 400 -\n"), "{refused}");
    }

    #[test]
    fn json_lines_have_everything() {
        let text = line(AccessFormat::Json, HEAD, |exchange| {
            exchange.id = Some(&ID);
            exchange.outcome = Outcome::Rejected(RequestError::HeadTimeout.into());
        });
        let value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let expected = serde_json::json!({
            "ts": "2000-10-10T13:55:36.789Z",
            "origin": {
                "peer": "192.0.2.7:4711", "client": "192.0.2.7:4711", "scheme": "http",
            },
            "method": "GET", "target": "/a?b", "version": "HTTP/1.1",
            "host": "x", "status": 200, "outcome": "refused", "reason": "head_timeout",
            "received": 3, "sent": 2326, "duration_us": 1500,
            "user_agent": "curl/8 \"\\\u{fffd}", "request_id": "a-1",
        });
        assert_eq!(value, expected);
        assert_eq!(text.matches('\n').count(), 1);
    }

    #[test]
    fn json_lines_have_no_characters_that_terminals_obey() {
        let agent = "\u{9b}2J\u{85}\u{2028}\u{202e}\u{2066}x\u{7f}";
        let head = format!("GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\n\r\n");
        let text = line(AccessFormat::Json, head.as_bytes(), |_| {});
        let content = text.strip_suffix('\n').expect("it is one line");
        assert!(
            content.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{content:?}"
        );
        let value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(value["user_agent"], agent);
    }

    #[test]
    #[cfg(feature = "proxy")]
    fn the_origin_is_the_same_block_as_elsewhere() {
        let direct = ClientInfo::new(node("[2001:db8::1]:80"));
        let proxied =
            |client, scheme| direct.with_route(direct.route().on_behalf_of(client, scheme));
        let named = proxied(Some(node("192.0.2.1:4")), Some(client_info::Scheme::Https));
        let local = ClientInfo::new(PeerAddr::UNIX);
        for origin in [&direct, &local, &named, &proxied(None, None)] {
            let text = line_from(origin, AccessFormat::Json, HEAD, |_| {});
            let block = serde_json::to_string(origin).expect("it can be JSON");
            assert!(text.contains(&format!(",\"origin\":{block},\"")), "{text}");
        }
    }

    #[test]
    fn nothing_that_is_sent_ends_a_line_or_its_quotes() {
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
