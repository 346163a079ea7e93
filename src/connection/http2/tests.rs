use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::connection::call::Call;
use crate::connection::tests::{pair, serve};
use crate::connection::waker::{ConnectionWaker, WakerSource};
use crate::connection::{
    Admission, Budget, CloseReason, Connection, DriveResult, Pending, Phase, Service, WaitFor,
    WakeReason, WorkerBuffers,
};
use crate::http2::hpack::Encoder;
use crate::http2::{
    ErrorCode, Frame, FrameDecoder, OurSettings, PREFACE, StreamId, write_data_head, write_headers,
    write_ping, write_rst_stream, write_settings, write_settings_ack, write_window_update,
};
use crate::message::waker::Wake;
use crate::message::{
    Body, BodyMode, Handler, IntoResponse, Overload, PeerAddr, Request, Response,
};
use crate::net::ListenerProtocol;

/// A connection of HTTP/2, its client and its server.
struct Rig {
    connection: Connection,
    client: UnixStream,
    service: Service,
    buffers: WorkerBuffers,
    encoder: Encoder,
    received: Vec<u8>,
}

/// Counts how often a connection was woken.
#[derive(Default)]
struct CountingWaker(AtomicUsize);

/// Returns one waker for all connections.
struct CountingSource(Arc<CountingWaker>);

impl Wake for CountingWaker {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn is_draining(&self) -> bool {
        false
    }
}

impl ConnectionWaker for CountingWaker {
    fn hand_over(&self) {}
}

impl WakerSource for CountingSource {
    fn waker(&self, _: &mut Option<u64>) -> Option<Arc<dyn ConnectionWaker>> {
        Some(self.0.clone())
    }
}

/// A frame that the client has received.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Headers(u32, bool),
    Data(u32, Vec<u8>, bool),
    Reset(u32, ErrorCode),
    Goaway(Option<u32>, ErrorCode),
    Ping,
    PingAck,
}

/// The time in a test. The real time does not reach it, however slow the machine is, so only the test
/// ends turns and waits.
fn later() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// The first bytes of a client, and its acknowledgement of our SETTINGS, which is early.
fn opening() -> Vec<u8> {
    let mut opening = PREFACE.to_vec();
    write_settings(&OurSettings::default(), &mut opening);
    write_settings_ack(&mut opening);
    opening
}

fn stream(number: u32) -> StreamId {
    StreamId::new(number).expect("the number is not 0")
}

impl Rig {
    /// A connection whose client has sent its preface.
    fn new(now: Instant, handler: impl Handler) -> Self {
        let mut rig = Self::without_preface(now, handler);
        rig.send(&opening());
        rig
    }

    fn without_preface(now: Instant, handler: impl Handler) -> Self {
        let mut service = serve(handler);
        service.config.http2 = true;
        service.config.websockets = true;
        service.config.workers = 4;
        let (client, socket) = pair();
        let set = client.set_nonblocking(true);
        set.expect("a socket can be non-blocking");
        let protocol = ListenerProtocol::default();
        Self {
            connection: Connection::new(socket, PeerAddr::UNIX, &protocol, now, &service),
            client,
            service,
            buffers: WorkerBuffers::new(0),
            encoder: Encoder::default(),
            received: Vec::new(),
        }
    }

    fn set_budget(&mut self, most: usize) {
        self.service.budget = Arc::new(Budget::new(most));
        let (client, socket) = pair();
        let set = client.set_nonblocking(true);
        set.expect("a socket can be non-blocking");
        let protocol = ListenerProtocol::default();
        let now = later();
        self.client = client;
        self.connection = Connection::new(socket, PeerAddr::UNIX, &protocol, now, &self.service);
        self.send(&opening());
    }

    fn send(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).expect("the socket has room");
    }

    fn send_request(&mut self, number: u32, method: &str, is_ended: bool) {
        self.send_head(number, method, &[], is_ended);
    }

    /// Sends a request whose client waits for 100 before it sends the body.
    fn send_expecting(&mut self, number: u32) {
        self.send_head(number, "POST", &[("expect", "100-continue")], false);
    }

    fn send_head(&mut self, number: u32, method: &str, more: &[(&str, &str)], is_ended: bool) {
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        let head = [
            (":method", method),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "x"),
        ];
        for (name, value) in head.iter().chain(more) {
            self.encoder
                .field(name.as_bytes(), value.as_bytes(), &mut block);
        }
        let mut out = Vec::new();
        write_headers(stream(number), &block, is_ended, 16_384, &mut out);
        self.send(&out);
    }

    /// Asks for a WebSocket.
    fn send_connect(&mut self, number: u32, is_ended: bool) {
        self.send_head(number, "CONNECT", &[(":protocol", "websocket")], is_ended);
    }

    fn send_data(&mut self, number: u32, content: &[u8], is_ended: bool) {
        let mut out = Vec::new();
        write_data_head(stream(number), content.len() as u32, is_ended, &mut out);
        out.extend_from_slice(content);
        self.send(&out);
    }

    fn drive(&mut self, wake: WakeReason, now: Instant) -> DriveResult {
        self.drive_with(wake, Admission::Handle, now)
    }

    fn drive_with(&mut self, wake: WakeReason, admission: Admission, now: Instant) -> DriveResult {
        (self.connection).drive(wake, admission, now, &mut self.buffers, &self.service)
    }

    /// Drives the connection and runs its calls until it parks or closes. A turn may end early on a
    /// busy machine.
    fn run(&mut self, wake: WakeReason, now: Instant) -> DriveResult {
        let mut result = self.drive(wake, now);
        loop {
            result = match result {
                DriveResult::Lend(_) => {
                    let call = self.take_call();
                    self.finish(call)
                }
                DriveResult::Requeue => self.drive(WakeReason::Ready, now),
                result => return result,
            };
        }
    }

    fn take_call(&mut self) -> Call {
        self.buffers.take_call().expect("there is a call")
    }

    /// Runs a call and returns its reply to the connection on the same worker.
    fn finish(&mut self, call: Call) -> DriveResult {
        let reply = call.run(&mut self.buffers, &self.service);
        (self.connection).resume(reply, &mut self.buffers, &self.service)
    }

    /// Gives windows of this size to the connection and these streams.
    fn send_windows(&mut self, numbers: &[u32], size: u32) {
        let size = std::num::NonZeroU32::new(size).expect("the number is not 0");
        let mut out = Vec::new();
        for number in numbers {
            write_window_update(StreamId::new(*number), size, &mut out);
        }
        self.send(&out);
    }

    /// Drives the connection on another worker while a call of the first runs.
    fn drive_elsewhere(&mut self, now: Instant) -> DriveResult {
        let mut other = WorkerBuffers::new(1);
        let (wake, admission) = (WakeReason::Ready, Admission::Handle);
        (self.connection).drive(wake, admission, now, &mut other, &self.service)
    }

    /// The frames that have arrived, without SETTINGS and window updates.
    fn frames(&mut self) -> Vec<Seen> {
        let mut part = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = self.client.read(&mut part) {
            self.received.extend_from_slice(&part[..count]);
        }
        // A decoder wants SETTINGS first.
        let mut received = b"\0\0\0\x04\0\0\0\0\0".to_vec();
        received.extend(self.received.drain(..whole_frames(&self.received)));
        let mut unread = &received[..];
        let mut decoder = FrameDecoder::new(16_384);
        let mut seen = Vec::new();
        while let Some(frame) = decoder.decode(&mut unread).expect("frames are valid") {
            seen.extend(Seen::of(&frame));
        }
        assert!(unread.is_empty(), "frames are whole");
        seen
    }
}

impl Seen {
    fn of(frame: &Frame<'_>) -> Option<Self> {
        Some(match frame {
            Frame::Headers(headers) => Self::Headers(headers.stream.get(), headers.end_stream),
            Frame::Data(data) => {
                let is_last = data.end == crate::http2::DataEnd::Stream;
                Self::Data(data.stream.get(), data.content.to_vec(), is_last)
            }
            Frame::RstStream { stream, code } => Self::Reset(stream.get(), *code),
            Frame::Goaway {
                last_stream, code, ..
            } => Self::Goaway(last_stream.map(StreamId::get), *code),
            Frame::Ping(_) => Self::Ping,
            Frame::PingAck(_) => Self::PingAck,
            _ => return None,
        })
    }
}

/// The length of the frames that have arrived in full.
fn whole_frames(received: &[u8]) -> usize {
    let mut whole = 0;
    while let Some([high, middle, low]) = received[whole..].first_chunk() {
        let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
        match whole + 9 + length {
            end if end > received.len() => break,
            end => whole = end,
        }
    }
    whole
}

#[track_caller]
fn parked(result: DriveResult) -> Pending {
    match result {
        DriveResult::Park(pending) => pending,
        _ => panic!("{result:?}"),
    }
}

/// Responds with the path's number of bytes, from memory.
fn large(_: Request) -> Vec<u8> {
    vec![b'x'; 100_000]
}

/// Echoes bodies in this mode.
struct Echo(BodyMode);

impl Handler for Echo {
    fn handle(&self, request: &mut Request) -> Response {
        let mut content = Vec::new();
        let read = request.body_mut().read_to_end(&mut content);
        read.map(|_| content).into_response()
    }

    fn body_mode(&self, _: &Request) -> BodyMode {
        self.0
    }
}

/// The content of all these frames.
fn content_length(frames: &[Seen]) -> usize {
    let data = frames.iter().map(|frame| match frame {
        Seen::Data(_, content, _) => content.len(),
        _ => 0,
    });
    data.sum()
}

fn response(number: u32, content: &[u8]) -> [Seen; 2] {
    [
        Seen::Headers(number, false),
        Seen::Data(number, content.to_vec(), true),
    ]
}

mod bodies;
mod calls;
mod driven;
mod ends;
mod opening;
mod polled;
mod responses;
