use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connection::call::{Call, ConnectionWaker};
use crate::connection::tests::{pair, serve};
use crate::connection::{
    Admission, CloseReason, Connection, DriveResult, Pending, Phase, Service, WaitFor, WakeReason,
    WorkerBuffers,
};
use crate::http2::hpack::Encoder;
use crate::http2::{
    ErrorCode, Frame, FrameDecoder, OurSettings, PREFACE, StreamId, write_data_head, write_headers,
    write_ping, write_rst_stream, write_settings,
};
use crate::message::{BodyMode, Handler, IntoResponse, PeerAddr, Request, Response};
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

/// A waker for a connection that its test drives.
struct NoWaker;

impl ConnectionWaker for NoWaker {
    fn wake(&self) {}

    fn hand_over(&self) {}
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

/// The first bytes of a client.
fn opening() -> Vec<u8> {
    let mut opening = PREFACE.to_vec();
    write_settings(&OurSettings::default(), &mut opening);
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

    fn send(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).expect("the socket has room");
    }

    fn send_request(&mut self, number: u32, method: &str, is_ended: bool) {
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        for (name, value) in [
            (":method", method),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "x"),
        ] {
            self.encoder
                .field(name.as_bytes(), value.as_bytes(), &mut block);
        }
        let mut out = Vec::new();
        write_headers(stream(number), &block, is_ended, 16_384, &mut out);
        self.send(&out);
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

    /// Drives the connection and runs its calls until it does not ask to be lent.
    fn run(&mut self, wake: WakeReason, now: Instant) -> DriveResult {
        let mut result = self.drive(wake, now);
        while let DriveResult::Lend(_) = result {
            let call = self.take_call();
            result = self.finish(call);
        }
        result
    }

    fn take_call(&mut self) -> Call {
        self.buffers.take_call().expect("there is a call")
    }

    /// Runs a call and returns its reply to the connection on the same worker.
    fn finish(&mut self, call: Call) -> DriveResult {
        let reply = call.run(&mut self.buffers, &self.service, &|| Arc::new(NoWaker));
        self.connection.deliver(reply);
        self.connection.resume(&mut self.buffers, &self.service)
    }

    /// The frames that have arrived, without SETTINGS and window updates.
    fn frames(&mut self) -> Vec<Seen> {
        let mut part = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = self.client.read(&mut part) {
            self.received.extend_from_slice(&part[..count]);
        }
        // A decoder wants SETTINGS first.
        let mut received = b"\0\0\0\x04\0\0\0\0\0".to_vec();
        received.append(&mut self.received);
        let mut unread = &received[..];
        let mut decoder = FrameDecoder::new(16_384);
        let mut seen = Vec::new();
        while let Some(frame) = decoder.decode(&mut unread).expect("frames are valid") {
            seen.extend(Seen::of(&frame));
        }
        self.received = unread.to_vec();
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

fn response(number: u32, content: &[u8]) -> [Seen; 2] {
    [
        Seen::Headers(number, false),
        Seen::Data(number, content.to_vec(), true),
    ]
}

#[test]
fn a_request_gets_its_response() {
    let now = Instant::now();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.send_request(1, "GET", true);
    let result = rig.run(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    assert_eq!(rig.frames(), response(1, b"yes"));
}

#[test]
fn another_thread_drives_while_a_handler_runs() {
    let now = Instant::now();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.send_request(1, "GET", true);
    let DriveResult::Lend(lending) = rig.drive(WakeReason::Ready, now) else {
        panic!("a handler is called while the connection is lent");
    };
    assert!(lending.is_ready, "the SETTINGS are not sent");
    let call = rig.take_call();
    let mut other = WorkerBuffers::new(1);
    let mut ping = Vec::new();
    write_ping(*b"anything", &mut ping);
    rig.send(&ping);
    rig.send_request(3, "GET", true);
    let result = (rig.connection).drive(
        WakeReason::Ready,
        Admission::Handle,
        now,
        &mut other,
        &rig.service,
    );
    assert!(matches!(result, DriveResult::Lend(_)), "{result:?}");
    let second = other.take_call().expect("the second request is called");
    let reply = second.run(&mut other, &rig.service, &|| Arc::new(NoWaker));
    rig.connection.deliver(reply);
    let result = rig.connection.resume(&mut other, &rig.service);
    assert_eq!(parked(result).wait_for, WaitFor::Streams);
    let [headers, data] = response(3, b"yes");
    assert_eq!(rig.frames(), [Seen::PingAck, headers, data]);

    let reply = call.run(&mut rig.buffers, &rig.service, &|| Arc::new(NoWaker));
    rig.connection.deliver(reply);
    let result = rig.drive(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    assert_eq!(rig.frames(), response(1, b"yes"));
}

#[test]
fn handlers_of_reset_streams_count_until_they_return() {
    let now = Instant::now();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.service.config.handlers_per_connection = Some(1);
    rig.send_request(1, "GET", true);
    assert!(matches!(
        rig.drive(WakeReason::Ready, now),
        DriveResult::Lend(_)
    ));
    let call = rig.take_call();
    let mut reset = Vec::new();
    write_rst_stream(stream(1), ErrorCode::Cancel, &mut reset);
    rig.send(&reset);
    rig.send_request(3, "GET", true);
    let mut other = WorkerBuffers::new(1);
    let (wake, admission) = (WakeReason::Ready, Admission::Handle);
    let result = (rig.connection).drive(wake, admission, now, &mut other, &rig.service);
    assert_eq!(parked(result).wait_for, WaitFor::Streams, "no second call");
    let reply = call.run(&mut rig.buffers, &rig.service, &|| Arc::new(NoWaker));
    rig.connection.deliver(reply);
    let result = rig.run(wake, now);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    assert_eq!(rig.frames(), response(3, b"yes"));
}

#[test]
fn whole_bodies_are_received_before_the_handler_runs() {
    let now = Instant::now();
    for mode in [BodyMode::Buffered, BodyMode::HeadOnly] {
        let mut rig = Rig::new(now, Echo(mode));
        rig.send_request(1, "POST", false);
        let result = rig.run(WakeReason::Ready, now);
        assert_eq!(parked(result).wait_for, WaitFor::Streams, "{mode:?}");
        rig.send_data(1, b"hel", false);
        rig.run(WakeReason::Ready, now);
        rig.send_data(1, b"lo", true);
        rig.run(WakeReason::Ready, now);
        assert_eq!(rig.frames(), response(1, b"hello"), "{mode:?}");
    }
}

#[test]
fn a_streamed_body_is_read_while_it_arrives() {
    let now = Instant::now();
    let mut rig = Rig::new(now, Echo(BodyMode::STREAMING));
    rig.send_request(1, "POST", false);
    rig.send_data(1, b"hel", false);
    assert!(matches!(
        rig.drive(WakeReason::Ready, now),
        DriveResult::Lend(_)
    ));
    let call = rig.take_call();
    let Rig {
        buffers,
        service,
        connection,
        client,
        ..
    } = &mut rig;
    let reply = std::thread::scope(|scope| {
        let handler = scope.spawn(|| call.run(buffers, service, &|| Arc::new(NoWaker)));
        let mut other = WorkerBuffers::new(1);
        let mut end = Vec::new();
        write_data_head(stream(1), 2, true, &mut end);
        end.extend_from_slice(b"lo");
        (&*client).write_all(&end).expect("the socket has room");
        let (wake, admission) = (WakeReason::Ready, Admission::Protocol);
        let result = connection.drive(wake, admission, now, &mut other, service);
        assert_eq!(parked(result).wait_for, WaitFor::Streams);
        handler.join().expect("the handler returns")
    });
    rig.connection.deliver(reply);
    rig.run(WakeReason::Ready, now);
    assert_eq!(rig.frames(), response(1, b"hello"));
}

#[test]
fn a_large_response_waits_for_windows_without_a_worker() {
    let now = Instant::now();
    let mut rig = Rig::new(now, large);
    rig.send_request(1, "GET", true);
    let result = rig.run(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::Streams);
    let length = |frames: Vec<Seen>| -> usize {
        let data = frames.into_iter().map(|frame| match frame {
            Seen::Data(_, content, _) => content.len(),
            _ => 0,
        });
        data.sum()
    };
    assert_eq!(length(rig.frames()), 65_535);
    let mut updates = Vec::new();
    let more = std::num::NonZeroU32::new(50_000).expect("the number is not 0");
    for of in [None, Some(stream(1))] {
        crate::http2::write_window_update(of, more, &mut updates);
    }
    rig.send(&updates);
    let result = rig.run(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    assert_eq!(length(rig.frames()), 100_000 - 65_535);
}

#[test]
fn a_response_without_windows_is_reset_in_time() {
    let now = Instant::now();
    let mut rig = Rig::new(now, large);
    rig.send_request(1, "GET", true);
    let pending = parked(rig.run(WakeReason::Ready, now));
    rig.frames();
    let result = rig.run(WakeReason::Expired, pending.deadline);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    assert_eq!(rig.frames(), [Seen::Reset(1, ErrorCode::Cancel)]);
}

#[test]
fn a_body_that_is_late_gets_a_408_on_its_stream() {
    let now = Instant::now();
    let mut rig = Rig::new(now, Echo(BodyMode::Buffered));
    rig.send_request(1, "POST", false);
    let pending = parked(rig.run(WakeReason::Ready, now));
    let result = rig.run(WakeReason::Expired, pending.deadline);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    let frames = rig.frames();
    assert_eq!(frames[0], Seen::Headers(1, false));
    assert_eq!(frames[2], Seen::Reset(1, ErrorCode::NoError));
}

#[test]
fn a_reader_is_read_while_the_connection_is_lent() {
    let now = Instant::now();
    let mut rig = Rig::new(now, |_: Request| {
        crate::message::Body::from_reader(&b"from a reader"[..])
    });
    rig.send_request(1, "GET", true);
    rig.run(WakeReason::Ready, now);
    let expected = [
        Seen::Headers(1, false),
        Seen::Data(1, b"from a reader".to_vec(), false),
        Seen::Data(1, Vec::new(), true),
    ];
    assert_eq!(rig.frames(), expected);
}

#[test]
fn an_idle_connection_ends_with_goaway() {
    let now = Instant::now();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.send_request(1, "GET", true);
    let pending = parked(rig.run(WakeReason::Ready, now));
    assert_eq!(pending.deadline, now + rig.service.config.idle_timeout);
    rig.frames();
    let result = rig.run(WakeReason::Expired, pending.deadline);
    assert!(matches!(result, DriveResult::Close(CloseReason::Idle)));
    assert_eq!(rig.frames(), [Seen::Goaway(Some(1), ErrorCode::NoError)]);
}

#[test]
fn a_drain_ends_the_connection_in_two_steps() {
    let now = Instant::now();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.send_request(1, "GET", true);
    rig.run(WakeReason::Ready, now);
    rig.frames();
    rig.service.phase.advance(Phase::Draining);
    let result = rig.run(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::Streams);
    let last = StreamId::MAX.get();
    assert_eq!(
        rig.frames(),
        [Seen::Goaway(Some(last), ErrorCode::NoError), Seen::Ping]
    );
    // A request that was on its way is handled.
    rig.send_request(3, "GET", true);
    rig.run(WakeReason::Ready, now);
    assert_eq!(rig.frames(), response(3, b"yes"));
    let result = rig.run(WakeReason::Expired, now + Duration::from_secs(1));
    assert_eq!(parked(result).wait_for, WaitFor::PeerClose);
    assert_eq!(rig.frames(), [Seen::Goaway(Some(3), ErrorCode::NoError)]);
}

/// Its client may be about to send a request, which a GOAWAY would forbid.
#[test]
fn a_drain_lets_a_new_connection_send_a_request() {
    let now = Instant::now();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.service.phase.advance(Phase::Announcing);
    rig.run(WakeReason::Ready, now);
    assert!(!rig.frames().contains(&Seen::Ping));
    rig.send_request(1, "GET", true);
    rig.run(WakeReason::Ready, now);
    let frames = rig.frames();
    assert!(frames.contains(&Seen::Ping), "{frames:?}");
    let complete = response(1, b"yes");
    assert!(
        complete.iter().all(|frame| frames.contains(frame)),
        "{frames:?}"
    );
}

#[test]
fn a_drain_closes_an_unused_connection_at_its_end() {
    let now = Instant::now();
    let mut rig = Rig::new(now, |_: Request| "yes");
    rig.run(WakeReason::Ready, now);
    rig.service.phase.advance(Phase::Draining);
    let late = now + rig.service.config.drain_idle + Duration::from_secs(1);
    rig.run(WakeReason::Recalled, late);
    assert!(rig.frames().contains(&Seen::Ping));
}

#[test]
fn http2_is_recognised_however_its_preface_is_split() {
    let now = Instant::now();
    for at in 0..PREFACE.len() {
        let mut rig = Rig::without_preface(now, |_: Request| "yes");
        let opening = opening();
        rig.send(&opening[..at]);
        let pending = parked(rig.run(WakeReason::Ready, now));
        let expected = match at {
            0 => WaitFor::FirstRequest,
            _ => WaitFor::Head,
        };
        assert_eq!(pending.wait_for, expected, "after {at} bytes");
        rig.send(&opening[at..]);
        rig.send_request(1, "GET", true);
        rig.run(WakeReason::Ready, now);
        assert_eq!(rig.frames(), response(1, b"yes"));
    }
}

#[test]
fn a_client_of_http1_is_served_beside_http2() {
    let now = Instant::now();
    let mut rig = Rig::without_preface(now, |_: Request| "yes");
    rig.send(b"P");
    assert_eq!(
        parked(rig.run(WakeReason::Ready, now)).wait_for,
        WaitFor::Head
    );
    rig.send(b"UT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    rig.run(WakeReason::Ready, now);
    let mut received = vec![0; 1024];
    let count = rig
        .client
        .read(&mut received)
        .expect("a response has arrived");
    assert!(received[..count].starts_with(b"HTTP/1.1 200 OK\r\n"));
}

#[test]
fn half_a_preface_is_late_like_half_a_head() {
    let now = Instant::now();
    let mut rig = Rig::without_preface(now, |_: Request| "yes");
    rig.send(&PREFACE[..20]);
    let pending = parked(rig.run(WakeReason::Ready, now));
    rig.run(WakeReason::Expired, pending.deadline);
    let mut received = vec![0; 1024];
    let count = rig
        .client
        .read(&mut received)
        .expect("a response has arrived");
    assert!(received[..count].starts_with(b"HTTP/1.1 505 "));
}

#[test]
fn bodies_of_several_streams_may_arrive_in_turns() {
    let now = Instant::now();
    let mut rig = Rig::new(now, Echo(BodyMode::Buffered));
    for number in [1, 3, 5] {
        rig.send_request(number, "POST", false);
    }
    for number in [5, 1] {
        rig.send_data(number, b"al", false);
        rig.send_data(number, b"l", true);
    }
    let result = rig.run(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::Streams);
    rig.send_data(3, b"late", true);
    let result = rig.run(WakeReason::Ready, now);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    let expected = [
        response(5, b"all"),
        response(1, b"all"),
        response(3, b"late"),
    ];
    assert_eq!(
        rig.frames(),
        expected.into_iter().flatten().collect::<Vec<_>>()
    );
}
