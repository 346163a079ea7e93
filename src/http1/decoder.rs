//! One connection's requests, one after another, from bytes cut anywhere.

use std::borrow::Cow;
use std::mem;

use bytes::{Bytes, BytesMut};

use super::chunked::Chunked;
use super::head::{self, Expectation, Head, Terms};
use super::{Framing, Input, Limits, Refusal};
use crate::{Body, Request};

/// Room reserved for a body at first, and at least each time it grows: a client that announces
/// much and sends little costs this much at most.
const BODY_STEP: usize = 256 * 1024;

/// Where a request is put together. A worker keeps one and uses it for request after request: its
/// header map and the arena that its values point into are allocated once.
#[derive(Debug, Default)]
pub struct Slot {
    /// The request, once [`Event::Request`] says so.
    pub request: Request,
    /// What it asks of its answer; of a refused one, as much as was understood.
    pub terms: Terms,
    /// The head as it came.
    pub(super) head: Bytes,
    pub(super) arena: BytesMut,
}

/// The state of one connection between the bytes that arrive. Small, for there are as many as
/// connections: what is not needed while a connection sleeps is in the [`Slot`].
#[derive(Debug, Default)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
}

/// What the bytes so far amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A whole request stands in the slot.
    Request,
    /// The client waits for [`CONTINUE`](super::CONTINUE) before it sends the body.
    Continue,
    /// Everything is consumed that can be; more bytes are needed.
    Incomplete(Progress),
}

/// How far the next request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Not a byte of it is here.
    Nothing,
    /// A part of its head.
    Head,
    /// Its head and perhaps a part of its body.
    Body,
}

/// A request whose head is complete and whose body is not.
#[derive(Debug)]
struct Partial {
    request: Request,
    terms: Terms,
    head: Bytes,
    coding: Coding,
    body: Vec<u8>,
}

#[derive(Debug)]
enum Coding {
    Length(usize),
    Chunked(Chunked),
}

impl Decoder {
    /// Takes from `input` what it can. Call it again after each event but
    /// [`Event::Incomplete`], which asks for more input first.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if this is no request, or none that is taken. The connection must end: call
    /// this no more.
    pub fn decode(
        &mut self,
        input: &mut Input,
        slot: &mut Slot,
        limits: &Limits,
    ) -> Result<Event, Refusal> {
        if let Some(partial) = &mut self.partial {
            slot.terms = partial.terms;
            return match partial.absorb(input, limits)? {
                Absorbed::All => {
                    if let Some(partial) = self.partial.take() {
                        partial.finish(slot);
                    }
                    Ok(Event::Request)
                }
                Absorbed::Part => Ok(Event::Incomplete(Progress::Body)),
            };
        }
        slot.clear();
        // RFC 9112 section 2.2: an empty line before the request line is passed over.
        while input.unread().starts_with(b"\r\n") {
            input.consume(2);
        }
        if matches!(input.unread(), b"" | b"\r") {
            return Ok(Event::Incomplete(Progress::Nothing));
        }
        let Some(head) = head::parse(input.unread(), limits, slot)? else {
            return Ok(Event::Incomplete(Progress::Head));
        };
        input.consume(head.length);
        self.begin(&head, input, slot, limits)
    }

    /// Where the rest of a body can be received directly, without passing through the input. The
    /// next [`decode`](Self::decode) accounts for what was appended.
    pub fn body_room(&mut self) -> Option<&mut Vec<u8>> {
        let partial = self.partial.as_mut()?;
        let Coding::Length(length) = partial.coding else {
            return None;
        };
        let body = &mut partial.body;
        if body.len() == body.capacity() {
            body.reserve_exact(room(length - body.len(), body.len()));
        }
        Some(body)
    }

    fn begin(
        &mut self,
        head: &Head,
        input: &mut Input,
        slot: &mut Slot,
        limits: &Limits,
    ) -> Result<Event, Refusal> {
        let coding = match head.framing {
            Framing::Empty => return Ok(Event::Request),
            Framing::Length(length) => {
                let length = usize::try_from(length)
                    .ok()
                    .filter(|length| *length <= limits.body)
                    .ok_or(Refusal::BodyTooLarge)?;
                if let Some(body) = input.unread().get(..length) {
                    slot.arena.extend_from_slice(body);
                    *slot.request.body_mut() = Body::from(slot.arena.split().freeze());
                    input.consume(length);
                    return Ok(Event::Request);
                }
                Coding::Length(length)
            }
            Framing::Chunked => Coding::Chunked(Chunked::new()),
        };
        let waits = head.expectation == Expectation::Continue && input.is_empty();
        self.partial = Some(Box::new(Partial {
            request: mem::take(&mut slot.request),
            terms: slot.terms,
            head: mem::take(&mut slot.head),
            coding,
            body: Vec::new(),
        }));
        if waits {
            return Ok(Event::Continue);
        }
        self.decode(input, slot, limits)
    }
}

impl Slot {
    /// The request line as it came, for the log.
    #[must_use]
    pub fn request_line(&self) -> Cow<'_, str> {
        let line = self.head.split(|byte| *byte == b'\r').next();
        String::from_utf8_lossy(line.unwrap_or_default())
    }

    /// Forgets the last request but keeps its maps and the arena's memory.
    pub fn clear(&mut self) {
        self.terms = Terms::default();
        self.head = Bytes::new();
        self.request.headers_mut().clear();
        self.request.extensions_mut().clear();
        *self.request.uri_mut() = http::Uri::default();
        *self.request.body_mut() = Body::empty();
    }
}

/// How much to reserve for a body of which this much is missing and this much is here. One byte
/// more than is missing: a receive that ends with the body then leaves room, and so tells that
/// nothing follows without a second call.
fn room(missing: usize, here: usize) -> usize {
    (missing + 1).min(here.max(BODY_STEP))
}

/// How much of a body has been absorbed.
enum Absorbed {
    All,
    Part,
}

impl Partial {
    fn absorb(&mut self, input: &mut Input, limits: &Limits) -> Result<Absorbed, Refusal> {
        let complete = match &mut self.coding {
            Coding::Length(length) => {
                // The vector may have been given more room than was asked for, and a client may
                // have filled it with the start of its next request.
                if self.body.len() > *length {
                    input.extend(&self.body[*length..]);
                    self.body.truncate(*length);
                }
                let missing = *length - self.body.len();
                let take = missing.min(input.unread().len());
                self.body.reserve_exact(room(missing, take));
                self.body.extend_from_slice(&input.unread()[..take]);
                input.consume(take);
                take == missing
            }
            Coding::Chunked(decoder) => {
                let used = decoder.decode(input.unread(), &mut self.body, limits)?;
                input.consume(used);
                decoder.is_done()
            }
        };
        Ok(if complete {
            Absorbed::All
        } else {
            Absorbed::Part
        })
    }

    fn finish(self, slot: &mut Slot) {
        slot.terms = self.terms;
        slot.head = self.head;
        slot.request = self.request;
        *slot.request.body_mut() = Body::from(self.body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{MAX_FIELDS, Persistence};

    const LIMITS: Limits = Limits {
        head: 512,
        body: 100,
    };

    /// What came of some bytes: the requests, in a form to compare, and how it ended.
    #[derive(Debug, PartialEq, Eq)]
    struct Outcome {
        requests: Vec<String>,
        continues: usize,
        end: Result<Progress, Refusal>,
    }

    fn run<'a>(parts: impl IntoIterator<Item = &'a [u8]>, direct: bool) -> Outcome {
        let (mut decoder, mut slot, mut input) =
            (Decoder::default(), Slot::default(), Input::default());
        let mut outcome = Outcome {
            requests: Vec::new(),
            continues: 0,
            end: Ok(Progress::Nothing),
        };
        for part in parts {
            match decoder.body_room() {
                Some(room) if direct => room.extend_from_slice(part),
                _ => input.room().extend_from_slice(part),
            }
            loop {
                match decoder.decode(&mut input, &mut slot, &LIMITS) {
                    Ok(Event::Request) => outcome.requests.push(show(&slot)),
                    Ok(Event::Continue) => outcome.continues += 1,
                    Ok(Event::Incomplete(progress)) => {
                        outcome.end = Ok(progress);
                        break;
                    }
                    Err(refusal) => {
                        outcome.end = Err(refusal);
                        return outcome;
                    }
                }
            }
        }
        outcome
    }

    fn show(slot: &Slot) -> String {
        let request = &slot.request;
        let mut fields: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        fields.sort();
        let close = match slot.terms.persistence {
            Persistence::Close => " close",
            Persistence::KeepAlive => "",
        };
        format!(
            "{} {} {:?}{close} [{}] {}",
            request.method(),
            request.uri(),
            request.version(),
            fields.join(" "),
            String::from_utf8_lossy(request.body().as_bytes()),
        )
    }

    /// Feeds the bytes whole, cut in two at every place, and byte by byte, with the body received
    /// directly and through the input, and expects the same each time.
    #[track_caller]
    fn check(bytes: &[u8], requests: &[&str], end: Result<Progress, Refusal>) {
        let expected = |continues| Outcome {
            requests: requests.iter().map(ToString::to_string).collect(),
            continues,
            end,
        };
        for direct in [false, true] {
            let whole = run([bytes], direct);
            assert_eq!(whole, expected(whole.continues), "whole");
            for cut in 1..bytes.len() {
                let (first, second) = bytes.split_at(cut);
                let outcome = run([first, second], direct);
                assert_eq!(outcome, expected(outcome.continues), "cut at {cut}");
            }
            let outcome = run(bytes.chunks(1), direct);
            assert_eq!(outcome, expected(outcome.continues), "byte by byte");
        }
    }

    #[track_caller]
    fn check_refused(bytes: &[u8], refusal: Refusal) {
        check(bytes, &[], Err(refusal));
    }

    #[test]
    fn a_get() {
        check(
            b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
            &["GET /a?b=c HTTP/1.1 [accept=*/* host=x] "],
            Ok(Progress::Nothing),
        );
    }

    #[test]
    fn empty_lines_before_a_request_are_nothing_of_it() {
        check(b"\r\n\r\n\r", &[], Ok(Progress::Nothing));
        check(
            b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n\r\n",
            &["GET / HTTP/1.1 [host=x] "],
            Ok(Progress::Nothing),
        );
    }

    #[test]
    fn repeated_fields_and_empty_values_are_kept() {
        check(
            b"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nA:\r\nA: 2 \r\n\r\n",
            &["GET / HTTP/1.1 [a= a=1 a=2 host=x] "],
            Ok(Progress::Nothing),
        );
    }

    #[test]
    fn a_body_with_a_length() {
        check(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
            &["POST / HTTP/1.1 [content-length=5 host=x] hello"],
            Ok(Progress::Nothing),
        );
    }

    #[test]
    fn a_chunked_body() {
        check(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: 1\r\n\r\n",
            &["POST / HTTP/1.1 [host=x transfer-encoding=chunked] hello"],
            Ok(Progress::Nothing),
        );
    }

    #[test]
    fn a_pipeline_with_bodies_comes_in_order() {
        check(
            b"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na\
              \r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n\
              POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n\
              GET /4 HTTP/1.1\r\nHo",
            &[
                "POST /1 HTTP/1.1 [content-length=1 host=x] a",
                "GET /2 HTTP/1.1 [host=x] ",
                "POST /3 HTTP/1.1 [host=x transfer-encoding=chunked] b",
            ],
            Ok(Progress::Head),
        );
    }

    #[test]
    fn persistence_follows_version_and_connection() {
        check(
            b"GET /1 HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive, CLOSE\r\n\r\n\
              GET /2 HTTP/1.0\r\n\r\n\
              GET /3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            &[
                "GET /1 HTTP/1.1 close [connection=Keep-Alive, CLOSE host=x] ",
                "GET /2 HTTP/1.0 close [] ",
                "GET /3 HTTP/1.0 [connection=keep-alive] ",
            ],
            Ok(Progress::Nothing),
        );
    }

    #[test]
    fn a_client_that_waits_is_told_to_go_on_once() {
        let head: &[u8] =
            b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
        let waiting = run([head], false);
        assert_eq!((waiting.continues, waiting.end), (1, Ok(Progress::Body)));
        assert_eq!(run([head, b"h", b"i"], true).continues, 1);
        assert_eq!(run([&[head, b"h"].concat()[..], b"i"], true).continues, 0);
    }

    #[test]
    fn malformed_heads_are_refused() {
        check_refused(b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", Refusal::RequestLine);
        check_refused(b"G\x00T / HTTP/1.1\r\n", Refusal::RequestLine);
        check_refused(b"\x16\x03\x01\x02\x00", Refusal::RequestLine);
        check_refused(b"GET /\r\n", Refusal::RequestLine);
        check_refused(b"GET / HTTP/2.0\r\n", Refusal::Version);
        check_refused(b"GET / HTTX/1.1\r\n", Refusal::RequestLine);
        check_refused(
            b"GET /#f HTTP/1.1\r\nHost: x\r\n\r\n",
            Refusal::RequestTarget,
        );
        check_refused(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", Refusal::FieldLine);
        check_refused(
            b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
            Refusal::FieldLine,
        );
        check_refused(b"GET / HTTP/1.1\r\n\r\n", Refusal::Host);
        check_refused(
            b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
            Refusal::Host,
        );
        check_refused(
            b"GET / HTTP/1.1\r\nHost: x\r\nExpect: magic\r\n\r\n",
            Refusal::Expectation,
        );
    }

    #[test]
    fn ambiguous_or_unknown_framing_is_refused() {
        let with = |fields: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n");
        check_refused(
            with("Content-Length: 5\r\nTransfer-Encoding: chunked").as_bytes(),
            Refusal::AmbiguousFraming,
        );
        check_refused(
            with("Content-Length: 5\r\nContent-Length: 6").as_bytes(),
            Refusal::ContentLength,
        );
        check_refused(
            with("Transfer-Encoding: gzip").as_bytes(),
            Refusal::TransferCoding,
        );
    }

    #[test]
    fn limits_are_kept() {
        let target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(512));
        check_refused(target.as_bytes(), Refusal::TargetTooLong);
        let field = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}", "a".repeat(512));
        check_refused(field.as_bytes(), Refusal::HeadTooLong);
        check_refused(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n",
            Refusal::BodyTooLarge,
        );
        check_refused(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n",
            Refusal::BodyTooLarge,
        );
        let limits = Limits {
            head: 64 * 1024,
            body: 0,
        };
        let mut many = Input::default();
        many.extend(b"GET / HTTP/1.1\r\nHost: x\r\n");
        many.extend("A: b\r\n".repeat(MAX_FIELDS).as_bytes());
        many.extend(b"\r\n");
        let result = Decoder::default().decode(&mut many, &mut Slot::default(), &limits);
        assert_eq!(result, Err(Refusal::HeadTooLong));
    }
}
