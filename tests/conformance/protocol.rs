//! One conversation with the protocol alone: a connection without a socket, a clock or a wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use httpool::http::StatusCode;
use httpool::http::header::CONNECTION;
use httpool::http1::{
    CONTINUE, Content, Date, Decoder, Ending, Event, Input, Limits, Persistence, Progress,
    RequestBuffer, encode,
};
use httpool::{Handler, IntoResponse, Problem, Request, Response};

use crate::handler::ByPath;
use crate::record::After;
use crate::server::{MAX_BODY, MAX_HEADER_SIZE};

pub(crate) const LIMITS: Limits = Limits {
    head: MAX_HEADER_SIZE,
    body: MAX_BODY,
};

/// What came of some bytes.
pub(crate) struct Outcome {
    pub(crate) sent: Vec<u8>,
    /// How often the client was told to go on.
    pub(crate) interims: usize,
    pub(crate) after: After,
}

#[derive(Default)]
struct Conversation {
    sent: Vec<u8>,
    interims: usize,
}

pub(crate) fn converse(parts: &[&[u8]]) -> Result<Outcome, String> {
    let (mut decoder, mut slot, mut input) = (
        Decoder::default(),
        RequestBuffer::default(),
        Input::default(),
    );
    let mut conversation = Conversation::default();
    let handler = ByPath::new();
    let mut after = After::Open;
    for part in parts {
        match decoder.body_room() {
            Some(room) => room.extend_from_slice(part),
            None => input.extend(part),
        }
        loop {
            let body_mode = |request: &Request| Some(handler.body_mode(request));
            match decoder.decode_with(&mut input, &mut slot, &LIMITS, body_mode) {
                Ok(Event::Request) => {
                    let response = call(&handler, &mut slot);
                    if conversation.answer(&response, &slot) == Ending::Close {
                        return Ok(conversation.end(After::Closed));
                    }
                }
                Ok(Event::Continue) => {
                    assert_eq!(CONTINUE, b"HTTP/1.1 100 Continue\r\n\r\n");
                    conversation.interims += 1;
                }
                Ok(Event::HeadOnly) => {
                    let response = call(&handler, &mut slot);
                    if !decoder.can_discard(&LIMITS) {
                        slot.context.persistence = Persistence::Close;
                    }
                    if conversation.answer(&response, &slot) == Ending::Close {
                        return Ok(conversation.end(After::Closed));
                    }
                    decoder.discard(&LIMITS, Persistence::KeepAlive);
                }
                Ok(Event::Discarded(_)) => {}
                Ok(Event::Stream) => panic!("nobody streams"),
                Ok(Event::Incomplete(progress)) => {
                    after = match progress {
                        Progress::Nothing => After::Open,
                        Progress::Head | Progress::Body => After::Waiting,
                    };
                    break;
                }
                Err(refusal) => {
                    let why = slot.explain(refusal, input.unread(), &LIMITS);
                    let problem = Problem::new(refusal.status()).detail(why);
                    let response = problem.to_response(slot.request.headers());
                    conversation.put(&response, &slot, Ending::Close);
                    return Ok(conversation.end(After::Closed));
                }
            }
        }
    }
    Ok(conversation.end(after))
}

impl Conversation {
    fn answer(&mut self, response: &Response, slot: &RequestBuffer) -> Ending {
        let closes = slot.context.persistence == Persistence::Close || says_close(response);
        let ending = if closes {
            Ending::Close
        } else {
            Ending::KeepAlive
        };
        self.put(response, slot, ending);
        ending
    }

    fn put(&mut self, response: &Response, slot: &RequestBuffer, ending: Ending) {
        let date = Date::new(SystemTime::UNIX_EPOCH);
        if encode(response, &slot.context, ending, &date, &mut self.sent) == Content::Follows {
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

fn call(handler: &ByPath, slot: &mut RequestBuffer) -> Response {
    let request = &mut slot.request;
    catch_unwind(AssertUnwindSafe(|| handler.handle(request)))
        .unwrap_or_else(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR).into_response())
}

/// Whether a response's Connection header has the option `close`.
fn says_close(response: &Response) -> bool {
    let values = response.headers().get_all(CONNECTION).iter();
    let mut options = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}
