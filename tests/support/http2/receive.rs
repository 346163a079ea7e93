//! Frames that arrive.

use std::collections::BTreeMap;

use httpool::http2::ErrorCode;

use super::super::End;
use super::frame::HEADER;
use super::{
    ACK, Credit, END_HEADERS, END_STREAM, Frame, Goaway, Http2Client, MAX_FRAME_SIZE, kind, reply,
    setting,
};

impl Http2Client {
    /// Reads the next frame. `None` if the connection ends before.
    #[track_caller]
    pub(crate) fn next_frame(&mut self) -> Option<Frame> {
        self.frame_or_end().ok()
    }

    #[track_caller]
    pub(super) fn frame_or_end(&mut self) -> Result<Frame, End> {
        let header = self.client.bytes_or_end(HEADER)?;
        let (length, mut frame) = Frame::decode_header(&header);
        assert!(length <= MAX_FRAME_SIZE, "{length} bytes in {frame:?}");
        frame.payload = self.client.bytes_or_end(length)?;
        self.note(&frame);
        Ok(frame)
    }

    #[track_caller]
    fn note(&mut self, frame: &Frame) {
        let is_first = self.server_settings.is_none();
        assert!(
            !is_first || (frame.kind == kind::SETTINGS && !frame.has(ACK)),
            "the first frame is SETTINGS and not {frame:?}"
        );
        match frame.kind {
            kind::SETTINGS if !frame.has(ACK) => self.note_settings(frame),
            kind::SETTINGS => assert_eq!(frame.payload, b""),
            kind::PING => {
                let payload = frame.payload[..].try_into();
                let payload = payload.expect("the payload of PING has 8 bytes");
                match frame.has(ACK) {
                    true => self.ping_acks.push(payload),
                    false => self.note_ping(payload),
                }
            }
            kind::GOAWAY => self.goaways.push(Goaway {
                last_stream: frame.number(0),
                code: ErrorCode::from_number(frame.number(4)),
                debug: String::from_utf8_lossy(&frame.payload[8..]).into_owned(),
            }),
            kind::WINDOW_UPDATE => self.send.credit(frame.stream, frame.number(0)),
            kind::RST_STREAM => {
                let code = ErrorCode::from_number(frame.number(0));
                self.replies.entry(frame.stream).or_default().reset = Some(code);
            }
            kind::HEADERS => self.note_headers(frame),
            kind::DATA => self.note_data(frame),
            _ => panic!("a server does not send {frame:?}"),
        }
    }

    #[track_caller]
    fn note_settings(&mut self, frame: &Frame) {
        let entries = frame.payload.chunks(6).map(|entry| {
            let value = entry[2..].try_into().expect("an entry has 6 bytes");
            (
                u16::from_be_bytes([entry[0], entry[1]]),
                u32::from_be_bytes(value),
            )
        });
        let entries: BTreeMap<u16, u32> = entries.collect();
        if let Some(initial) = entries.get(&setting::INITIAL_WINDOW_SIZE) {
            self.send.set_initial(i64::from(*initial));
        }
        self.server_settings = Some(entries);
        let _ = self.try_send_frames(&[Frame::new(kind::SETTINGS, ACK, 0, b"")]);
    }

    fn note_ping(&mut self, payload: [u8; 8]) {
        self.pings.push(payload);
        if self.answers_pings {
            let _ = self.try_send_frames(&[Frame::new(kind::PING, ACK, 0, payload)]);
        }
    }

    /// The server's header blocks fit into one frame in all tests.
    #[track_caller]
    fn note_headers(&mut self, frame: &Frame) {
        let mut block = frame.payload.clone();
        let mut is_whole = frame.has(END_HEADERS);
        while !is_whole {
            let header = self.client.bytes_or_end(HEADER);
            let (length, next) = Frame::decode_header(&header.expect("a header block is whole"));
            assert_eq!((next.kind, next.stream), (kind::CONTINUATION, frame.stream));
            is_whole = next.has(END_HEADERS);
            let fragment = self.client.bytes_or_end(length);
            block.extend(fragment.expect("a header block is whole"));
        }
        let fields = reply::decode(&mut self.decoder, &block);
        assert!(frame.stream % 2 == 1, "{frame:?}");
        self.replies
            .entry(frame.stream)
            .or_default()
            .headers(frame, fields);
    }

    #[track_caller]
    fn note_data(&mut self, frame: &Frame) {
        let length = frame.payload.len();
        self.receive.debit(frame.stream, length);
        assert!(
            self.receive.available(frame.stream) >= 0,
            "the server keeps to the windows: {:?}",
            self.receive
        );
        self.replies.entry(frame.stream).or_default().data(frame);
        if self.credit == Credit::Automatic && length > 0 {
            let increment = length as u32;
            let mut frames = vec![Frame::window_update(0, increment)];
            self.receive.credit(0, increment);
            if !frame.has(END_STREAM) {
                self.receive.credit(frame.stream, increment);
                frames.push(Frame::window_update(frame.stream, increment));
            }
            let _ = self.try_send_frames(&frames);
        }
    }
}
