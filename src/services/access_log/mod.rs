//! The access log: one line for each request.

pub(crate) mod line;
mod writer;

use std::convert::Infallible;
use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use log::{error, warn};
use memchr::memchr_iter;

use self::line::{RouteColumn, Timestamp, write_line};
use self::writer::Writer;
use super::AccessFormat;
use super::sharded::Sharded;
use crate::message::{Observer, RequestRecord};

/// A worker's lines are passed to the writer thread once they have this size.
const BUFFER_SIZE: usize = 32 * 1024;

/// Largest number of full buffers that wait for a slow output. With 64 of them, the output may
/// block while about 20,000 requests are answered.
const MAX_QUEUED: usize = 64;

/// How often `finish_while` checks whether to keep waiting.
const TICK: Duration = Duration::from_millis(100);

/// Writes a line for each request, including rejected ones.
///
/// A worker appends lines to a buffer of its own. A thread writes the buffers every second, or once
/// one has 32 KiB, and always whole lines. The lines of one worker keep their order; lines of
/// different workers may be out of order by up to a second. ([`AccessFormat::Brief`] writes each line
/// at once.) If the output blocks and 2 MiB wait,
/// further lines are dropped, and requests are never delayed. The program's log reports this at
/// once, and the number of lost lines when the output works again, or at the end.
///
/// Text from clients cannot break out of its place in a line. In the text formats, quotes,
/// backslashes and everything except printable ASCII are written as `\xHH`. In JSON, the characters
/// that JSON requires and those that [change how text is shown](crate::logging) are written as
/// `\uHHHH`.
///
/// If the output fails, for example because the disk is full, the lines that were not written in
/// full are lost. They are counted, and the next line begins on a new line.
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
    /// Full buffers that the thread has not taken yet.
    queue: Receiver<Vec<u8>>,
    /// Nothing is ever sent. Dropping it asks the thread to end.
    stop: Sender<Infallible>,
    /// Disconnected when the thread has ended.
    ended: Receiver<Infallible>,
    thread: JoinHandle<()>,
}

/// The observer that fills an [`AccessLog`]. Clones fill the same log, so several servers can share
/// it.
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
pub struct AccessLines(Arc<LogState>, RouteColumn);

impl AccessLines {
    /// Adds a last column to lines of the text formats: the [path of the route](crate::MatchedPath)
    /// in quotes, or `"-"` if no route matches. JSON has it in any case.
    ///
    /// ```
    /// use httpool::Server;
    /// use httpool::services::{AccessFormat, AccessLog};
    ///
    /// let log = AccessLog::start(AccessFormat::Combined, std::io::stdout())?;
    /// let builder = Server::builder().observer(log.lines().with_route());
    /// # drop(builder);
    /// # log.finish();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn with_route(self) -> Self {
        Self(self.0, RouteColumn::Last)
    }
}

struct LogState {
    format: AccessFormat,
    buffers: Sharded<LineBuffer>,
    queue: Sender<Vec<u8>>,
    /// Lost lines that are not reported yet.
    unreported: AtomicU64,
    /// Lines that the thread is writing at this moment.
    being_written: AtomicU64,
}

/// The lines of a worker.
#[derive(Debug, Default)]
struct LineBuffer {
    bytes: Vec<u8>,
    timestamp: Timestamp,
}

impl AccessLog {
    /// Starts the thread that writes to `output`.
    ///
    /// # Errors
    ///
    /// If the system cannot create a thread.
    pub fn start(format: AccessFormat, output: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, queue) = bounded(MAX_QUEUED);
        let state = LogState {
            format,
            buffers: Sharded::new(),
            queue: sender,
            unreported: AtomicU64::new(0),
            being_written: AtomicU64::new(0),
        };
        let lines = AccessLines(Arc::new(state), RouteColumn::Absent);
        let state = Arc::clone(&lines.0);
        let to_write = queue.clone();
        let (stop, stopped) = bounded(0);
        let (ends, ended) = bounded(0);
        let thread = thread::Builder::new()
            .name("access-log".into())
            .spawn(move || {
                let _ends: Sender<Infallible> = ends;
                Writer::new(output).run(&state, &to_write, &stopped);
            })?;
        Ok(Self {
            lines,
            queue,
            stop,
            ended,
            thread,
        })
    }

    /// The observer to pass to the server.
    #[must_use]
    pub fn lines(&self) -> AccessLines {
        self.lines.clone()
    }

    /// Writes all lines so far and ends the log. Call it when the server has ended; later lines are
    /// lost.
    ///
    /// It waits for the output, for ever if the output blocks. If a pipe or a disk must not keep
    /// the program from ending, use [`finish_while`](Self::finish_while).
    pub fn finish(self) {
        self.finish_while(|| true);
    }

    /// Writes all lines so far and ends the log, but waits for the output only while `keep_waiting`
    /// returns true, which is called every 100 ms.
    ///
    /// Lines that are unwritten then are lost, their number goes to the program's log, and the
    /// thread stays behind with the output.
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
    pub fn finish_while(self, keep_waiting: impl FnMut() -> bool) {
        let unwritten = self.end_while(keep_waiting);
        if unwritten > 0 {
            warn!("up to {unwritten} access log lines lost: its output is blocked");
        }
    }

    /// Ends the log and returns the largest number of lines that may be lost, including unreported
    /// ones. Lines that the output has been given count as lost, because the output may have taken
    /// any number of them.
    fn end_while(self, mut keep_waiting: impl FnMut() -> bool) -> u64 {
        let Self {
            lines,
            queue,
            stop,
            ended,
            thread,
        } = self;
        drop(stop);
        while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            if !keep_waiting() {
                return lines.0.take_unwritten(&queue) + lines.0.take_unreported();
            }
        }
        if thread.join().is_err() {
            error!("the access log thread panicked");
        }
        0
    }
}

impl LogState {
    /// Removes and counts the lines that are not written.
    fn take_unwritten(&self, queue: &Receiver<Vec<u8>>) -> u64 {
        let queued: u64 = queue.try_iter().map(|lines| count_lines(&lines)).sum();
        let buffers = self.buffers.all();
        let buffered: u64 = buffers
            .map(|mut buffer| count_lines(&mem::take(&mut buffer.bytes)))
            .sum();
        self.being_written.load(Ordering::Relaxed) + queued + buffered
    }

    fn take_unreported(&self) -> u64 {
        self.unreported.swap(0, Ordering::Relaxed)
    }

    /// Counts lost lines. The first of them are reported at once, because the writer thread, which
    /// reports the number, may be blocked by its output.
    fn count_lost(&self, lines: &[u8]) {
        if self
            .unreported
            .fetch_add(count_lines(lines), Ordering::Relaxed)
            > 0
        {
            return;
        }
        // The program's log may be on the same disk, and no worker must wait for it. If no thread
        // can be created, the number is still reported at the end.
        let _ = thread::Builder::new()
            .name("access-log-lost".into())
            .spawn(|| warn!("access log lines are being lost: its output is too slow"));
    }
}

impl Observer for AccessLines {
    fn on_response(&self, record: &RequestRecord<'_>) {
        let LogState {
            format,
            buffers,
            queue,
            ..
        } = &*self.0;
        let now = SystemTime::now();
        let mut buffer = buffers.of(record.worker());
        let LineBuffer { bytes, timestamp } = &mut *buffer;
        write_line((*format, self.1), record, now, timestamp, bytes);
        let is_full = bytes.len() >= BUFFER_SIZE;
        // A person sees a line at once. If the output is slow, lines are gathered as in a file.
        let is_due = *format == AccessFormat::Brief && queue.is_empty();
        if !is_full && !is_due {
            return;
        }
        let capacity = if is_full { BUFFER_SIZE + 1024 } else { 0 };
        let full = mem::replace(bytes, Vec::with_capacity(capacity));
        if let Err(error) = queue.try_send(full) {
            self.0.count_lost(&error.into_inner());
        }
    }
}

fn count_lines(lines: &[u8]) -> u64 {
    memchr_iter(b'\n', lines).count() as u64
}

impl fmt::Debug for LogState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogState")
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

    /// An output that blocks until it receives a message.
    struct BlockingOutput(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for BlockingOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once the sender is dropped, writes do not block.
            let _ = self.0.recv();
            self.1
                .lock()
                .expect("no thread panicked")
                .extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A log with an output that blocks until it receives a message, and the text that was written.
    fn blocked_log() -> (AccessLog, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (unblock, blocked) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let output = BlockingOutput(blocked, Arc::clone(&written));
        let log = AccessLog::start(AccessFormat::Common, output).expect("a thread is free");
        (log, unblock, written)
    }

    /// Reports requests until lines are lost, and returns the number of requests.
    fn fill(lines: &AccessLines) -> u64 {
        let raw_request = RawRequest::new(b"GET / HTTP/1.1\r\n\r\n"[..].into(), None);
        let client_info = ClientInfo::new(crate::message::PeerAddr::UNIX);
        let record = RequestRecord {
            worker: 1,
            raw_request: &raw_request,
            client_info: &client_info,
            matched_path: None,
            user: None,
            id: None,
            outcome: Outcome::Handled,
            status: StatusCode::OK,
            received: 0,
            sent: Some(0),
            duration: Duration::ZERO,
        };
        let mut requests = 0;
        while lines.0.unreported.load(Ordering::Relaxed) == 0 {
            lines.on_response(&record);
            requests += 1;
        }
        requests
    }

    #[test]
    fn a_blocked_output_loses_lines_that_are_counted() {
        let (log, unblock, written) = blocked_log();
        let lines = log.lines();
        let requests = fill(&lines);
        let lost = lines.0.unreported.load(Ordering::Relaxed);
        drop(unblock);
        log.finish();
        let written = count_lines(&written.lock().expect("no thread panicked"));
        assert_eq!(written + lost, requests);
        assert!(
            written >= (MAX_QUEUED * BUFFER_SIZE / 100) as u64,
            "{written}"
        );
    }

    #[test]
    fn finish_waits_for_a_blocked_output_while_asked_to() {
        let (log, unblock, _) = blocked_log();
        let lines = log.lines();
        let requests = fill(&lines);
        let mut calls = 0;
        let unwritten = log.end_while(|| {
            calls += 1;
            calls < 3
        });
        assert_eq!((calls, unwritten), (3, requests));
        drop(unblock);
    }
}
