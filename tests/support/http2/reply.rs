//! What the server has sent on one stream.

use std::ops::ControlFlow;

use httpool::http2::ErrorCode;
use httpool::http2::hpack::Decoder;

use super::super::Response;
use super::frame::{END_STREAM, Frame};

/// The headers of one block.
pub(super) type Fields = Vec<(String, String)>;

/// What has arrived on a stream.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// The statuses of interim responses.
    pub(crate) interim: Vec<u16>,
    pub(crate) response: Option<Response>,
    pub(crate) trailers: Option<Vec<(String, String)>>,
    /// Whether END_STREAM has arrived.
    pub(crate) is_ended: bool,
    pub(crate) reset: Option<ErrorCode>,
}

impl Reply {
    /// Whether nothing more can arrive.
    pub(crate) fn is_over(&self) -> bool {
        self.is_ended || self.reset.is_some()
    }

    /// The bytes of the body that have arrived.
    pub(crate) fn body_length(&self) -> usize {
        self.response
            .as_ref()
            .map_or(0, |response| response.body.len())
    }

    #[track_caller]
    pub(super) fn headers(&mut self, frame: &Frame, fields: Fields) {
        assert!(!self.is_over(), "nothing follows the end: {fields:?}");
        self.is_ended = frame.has(END_STREAM);
        if self.response.is_some() {
            assert!(self.is_ended, "trailers end the stream: {fields:?}");
            assert!(self.trailers.is_none(), "trailers come once: {fields:?}");
            self.trailers = Some(fields);
            return;
        }
        let (status, headers) = fields.split_first().expect("a response has headers");
        assert_eq!(status.0, ":status", "the status is first: {fields:?}");
        let status = status.1.parse().expect("the status is a number");
        for (name, _) in headers {
            assert!(is_allowed(name), "{name} in {fields:?}");
        }
        if status < 200 {
            assert!(!self.is_ended, "an interim response ends nothing");
            return self.interim.push(status);
        }
        self.response = Some(Response {
            status,
            headers: headers.to_vec(),
            body: Vec::new(),
        });
    }

    #[track_caller]
    pub(super) fn data(&mut self, frame: &Frame) {
        assert!(!self.is_over(), "no DATA follows the end");
        let response = self.response.as_mut();
        let response = response.expect("DATA follows HEADERS");
        response.body.extend_from_slice(&frame.payload);
        self.is_ended = frame.has(END_STREAM);
    }
}

/// Whether a response may have this header (RFC 9113 section 8.2).
fn is_allowed(name: &str) -> bool {
    const CONNECTION: [&str; 5] = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ];
    let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    is_lower && !name.starts_with(':') && !CONNECTION.contains(&name)
}

#[track_caller]
pub(super) fn decode(decoder: &mut Decoder, block: &[u8]) -> Fields {
    let mut fields = Fields::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("headers are text");
    let result = decoder.decode(block, &mut Vec::new(), 1024 * 1024, |field| {
        fields.push((text(field.name), text(field.value)));
        ControlFlow::<()>::Continue(())
    });
    let _ = result.expect("the server's header blocks are valid");
    fields
}
