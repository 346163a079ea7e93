//! Properties of the decoder that hold for any bytes, however they are split.

use httpool::RawRequest;
use httpool::http::Version;
use httpool::http1::{
    Decoder, Event, Input, Limits, Persistence, Progress, RequestBuffer, RequestError,
};

use crate::plan;
use crate::reference::{self, End, Request};

/// Small, so that they are reached.
pub const LIMITS: Limits = Limits {
    head: 512,
    body: 100,
};

/// How the next bytes are received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// The most bytes to receive; at least one, or decoding would never end.
    pub size: usize,
    /// Into the body that is being received, if there is one of known length.
    pub direct: bool,
}

/// The result of decoding some bytes.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    requests: Vec<Request>,
    end: Result<Progress, RequestError>,
}

/// Expects the requests that the reference finds in `bytes`, and the same result when the bytes are
/// split like `reads` or byte by byte.
pub fn check(bytes: &[u8], reads: &[Read]) {
    let whole = decode(bytes, &[]);
    check_against_reference(bytes, &whole);
    let single = |direct| Read { size: 1, direct };
    for reads in [reads, &[single(false)], &[single(true)]] {
        assert_eq!(
            decode(bytes, reads),
            whole,
            "{:?} split into {reads:?}",
            show(bytes)
        );
    }
}

/// [`check`] with the bytes alone.
pub fn check_whole(bytes: &[u8]) {
    check(bytes, &[]);
}

/// [`check`] with an input whose first line says how the rest is split.
pub fn check_planned(input: &[u8]) {
    let (reads, bytes) = planned(input);
    check(bytes, &reads);
}

/// [`check_planned`] with a body: the rest follows a head that announces chunks.
pub fn check_planned_chunks(input: &[u8]) {
    let (reads, body) = planned(input);
    let head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(&[head, body].concat(), &reads);
}

/// Takes off the first line, each of whose bytes describes a read.
fn planned(input: &[u8]) -> (Vec<Read>, &[u8]) {
    let (plan, rest) = plan::split(input);
    let reads = plan.iter().map(|byte| Read {
        size: plan::size(*byte),
        direct: byte & 0x40 != 0,
    });
    (reads.collect(), rest)
}

/// Decodes `bytes`, received by cycling through `reads`; all at once if there are none.
fn decode(mut bytes: &[u8], reads: &[Read]) -> Outcome {
    let (mut decoder, mut buffer, mut input) = (
        Decoder::default(),
        RequestBuffer::default(),
        Input::default(),
    );
    let mut outcome = Outcome {
        requests: Vec::new(),
        end: Ok(Progress::Nothing),
    };
    let whole = Read {
        size: bytes.len().max(1),
        direct: false,
    };
    let mut reads = reads.iter().chain([&whole]).copied().cycle();
    while !bytes.is_empty() {
        let Read { size, direct } = reads.next().unwrap_or(whole);
        let (part, rest) = bytes.split_at(size.min(bytes.len()));
        bytes = rest;
        match decoder.body_room() {
            Some(room) if direct => room.extend_from_slice(part),
            _ => input.room().extend_from_slice(part),
        }
        loop {
            match decoder.decode(&mut input, &mut buffer, &LIMITS) {
                Ok(Event::Request) => outcome.requests.push(request(&buffer)),
                // Whether a client waits for 100 Continue depends on the bytes received after its
                // head.
                Ok(Event::Continue) => {}
                Ok(Event::Stream | Event::HeadOnly | Event::Discarded(_)) => {
                    panic!("no body is streamed")
                }
                Ok(Event::Incomplete(progress)) => {
                    outcome.end = Ok(progress);
                    break;
                }
                Err(error) => {
                    outcome.end = Err(error);
                    return outcome;
                }
            }
        }
    }
    outcome
}

fn check_against_reference(bytes: &[u8], outcome: &Outcome) {
    let (requests, end) = reference::read(bytes, &LIMITS);
    assert_eq!(outcome.requests, requests, "{:?}", show(bytes));
    let is_among = |faults: &reference::Faults| match outcome.end {
        Err(error) => faults.contains(&error.status()),
        Ok(_) => false,
    };
    let agrees = match &end {
        End::Nothing => outcome.end == Ok(Progress::Nothing),
        End::Head(faults) => outcome.end == Ok(Progress::Head) || is_among(faults),
        End::Body => outcome.end == Ok(Progress::Body),
        End::Rejected(faults) => is_among(faults),
    };
    assert!(
        agrees,
        "{:?} ends in {:?}, which should be {end:?}",
        show(bytes),
        outcome.end
    );
}

fn request(buffer: &RequestBuffer) -> Request {
    let request = &buffer.request;
    let mut headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(request.version(), buffer.context.version);
    assert_eq!(request.method() == "HEAD", buffer.context.is_head);
    Request {
        line: buffer.request_line().into_owned().into_bytes(),
        method: request.method().to_string(),
        uri: request.uri().clone(),
        minor: u8::from(buffer.context.version == Version::HTTP_11),
        headers,
        close: buffer.context.persistence == Persistence::Close,
        body: request.body().as_bytes().to_vec(),
        raw: raw_requests(RawRequest::of(request).expect("every decoded request has its raw form")),
    }
}

fn raw_requests(raw: &RawRequest) -> reference::RawRequest {
    let header = |(name, value): (&[u8], &[u8])| (name.to_vec(), value.to_vec());
    let chunks = raw.chunks().map(|chunk| (chunk.size, chunk.line.to_vec()));
    reference::RawRequest {
        head: raw.head().to_vec(),
        headers: raw.header_lines().map(header).collect(),
        chunks: chunks.collect(),
        unkept_chunks: raw.unkept_chunks(),
        trailers: raw.trailer_lines().map(header).collect(),
    }
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
