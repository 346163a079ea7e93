//! What a request's line in the access log looks like.

use std::fmt;
use std::io::Write;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::{Exchange, Origin, Outcome};

const JSON_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");

const COMMON_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");

/// What the lines of an [`AccessLog`](super::AccessLog) look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessFormat {
    /// The Common Log Format: client, time, request line, status, bytes of the answer's content.
    Common,
    /// The same with `Referer` and `User-Agent`, as most programs that read such logs expect.
    Combined,
    /// One JSON object a line, with all that is known; what is not has no name in it.
    Json,
}

/// The time as it stands in lines, made once a second.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    second: u64,
    text: String,
}

pub(super) fn write_line(
    format: AccessFormat,
    exchange: &Exchange<'_>,
    now: SystemTime,
    stamp: &mut Stamp,
    out: &mut Vec<u8>,
) {
    match format {
        AccessFormat::Common => write_common(exchange, now, stamp, out),
        AccessFormat::Combined => {
            write_common(exchange, now, stamp, out);
            for value in fields(exchange, ["referer", "user-agent"]) {
                out.extend_from_slice(b" \"");
                push_escaped(value.unwrap_or(b"-"), out);
                out.push(b'"');
            }
        }
        AccessFormat::Json => write_json(exchange, now, stamp, out),
    }
    out.push(b'\n');
}

fn write_common(exchange: &Exchange<'_>, now: SystemTime, stamp: &mut Stamp, out: &mut Vec<u8>) {
    match exchange.origin().client() {
        Some(client) => match client.ip() {
            Some(ip) => push(ip, out),
            None => push(client, out),
        },
        None => out.push(b'-'),
    }
    out.extend_from_slice(b" - - [");
    out.extend_from_slice(stamp.at(now, COMMON_TIME).as_bytes());
    out.extend_from_slice(b"] \"");
    match exchange.wire().request_line() {
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
        }
        &self.text
    }
}

fn since_epoch(now: SystemTime) -> Duration {
    now.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// An object of the JSON format. What there is not has no name in it.
#[derive(Serialize)]
struct Line<'a> {
    ts: Shown<fmt::Arguments<'a>>,
    origin: &'a Origin,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Text<'a>>,
    status: u16,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    received: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<u64>,
    duration_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    referer: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<Text<'a>>,
}

fn write_json(exchange: &Exchange<'_>, now: SystemTime, stamp: &mut Stamp, out: &mut Vec<u8>) {
    let line = exchange.wire().request_line();
    let mut words = line.splitn(3, |byte| *byte == b' ').map(Text);
    let (outcome, reason) = match exchange.outcome() {
        Outcome::Handled => ("handled", None),
        Outcome::Panicked => ("panicked", None),
        Outcome::Refused(reason) => ("refused", Some(reason)),
    };
    let names = ["host", "referer", "user-agent", "traceparent"];
    let [host, referer, user_agent, traceparent] =
        fields(exchange, names).map(|value| value.map(Text));
    let second = stamp.at(now, JSON_TIME);
    let millis = since_epoch(now).subsec_millis();
    let line = Line {
        ts: Shown(format_args!("{second}.{millis:03}Z")),
        origin: exchange.origin(),
        method: words.next().filter(|method| !method.0.is_empty()),
        target: words.next(),
        version: words.next(),
        host,
        status: exchange.status().as_u16(),
        outcome,
        reason,
        received: exchange.received(),
        sent: exchange.sent(),
        duration_us: u64::try_from(exchange.duration().as_micros()).unwrap_or(u64::MAX),
        referer,
        user_agent,
        request_id: exchange.id(),
        traceparent,
    };
    let written = serde_json::to_writer(&mut *out, &line);
    debug_assert!(written.is_ok(), "writing to a Vec can't fail");
}

/// Written as it shows itself.
struct Shown<T>(T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Bytes of a client, most likely text.
struct Text<'a>(&'a [u8]);

impl Serialize for Text<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&String::from_utf8_lossy(self.0))
    }
}

/// The values of the first field lines of these names.
fn fields<'a, const N: usize>(
    exchange: &'a Exchange<'_>,
    names: [&str; N],
) -> [Option<&'a [u8]>; N] {
    let mut values = [None; N];
    for (name, value) in exchange.wire().field_lines() {
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
    use crate::Wire;

    const NOW: Duration = Duration::from_millis(971_186_136_789);

    #[track_caller]
    fn line(format: AccessFormat, head: &[u8], change: impl FnOnce(&mut Exchange<'_>)) -> String {
        let wire = Wire::new(head.to_vec().into(), None);
        let peer: std::net::SocketAddr = "192.0.2.7:4711".parse().expect("an address");
        let origin = Origin::new(peer.into());
        let mut exchange = Exchange {
            worker: 0,
            wire: &wire,
            origin: &origin,
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

    const HEAD: &[u8] = b"GET /a?b HTTP/1.1\r\nHost: x\r\nuser-AGENT: curl/8 \"\\\xe9\r\n\r\n";

    #[test]
    fn text_lines_are_as_programs_expect_them() {
        let common = "192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] \"GET /a?b HTTP/1.1\" 200 2326";
        let same = |_: &mut Exchange<'_>| {};
        assert_eq!(
            line(AccessFormat::Common, HEAD, same),
            format!("{common}\n")
        );
        assert_eq!(
            line(AccessFormat::Combined, HEAD, same),
            format!("{common} \"-\" \"curl/8 \\x22\\x5C\\xE9\"\n"),
        );
        let refused = line(AccessFormat::Common, b"", |exchange| {
            exchange.status = StatusCode::BAD_REQUEST;
            exchange.sent = None;
        });
        assert!(refused.ends_with("] \"-\" 400 -\n"), "{refused}");
    }

    #[test]
    fn json_lines_have_everything() {
        static ID: HeaderValue = HeaderValue::from_static("a-1");
        let text = line(AccessFormat::Json, HEAD, |exchange| {
            exchange.id = Some(&ID);
            exchange.outcome = Outcome::Refused("head_timeout");
        });
        let value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let expected = serde_json::json!({
            "ts": "2000-10-10T13:55:36.789Z",
            "origin": {
                "peer": "192.0.2.7:4711", "proxy": null, "client": "192.0.2.7:4711", "scheme": "http",
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
