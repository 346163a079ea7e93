//! Prints each request as it arrives, for people who watch a terminal.

use std::convert::Infallible;
use std::fmt;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select_biased};
use http::StatusCode;
use log::{error, warn};

use super::captured::Captured;
use super::masking::{is_secret, mask};
use super::times::timestamp;
use crate::logging::escape_text;

/// Entries that wait for a slow output. With the limits below they have at most some MiB.
const MAX_QUEUED: usize = 256;

/// The part of a head that is printed: more than nearly all heads have.
const MAX_HEAD: usize = 8 * 1024;

/// The part of a body that is printed: more is too much to read in a terminal.
const MAX_BODY: usize = 2 * 1024;

/// How often `finish_while` checks whether to keep waiting.
const TICK: Duration = Duration::from_millis(100);

/// Prints each request of an [`Inspect`](super::Inspect): when it came and from whom, its head, and
/// the first 2 KiB of its body.
///
/// A thread writes, so an output that blocks delays no request. If 256 requests wait for it, further
/// ones are left out, and their number is printed when the output works again. Values of headers that
/// carry secrets are masked: `Authorization: Bearer ***`. Lines of a request are indented, and
/// characters that [change how text is shown](crate::logging) are escaped, so that no request can look
/// like another entry.
///
/// ```
/// use httpool::services::inspect::{Inspect, InspectLog, Settings};
/// use httpool::testing::Client;
///
/// let log = InspectLog::start(std::io::stdout())?;
/// let client = Client::new(Inspect::new(Settings::default()).log(&log));
/// assert_eq!(client.post("/hook").body("hello").send().status(), 200);
/// log.finish_while(|| true);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct InspectLog {
    entries: Entries,
    /// Nothing is ever sent. Dropping it asks the thread to end.
    stop: Sender<Infallible>,
    /// Disconnected when the thread has ended.
    ended: Receiver<Infallible>,
    thread: JoinHandle<()>,
}

/// Passes requests to the thread of a log.
#[derive(Clone)]
pub(super) struct Entries {
    queue: Sender<String>,
    /// Requests that were left out and not reported.
    left_out: Arc<AtomicU64>,
}

impl InspectLog {
    /// Starts the thread that writes to `output`.
    ///
    /// # Errors
    ///
    /// If the system cannot create a thread.
    pub fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, queue) = bounded(MAX_QUEUED);
        let entries = Entries {
            queue: sender,
            left_out: Arc::default(),
        };
        let left_out = Arc::clone(&entries.left_out);
        let (stop, stopped) = bounded(0);
        let (ends, ended) = bounded(0);
        let thread = thread::Builder::new()
            .name("inspect-log".into())
            .spawn(move || {
                let _ends: Sender<Infallible> = ends;
                let mut writer = Writer {
                    output,
                    left_out,
                    has_failed: false,
                };
                writer.run(&queue, &stopped);
            })?;
        Ok(Self {
            entries,
            stop,
            ended,
            thread,
        })
    }

    /// Prints the requests so far and ends the log, but waits for the output only while `keep_waiting`
    /// returns true, which is called every 100 ms. Call it when the server has ended.
    pub fn finish_while(self, mut keep_waiting: impl FnMut() -> bool) {
        let Self {
            entries,
            stop,
            ended,
            thread,
        } = self;
        drop(stop);
        while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            if !keep_waiting() {
                let waiting = entries.queue.len();
                warn!("{waiting} requests are not printed: standard output is blocked");
                return;
            }
        }
        if thread.join().is_err() {
            error!("the inspect log thread panicked");
        }
    }

    pub(super) fn entries(&self) -> Entries {
        self.entries.clone()
    }
}

impl Entries {
    /// Prints this request soon, without waiting.
    pub(super) fn push(&self, captured: &Captured) {
        self.send(|| entry(captured, None));
    }

    /// Prints a request that the server has rejected with this status.
    pub(super) fn push_rejected(&self, captured: &Captured, status: StatusCode, reason: &str) {
        let note = format!("(rejected with {}: {reason})", status.as_u16());
        self.send(|| entry(captured, Some(&note)));
    }

    fn send(&self, entry: impl FnOnce() -> String) {
        if self.queue.is_full() || self.queue.try_send(entry()).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries")
            .field("left_out", &self.left_out)
            .finish_non_exhaustive()
    }
}

/// Writes on the thread of a log.
struct Writer<W> {
    output: W,
    left_out: Arc<AtomicU64>,
    has_failed: bool,
}

impl<W: Write> Writer<W> {
    fn run(&mut self, queue: &Receiver<String>, stop: &Receiver<Infallible>) {
        loop {
            select_biased! {
                recv(queue) -> entry => self.write(&entry.unwrap_or_default()),
                recv(stop) -> _ => return queue.try_iter().for_each(|entry| self.write(&entry)),
            }
        }
    }

    fn write(&mut self, entry: &str) {
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        let note = match left_out {
            0 => String::new(),
            _ => format!("({left_out} requests are left out: the output is too slow)\n\n"),
        };
        let whole = [entry.as_bytes(), note.as_bytes()].concat();
        let result = self.output.write_all(&whole);
        match result.and_then(|()| self.output.flush()) {
            Ok(()) => self.has_failed = false,
            // One line says enough; the next requests are tried again.
            Err(error) if !self.has_failed => {
                error!("cannot print requests: {error}");
                self.has_failed = true;
            }
            Err(_) => {}
        }
    }
}

/// The request in lines: an entry begins at the margin, and all of the request is indented. The note
/// follows the head.
fn entry(captured: &Captured, note: Option<&str>) -> String {
    let mut entry = timestamp(captured.received);
    let connection = &captured.connection;
    let client = connection.client.as_deref().unwrap_or("an unknown client");
    let _ = write!(entry, " {client}");
    if let Some(proxy) = &connection.proxy {
        let _ = write!(entry, " through {proxy}");
    }
    if let Some(tls) = &connection.tls {
        let _ = write!(entry, " {}", tls.version);
    }
    entry.push('\n');
    if !captured.raw.head().is_empty() {
        push_head(captured, &mut entry);
    }
    if let Some(note) = note {
        push_line(note.as_bytes(), &mut entry);
    }
    if !captured.body.is_empty() {
        entry.push('\n');
        push_body(&captured.body, &mut entry);
    }
    entry.push('\n');
    entry
}

fn push_head(captured: &Captured, entry: &mut String) {
    push_line(captured.raw.request_line(), entry);
    let start = entry.len();
    let mut lines = captured.header_lines();
    for (name, value) in lines.by_ref() {
        let line = match is_secret(name) {
            true => [name, b": ", mask(name, value).as_bytes()].concat(),
            false => [name, b": ", value].concat(),
        };
        push_line(&line, entry);
        if entry.len() - start > MAX_HEAD {
            let _ = writeln!(entry, "  ({} more header lines)", lines.count());
            return;
        }
    }
}

fn push_body(body: &[u8], entry: &mut String) {
    let shown = &body[..body.len().min(MAX_BODY)];
    let text = match str::from_utf8(shown) {
        Ok(text) => text,
        // The limit may be within a character.
        Err(error) if error.error_len().is_none() && shown.len() < body.len() => {
            str::from_utf8(&shown[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => {
            let _ = writeln!(entry, "  ({} bytes that are not text)", body.len());
            return;
        }
    };
    for line in text.lines() {
        push_line(line.as_bytes(), entry);
    }
    if text.len() < body.len() {
        let _ = writeln!(entry, "  ({} more bytes)", body.len() - text.len());
    }
}

fn push_line(line: &[u8], entry: &mut String) {
    let shown = &line[..line.len().min(MAX_HEAD)];
    entry.push_str("  ");
    entry.push_str(&escape_text(&String::from_utf8_lossy(shown)));
    if shown.len() < line.len() {
        let _ = write!(entry, " ({} more bytes)", line.len() - shown.len());
    }
    entry.push('\n');
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc;

    use bytes::Bytes;

    use super::*;
    use crate::message::{Body, RawRequest};

    fn captured(body: &'static [u8], secret: &str) -> Captured {
        let request = http::Request::post("/a")
            .header("authorization", secret)
            .header("x-a", b"\x9b\xff".as_slice())
            .body(Body::from(body));
        Captured {
            received: std::time::UNIX_EPOCH,
            ..Captured::of(&request.expect("the request is valid"))
        }
    }

    #[test]
    fn entry_is_indented_escaped_and_masked() {
        let body = "{\r\n\t\"a\": \"\u{1b}[31m\u{202e}\"\n}".as_bytes();
        let expected = "1970-01-01T00:00:00.000Z an unknown client\n  POST /a HTTP/1.1\n  \
                        authorization: Bearer ***\n  x-a: \u{fffd}\u{fffd}\n\n  {\n  \
                        \t\"a\": \"\\u{1b}[31m\\u{202e}\"\n  }\n\n";
        assert_eq!(entry(&captured(body, "Bearer abc"), None), expected);
    }

    #[test]
    fn rejected_request_is_printed_with_its_reason() {
        let mut rejected = captured(b"", "x");
        rejected.raw = RawRequest::stored(Bytes::new(), Vec::new(), 0, Vec::new());
        let note = "(rejected with 400: a header line is malformed)";
        let expected = format!("1970-01-01T00:00:00.000Z an unknown client\n  {note}\n\n");
        assert_eq!(entry(&rejected, Some(note)), expected);
    }

    #[test]
    fn long_and_binary_bodies_are_bounded() {
        let long: &[u8] = Box::leak("é".repeat(MAX_BODY).into_bytes().into());
        let shown = entry(&captured(&long[1..], "x"), None);
        assert!(shown.contains("bytes that are not text"), "{shown}");
        let long: &[u8] = Box::leak(format!("a{}", "é".repeat(MAX_BODY)).into_bytes().into());
        let shown = entry(&captured(long, "x"), None);
        assert!(shown.ends_with("  (2050 more bytes)\n\n"), "{shown}");
        assert!(shown.len() < 2 * MAX_BODY);
    }

    /// An output that blocks until the sender is dropped.
    struct BlockedOutput(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for BlockedOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().expect("no thread panicked").extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn slow_output_delays_nobody() {
        let (unblock, blocked) = mpsc::channel();
        let content = Arc::default();
        let output = BlockedOutput(blocked, Arc::clone(&content));
        let log = InspectLog::start(output).expect("a thread is free");
        let request = captured(b"", "x");
        for _ in 0..2 * MAX_QUEUED {
            log.entries().push(&request);
        }
        drop(unblock);
        log.finish_while(|| true);
        let content = content.lock().expect("no thread panicked");
        let text = String::from_utf8_lossy(&content);
        let printed = text.matches("POST /a").count();
        assert!(
            (MAX_QUEUED..=MAX_QUEUED + 1).contains(&printed),
            "{printed}"
        );
        let note = format!("({} requests are left out", 2 * MAX_QUEUED - printed);
        assert!(text.contains(&note), "{text}");
    }
}
