//! What a test waits for.

use std::collections::BTreeMap;

use httpool::http2::ErrorCode;

use super::super::{End, Response};
use super::windows::Deadline;
use super::{ACK, Frame, Goaway, Http2Client, Reply, kind};

impl Http2Client {
    /// The settings of the server.
    #[track_caller]
    pub(crate) fn expect_settings(&mut self) -> BTreeMap<u16, u32> {
        self.read_until("SETTINGS", |client| client.server_settings.is_some());
        self.server_settings.clone().unwrap_or_default()
    }

    /// Reads until the stream has ended or is reset.
    #[track_caller]
    pub(crate) fn expect_reply(&mut self, stream: u32) -> Reply {
        self.read_until(&format!("the end of stream {stream}"), |client| {
            client.reply(stream).is_over()
        });
        let reply = self.replies.remove(&stream).expect("it has arrived");
        // Nothing may follow.
        let over = Reply {
            is_ended: true,
            ..Reply::default()
        };
        self.replies.insert(stream, over);
        reply
    }

    /// Reads a whole response.
    #[track_caller]
    pub(crate) fn expect_response(&mut self, stream: u32) -> Response {
        let reply = self.expect_reply(stream);
        assert_eq!(reply.reset, None, "stream {stream}: {reply:?}");
        reply.response.expect("a response has headers")
    }

    #[track_caller]
    pub(crate) fn expect_status(&mut self, stream: u32, status: u16) -> Response {
        let response = self.expect_response(stream);
        assert_eq!(response.status, status, "stream {stream}: {response:?}");
        response
    }

    /// Reads a whole response and checks that it is a 200 with this body.
    #[track_caller]
    pub(crate) fn expect_body(&mut self, stream: u32, body: impl AsRef<[u8]>) -> Response {
        let (response, body) = (self.expect_status(stream, 200), body.as_ref());
        assert!(
            response.body == body,
            "stream {stream}: {} bytes {:?} and not {} bytes {:?}",
            response.body.len(),
            String::from_utf8_lossy(&response.body[..response.body.len().min(100)]),
            body.len(),
            String::from_utf8_lossy(&body[..body.len().min(100)]),
        );
        response
    }

    /// Reads until a stream is reset, perhaps after a response.
    #[track_caller]
    pub(crate) fn expect_reset(&mut self, stream: u32) -> ErrorCode {
        self.read_until(&format!("the reset of stream {stream}"), |client| {
            client.reply(stream).reset.is_some()
        });
        self.reply(stream).reset.expect("it is reset")
    }

    /// Reads until this many GOAWAYs have arrived in total, and returns the last of them.
    #[track_caller]
    pub(crate) fn expect_goaway(&mut self, count: usize) -> Goaway {
        self.read_until("GOAWAY", |client| client.goaways.len() >= count);
        self.goaways[count - 1].clone()
    }

    /// The server ends the connection because of an error with this code.
    #[track_caller]
    pub(crate) fn expect_connection_error(&mut self, code: ErrorCode) -> Goaway {
        let goaway = self.expect_goaway(1);
        assert_eq!(goaway.code, code, "{goaway:?}");
        let _ = self.expect_end();
        goaway
    }

    /// Reads the PING of the server.
    #[track_caller]
    pub(crate) fn expect_ping(&mut self) -> [u8; 8] {
        self.read_until("PING", |client| !client.pings.is_empty());
        self.pings.remove(0)
    }

    /// Acknowledges a PING of the server.
    #[track_caller]
    pub(crate) fn acknowledge(&mut self, ping: [u8; 8]) -> &mut Self {
        self.send_frame(&Frame::new(kind::PING, ACK, 0, ping))
    }

    /// Sends a PING and reads until its acknowledgement: the server has received everything that
    /// was sent before.
    #[track_caller]
    pub(crate) fn settle(&mut self) -> &mut Self {
        self.settled += 1;
        let payload = self.settled.to_be_bytes();
        self.send_frame(&Frame::ping(payload));
        self.read_until("the acknowledgement of PING", |client| {
            client.ping_acks.contains(&payload)
        });
        self
    }

    /// Reads until the connection ends, in any way.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) -> End {
        let deadline = Deadline::new();
        loop {
            match self.frame_or_end() {
                Ok(_) => deadline.check("the end of the connection"),
                Err(end) => return end,
            }
        }
    }

    /// The server closes the connection normally.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) {
        assert_eq!(self.expect_end(), End::Closed);
    }

    /// Reads until something holds.
    #[track_caller]
    pub(crate) fn read_until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = Deadline::new();
        while !holds(self) {
            deadline.check(what);
            if self.next_frame().is_none() {
                panic!(
                    "the connection ended before {what}; GOAWAYs: {:?}",
                    self.goaways
                );
            }
        }
    }
}
