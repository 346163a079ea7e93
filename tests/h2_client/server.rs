//! The handler that follows the plans, and what it has seen.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::sync::{Arc, Mutex};

use httpool::http::{HeaderMap, Method};
use httpool::{Body, BodyMode, Handler, RawRequest, Request, Response};

use crate::plan::{Kind, Mode, Plan};
use crate::{expect_body, expect_equal};

/// Responds to the request `/N` by plan N.
pub(crate) struct Planned {
    plans: Arc<[Plan]>,
    seen: Arc<Mutex<BTreeMap<usize, Seen>>>,
}

/// What a handler has seen of a request.
#[derive(Debug)]
pub(crate) struct Seen {
    method: Method,
    query: String,
    headers: HeaderMap,
    /// An error is the end of a body whose client has reset the stream.
    content: Result<Vec<u8>, io::ErrorKind>,
    trailers: HeaderMap,
}

impl Planned {
    pub(crate) fn new(plans: Arc<[Plan]>) -> Self {
        Self {
            plans,
            seen: Arc::default(),
        }
    }

    pub(crate) fn seen(&self) -> Arc<Mutex<BTreeMap<usize, Seen>>> {
        Arc::clone(&self.seen)
    }

    fn plan(&self, request: &Request) -> (usize, &Plan) {
        let index = request.uri().path()[1..]
            .parse()
            .expect("paths are numbers");
        (index, &self.plans[index])
    }
}

impl Handler for Planned {
    fn handle(&self, request: &mut Request) -> Response {
        let (index, plan) = self.plan(request);
        let content = match plan.mode {
            Mode::Buffered => Ok(request.body().as_bytes().to_vec()),
            Mode::Streamed => read(request, u64::MAX),
            Mode::Abandoned => read(request, 100),
            Mode::HeadOnly => Ok(Vec::new()),
            // In the first of two calls it is empty.
            Mode::HeadFirst => Ok(request.body().as_bytes().to_vec()),
        };
        let raw = RawRequest::of(request);
        let seen = Seen {
            method: request.method().clone(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().clone(),
            content,
            trailers: raw.map(RawRequest::trailers).unwrap_or_default(),
        };
        self.seen
            .lock()
            .expect("no handler panics")
            .insert(index, seen);
        plan.respond()
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        match self.plan(request).1.mode {
            Mode::Buffered => BodyMode::Buffered,
            Mode::Streamed | Mode::Abandoned => BodyMode::Streaming { most: 1 << 20 },
            Mode::HeadOnly | Mode::HeadFirst => BodyMode::HeadOnly,
        }
    }
}

fn read(request: &mut Request, most: u64) -> Result<Vec<u8>, io::ErrorKind> {
    let mut content = Vec::new();
    let mut body = request.body_mut().take(most);
    body.read_to_end(&mut content)
        .map_err(|error| error.kind())?;
    Ok(content)
}

impl Plan {
    fn respond(&self) -> Response {
        let planned = &self.response;
        let content = planned.content.clone();
        let length = content.len() as u64;
        let pieces = |piece| Pieces {
            content: content.clone(),
            piece,
        };
        let mut body = match planned.kind {
            Kind::Memory => Body::from(content),
            Kind::Reader(piece) => Body::from_reader(pieces(piece)),
            Kind::SizedReader(piece) => Body::from_sized_reader(pieces(piece), length),
            Kind::File => Body::from_file(file(&content), 0..length),
        };
        if let Some(trailers) = planned.trailers.clone() {
            body = body.with_trailers(|| trailers);
        }
        let mut response = Response::new(body);
        *response.status_mut() = planned.status;
        *response.headers_mut() = planned.headers.clone();
        response
    }
}

/// A file that has no name any more.
fn file(content: &[u8]) -> File {
    let mut file = rustix::fs::memfd_create("content", rustix::fs::MemfdFlags::CLOEXEC)
        .map(File::from)
        .expect("the system has memory");
    file.write_all(content).expect("the system has memory");
    file.rewind().expect("a file has a start");
    file
}

/// Returns at most so many bytes at a time.
struct Pieces {
    content: bytes::Bytes,
    piece: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.piece.min(buffer.len()).min(self.content.len());
        buffer[..count].copy_from_slice(&self.content.split_to(count));
        Ok(count)
    }
}

impl Seen {
    /// Compares what the handler has seen with what the client has sent.
    pub(crate) fn check(&self, plan: &Plan) -> Result<(), String> {
        expect_equal("the method", &self.method, &plan.method)?;
        expect_equal("the query", &self.query, &plan.query)?;
        let is_ours = |name: &str| name.starts_with("x-request-");
        expect_equal("the headers", &only(&self.headers, is_ours), &plan.headers)?;
        let sent = plan.content();
        match (&self.content, plan.mode) {
            // Only a reset ends a body early.
            (Err(_), _) if plan.is_reset() => Ok(()),
            (Err(error), _) => Err(format!("reading the body has failed: {error:?}")),
            (Ok(read), Mode::Abandoned) => {
                let most = sent.len().min(100);
                expect_body("the start of the body", read, &sent[..most], plan.mode)
            }
            (Ok(_), Mode::HeadOnly) => Ok(()),
            // The stream was reset before the second call.
            (Ok(read), Mode::HeadFirst) if read.is_empty() && plan.is_reset() => Ok(()),
            (Ok(read), _) => {
                expect_body("the body of the request", read, &sent, plan.mode)?;
                let sent = plan.trailers.clone().unwrap_or_default();
                expect_equal("the trailers of the request", &self.trailers, &sent)
            }
        }
    }
}

/// The headers with such names.
pub(crate) fn only(headers: &HeaderMap, is_wanted: impl Fn(&str) -> bool) -> HeaderMap {
    let mut all = HeaderMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| is_wanted(name.as_str())) {
        all.append(name.clone(), value.clone());
    }
    all
}
