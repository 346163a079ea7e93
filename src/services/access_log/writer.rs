//! The thread that writes the access log to its output.

use std::convert::Infallible;
use std::io::{self, ErrorKind, Write};
use std::mem;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, at, select_biased};
use log::{error, info, warn};

use super::{LogState, MAX_QUEUED, count_lines};

/// How often all lines are written, whatever their size.
const INTERVAL: Duration = Duration::from_secs(1);

/// Writes to the output of a log, on its thread.
pub(super) struct Writer<W> {
    output: W,
    next_write: Instant,
    /// Lines lost since the output failed. `None` while it works.
    lost_since_failure: Option<u64>,
    /// The output ends with a part of a line.
    ends_inside_line: bool,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(output: W) -> Self {
        Self {
            output,
            next_write: Instant::now() + INTERVAL,
            lost_since_failure: None,
            ends_inside_line: false,
        }
    }

    pub(super) fn run(
        mut self,
        state: &LogState,
        queue: &Receiver<Vec<u8>>,
        stop: &Receiver<Infallible>,
    ) {
        loop {
            select_biased! {
                recv(stop) -> _ => {
                    let queued = queue.try_iter().take(MAX_QUEUED);
                    queued.for_each(|lines| self.write(state, &lines));
                    self.write_buffers(state);
                    return self.report_failure();
                }
                recv(queue) -> lines => self.write(state, &lines.unwrap_or_default()),
                recv(at(self.next_write)) -> _ => {}
            }
            if Instant::now() >= self.next_write {
                self.write_buffers(state);
                self.next_write = Instant::now() + INTERVAL;
            }
        }
    }

    fn write_buffers(&mut self, state: &LogState) {
        for mut buffer in state.buffers.all() {
            let lines = mem::take(&mut buffer.bytes);
            // The worker must not wait for the output.
            drop(buffer);
            if !lines.is_empty() {
                self.write(state, &lines);
            }
        }
        let lost = state.take_unreported();
        if lost > 0 {
            warn!("{lost} access log lines lost: its output is too slow");
        }
    }

    /// Reports a failure that has not ended. Only its start was reported.
    fn report_failure(&self) {
        if let Some(lost) = self.lost_since_failure {
            error!("{lost} access log lines lost: writing failed");
        }
    }

    fn write(&mut self, state: &LogState, lines: &[u8]) {
        let (written, result) = self.write_lines(state, lines);
        state.being_written.store(0, Ordering::Relaxed);
        let lost = count_lines(&lines[written..]);
        match (result, &mut self.lost_since_failure) {
            (Ok(()), None) => {}
            (Ok(()), Some(sum)) => {
                info!("writing to the access log again; {sum} lines lost");
                self.lost_since_failure = None;
            }
            (Err(error), None) => {
                error!("cannot write to the access log: {error}");
                self.lost_since_failure = Some(lost);
            }
            (Err(_), Some(sum)) => *sum += lost,
        }
    }

    /// Writes lines, and returns how many bytes the output has taken. If the output ends with a
    /// part of a line, that line is ended first.
    fn write_lines(&mut self, state: &LogState, lines: &[u8]) -> (usize, io::Result<()>) {
        let note_unwritten = |rest: &[u8]| {
            let count = count_lines(rest);
            state.being_written.store(count, Ordering::Relaxed);
        };
        note_unwritten(lines);
        if self.ends_inside_line {
            if let Err(error) = self.output.write_all(b"\n") {
                return (0, Err(error));
            }
            self.ends_inside_line = false;
        }
        let mut written = 0;
        while written < lines.len() {
            match self.output.write(&lines[written..]) {
                Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
                Ok(count) => {
                    written += count;
                    self.ends_inside_line = lines[written - 1] != b'\n';
                    note_unwritten(&lines[written..]);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (written, Err(error)),
            }
        }
        (written, self.output.flush())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::services::{AccessFormat, AccessLog};

    /// A disk with room for this many bytes.
    struct Disk(usize, Arc<Mutex<Vec<u8>>>);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut content = self.1.lock().expect("no thread panicked");
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
    fn a_full_disk_loses_the_lines_that_are_counted() {
        let log = AccessLog::start(AccessFormat::Common, io::sink()).expect("a thread is free");
        let state = log.lines().0;
        let content = Arc::default();
        let mut writer = Writer::new(Disk(10, Arc::clone(&content)));
        writer.write(&state, b"one\ntwo\nthree\nfour\n");
        assert_eq!(writer.lost_since_failure, Some(2));
        writer.write(&state, b"five\nsix\n");
        assert_eq!(writer.lost_since_failure, Some(4));
        writer.output.0 = 100;
        writer.write(&state, b"seven\n");
        assert_eq!(writer.lost_since_failure, None);
        let content = content.lock().expect("no thread panicked");
        assert_eq!(&content[..], b"one\ntwo\nth\nseven\n");
    }
}
