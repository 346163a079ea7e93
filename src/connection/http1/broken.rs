//! Responses that are broken on purpose.

use http::HeaderMap;
use http::header::CONNECTION;

use super::respond::push_source;
use crate::connection::WorkerBuffers;
use crate::connection::close::CloseMode;
use crate::connection::connection_io::ConnectionIo;
use crate::connection::state::State;
use crate::http1::{Content, Ending};
use crate::message::body::{BodySource, Reader};
use crate::message::broken::{Broken, BrokenEnd, BrokenHead};
use crate::message::headers::list::lists;

/// Has the connection close behind the response. Returns what the head says of that, which is
/// nothing unless the response says it itself: a client is not warned.
#[cold]
pub(super) fn closing(broken: &Broken, headers: &HeaderMap, io: &mut ConnectionIo) -> Ending {
    io.state = State::Closing(match broken.end {
        BrokenEnd::Finish | BrokenEnd::Goaway(_) => CloseMode::Linger,
        BrokenEnd::Reset | BrokenEnd::ResetStream(_) => CloseMode::Reset,
    });
    match lists(headers, &CONNECTION, "close") {
        true => Ending::Close,
        false => Ending::KeepAlive,
    }
}

/// Appends the content as it is to the last head, which begins at `start`, or removes that head.
#[cold]
pub(super) fn push(broken: Broken, content: Content, start: usize, buffers: &mut WorkerBuffers) {
    if broken.head == BrokenHead::Omitted {
        return buffers.io.write_queue.bytes().truncate(start);
    }
    if content == Content::Omitted {
        return;
    }
    // The connection closes by its state.
    let reader = broken.into_reader(BrokenEnd::Finish);
    let source = BodySource {
        reader: Reader::Polled(Box::new(reader)),
        length: None,
        held: 0,
        trailers: None,
    };
    push_source(source, false, buffers);
}
