//! Parses responses strictly and compares them with a record.

use crate::protocol::Outcome;
use crate::record::{After, Details, Record, unescape};
use crate::server::{Received, head_length};

/// One response.
struct Response {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// Checks the responses of the protocol. An interim response is expected only if the bytes are
/// split after the head.
pub(crate) fn check_protocol(
    record: &Record,
    parts: &[&[u8]],
    outcome: &Outcome,
) -> Result<(), String> {
    let head = head_length(&parts.concat());
    let mut at = 0;
    let waits = parts.iter().any(|part| {
        at += part.len();
        at == head
    });
    let interims = usize::from(record.interim && waits);
    expect_equal("interim responses", &interims, &outcome.interims)?;
    check_responses(record, &[], &outcome.sent)?;
    expect_equal("the state of the connection", &record.after, &outcome.after)
}

/// Checks the responses that a client received, and the response to the probe after them.
pub(crate) fn check_socket(record: &Record, received: &Received) -> Result<(), String> {
    let probe = Details {
        status: 200,
        request: Some("GET /probe".to_owned()),
        ..Details::default()
    };
    let has_probe = record.after == After::Open && !record.half_close;
    let extra = if has_probe { vec![probe] } else { Vec::new() };
    expect_equal(
        "interim responses",
        &usize::from(record.interim),
        &received.interims,
    )?;
    check_responses(record, &extra, &received.bytes)
}

fn check_responses(record: &Record, extra: &[Details], bytes: &[u8]) -> Result<(), String> {
    let mut rest = bytes;
    let expected = record
        .responses
        .iter()
        .map(crate::record::ExpectedResponse::details);
    let expected: Vec<_> = expected.chain(extra.iter().cloned()).collect();
    let closes = record.after == After::Closed || !extra.is_empty();
    for (index, details) in expected.iter().enumerate() {
        let is_last = closes && index + 1 == expected.len();
        let response = Response::read(&mut rest, details.head)?;
        response
            .check(details)
            .and_then(|()| response.check_ending(is_last))
            .map_err(|failure| format!("response {}: {failure}", index + 1))?;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(format!("more than expected: {}", rest.escape_ascii()))
    }
}

impl Response {
    /// Takes the next response, framed as RFC 9112 section 6.3 requires of a client.
    fn read(rest: &mut &[u8], is_head: bool) -> Result<Self, String> {
        let whole = *rest;
        let broken = |name: &str| format!("{name} in {:?}", whole.escape_ascii().to_string());
        let length = head_length(whole);
        let (head, after) = whole.split_at(length);
        let head = head
            .strip_suffix(b"\r\n\r\n")
            .ok_or_else(|| broken("incomplete response"))?;
        let mut lines = head
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii_end);
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix(b"HTTP/1.1 "))
            .and_then(|line| std::str::from_utf8(line.get(..3)?).ok()?.parse().ok())
            .ok_or_else(|| broken("no status line"))?;
        let mut headers = Vec::new();
        for line in lines {
            let colon = line.iter().position(|byte| *byte == b':');
            let (name, value) = line.split_at(colon.ok_or_else(|| broken("no header"))?);
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            headers.push((name, value[1..].trim_ascii().to_vec()));
        }
        let mut response = Self {
            status,
            headers,
            body: Vec::new(),
        };
        response.check_framing()?;
        let length = if is_head || response.is_bodiless() {
            0
        } else {
            response.length()?.unwrap_or_default()
        };
        if after.len() < length {
            return Err(broken("a body shorter than its Content-Length"));
        }
        let (body, after) = after.split_at(length);
        response.body = body.to_vec();
        *rest = after;
        Ok(response)
    }

    /// Checks what every response must have.
    fn check_framing(&self) -> Result<(), String> {
        if self.status < 200 {
            return Err(format!("a final response of {}", self.status));
        }
        expect_equal(
            "Transfer-Encoding",
            &None,
            &self.header("transfer-encoding")?,
        )?;
        let has_length = self.length()?.is_some();
        expect_equal(
            "Content-Length is present",
            &!self.is_bodiless(),
            &has_length,
        )?;
        let date = self.header("date")?.unwrap_or_default();
        if date.len() != 29 || !date.ends_with(" GMT") {
            return Err(format!("the Date is {date:?}"));
        }
        Ok(())
    }

    fn check_ending(&self, is_last: bool) -> Result<(), String> {
        let has_close = self.header("connection")?.as_deref() == Some("close");
        expect_equal("Connection: close", &is_last, &has_close)
    }

    fn check(&self, expected: &Details) -> Result<(), String> {
        let body = || String::from_utf8_lossy(&self.body).into_owned();
        if self.status != expected.status {
            let (expected_value, status) = (expected.status, self.status);
            return Err(format!(
                "the status is {status}, not {expected_value}: {:?}",
                body()
            ));
        }
        let (request, headers, content) = self.described();
        if let Some(expected_value) = &expected.request {
            expect_equal(
                "the request",
                &escaped(&unescape(expected_value)),
                &escaped(request),
            )?;
        }
        for expected_value in &expected.seen {
            if !headers.contains(&&unescape(expected_value)[..]) {
                return Err(format!(
                    "the handler did not see {expected_value:?} but {:?}",
                    body()
                ));
            }
        }
        for name in &expected.unseen {
            let start = format!("{name}: ");
            if headers
                .iter()
                .any(|header| header.starts_with(start.as_bytes()))
            {
                return Err(format!("the handler saw {name}: {:?}", body()));
            }
        }
        if let Some(expected_value) = &expected.content {
            expect_equal(
                "the content",
                &escaped(&unescape(expected_value)),
                &escaped(content),
            )?;
        }
        if let Some(expected_value) = &expected.body {
            expect_equal(
                "the body",
                &escaped(&unescape(expected_value)),
                &escaped(&self.body),
            )?;
        }
        for (name, expected_value) in &expected.headers {
            expect_equal(name, &Some(expected_value.clone()), &self.header(name)?)?;
        }
        for name in &expected.absent {
            expect_equal(name, &None, &self.header(name)?)?;
        }
        Ok(())
    }

    /// The handler's description of its request: request line, headers and body.
    fn described(&self) -> (&[u8], Vec<&[u8]>, &[u8]) {
        let end = self.body.windows(2).position(|window| window == b"\n\n");
        let Some(end) = end else {
            return (b"", Vec::new(), b"");
        };
        let mut lines = self.body[..end].split(|byte| *byte == b'\n');
        let request = lines.next().unwrap_or_default();
        (request, lines.collect(), &self.body[end + 2..])
    }

    /// The value of a header that may occur at most once.
    fn header(&self, name: &str) -> Result<Option<String>, String> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let value = values.next();
        if values.next().is_some() {
            return Err(format!("{name} occurs twice"));
        }
        Ok(value.map(|(_, value)| String::from_utf8_lossy(value).into_owned()))
    }

    fn length(&self) -> Result<Option<usize>, String> {
        let parse = |value: String| {
            value
                .parse()
                .map_err(|_| format!("Content-Length: {value}"))
        };
        self.header("content-length")?.map(parse).transpose()
    }

    fn is_bodiless(&self) -> bool {
        matches!(self.status, 204 | 304)
    }
}

fn expect_equal<T: PartialEq + std::fmt::Debug>(
    name: &str,
    expected: &T,
    got: &T,
) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    Err(format!("{name}: {expected:?} expected, got {got:?}"))
}

fn escaped(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
