use bytes::Bytes;
use httpool::http2::PREFACE;

use super::{Scenario, Script, Step, TestClient};
use crate::support::http2::{END_STREAM, Frame, Http2Client, request_fields};

impl Script<'_> {
    /// The steps of a client of HTTP/2.
    pub(super) fn http2(&mut self, scenario: Scenario, bodies: [String; 4]) {
        self.send(&[&PREFACE[..], &Frame::settings(&[]).encode()].concat());
        let target = match scenario {
            Scenario::Http2Streamed => "/streamed",
            Scenario::Http2Large => "/large",
            _ => "/",
        };
        let mut responses = Vec::new();
        for (stream, body) in (1..).step_by(2).zip(bodies) {
            let head = Frame::headers(stream, &request_fields("POST", target), 0);
            let data = Frame::data(stream, &body, END_STREAM);
            self.send(&[head.encode(), data.encode()].concat());
            match scenario {
                Scenario::Http2Parallel => responses.push(Step::StreamResponse(stream, body)),
                Scenario::Http2Large => {
                    let mut read = || Step::ReadFrames(stream, self.random.below(100));
                    responses.extend([(); 4].map(|()| read()));
                    responses.push(Step::StreamLarge(stream));
                }
                _ => self.steps.push_back(Step::StreamResponse(stream, body)),
            }
            // One large response is enough.
            if matches!(scenario, Scenario::Http2Large) {
                break;
            }
        }
        self.steps.extend(responses);
    }
}

impl TestClient {
    #[track_caller]
    pub(super) fn take_http2_step(&mut self, large: &Bytes) {
        let client = self.link.http2();
        match self.steps.pop_front().expect("a step is left") {
            Step::ClientHello => {
                let (tls, socket) = client.client().tls_and_socket();
                tls.write_tls(socket).expect("the ClientHello is sent");
            }
            Step::Handshake => {
                let handshake = client.client().try_handshake();
                handshake.expect("the TLS handshake succeeds");
            }
            // The server may have closed the connection if it has processed all streams that it
            // named.
            Step::Send(bytes) => drop(client.client().try_send(bytes)),
            Step::StreamResponse(stream, body) => {
                if is_processed(client, stream) {
                    client.expect_body(stream, body);
                    self.answered += 1;
                }
            }
            Step::ReadFrames(stream, count) => {
                for _ in 0..count {
                    if client.reply(stream).is_over() || client.next_frame().is_none() {
                        break;
                    }
                }
            }
            Step::StreamLarge(stream) => {
                if is_processed(client, stream) {
                    client.expect_body(stream, large);
                    self.answered += 1;
                }
            }
            step => panic!("{step:?} is for HTTP/1.1"),
        }
    }
}

/// Reads until the stream ends, or until the server has said that it does not process it, so that
/// the client may send its request to another server.
#[track_caller]
fn is_processed(client: &mut Http2Client, stream: u32) -> bool {
    let is_refused = |client: &Http2Client| {
        let last = client.goaways().last();
        last.is_some_and(|goaway| goaway.last_stream < stream)
    };
    client.read_until(&format!("the end of stream {stream}"), |client| {
        client.reply(stream).is_over() || is_refused(client)
    });
    !is_refused(client)
}
