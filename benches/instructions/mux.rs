//! Counts a request and its response in the protocol machine of HTTP/2, without a socket.

use std::hint::black_box;
use std::time::SystemTime;

use httpool::Response;
use httpool::http2::{Content, Date, Event, Mux, MuxConfig, RequestBuffer};

/// An empty SETTINGS, the acknowledgement of ours, and a window for all responses.
const BEGIN: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0\
    \0\0\x04\x08\0\0\0\0\0\x40\0\0\0";
const PAGE: &[u8] = b"<!doctype html><h1>It works</h1>";

/// Receives these header blocks, the first one once, each as a request without a body, and responds
/// with a page.
pub(crate) fn exchange([first, later]: [Vec<u8>; 2], response: &Response, repeats: u64) {
    let date = Date::new(SystemTime::now());
    let mut out = Vec::with_capacity(4 * 1024);
    let mut buffer = RequestBuffer::default();
    let mut mux = Mux::<[u64; 8]>::new(MuxConfig::default(), &mut out);
    let event = mux.receive(&mut { BEGIN }, &mut buffer, &mut out);
    assert!(matches!(event, Ok(Event::Incomplete { .. })), "{event:?}");
    let mut frame = headers(&first);
    for number in 0..=repeats {
        let stream = u32::try_from(2 * number + 1).expect("there are few streams");
        frame[5..9].copy_from_slice(&stream.to_be_bytes());
        let event = mux.receive(&mut black_box(&frame[..]), &mut buffer, &mut out);
        let Ok(Event::Request { stream, .. }) = event else {
            panic!("a request is received: {event:?}");
        };
        out.clear();
        let content = mux.respond(stream, response, false, &date, &mut out);
        assert_eq!(content, Content::Follows);
        mux.send_data(stream, PAGE, true, &mut out);
        black_box(&out);
        if number == 0 {
            frame = headers(&later);
        }
    }
}

/// A HEADERS frame that is a whole request, on stream 0 so far.
fn headers(block: &[u8]) -> Vec<u8> {
    let length = u32::try_from(block.len()).expect("blocks are small");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    // HEADERS with END_STREAM and END_HEADERS.
    frame.extend([1, 5, 0, 0, 0, 0]);
    frame.extend(block);
    frame
}
