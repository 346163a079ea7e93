//! Responses whose content comes from other threads.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::*;
use crate::message::body::{Polled, PolledSource};

/// Content that a test provides, and what its source has seen.
#[derive(Default)]
struct Feed {
    parts: Mutex<VecDeque<Polled>>,
    waker: Mutex<Option<Arc<dyn Wake>>>,
    /// Until when the source need not be polled without a wake.
    until: Mutex<Option<Instant>>,
    polls: AtomicUsize,
    drops: AtomicUsize,
}

/// Ends a response's use of its feed when it is dropped.
struct FeedSource(Arc<Feed>);

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Feed {
    /// Adds to the content and wakes its stream.
    fn push(&self, polled: Polled) {
        lock(&self.parts).push_back(polled);
        self.wake();
    }

    fn send(&self, content: impl Into<Bytes>) {
        self.push(Polled::Part(content.into()));
    }

    fn wake(&self) {
        let waker = lock(&self.waker).clone();
        waker.expect("the source has a waker").wake();
    }

    fn polls(&self) -> usize {
        self.polls.load(Ordering::SeqCst)
    }

    fn is_dropped(&self) -> bool {
        self.drops.load(Ordering::SeqCst) > 0
    }
}

impl PolledSource for FeedSource {
    fn attach(&mut self, waker: Arc<dyn Wake>) {
        *lock(&self.0.waker) = Some(waker);
    }

    fn poll(&mut self, _: Instant) -> Polled {
        self.0.polls.fetch_add(1, Ordering::SeqCst);
        let part = lock(&self.0.parts).pop_front();
        part.unwrap_or_else(|| Polled::Pending(*lock(&self.0.until)))
    }
}

impl Drop for FeedSource {
    fn drop(&mut self) {
        self.0.drops.fetch_add(1, Ordering::SeqCst);
    }
}

/// A rig whose responses wait for content, and the feeds of these responses in their order.
struct Waiting {
    rig: Rig,
    feeds: Arc<Mutex<Vec<Arc<Feed>>>>,
    waker: Arc<CountingWaker>,
    now: Instant,
}

impl Waiting {
    fn new(edit: impl Fn(Body) -> Body + Send + Sync + 'static) -> Self {
        let now = later();
        let feeds: Arc<Mutex<Vec<Arc<Feed>>>> = Arc::default();
        let made = Arc::clone(&feeds);
        let mut rig = Rig::new(now, move |request: Request| {
            if request.method() == "PUT" {
                return "at once".into_response();
            }
            let feed = Arc::new(Feed::default());
            lock(&made).push(Arc::clone(&feed));
            edit(Body::from_polled(FeedSource(feed))).into_response()
        });
        let waker = Arc::new(CountingWaker::default());
        let source = CountingSource(Arc::clone(&waker));
        rig.buffers.set_waker_source(Arc::new(source));
        Self {
            rig,
            feeds,
            waker,
            now,
        }
    }

    /// Opens streams whose responses wait.
    fn open(&mut self, numbers: &[u32]) -> DriveResult {
        for number in numbers {
            self.rig.send_request(*number, "GET", true);
        }
        let result = self.run();
        let heads: Vec<_> = numbers.iter().map(|id| Seen::Headers(*id, false)).collect();
        assert_eq!(self.rig.frames(), heads);
        result
    }

    fn feed(&self, index: usize) -> Arc<Feed> {
        Arc::clone(&lock(&self.feeds)[index])
    }

    fn run(&mut self) -> DriveResult {
        self.rig.run(WakeReason::Ready, self.now)
    }

    /// How often the connection was woken.
    fn wakes(&self) -> usize {
        self.waker.0.load(Ordering::SeqCst)
    }

    /// Checks whether the connection waits for its client rather than for content.
    #[track_caller]
    fn assert_timeout(&self, pending: Pending, expected: bool) {
        let timeout = self.rig.service.config.write_timeout;
        let is_soon = pending.deadline < self.now + 10 * timeout;
        assert_eq!(is_soon, expected, "{:?}", pending.deadline - self.now);
    }

    fn unfinished(&self) -> u64 {
        self.rig.connection.unfinished()
    }
}

fn data(number: u32, content: &[u8], is_last: bool) -> Seen {
    Seen::Data(number, content.to_vec(), is_last)
}

#[test]
fn content_of_another_thread_is_sent_without_a_call() {
    let mut waiting = Waiting::new(|body| body);
    let pending = parked(waiting.open(&[1]));
    assert_eq!(pending.wait_for, WaitFor::Streams);
    assert_eq!(waiting.unfinished(), 1);
    let feed = waiting.feed(0);
    feed.send("one ");
    feed.send("two");
    assert_eq!(waiting.wakes(), 1, "it is woken once until it is driven");
    let result = waiting.rig.drive(WakeReason::Ready, waiting.now);
    assert_eq!(parked(result).wait_for, WaitFor::Streams);
    assert_eq!(waiting.rig.frames(), [data(1, b"one two", false)]);
    feed.send("three");
    feed.push(Polled::End);
    let result = waiting.rig.drive(WakeReason::Ready, waiting.now);
    assert_eq!(parked(result).wait_for, WaitFor::NextStream);
    assert_eq!(waiting.rig.frames(), [data(1, b"three", true)]);
    assert_eq!((waiting.wakes(), waiting.unfinished()), (2, 0));
    assert!(feed.is_dropped());
}

#[test]
fn a_woken_connection_does_not_receive() {
    let mut waiting = Waiting::new(|body| body);
    waiting.open(&[1]);
    waiting.feed(0).send("content");
    // It shows whether the connection receives.
    let mut ping = Vec::new();
    write_ping(*b"anything", &mut ping);
    waiting.rig.send(&ping);
    let result = waiting.rig.drive(WakeReason::Woken, waiting.now);
    assert_eq!(parked(result).wait_for, WaitFor::Streams);
    assert_eq!(waiting.rig.frames(), [data(1, b"content", false)]);
    parked(waiting.run());
    assert_eq!(waiting.rig.frames(), [Seen::PingAck]);
}

#[test]
fn the_load_shedder_sends_content_while_no_worker_is_free() {
    let mut waiting = Waiting::new(|body| body);
    waiting.open(&[1]);
    waiting.feed(0).send("content");
    let result = (waiting.rig).drive_with(WakeReason::Ready, Admission::Protocol, waiting.now);
    assert_eq!(parked(result).wait_for, WaitFor::Streams);
    assert_eq!(waiting.rig.frames(), [data(1, b"content", false)]);
}

#[test]
fn only_woken_streams_are_polled() {
    let mut waiting = Waiting::new(|body| body);
    let numbers: Vec<_> = (0..50).map(|index| 2 * index + 1).collect();
    waiting.open(&numbers);
    let polls = |waiting: &Waiting| -> Vec<_> {
        let feeds = lock(&waiting.feeds);
        feeds.iter().map(|feed| feed.polls()).collect()
    };
    let before = polls(&waiting);
    waiting.feed(7).send("seven");
    waiting.feed(9).wake();
    waiting.run();
    assert_eq!(waiting.rig.frames(), [data(15, b"seven", false)]);
    let mut expected = before;
    // One takes the part, and finds no other.
    expected[7] += 2;
    expected[9] += 1;
    assert_eq!(polls(&waiting), expected);
}

#[test]
fn a_wake_for_a_stream_that_is_gone_does_nothing() {
    let mut waiting = Waiting::new(|body| body);
    waiting.open(&[1, 3]);
    let (first, second) = (waiting.feed(0), waiting.feed(1));
    let mut reset = Vec::new();
    write_rst_stream(stream(1), ErrorCode::Cancel, &mut reset);
    waiting.rig.send(&reset);
    waiting.run();
    assert!(first.is_dropped() && !second.is_dropped());
    assert_eq!(waiting.unfinished(), 1);
    first.wake();
    second.send("second");
    let pending = parked(waiting.run());
    assert_eq!(pending.wait_for, WaitFor::Streams);
    assert_eq!(waiting.rig.frames(), [data(3, b"second", false)]);
}

#[test]
fn content_waits_for_windows_and_is_polled_no_further() {
    let mut waiting = Waiting::new(|body| body);
    let pending = parked(waiting.open(&[1]));
    waiting.assert_timeout(pending, false);
    let feed = waiting.feed(0);
    for _ in 0..10 {
        feed.send(vec![b'x'; 20_000]);
    }
    let pending = parked(waiting.run());
    assert_eq!(content_length(&waiting.rig.frames()), 65_535);
    // Three parts and most of the fourth were sent.
    assert_eq!(lock(&feed.parts).len(), 10 - 4);
    waiting.assert_timeout(pending, true);
    waiting.rig.send_windows(&[0, 1], 200_000 - 65_535);
    let pending = parked(waiting.run());
    assert_eq!(content_length(&waiting.rig.frames()), 200_000 - 65_535);
    waiting.assert_timeout(pending, false);
}

/// The windows are used up exactly, and the client need not give more before there is content.
#[test]
fn closed_windows_are_no_timeout_while_there_is_no_content() {
    let mut waiting = Waiting::new(|body| body);
    waiting.open(&[1]);
    let feed = waiting.feed(0);
    feed.send(vec![b'x'; 65_535]);
    let pending = parked(waiting.run());
    waiting.assert_timeout(pending, false);
    feed.wake();
    let pending = parked(waiting.run());
    waiting.assert_timeout(pending, false);
    assert_eq!(content_length(&waiting.rig.frames()), 65_535);
    feed.send("more");
    let pending = parked(waiting.run());
    waiting.assert_timeout(pending, true);
    assert_eq!(waiting.rig.frames(), []);
    waiting.now = pending.deadline;
    waiting.rig.run(WakeReason::Expired, waiting.now);
    assert_eq!(waiting.rig.frames(), [Seen::Reset(1, ErrorCode::Cancel)]);
    assert!(feed.is_dropped());
}

#[test]
fn content_ends_although_windows_are_closed() {
    let mut waiting = Waiting::new(|body| body);
    waiting.open(&[1]);
    let feed = waiting.feed(0);
    feed.send(vec![b'x'; 65_535]);
    waiting.run();
    waiting.rig.frames();
    feed.push(Polled::End);
    let pending = parked(waiting.run());
    assert_eq!(pending.wait_for, WaitFor::NextStream);
    assert_eq!(waiting.rig.frames(), [data(1, b"", true)]);
}

#[test]
fn a_source_is_polled_at_its_deadline() {
    let mut waiting = Waiting::new(|body| body);
    waiting.open(&[1]);
    let (feed, beat) = (waiting.feed(0), Duration::from_secs(15));
    *lock(&feed.until) = Some(waiting.now + beat);
    feed.wake();
    let pending = parked(waiting.run());
    assert_eq!(pending.deadline, waiting.now + beat);
    *lock(&feed.until) = Some(waiting.now + 2 * beat);
    lock(&feed.parts).push_back(Polled::Part(Bytes::from_static(b":\n\n")));
    waiting.now = pending.deadline;
    let pending = parked(waiting.rig.run(WakeReason::Expired, waiting.now));
    assert_eq!(pending.deadline, waiting.now + beat);
    assert_eq!(waiting.rig.frames(), [data(1, b":\n\n", false)]);
}

#[test]
fn failures_and_panics_reset_the_stream_only() {
    struct Panics;
    impl PolledSource for Panics {
        fn attach(&mut self, _: Arc<dyn Wake>) {}

        fn poll(&mut self, _: Instant) -> Polled {
            panic!("the source panics");
        }
    }
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("even when it is dropped");
        }
    }
    let mut waiting = Waiting::new(|body| body);
    waiting.open(&[1, 3]);
    let (first, second) = (waiting.feed(0), waiting.feed(1));
    first.send("a part");
    first.push(Polled::Failed(io::Error::other("no more")));
    second.send("other");
    let pending = parked(waiting.run());
    assert_eq!(pending.wait_for, WaitFor::Streams);
    let expected = [
        data(1, b"a part", false),
        Seen::Reset(1, ErrorCode::InternalError),
        data(3, b"other", false),
    ];
    assert_eq!(waiting.rig.frames(), expected);
    assert!(first.is_dropped());

    let mut waiting = Waiting::new(|_| Body::from_polled(Panics));
    waiting.rig.send_request(1, "GET", true);
    waiting.rig.send_request(3, "PUT", true);
    assert_eq!(parked(waiting.run()).wait_for, WaitFor::NextStream);
    let [headers, content] = response(3, b"at once");
    let expected = [
        Seen::Headers(1, false),
        Seen::Reset(1, ErrorCode::InternalError),
        headers,
        content,
    ];
    assert_eq!(waiting.rig.frames(), expected);
}

#[test]
fn trailers_follow_polled_content() {
    let mut waiting = Waiting::new(|body| {
        body.with_trailers(|| {
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", http::HeaderValue::from(0));
            trailers
        })
    });
    waiting.open(&[1]);
    let feed = waiting.feed(0);
    feed.send("content");
    feed.push(Polled::End);
    assert_eq!(parked(waiting.run()).wait_for, WaitFor::NextStream);
    let expected = [data(1, b"content", false), Seen::Headers(1, true)];
    assert_eq!(waiting.rig.frames(), expected);
}

#[test]
fn a_head_request_gets_no_content_and_frees_its_source() {
    let mut waiting = Waiting::new(|body| body);
    waiting.rig.send_request(1, "HEAD", true);
    assert_eq!(parked(waiting.run()).wait_for, WaitFor::NextStream);
    assert_eq!(waiting.rig.frames(), [Seen::Headers(1, true)]);
    assert!(waiting.feed(0).is_dropped());
}

#[test]
fn a_shutdown_keeps_streams_that_wait() {
    let mut waiting = Waiting::new(|body| body);
    waiting.open(&[1]);
    let feed = waiting.feed(0);
    waiting.rig.service.phase.advance(Phase::Draining);
    let result = waiting.run();
    assert_eq!(parked(result).wait_for, WaitFor::Streams);
    let last = StreamId::MAX.get();
    let announced = [Seen::Goaway(Some(last), ErrorCode::NoError), Seen::Ping];
    assert_eq!(waiting.rig.frames(), announced);
    waiting.now += Duration::from_secs(1);
    let result = waiting.rig.run(WakeReason::Expired, waiting.now);
    assert_eq!(parked(result).wait_for, WaitFor::Streams);
    let goaway = Seen::Goaway(Some(1), ErrorCode::NoError);
    assert_eq!(waiting.rig.frames(), [goaway]);
    feed.send("the rest");
    feed.push(Polled::End);
    let result = waiting.run();
    assert_eq!(parked(result).wait_for, WaitFor::PeerClose);
    assert_eq!(waiting.rig.frames(), [data(1, b"the rest", true)]);
}

#[test]
fn a_forced_end_counts_streams_that_wait() {
    let mut waiting = Waiting::new(|body| body);
    waiting.open(&[1, 3, 5]);
    let feed = waiting.feed(0);
    waiting.rig.service.phase.advance(Phase::Forced);
    let result = waiting.run();
    assert!(matches!(result, DriveResult::Close(CloseReason::Forced)));
    assert_eq!(waiting.unfinished(), 3);
    drop(waiting);
    assert!(feed.is_dropped());
}

#[test]
fn a_client_that_leaves_frees_all_sources() {
    let mut waiting = Waiting::new(|body| body);
    waiting.open(&[1, 3]);
    let feeds = [waiting.feed(0), waiting.feed(1)];
    let shut = waiting.rig.client.shutdown(std::net::Shutdown::Both);
    shut.expect("the socket is open");
    let result = waiting.rig.run(WakeReason::HungUp, waiting.now);
    assert!(matches!(
        result,
        DriveResult::Close(CloseReason::ClientLeft)
    ));
    drop(waiting);
    feeds.iter().for_each(|feed| assert!(feed.is_dropped()));
    // Its senders may be woken all the same.
    feeds.iter().for_each(|feed| feed.wake());
}

/// A wake that comes while the connection is lent is noticed when its worker has it again.
#[test]
fn a_wake_during_a_handler_is_noticed_after_it() {
    let mut waiting = Waiting::new(|body| body);
    waiting.open(&[1]);
    waiting.rig.send_request(3, "PUT", true);
    let result = waiting.rig.drive(WakeReason::Ready, waiting.now);
    assert!(matches!(result, DriveResult::Lend(_)), "{result:?}");
    waiting.feed(0).send("meanwhile");
    let call = waiting.rig.take_call();
    waiting.rig.finish(call);
    let [headers, content] = response(3, b"at once");
    let expected = [headers, content, data(1, b"meanwhile", false)];
    assert_eq!(waiting.rig.frames(), expected);
}

/// Small parts are as many as the sender likes, so they must not cost a frame each.
#[test]
fn small_parts_share_frames_and_large_ones_are_divided() {
    let mut waiting = Waiting::new(|body| body);
    waiting.open(&[1]);
    let feed = waiting.feed(0);
    for _ in 0..300 {
        feed.send(vec![b'x'; 100]);
    }
    feed.send(vec![b'y'; 20_000]);
    waiting.run();
    let frames = waiting.rig.frames();
    assert_eq!(content_length(&frames), 50_000);
    assert_eq!(frames.len(), 50_000_usize.div_ceil(16_384));
}

#[test]
fn a_stream_that_takes_the_window_leaves_others_their_turn() {
    let mut waiting = Waiting::new(|body| body);
    waiting.open(&[1, 3]);
    let (bulk, events) = (waiting.feed(0), waiting.feed(1));
    for _ in 0..10 {
        bulk.send(vec![b'x'; 65_535]);
    }
    waiting.rig.send_windows(&[1], 10 * 65_535);
    waiting.run();
    assert_eq!(content_length(&waiting.rig.frames()), 65_535);
    events.send("an event");
    waiting.run();
    assert_eq!(waiting.rig.frames(), [], "the connection has no window");
    waiting.rig.send_windows(&[0], 65_535);
    waiting.run();
    let frames = waiting.rig.frames();
    assert_eq!(frames[0], data(3, b"an event", false));
    assert_eq!(content_length(&frames), 65_535);
}

/// It would have to be read on a worker while it waits.
#[test]
fn content_that_can_not_wake_its_stream_is_not_waited_for() {
    let mut waiting = Waiting::new(|body| body);
    waiting.rig.buffers = WorkerBuffers::new(0);
    waiting.rig.send_request(1, "GET", true);
    waiting.rig.send_request(3, "PUT", true);
    parked(waiting.run());
    let frames = waiting.rig.frames();
    assert!(frames.contains(&Seen::Reset(1, ErrorCode::InternalError)));
    assert!(frames.contains(&data(3, b"at once", true)));
    assert!(waiting.feed(0).is_dropped());
}
