//! One line for each request.

#[cfg(feature = "access-log")]
pub(crate) mod line;

use std::convert::Infallible;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, at, bounded, select_biased};
use log::{error, info, warn};
use memchr::memchr_iter;

use self::line::{Stamp, write_line};
use super::AccessFormat;
use super::sharded::Sharded;
use crate::message::{Observer, RequestRecord};

/// Lines are gathered until there is this much of them.
const GATHERED: usize = 32 * 1024;

/// How often what is gathered is written, however little it is.
const INTERVAL: Duration = Duration::from_secs(1);

/// Gathered parts that may wait for an output that is slow: with 64 of them it may stand still while
/// some 20,000 requests are answered.
const WAITING: usize = 64;

/// How often whoever waits for the end is asked whether it still waits.
const TICK: Duration = Duration::from_millis(100);

/// Writes a line for each request, also for those that are refused.
///
/// A worker only appends to memory of its own. A thread of the log writes what has gathered, every
/// second or when it is 32 KiB, each time whole lines. Those of one worker stand in their order;
/// between workers it may differ by up to that second. When its output stands still and 2 MiB
/// wait, lines are lost rather than requests held up. The program's log says so at once, and how many
/// they are when the output goes on, or at the end.
///
/// What a client sends can't break out of its place in the line: in the text formats quotes,
/// backslashes and whatever is not printable ASCII are written as `\xHH`; in JSON what JSON requires and
/// what [changes how text is shown](crate::logging) is written as `\uHHHH`.
///
/// An output that fails, such as a full disk, costs the lines that it does not take in full. They are
/// counted, and the next line begins at the start of a line.
///
/// ```
/// use httpool::services::{AccessFormat, AccessLog};
/// use httpool::{Request, Server};
///
/// let log = AccessLog::start(AccessFormat::Combined, std::io::stdout())?;
/// let server = Server::builder()
///     .listen("127.0.0.1:0")
///     .observer(log.lines())
///     .bind()?;
/// # server.handle().shutdown();
/// server.run(|_: Request| "hello")?;
/// log.finish();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AccessLog {
    lines: AccessLines,
    /// What its thread has not taken up.
    waiting: Receiver<Vec<u8>>,
    /// Nothing is ever sent: that it is dropped asks the thread to end.
    goes_on: Sender<Infallible>,
    /// Disconnected when the thread has ended.
    ended: Receiver<Infallible>,
    thread: JoinHandle<()>,
}

/// The observer that fills an [`AccessLog`]. Clones fill the same one, so several servers can.
///
/// ```
/// use httpool::Server;
/// use httpool::services::{AccessFormat, AccessLog};
///
/// let log = AccessLog::start(AccessFormat::Combined, std::io::stdout())?;
/// let public = Server::builder().observer(log.lines());
/// let internal = Server::builder().observer(log.lines());
/// # drop((public, internal));
/// # log.finish();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct AccessLines(Arc<LogState>);

struct LogState {
    format: AccessFormat,
    gathered: Sharded<Gathered>,
    parts: Sender<Vec<u8>>,
    /// Lines that are lost, since it was last said how many.
    untold: AtomicU64,
    /// Lines that the output is given at this moment.
    in_hand: AtomicU64,
}

/// A worker's lines.
#[derive(Debug, Default)]
struct Gathered {
    bytes: Vec<u8>,
    stamp: Stamp,
}

impl AccessLog {
    /// Starts the thread that writes to `output`.
    ///
    /// # Errors
    ///
    /// If the system has no thread for it.
    pub fn start(format: AccessFormat, output: impl Write + Send + 'static) -> io::Result<Self> {
        let (parts, to_write) = bounded(WAITING);
        let lines = AccessLines(Arc::new(LogState {
            format,
            gathered: Sharded::new(),
            parts,
            untold: AtomicU64::new(0),
            in_hand: AtomicU64::new(0),
        }));
        let shared = Arc::clone(&lines.0);
        let waiting = to_write.clone();
        let (goes_on, end) = bounded(0);
        let (ends, ended) = bounded(0);
        let thread = thread::Builder::new()
            .name("access-log".into())
            .spawn(move || {
                let _ends: Sender<Infallible> = ends;
                Writer::new(output).run(&shared, &to_write, &end);
            })?;
        Ok(Self {
            lines,
            waiting,
            goes_on,
            ended,
            thread,
        })
    }

    /// What to give to the server.
    #[must_use]
    pub fn lines(&self) -> AccessLines {
        self.lines.clone()
    }

    /// Writes all that has come so far, and ends. Call it when the server has ended: what comes
    /// later is lost.
    ///
    /// It waits for the output, and for ever if that stands still. Where a pipe or a disk must not
    /// keep the program from ending, use [`finish_while`](Self::finish_while).
    pub fn finish(self) {
        self.finish_while(|| true);
    }

    /// The same, but waits for the output only while `waits` says so, which is asked every 100 ms.
    /// Lines that are not written by then are lost; how many is said in the program's log, and the
    /// thread is left behind with the output.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// use httpool::services::{AccessFormat, AccessLog};
    ///
    /// let log = AccessLog::start(AccessFormat::Common, std::io::stdout())?;
    /// // When the server has ended:
    /// let deadline = Instant::now() + Duration::from_secs(5);
    /// log.finish_while(|| Instant::now() < deadline);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn finish_while(self, waits: impl FnMut() -> bool) {
        let unwritten = self.end_while(waits);
        if unwritten > 0 {
            warn!("up to {unwritten} lines of the access log are lost: its output stands still");
        }
    }

    /// How many lines may not be written at the end, with those that were lost before and not told: of
    /// those that the output has been given, nobody knows how many it has taken.
    fn end_while(self, mut waits: impl FnMut() -> bool) -> u64 {
        let Self {
            lines,
            waiting,
            goes_on,
            ended,
            thread,
        } = self;
        drop(goes_on);
        while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            if !waits() {
                return lines.0.take_unwritten(&waiting) + lines.0.take_untold();
            }
        }
        if thread.join().is_err() {
            error!("the thread of the access log panicked");
        }
        0
    }
}

impl LogState {
    /// Leaves nothing to write, and counts what there was.
    fn take_unwritten(&self, waiting: &Receiver<Vec<u8>>) -> u64 {
        let waiting: u64 = waiting.try_iter().map(|lines| count_lines(&lines)).sum();
        let gathered = self.gathered.all();
        let gathered: u64 = gathered
            .map(|mut gathered| count_lines(&mem::take(&mut gathered.bytes)))
            .sum();
        self.in_hand.load(Ordering::Relaxed) + waiting + gathered
    }

    fn take_untold(&self) -> u64 {
        self.untold.swap(0, Ordering::Relaxed)
    }

    /// Counts lines that are lost, and says so of the first since it was last said how many: the thread
    /// that counts them up may stand still for as long as its output.
    fn lose(&self, lines: &[u8]) {
        if self.untold.fetch_add(count_lines(lines), Ordering::Relaxed) > 0 {
            return;
        }
        // No worker must wait for the program's log, which may be on the same disk. If there is no
        // thread, it is still said in the end how many they are.
        let _ = thread::Builder::new()
            .name("access-log-lost".into())
            .spawn(|| warn!("lines of the access log are being lost: its output is too slow"));
    }
}

impl Observer for AccessLines {
    fn on_response(&self, exchange: &RequestRecord<'_>) {
        let LogState {
            format,
            gathered,
            parts,
            ..
        } = &*self.0;
        let now = SystemTime::now();
        let mut gathered = gathered.of(exchange.worker());
        let Gathered { bytes, stamp } = &mut *gathered;
        write_line(*format, exchange, now, stamp, bytes);
        if bytes.len() < GATHERED {
            return;
        }
        let full = mem::replace(bytes, Vec::with_capacity(GATHERED + 1024));
        if let Err(error) = parts.try_send(full) {
            self.0.lose(&error.into_inner());
        }
    }
}

/// What the thread of a log writes with.
struct Writer<W> {
    output: W,
    next_sweep: Instant,
    /// Lines that the output did not take, since when it has failed.
    failed: Option<u64>,
    /// The output has taken a part of a line, and nothing since.
    is_torn: bool,
}

impl<W: Write> Writer<W> {
    fn new(output: W) -> Self {
        Self {
            output,
            next_sweep: Instant::now() + INTERVAL,
            failed: None,
            is_torn: false,
        }
    }

    fn run(mut self, shared: &LogState, parts: &Receiver<Vec<u8>>, end: &Receiver<Infallible>) {
        loop {
            select_biased! {
                recv(end) -> _ => {
                    let waiting = parts.try_iter().take(WAITING);
                    waiting.for_each(|lines| self.write(shared, &lines));
                    self.sweep(shared);
                    return self.tell_end();
                }
                recv(parts) -> lines => self.write(shared, &lines.unwrap_or_default()),
                recv(at(self.next_sweep)) -> _ => {}
            }
            if Instant::now() >= self.next_sweep {
                self.sweep(shared);
                self.next_sweep = Instant::now() + INTERVAL;
            }
        }
    }

    fn sweep(&mut self, shared: &LogState) {
        for mut gathered in shared.gathered.all() {
            let lines = mem::take(&mut gathered.bytes);
            // Its worker must not wait for the output.
            drop(gathered);
            if !lines.is_empty() {
                self.write(shared, &lines);
            }
        }
        let lost = shared.take_untold();
        if lost > 0 {
            warn!("{lost} lines of the access log are lost: its output is too slow");
        }
    }

    /// What nobody else will tell: an output that has failed was told of once, and not since.
    fn tell_end(&self) {
        if let Some(unwritten) = self.failed {
            error!("{unwritten} lines of the access log are lost: it can't be written");
        }
    }

    fn write(&mut self, shared: &LogState, lines: &[u8]) {
        let (taken, written) = self.write_as_much_as_goes(shared, lines);
        shared.in_hand.store(0, Ordering::Relaxed);
        let lost = count_lines(&lines[taken..]);
        match (written, &mut self.failed) {
            (Ok(()), None) => {}
            (Ok(()), Some(unwritten)) => {
                info!("the access log is written again; {unwritten} lines are lost");
                self.failed = None;
            }
            (Err(error), None) => {
                error!("the access log can't be written: {error}");
                self.failed = Some(lost);
            }
            (Err(_), Some(unwritten)) => *unwritten += lost,
        }
    }

    /// Writes these lines, and returns how many bytes the output has taken. A line of which it has
    /// taken a part before is ended first.
    fn write_as_much_as_goes(
        &mut self,
        shared: &LogState,
        lines: &[u8],
    ) -> (usize, io::Result<()>) {
        let in_hand = |rest| shared.in_hand.store(count_lines(rest), Ordering::Relaxed);
        in_hand(lines);
        if self.is_torn {
            if let Err(error) = self.output.write_all(b"\n") {
                return (0, Err(error));
            }
            self.is_torn = false;
        }
        let mut taken = 0;
        while taken < lines.len() {
            match self.output.write(&lines[taken..]) {
                Ok(0) => return (taken, Err(ErrorKind::WriteZero.into())),
                Ok(count) => {
                    taken += count;
                    self.is_torn = lines[taken - 1] != b'\n';
                    in_hand(&lines[taken..]);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (taken, Err(error)),
            }
        }
        (taken, self.output.flush())
    }
}

fn count_lines(lines: &[u8]) -> u64 {
    memchr_iter(b'\n', lines).count() as u64
}

impl fmt::Debug for LogState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use http::StatusCode;

    use super::*;
    use crate::message::{ClientInfo, Outcome, RawRequest};

    /// An output that stands still until it is told to go on.
    struct Slow(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Nobody tells it any more: it is as quick as can be.
            let _ = self.0.recv();
            self.1
                .lock()
                .expect("nobody panicked")
                .extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A log whose output stands still until it is told to go on, and what it has written.
    fn stuck() -> (AccessLog, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (go_on, stands) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let output = Slow(stands, Arc::clone(&written));
        let log = AccessLog::start(AccessFormat::Common, output).expect("there are threads");
        (log, go_on, written)
    }

    /// Tells of requests until that has cost a line, and how many those were.
    fn fill(lines: &AccessLines) -> u64 {
        let raw_request = RawRequest::new(b"GET / HTTP/1.1\r\n\r\n"[..].into(), None);
        let origin = ClientInfo::new(crate::message::PeerAddr::UNIX);
        let exchange = RequestRecord {
            worker: 1,
            raw_request: &raw_request,
            client_info: &origin,
            id: None,
            outcome: Outcome::Handled,
            status: StatusCode::OK,
            received: 0,
            sent: Some(0),
            duration: Duration::ZERO,
        };
        let mut told = 0;
        while lines.0.untold.load(Ordering::Relaxed) == 0 {
            lines.on_response(&exchange);
            told += 1;
        }
        told
    }

    #[test]
    fn an_output_that_stands_still_costs_lines_and_they_are_counted() {
        let (log, go_on, written) = stuck();
        let lines = log.lines();
        let told = fill(&lines);
        let lost = lines.0.untold.load(Ordering::Relaxed);
        drop(go_on);
        log.finish();
        let written = count_lines(&written.lock().expect("nobody panicked"));
        assert_eq!(written + lost, told);
        assert!(written >= (WAITING * GATHERED / 100) as u64, "{written}");
    }

    /// A disk with room for so many bytes.
    struct Disk(usize, Arc<Mutex<Vec<u8>>>);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut content = self.1.lock().expect("nobody panicked");
            let count = bytes.len().min(self.0 - content.len());
            if count == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            content.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_loses_exactly_the_lines_that_are_counted() {
        let shared = AccessLog::start(AccessFormat::Common, io::sink()).expect("there are threads");
        let shared = shared.lines().0;
        let content = Arc::default();
        let mut writer = Writer::new(Disk(10, Arc::clone(&content)));
        writer.write(&shared, b"one\ntwo\nthree\nfour\n");
        assert_eq!(writer.failed, Some(2));
        writer.write(&shared, b"five\nsix\n");
        assert_eq!(writer.failed, Some(4));
        writer.output.0 = 100;
        writer.write(&shared, b"seven\n");
        assert_eq!(writer.failed, None);
        let content = content.lock().expect("nobody panicked");
        assert_eq!(&content[..], b"one\ntwo\nth\nseven\n");
    }

    #[test]
    fn an_output_that_stands_still_is_waited_for_as_long_as_one_likes() {
        let (log, go_on, _) = stuck();
        let lines = log.lines();
        let told = fill(&lines);
        let mut asked = 0;
        let unwritten = log.end_while(|| {
            asked += 1;
            asked < 3
        });
        assert_eq!((asked, unwritten), (3, told));
        drop(go_on);
    }
}
