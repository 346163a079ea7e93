//! What was answered, read strictly, and compared with what a record expects.

use crate::protocol::Outcome;
use crate::record::{After, Details, Record, unescape};
use crate::server::{Received, head_length};

/// One answer.
struct Answer {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// The answers that the protocol gave, with as many interim ones as the cuts ask for.
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
    same("answers of 100 Continue", &interims, &outcome.interims)?;
    check_answers(record, &[], &outcome.sent)?;
    same("the connection afterwards", &record.after, &outcome.after)
}

/// The answers that a client received, and that of the probe behind them.
pub(crate) fn check_socket(record: &Record, received: &Received) -> Result<(), String> {
    let probe = Details {
        status: 200,
        request: Some("GET /probe".to_owned()),
        ..Details::default()
    };
    let is_probed = record.after == After::Open && !record.half_close;
    let more = if is_probed { vec![probe] } else { Vec::new() };
    same(
        "answers of 100 Continue",
        &usize::from(record.interim),
        &received.interims,
    )?;
    check_answers(record, &more, &received.bytes)
}

fn check_answers(record: &Record, more: &[Details], bytes: &[u8]) -> Result<(), String> {
    let mut rest = bytes;
    let expected = record.answers.iter().map(crate::record::Answer::details);
    let expected: Vec<_> = expected.chain(more.iter().cloned()).collect();
    let closes = record.after == After::Closed || !more.is_empty();
    for (index, details) in expected.iter().enumerate() {
        let is_last = closes && index + 1 == expected.len();
        let answer = Answer::read(&mut rest, details.head)?;
        answer
            .check(details)
            .and_then(|()| answer.check_ending(is_last))
            .map_err(|failure| format!("answer {}: {failure}", index + 1))?;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(format!("more than expected: {}", rest.escape_ascii()))
    }
}

impl Answer {
    /// Takes the next answer. Its framing is what RFC 9112 section 6.3 makes of it for a client.
    fn read(rest: &mut &[u8], answers_head: bool) -> Result<Self, String> {
        let whole = *rest;
        let broken = |what: &str| format!("{what} in {:?}", whole.escape_ascii().to_string());
        let length = head_length(whole);
        let (head, after) = whole.split_at(length);
        let head = head
            .strip_suffix(b"\r\n\r\n")
            .ok_or_else(|| broken("no whole answer"))?;
        let mut lines = head
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii_end);
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix(b"HTTP/1.1 "))
            .and_then(|line| std::str::from_utf8(line.get(..3)?).ok()?.parse().ok())
            .ok_or_else(|| broken("no status line"))?;
        let mut fields = Vec::new();
        for line in lines {
            let colon = line.iter().position(|byte| *byte == b':');
            let (name, value) = line.split_at(colon.ok_or_else(|| broken("no field"))?);
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            fields.push((name, value[1..].trim_ascii().to_vec()));
        }
        let mut answer = Self {
            status,
            fields,
            body: Vec::new(),
        };
        answer.check_framing()?;
        let length = if answers_head || answer.is_bodiless() {
            0
        } else {
            answer.length()?.unwrap_or_default()
        };
        if after.len() < length {
            return Err(broken("a body shorter than its Content-Length"));
        }
        let (body, after) = after.split_at(length);
        answer.body = body.to_vec();
        *rest = after;
        Ok(answer)
    }

    /// What every answer must have, whoever made it.
    fn check_framing(&self) -> Result<(), String> {
        if self.status < 200 {
            return Err(format!("a last answer of {}", self.status));
        }
        same(
            "Transfer-Encoding",
            &None,
            &self.field("transfer-encoding")?,
        )?;
        let has_length = self.length()?.is_some();
        same(
            "whether there is Content-Length",
            &!self.is_bodiless(),
            &has_length,
        )?;
        let date = self.field("date")?.unwrap_or_default();
        if date.len() != 29 || !date.ends_with(" GMT") {
            return Err(format!("the Date is {date:?}"));
        }
        Ok(())
    }

    fn check_ending(&self, is_last: bool) -> Result<(), String> {
        let says_close = self.field("connection")?.as_deref() == Some("close");
        same("whether it says Connection: close", &is_last, &says_close)
    }

    fn check(&self, expected: &Details) -> Result<(), String> {
        let said = || String::from_utf8_lossy(&self.body).into_owned();
        if self.status != expected.status {
            let (wanted, status) = (expected.status, self.status);
            return Err(format!(
                "the status is {status} and not {wanted}: {:?}",
                said()
            ));
        }
        let (request, fields, content) = self.told();
        if let Some(wanted) = &expected.request {
            same("the request", &show(&unescape(wanted)), &show(request))?;
        }
        for wanted in &expected.seen {
            if !fields.contains(&&unescape(wanted)[..]) {
                return Err(format!(
                    "the handler did not see {wanted:?} but {:?}",
                    said()
                ));
            }
        }
        for name in &expected.unseen {
            let start = format!("{name}: ");
            if fields
                .iter()
                .any(|field| field.starts_with(start.as_bytes()))
            {
                return Err(format!("the handler saw {name}: {:?}", said()));
            }
        }
        if let Some(wanted) = &expected.content {
            same("the content", &show(&unescape(wanted)), &show(content))?;
        }
        if let Some(wanted) = &expected.body {
            same("the body", &show(&unescape(wanted)), &show(&self.body))?;
        }
        for (name, wanted) in &expected.fields {
            same(name, &Some(wanted.clone()), &self.field(name)?)?;
        }
        for name in &expected.absent {
            same(name, &None, &self.field(name)?)?;
        }
        Ok(())
    }

    /// What the handler told of its request: the line, the fields, the content.
    fn told(&self) -> (&[u8], Vec<&[u8]>, &[u8]) {
        let end = self.body.windows(2).position(|window| window == b"\n\n");
        let Some(end) = end else {
            return (b"", Vec::new(), b"");
        };
        let mut lines = self.body[..end].split(|byte| *byte == b'\n');
        let request = lines.next().unwrap_or_default();
        (request, lines.collect(), &self.body[end + 2..])
    }

    /// A field that may come once.
    fn field(&self, name: &str) -> Result<Option<String>, String> {
        let mut values = self.fields.iter().filter(|(known, _)| known == name);
        let value = values.next();
        if values.next().is_some() {
            return Err(format!("{name} comes twice"));
        }
        Ok(value.map(|(_, value)| String::from_utf8_lossy(value).into_owned()))
    }

    fn length(&self) -> Result<Option<usize>, String> {
        let parse = |value: String| {
            value
                .parse()
                .map_err(|_| format!("Content-Length: {value}"))
        };
        self.field("content-length")?.map(parse).transpose()
    }

    fn is_bodiless(&self) -> bool {
        matches!(self.status, 204 | 304)
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, got: &T) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    Err(format!(
        "{what}: {expected:?} is expected, and it is {got:?}"
    ))
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
