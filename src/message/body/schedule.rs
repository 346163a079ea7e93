//! Content whose parts are sent at set times, by the clock of the server.

use std::fmt;
use std::io::{self, ErrorKind};
use std::iter::Fuse;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Body, BodySource, Content, Polled, PolledReader, PolledSource, Reader};
use crate::message::waker::{Alarm, Wake};
use crate::sync::CENTURY;

impl Body {
    /// A response body whose parts are sent at set times. Each part comes with the time to wait before it
    /// is sent: after the response begins, or after the part before it was due. No worker is occupied
    /// between two parts. The precision is ten milliseconds.
    ///
    /// The iterator is asked for the next part when the one before has been sent. It runs on a worker, so
    /// it must not block. Parts that a slow client delays are sent as soon as possible, and do not delay
    /// those behind them. An empty part is a pause. A shutdown waits for the whole content, until its
    /// deadline.
    ///
    /// HTTP/1.1 clients receive the chunked coding, as for any content of [unknown
    /// length](Self::from_reader). If the iterator panics, the connection is reset, and in HTTP/2 only the
    /// stream.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use httpool::{Body, Request};
    ///
    /// /// Ten numbers in a second.
    /// let handler = |_: Request| {
    ///     let number = |number| (Duration::from_millis(100), format!("{number}\n").into());
    ///     Body::from_schedule((1..=10).map(number))
    /// };
    /// # let handler = |_: Request| {
    /// #     Body::from_schedule((1..=3).map(|number| (Duration::from_millis(1), format!("{number}\n").into())))
    /// # };
    /// # let client = httpool::testing::Client::new(handler);
    /// # assert_eq!(client.get("/").send().text(), "1\n2\n3\n");
    /// ```
    pub fn from_schedule<P>(parts: P) -> Self
    where
        P: IntoIterator<Item = (Duration, Bytes), IntoIter: Send + 'static>,
    {
        Self::scheduled(parts.into_iter(), None)
    }

    /// A response body like [`from_schedule`](Self::from_schedule), of exactly `length` bytes. The client
    /// learns the length in advance. Further bytes are not sent. If the parts are shorter, the connection
    /// is reset at their end, and in HTTP/2 only the stream.
    ///
    /// ```
    /// use std::iter;
    /// use std::time::Duration;
    ///
    /// use httpool::bytes::Bytes;
    /// use httpool::testing::Client;
    /// use httpool::{Body, Request};
    ///
    /// let part = (Duration::from_millis(1), Bytes::from_static(b"tick "));
    /// let client = Client::new(move |_: Request| Body::from_sized_schedule(iter::repeat(part.clone()), 14));
    /// let response = client.get("/").send();
    /// assert_eq!(response.header("content-length"), Some("14"));
    /// assert_eq!(response.text(), "tick tick tick");
    /// ```
    pub fn from_sized_schedule<P>(parts: P, length: u64) -> Self
    where
        P: IntoIterator<Item = (Duration, Bytes), IntoIter: Send + 'static>,
    {
        Self::scheduled(parts.into_iter(), Some(length))
    }

    fn scheduled(
        parts: impl Iterator<Item = (Duration, Bytes)> + Send + 'static,
        length: Option<u64>,
    ) -> Self {
        Content::Reader(BodySource {
            reader: Reader::Polled(Box::new(PolledReader::new(Schedule::new(parts, length)))),
            length,
            held: 0,
            trailers: None,
        })
        .into()
    }
}

/// Parts with the times before them.
struct Schedule<P: Iterator> {
    parts: Fuse<P>,
    /// The part that waits.
    next: Option<Due>,
    /// When the last part was due.
    before: Option<Instant>,
    /// The announced bytes that are left.
    left: Option<u64>,
    waker: Option<Arc<dyn Wake>>,
}

/// A part, and when it is sent.
struct Due {
    at: Instant,
    part: Bytes,
    /// Wakes the connection at that time. Without it, the check of deadlines does, a tenth of a second
    /// late.
    alarm: Option<Box<dyn Alarm>>,
}

impl<P: Iterator<Item = (Duration, Bytes)>> Schedule<P> {
    fn new(parts: P, length: Option<u64>) -> Self {
        Self {
            parts: parts.fuse(),
            next: None,
            before: None,
            left: length,
            waker: None,
        }
    }

    /// The next part that is to be sent, with its time.
    fn advance(&mut self, now: Instant) -> Option<Due> {
        let before = *self.before.get_or_insert(now);
        let (wait, part) = self.parts.next()?;
        let at = before + wait.min(Duration::from_secs(CENTURY));
        self.before = Some(at);
        Some(Due {
            at,
            part,
            alarm: None,
        })
    }

    /// Waits for a part that is not due.
    fn wait(&mut self, mut due: Due) -> Polled {
        if let (None, Some(waker)) = (&due.alarm, &self.waker) {
            due.alarm = waker.alarm(due.at, Arc::clone(waker));
        }
        let at = due.at;
        self.next = Some(due);
        Polled::Pending(Some(at))
    }

    /// The bytes of the part that were announced.
    fn limit(&mut self, mut part: Bytes) -> Bytes {
        if let Some(left) = &mut self.left {
            part.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= part.len() as u64;
        }
        part
    }
}

impl<P: Iterator<Item = (Duration, Bytes)> + Send> PolledSource for Schedule<P> {
    fn attach(&mut self, waker: Arc<dyn Wake>) {
        self.waker = Some(waker);
    }

    fn poll(&mut self, now: Instant) -> Polled {
        while self.left != Some(0) {
            let Some(due) = self.next.take().or_else(|| self.advance(now)) else {
                break;
            };
            if due.at > now {
                return self.wait(due);
            }
            let part = self.limit(due.part);
            if !part.is_empty() {
                return Polled::Part(part);
            }
        }
        match self.left {
            None | Some(0) => Polled::End,
            Some(left) => {
                let reason = format!("the content ended {left} bytes before its length");
                Polled::Failed(io::Error::new(ErrorKind::UnexpectedEof, reason))
            }
        }
    }

    fn held(&self) -> usize {
        self.next.as_ref().map_or(0, |due| due.part.len())
    }
}

impl fmt::Debug for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Due")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::sync::Mutex;

    const SECOND: Duration = Duration::from_secs(1);

    fn part(wait: u64, part: &'static str) -> (Duration, Bytes) {
        (
            SECOND * u32::try_from(wait).expect("waits are short"),
            part.into(),
        )
    }

    #[track_caller]
    fn expect(schedule: &mut impl PolledSource, now: Instant, expected: &str) {
        let polled = match schedule.poll(now) {
            Polled::Part(part) => String::from_utf8_lossy(&part).into_owned(),
            Polled::Pending(Some(at)) => format!("in {} s", (at - now).as_secs()),
            Polled::Pending(None) => "never".to_owned(),
            Polled::End => "end".to_owned(),
            Polled::Failed(error) => error.to_string(),
        };
        assert_eq!(polled, expected);
    }

    #[test]
    fn parts_are_sent_when_they_are_due() {
        let parts = [
            part(0, "a"),
            part(2, "b"),
            part(0, "c"),
            part(1, ""),
            part(1, "d"),
        ];
        let mut schedule = Schedule::new(parts.into_iter(), None);
        let start = Instant::now();
        expect(&mut schedule, start, "a");
        expect(&mut schedule, start, "in 2 s");
        expect(&mut schedule, start + SECOND, "in 1 s");
        expect(&mut schedule, start + 2 * SECOND, "b");
        expect(&mut schedule, start + 2 * SECOND, "c");
        expect(&mut schedule, start + 2 * SECOND, "in 1 s");
        // The part without content is due, and the next one is not.
        expect(&mut schedule, start + 3 * SECOND, "in 1 s");
        expect(&mut schedule, start + 4 * SECOND, "d");
        expect(&mut schedule, start + 4 * SECOND, "end");
        expect(&mut schedule, start + 5 * SECOND, "end");
    }

    #[test]
    fn late_parts_do_not_delay_others() {
        let parts = (0..3).map(|_| part(1, "a"));
        let mut schedule = Schedule::new(parts, None);
        let start = Instant::now();
        expect(&mut schedule, start, "in 1 s");
        expect(&mut schedule, start + 2 * SECOND, "a");
        expect(&mut schedule, start + 2 * SECOND, "a");
        expect(&mut schedule, start + 2 * SECOND, "in 1 s");
    }

    #[test]
    fn announced_length_is_kept() {
        let now = Instant::now();
        let mut long = Schedule::new(std::iter::repeat(part(0, "abc")), Some(4));
        for expected in ["abc", "a", "end", "end"] {
            expect(&mut long, now, expected);
        }
        let mut short = Schedule::new([part(0, "abc")].into_iter(), Some(4));
        expect(&mut short, now, "abc");
        expect(
            &mut short,
            now,
            "the content ended 1 bytes before its length",
        );
        let mut empty = Schedule::new([part(9, "abc")].into_iter(), Some(0));
        expect(&mut empty, now, "end");
    }

    #[test]
    fn wait_beyond_the_clock_is_no_panic() {
        let parts = [(Duration::MAX, Bytes::from_static(b"never"))];
        let mut schedule = Schedule::new(parts.into_iter(), None);
        assert!(matches!(
            schedule.poll(Instant::now()),
            Polled::Pending(Some(_))
        ));
    }

    /// Records the alarms that are set, and that are dropped.
    #[derive(Default)]
    struct Clock(Arc<Mutex<Vec<Option<Instant>>>>);

    struct Recorded(Arc<Mutex<Vec<Option<Instant>>>>);

    impl Alarm for Recorded {}

    impl Drop for Recorded {
        fn drop(&mut self) {
            self.0.lock().expect("no test panics").push(None);
        }
    }

    impl Wake for Clock {
        fn wake(&self) {}

        fn is_draining(&self) -> bool {
            false
        }

        fn alarm(&self, at: Instant, _: Arc<dyn Wake>) -> Option<Box<dyn Alarm>> {
            self.0.lock().expect("no test panics").push(Some(at));
            Some(Box::new(Recorded(Arc::clone(&self.0))))
        }
    }

    #[test]
    fn each_wait_sets_one_alarm() {
        let clock = Clock::default();
        let alarms = Arc::clone(&clock.0);
        let mut schedule = Schedule::new((0..2).map(|_| part(1, "a")), None);
        schedule.attach(Arc::new(clock));
        let start = Instant::now();
        expect(&mut schedule, start, "in 1 s");
        expect(&mut schedule, start, "in 1 s");
        expect(&mut schedule, start + SECOND, "a");
        expect(&mut schedule, start + SECOND, "in 1 s");
        drop(schedule);
        let alarms = alarms.lock().expect("no test panics").clone();
        assert_eq!(
            alarms,
            [Some(start + SECOND), None, Some(start + 2 * SECOND), None]
        );
    }

    #[test]
    fn schedule_can_be_read_without_a_connection() {
        let parts = ["a", "b"].map(|part| (Duration::from_millis(2), Bytes::from(part)));
        let mut text = String::new();
        let mut body = Body::from_sized_schedule(parts, 2);
        assert_eq!(body.length(), Some(2));
        body.read_to_string(&mut text)
            .expect("the body is complete");
        assert_eq!(text, "ab");
    }
}
