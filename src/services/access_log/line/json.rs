//! A line as a JSON object.

use std::time::SystemTime;

use http::uri::Scheme;
#[cfg(feature = "_tls")]
use serde::Serialize;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::{Timestamp, header_values, push};
#[cfg(feature = "_tls")]
use crate::logging::escape_json;
use crate::logging::{escape_json_string, is_plain_json};
use crate::message::{ClientInfo, MatchedPath, Outcome, PeerAddr, RequestRecord};

const JSON_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");

pub(super) fn write_json(
    record: &RequestRecord<'_>,
    now: SystemTime,
    timestamp: &mut Timestamp,
    out: &mut Vec<u8>,
) {
    let line = record.raw_request().request_line();
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let (outcome, reason) = match record.outcome() {
        Outcome::Handled => (None, None),
        Outcome::Panicked => (Some("panicked"), None),
        Outcome::Rejected(reason) => (Some("rejected"), Some(reason.as_str())),
        Outcome::TimedOut => (Some("timed_out"), None),
        Outcome::Abandoned => (Some("abandoned"), None),
        Outcome::Cancelled => (Some("cancelled"), None),
    };
    let names = ["host", "referer", "user-agent", "traceparent"];
    let [host, referer, user_agent, traceparent] = header_values(record, names);
    let duration = u64::try_from(record.duration().as_micros()).unwrap_or(u64::MAX);
    let mut object = Object {
        out,
        separator: b'{',
    };
    object.put("ts", Some(timestamp.with_millis(now, JSON_TIME)));
    object.put_client_info("client_info", record.client_info());
    object.put("method", parts.next().filter(|method| !method.is_empty()));
    object.put("target", parts.next());
    object.put("version", parts.next());
    object.put("route", record.matched_path().map(MatchedPath::as_str));
    object.put("user", record.user());
    object.put("host", host);
    object.put_number("status", Some(record.status().as_u16().into()));
    object.put("outcome", outcome);
    object.put("reason", reason);
    object.put_number("received", Some(record.received()));
    object.put_number("sent", record.sent());
    object.put_number("duration_us", Some(duration));
    object.put("referer", referer);
    object.put("user_agent", user_agent);
    object.put("request_id", record.id());
    object.put("traceparent", traceparent);
    out.push(b'}');
}

/// Writes a JSON object. Members without a value are omitted.
///
/// Serializing a whole line with serde takes twice as long.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    /// The byte before the next member: `{` or `,`.
    separator: u8,
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

    /// Writes the same JSON as the `Serialize` of `ClientInfo`, in a third of the time.
    fn put_client_info(&mut self, name: &str, client_info: &ClientInfo) {
        self.name(name);
        let mut object = Object {
            out: self.out,
            separator: b'{',
        };
        object.put_addr("peer", Some(client_info.peer()));
        object.put_addr("proxy", client_info.proxy());
        object.put_addr("client", client_info.client());
        object.put("scheme", client_info.scheme().map(Scheme::as_str));
        #[cfg(feature = "_tls")]
        if let Some(tls) = client_info.tls() {
            object.name("tls");
            push_value(tls, object.out);
        }
        self.out.push(b'}');
    }

    /// The text of an address needs no escapes.
    fn put_addr(&mut self, name: &str, addr: Option<PeerAddr>) {
        let Some(addr) = addr else { return };
        self.name(name);
        self.out.push(b'"');
        push(addr, self.out);
        self.out.push(b'"');
    }

    fn name(&mut self, name: &str) {
        self.out.extend_from_slice(&[self.separator, b'"']);
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.separator = b',';
    }
}

/// Appends a JSON string.
fn push_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    if is_plain_json(text) {
        out.extend_from_slice(text);
    } else {
        let text = String::from_utf8_lossy(text);
        out.extend_from_slice(escape_json_string(&text).as_bytes());
    }
    out.push(b'"');
}

#[cfg(feature = "_tls")]
fn push_value(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    let json = serde_json::to_string(value);
    debug_assert!(json.is_ok(), "writing to memory can't fail");
    out.extend_from_slice(escape_json(&json.unwrap_or_default()).as_bytes());
}
