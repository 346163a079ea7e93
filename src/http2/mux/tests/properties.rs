//! Whatever a client sends, nothing panics, and everything is bounded.

use proptest::prelude::*;

use super::*;

/// A frame that is often near the rules.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let stream = prop_oneof![3 => (0..8u32).prop_map(|n| 2 * n + 1), 1 => 0..20u32];
    let block = prop_oneof![
        4 => Just(GET.to_vec()),
        4 => Just(POST.to_vec()),
        2 => Just(post_with_length(b'5')),
        2 => Just(b"\x00\x01a\x01b".to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    let content = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..10),
        1 => Just(vec![0; 16_384]),
    ];
    let number = prop_oneof![0..100u32, 65_000..66_000u32, any::<u32>()];
    prop_oneof![
        6 => (stream.clone(), any::<u8>(), block.clone())
            .prop_map(|(stream, flags, block)| frame(1, flags & 5 | 4, stream, &block)),
        2 => (stream.clone(), any::<u8>(), block)
            .prop_map(|(stream, flags, block)| frame(9, flags, stream, &block)),
        6 => (stream.clone(), any::<u8>(), content)
            .prop_map(|(stream, flags, content)| frame(0, flags & 9, stream, &content)),
        2 => (stream.clone(), number.clone())
            .prop_map(|(stream, number)| frame(3, 0, stream, &number.to_be_bytes())),
        3 => (stream.clone(), number.clone())
            .prop_map(|(stream, number)| window_update(stream, number)),
        2 => (3..7u16, number).prop_map(|(setting, value)| settings(&[(setting, value)])),
        2 => (any::<u8>(), any::<u8>(), stream, prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(kind, flags, stream, payload)| frame(kind % 20, flags, stream, &payload)),
    ]
}

/// What the caller does between frames.
#[derive(Debug, Clone)]
enum Step {
    Frame(Vec<u8>),
    Respond(u32),
    Begin(u32),
    Send(usize, bool),
    Reset(u32),
    Discard(u32),
    Raise(u32),
    Release(u32, usize),
    Pending(u32, Option<usize>),
    Trailers(u32),
    Announce,
    ShutDown,
}

fn any_step() -> impl Strategy<Value = Step> {
    let stream = || (0..8u32).prop_map(|n| 2 * n + 1);
    prop_oneof![
        10 => any_frame().prop_map(Step::Frame),
        1 => stream().prop_map(Step::Respond),
        2 => stream().prop_map(Step::Begin),
        3 => (0..100_000usize, any::<bool>()).prop_map(|(most, end)| Step::Send(most, end)),
        1 => stream().prop_map(Step::Reset),
        1 => stream().prop_map(Step::Discard),
        1 => stream().prop_map(Step::Raise),
        2 => (stream(), 0..40_000usize).prop_map(|(stream, bytes)| Step::Release(stream, bytes)),
        3 => (stream(), prop::option::of(0..3000usize))
            .prop_map(|(stream, bytes)| Step::Pending(stream, bytes)),
        1 => stream().prop_map(Step::Trailers),
        1 => Just(Step::Announce),
        1 => Just(Step::ShutDown),
    ]
}

impl Server {
    fn step(&mut self, step: Step) {
        let out = &mut self.out;
        match step {
            Step::Frame(bytes) => self.receive(&bytes),
            Step::Respond(stream) => {
                if self.mux.capacity(id(stream)) >= 2 {
                    self.respond(stream, "ok");
                }
            }
            Step::Begin(stream) => {
                let body = Body::from_reader(std::io::empty());
                let _ = self.begin(stream, StatusCode::OK, body);
            }
            Step::Send(most, end) => {
                if let Some(stream) = self.mux.next_to_send() {
                    let length = self.mux.capacity(stream).min(most);
                    self.send(stream.get(), &vec![0; length], end);
                }
            }
            Step::Reset(stream) => drop(self.mux.reset(id(stream), ErrorCode::Cancel, out)),
            Step::Discard(stream) => self.mux.discard(id(stream)),
            Step::Raise(stream) => self.mux.raise_window(id(stream), out),
            Step::Release(stream, bytes) => self.mux.release(id(stream), bytes, out),
            Step::Pending(stream, bytes) => self.mux.set_pending(id(stream), bytes),
            Step::Trailers(stream) => {
                self.mux
                    .send_trailers(id(stream), &header_map("a", "b"), out);
            }
            Step::Announce => self.mux.announce_shutdown(out),
            Step::ShutDown => self.mux.shut_down(ErrorCode::NoError, b"", out),
        }
    }

    fn check_invariants(&self) {
        let mux = &self.mux;
        assert!(mux.streams.len() <= mux.config.max_streams as usize);
        let mut raised = 0;
        let mut last = None;
        for stream in mux.streams.iter() {
            assert!(last < Some(stream.id));
            assert!(Some(stream.id) <= mux.last);
            last = Some(stream.id);
            raised += stream.raised;
            let size = stream.receive.size();
            assert!(size <= mux.config.max_stream_window.max(65_536));
            assert!(stream.receive.available() <= size);
            let is_over = stream.response == streams::ResponseState::Ended;
            assert!(!(is_over && stream.request == RequestState::Ended));
        }
        assert_eq!(raised, mux.raised);
        assert!(raised <= 4 << 20);
        assert!(mux.last <= mux.highest);
        assert!(mux.held() < 256 * 1024, "{}", mux.held());
        // The window of the connection is given back on receipt.
        assert!(mux.receive.available() > mux.config.connection_window / 2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_frames_break_nothing(
        steps in prop::collection::vec(any_step(), 0..60),
        max_streams in 1..5u32,
    ) {
        let config = MuxConfig { max_streams, ..MuxConfig::default() };
        let mut server = Server::with(config, Policy::Wait);
        for step in steps {
            server.step(step);
            server.trace();
            server.check_invariants();
        }
    }

    /// The server sends no more than one and a half times what it receives.
    #[test]
    fn output_is_bounded_by_input(frames in prop::collection::vec(any_frame(), 0..60)) {
        let mut server = Server::new(Policy::Wait);
        let (mut received, before) = (0, server.sent);
        for bytes in frames {
            received += bytes.len();
            server.receive(&bytes);
            // GOAWAY with its reason is the only frame that is longer.
            prop_assert!(server.sent - before <= received * 3 / 2 + 150);
        }
    }

    #[test]
    fn random_frames_do_not_depend_on_splits(
        frames in prop::collection::vec(any_frame(), 0..12),
        policy in prop_oneof![Just(Policy::Wait), Just(Policy::Respond)],
        parts in 1..40usize,
    ) {
        let bytes = frames.concat();
        let whole = Server::new(policy).after(&bytes);
        let mut server = Server::new(policy);
        for part in bytes.chunks(bytes.len() / parts + 1) {
            server.receive(part);
        }
        prop_assert_eq!(without_lost_content(&server.trace()), without_lost_content(&whole));
    }
}

/// Leaves out content of streams that break a rule: of the frame that does, a part may have been passed
/// on.
fn without_lost_content(trace: &[String]) -> Vec<String> {
    let is_lost = |line: &String| {
        let stream = line
            .strip_prefix("data ")
            .and_then(|line| line.split(' ').next());
        stream.is_some_and(|stream| {
            let reset = format!("reset {stream} ");
            trace
                .iter()
                .any(|other| other.starts_with(&reset) && other.ends_with("by server"))
        })
    };
    trace
        .iter()
        .filter(|line| !is_lost(line))
        .cloned()
        .collect()
}
