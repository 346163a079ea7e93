//! Runs a case against the protocol alone, without a socket or a clock.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use httpool::http::StatusCode;
use httpool::http::header::CONNECTION;
use httpool::http1::{
    CONTINUE, Content, Date, Decoder, Ending, Event, Input, Limits, Persistence, Progress,
    RequestBuffer, encode,
};
use httpool::{Handler, IntoResponse, Problem, Request, Response};

use crate::handler::TableHandler;
use crate::record::After;
use crate::server::{MAX_BODY, MAX_HEADER_SIZE};

pub(crate) const LIMITS: Limits = Limits {
    head: MAX_HEADER_SIZE,
    body: MAX_BODY,
};

/// The result of a run.
pub(crate) struct Outcome {
    pub(crate) sent: Vec<u8>,
    /// Number of `100 Continue` responses.
    pub(crate) interims: usize,
    pub(crate) after: After,
}

#[derive(Default)]
struct Connection {
    sent: Vec<u8>,
    interims: usize,
}

pub(crate) fn run(parts: &[&[u8]]) -> Result<Outcome, String> {
    let (mut decoder, mut buffer, mut input) = (
        Decoder::default(),
        RequestBuffer::default(),
        Input::default(),
    );
    let mut connection = Connection::default();
    let handler = TableHandler::new();
    let mut after = After::Open;
    for part in parts {
        match decoder.body_room() {
            Some(room) => room.extend_from_slice(part),
            None => input.extend(part),
        }
        loop {
            let body_mode = |request: &mut Request| Some(handler.body_mode(request));
            match decoder.decode_with(&mut input, &mut buffer, &LIMITS, body_mode) {
                Ok(Event::Request) => {
                    let response = call(&handler, &mut buffer);
                    if connection.respond(&response, &buffer) == Ending::Close {
                        return Ok(connection.end(After::Closed));
                    }
                }
                Ok(Event::Continue) => {
                    assert_eq!(CONTINUE, b"HTTP/1.1 100 Continue\r\n\r\n");
                    connection.interims += 1;
                }
                Ok(Event::HeadOnly) => {
                    let response = call(&handler, &mut buffer);
                    if !decoder.can_discard(&LIMITS) {
                        buffer.context.persistence = Persistence::Close;
                    }
                    if connection.respond(&response, &buffer) == Ending::Close {
                        return Ok(connection.end(After::Closed));
                    }
                    decoder.discard(&LIMITS, Persistence::KeepAlive);
                }
                Ok(Event::Discarded(_)) => {}
                Ok(Event::Stream) => panic!("no handler streams"),
                Ok(Event::Incomplete(progress)) => {
                    after = match progress {
                        Progress::Nothing => After::Open,
                        Progress::Head | Progress::Body => After::Waiting,
                    };
                    break;
                }
                Err(error) => {
                    let detail = buffer.explain(error, input.unread(), &LIMITS);
                    let problem = Problem::new(error.status()).detail(detail);
                    let response = problem.to_response(buffer.request.headers());
                    connection.send(&response, &buffer, Ending::Close);
                    return Ok(connection.end(After::Closed));
                }
            }
        }
    }
    Ok(connection.end(after))
}

impl Connection {
    fn respond(&mut self, response: &Response, buffer: &RequestBuffer) -> Ending {
        let closes = buffer.context.persistence == Persistence::Close || has_close(response);
        let ending = if closes {
            Ending::Close
        } else {
            Ending::KeepAlive
        };
        self.send(response, buffer, ending);
        ending
    }

    fn send(&mut self, response: &Response, buffer: &RequestBuffer, ending: Ending) {
        let date = Date::new(SystemTime::UNIX_EPOCH);
        if encode(response, &buffer.context, ending, &date, &mut self.sent) == Content::Follows {
            self.sent.extend_from_slice(response.body().as_bytes());
        }
    }

    fn end(self, after: After) -> Outcome {
        Outcome {
            sent: self.sent,
            interims: self.interims,
            after,
        }
    }
}

fn call(handler: &TableHandler, buffer: &mut RequestBuffer) -> Response {
    let request = &mut buffer.request;
    catch_unwind(AssertUnwindSafe(|| handler.handle(request)))
        .unwrap_or_else(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR).into_response())
}

/// Whether a response's Connection header has the option `close`.
pub(crate) fn has_close(response: &Response) -> bool {
    let values = response.headers().get_all(CONNECTION).iter();
    let mut options = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}
