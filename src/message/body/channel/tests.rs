use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::message::body::{Content, Reader};

/// Counts its wake-ups.
#[derive(Default)]
struct CountedWaker(AtomicUsize);

impl Wake for CountedWaker {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        true
    }
}

/// The body's source, with a waker.
struct Source {
    source: Box<dyn PolledSource>,
    waker: Arc<CountedWaker>,
}

impl Source {
    fn new(body: Body) -> Self {
        let Content::Reader(source) = body.into_content() else {
            panic!("the content of a channel is not in memory");
        };
        let Reader::Polled(reader) = source.reader else {
            panic!("a channel never blocks");
        };
        let (mut source, waker) = (reader.source, Arc::<CountedWaker>::default());
        source.attach(Arc::clone(&waker) as Arc<dyn Wake>);
        Self { source, waker }
    }

    fn poll(&mut self) -> String {
        match self.source.poll(Instant::now()) {
            Polled::Part(part) => String::from_utf8_lossy(&part).into_owned(),
            Polled::Pending(None) => "(pending)".to_owned(),
            Polled::Pending(Some(_)) => panic!("a channel has no deadlines"),
            Polled::End => "(end)".to_owned(),
            Polled::Failed(_) => "(failed)".to_owned(),
        }
    }

    fn wake_ups(&self) -> usize {
        self.waker.0.load(Ordering::Relaxed)
    }
}

fn channel(limit: usize) -> (BodySender, Source) {
    let (sender, body) = Body::channel(limit);
    (sender, Source::new(body))
}

#[test]
fn content_is_taken_in_order_and_ends_with_the_last_sender() {
    let (sender, mut source) = channel(100_000);
    let other = sender.clone();
    let large = "x".repeat(1000);
    for part in ["a", "b", &large, "c", "", "d"] {
        sender.send(part.to_owned()).expect("the body is open");
    }
    for expected in ["a", "b", &large, "cd", "(pending)"] {
        assert_eq!(source.poll(), expected);
    }
    drop(sender);
    assert_eq!(source.poll(), "(pending)");
    other.send("last").expect("the body is open");
    drop(other);
    assert_eq!(source.poll(), "last");
    assert_eq!(source.poll(), "(end)");
}

#[test]
fn connection_is_woken_once_per_empty_poll() {
    let (sender, mut source) = channel(100);
    sender.send("a").expect("the body is open");
    assert_eq!(source.wake_ups(), 0, "it has not been polled");
    assert_eq!(
        (source.poll(), source.poll()),
        ("a".into(), "(pending)".into())
    );
    sender.send("").expect("the body is open");
    assert_eq!(source.wake_ups(), 0, "there is nothing");
    sender.send("b").expect("the body is open");
    sender.send("c").expect("the body is open");
    assert_eq!(source.wake_ups(), 1);
    source.poll();
    source.poll();
    assert_eq!(source.poll(), "(pending)");
    drop(sender);
    assert_eq!(source.wake_ups(), 2);
}

#[test]
fn queue_is_bounded() {
    let (sender, mut source) = channel(10);
    let send = |part: &'static str| sender.try_send(part).is_ok();
    assert!(send("longer than the limit"), "the queue is empty");
    assert!(!send("a"));
    source.poll();
    assert!(send("12345") && send("67890"));
    assert!(!send("1"));
    source.poll();
    assert!(send("12345"));
    assert!(!send("1"));
}

#[test]
fn blocked_senders_continue_in_order() {
    let (sender, mut source) = channel(1);
    sender.send("0").expect("the body is open");
    thread::scope(|scope| {
        for number in 1..=3 {
            let waiting = sender.clone();
            scope.spawn(move || waiting.send(number.to_string()).expect("the body is open"));
            while sender.channel().lock().next_turn < number {
                thread::yield_now();
            }
        }
        let full = Err(TrySendError::Full("4".into()));
        assert_eq!(sender.try_send("4"), full, "others wait");
        for expected in ["0", "1", "2", "3"] {
            let taken = loop {
                match source.poll() {
                    part if part == "(pending)" => thread::yield_now(),
                    part => break part,
                }
            };
            assert_eq!(taken, expected);
        }
    });
    assert_eq!(sender.try_send("4"), Ok(()));
}

#[test]
fn blocked_sender_learns_that_the_body_is_gone() {
    type End = fn(&BodySender, Source);
    let ends: [End; 2] = [|_, source| drop(source), |sender, _| sender.fail()];
    for end in ends {
        let (sender, source) = channel(1);
        sender.send("1").expect("the body is open");
        thread::scope(|scope| {
            let blocked = [(); 2].map(|()| scope.spawn(|| sender.send("2")));
            while sender.channel().lock().next_turn < 2 {
                thread::yield_now();
            }
            end(&sender, source);
            for blocked in blocked {
                let sent = blocked.join().expect("sending does not panic");
                assert_eq!(sent, Err(SendError("2".into())));
            }
        });
        assert!(sender.is_closed());
        assert_eq!(sender.try_send("3"), Err(TrySendError::Closed("3".into())));
    }
}

#[test]
fn callbacks_run_once_when_the_body_is_gone() {
    let (sender, source) = channel(10);
    let (closed, closes) = mpsc::channel();
    let note = |name: &'static str| {
        let (closed, sender) = (closed.clone(), Arc::downgrade(&sender.0));
        move || {
            // The lock is free.
            let is_closed = sender
                .upgrade()
                .is_none_or(|all| BodySender(all).is_closed());
            closed.send((name, is_closed)).expect("the test waits");
        }
    };
    sender.on_close(note("first"));
    sender.on_close(|| panic!("the test wants this panic"));
    sender.on_close(note("second"));
    drop(source);
    sender.on_close(note("late"));
    sender.on_close(|| panic!("the test wants this panic"));
    let calls: Vec<_> = closes.try_iter().collect();
    assert_eq!(calls, [("first", true), ("second", true), ("late", true)]);
}

#[test]
fn failed_body_discards_its_content() {
    let (sender, mut source) = channel(10);
    sender.send("a").expect("the body is open");
    assert_eq!(source.poll(), "a");
    assert_eq!(source.poll(), "(pending)");
    sender.send("b").expect("the body is open");
    sender.fail();
    assert!(sender.is_closed());
    drop(sender);
    assert_eq!(source.poll(), "(failed)");
}

#[test]
fn sender_sees_the_drain() {
    let (sender, body) = Body::channel(10);
    assert!(!sender.is_draining(), "no server has the body");
    let source = Source::new(body);
    assert!(sender.is_draining());
    drop(source);
    assert!(!sender.is_draining());
}

#[test]
fn body_can_be_read_without_a_connection() {
    let (sender, mut body) = Body::channel(4);
    assert_eq!(body.length(), None);
    let writer = thread::spawn(move || {
        for part in ["he", "l", "lo, ", "world"] {
            sender.send(part).expect("the body is open");
        }
    });
    let mut text = String::new();
    body.read_to_string(&mut text)
        .expect("the body is complete");
    writer.join().expect("the writer does not panic");
    assert_eq!(text, "hello, world");
}

#[test]
fn many_senders_can_be_dropped_at_once() {
    let (sender, mut source) = channel(10);
    assert_eq!(source.poll(), "(pending)");
    let parts = vec![vec![sender; 250_000]; 4];
    thread::scope(|scope| {
        for part in parts {
            scope.spawn(move || drop(part));
        }
    });
    assert_eq!(source.wake_ups(), 1);
    assert_eq!(source.poll(), "(end)");
}

#[test]
fn errors_show_no_content() {
    let error = SendError("secret".into());
    assert_eq!(format!("{error:?}"), "SendError(6 bytes)");
    let error = TrySendError::Full("secret".into());
    assert_eq!(format!("{error:?}"), "Full(6 bytes)");
    assert_eq!(error.to_string(), "the queue of the response is full");
    let error = TrySendError::Closed("secret".into());
    assert_eq!(error.to_string(), SendError("".into()).to_string());
}
