//! The program's log: its outputs and its formats.

use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::panic::{self, PanicHookInfo};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::SystemTime;

use httpool::logging::{escape_json_string, escape_text, panic_message};
use log::{Level, LevelFilter, Log, Metadata, Record};
use simplelog::{CombinedLogger, Config, ConfigBuilder, SharedLogger, WriteLogger};
use time::macros::format_description;

use super::cli::{Args, LogFormat};
use super::log_file::{LogFile, standard_output};
use super::systemd;

/// The path that means standard output.
const STDOUT: &str = "-";

/// Sends all messages and panics to the output of the flags. Returns the log file, if it is one.
pub(crate) fn set_up(args: &Args) -> Result<Option<LogFile>, String> {
    let file = file(args)
        .map(|path| LogFile::open("log file", path))
        .transpose()
        .map_err(|error| format!("--log-file {error}"))?;
    let logger = match &file {
        Some(file) => to_stream(args, file.clone()),
        None if args.log_file.is_some() => {
            let output = standard_output().map_err(|error| format!("--log-file -: {error}"))?;
            to_output(args, output)
        }
        None => to_output(args, io::stderr()),
    };
    init(logger)?;
    panic::set_hook(Box::new(log_panic));
    Ok(file)
}

/// Sends warnings to standard error, for `--check`. The returned flag becomes true with the first
/// warning.
pub(crate) fn set_up_for_check() -> Result<Arc<AtomicBool>, String> {
    let format = match systemd::is_journal(io::stderr()) {
        true => LineFormat::Journal,
        false => LineFormat::Warning,
    };
    let has_written = Arc::new(AtomicBool::new(false));
    let stream = WriteDetector {
        has_written: Arc::clone(&has_written),
        stream: io::stderr(),
    };
    init(Lines::boxed(LevelFilter::Warn, format, stream))?;
    Ok(has_written)
}

fn init(logger: Box<dyn SharedLogger>) -> Result<(), String> {
    CombinedLogger::init(vec![logger]).map_err(|error| error.to_string())
}

/// The path of the log file, unless it is standard output.
pub(crate) fn file(args: &Args) -> Option<&Path> {
    unless_stdout(args.log_file.as_deref())
}

/// This path, unless it means standard output.
pub(crate) fn unless_stdout(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| *path != Path::new(STDOUT))
}

/// Reports why the program ends: to the log, and to standard error if the log is elsewhere.
pub(crate) fn failure(args: &Args, reason: &str) {
    log::error!("{reason}");
    if args.log_file.is_some() || args.log_level == LevelFilter::Off {
        print_error(reason);
    }
}

/// Writes an error to standard error, also if there is no log.
pub(crate) fn print_error(reason: &str) {
    let priority = match systemd::is_journal(io::stderr()) {
        true => format!("<{}>", priority(Level::Error)),
        false => String::new(),
    };
    // The program does not fail because standard error is closed.
    let _ = writeln!(io::stderr(), "{priority}httpool: {reason}");
}

/// Writes a picture of characters, dark on light, and its caption to standard error.
pub(crate) fn print_picture(picture: &str, caption: &str) {
    // Most terminals are light on dark, and not all cameras read a code with swapped colours.
    let (start, end) = match io::stderr().is_terminal() {
        true => ("\x1b[30;107m", "\x1b[0m"),
        false => ("", ""),
    };
    let lines = picture.lines().map(|line| format!("{start}{line}{end}\n"));
    // The program does not fail because standard error is closed.
    let _ = writeln!(io::stderr(), "{}{caption}", lines.collect::<String>());
}

fn to_output(args: &Args, stream: impl Write + AsFd + Send + 'static) -> Box<dyn SharedLogger> {
    match args.log_format {
        LogFormat::Text if systemd::is_journal(&stream) => {
            Lines::boxed(args.log_level, LineFormat::Journal, stream)
        }
        _ => to_stream(args, stream),
    }
}

fn to_stream(args: &Args, stream: impl Write + Send + 'static) -> Box<dyn SharedLogger> {
    match args.log_format {
        // Gathers the parts of each message, so that lines of several processes do not mix.
        LogFormat::Text => WriteLogger::new(args.log_level, text_config(), LineBuffer::new(stream)),
        LogFormat::Json => Lines::boxed(args.log_level, LineFormat::Json, stream),
    }
}

fn text_config() -> Config {
    ConfigBuilder::new()
        .set_time_format_custom(format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        ))
        .set_thread_level(LevelFilter::Debug)
        .set_target_level(LevelFilter::Debug)
        .set_location_level(LevelFilter::Off)
        .build()
}

/// Writes the panics of handlers to the log instead of standard error.
fn log_panic(info: &PanicHookInfo<'_>) {
    let message = panic_message(info.payload()).unwrap_or("no message");
    let thread = thread::current();
    let name = thread.name().unwrap_or("unnamed");
    match info.location() {
        Some(location) => log::error!("thread {name} panicked at {location}: {message}"),
        None => log::error!("thread {name} panicked: {message}"),
    }
}

/// Formats that `simplelog` does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineFormat {
    /// One JSON object a line.
    Json,
    /// Text with a priority in front, as the journal reads it. The journal adds the time.
    Journal,
    /// Warnings of `--check`.
    Warning,
}

/// A stream that records whether anything was written to it.
struct WriteDetector<W> {
    has_written: Arc<AtomicBool>,
    stream: W,
}

impl<W: Write> Write for WriteDetector<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.has_written.store(true, Ordering::Relaxed);
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Gathers the parts of a line, escapes it, and writes it with a single write. A line that can't be
/// written is lost.
struct LineBuffer<W> {
    output: W,
    line: Vec<u8>,
}

impl<W> LineBuffer<W> {
    fn new(output: W) -> Self {
        let line = Vec::new();
        Self { output, line }
    }
}

impl<W: Write> Write for LineBuffer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if self.line.ends_with(b"\n") {
            let line = String::from_utf8_lossy(&self.line);
            let written = self.output.write_all(escape_text(&line).as_bytes());
            self.line.clear();
            written?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Formats each message before locking the output, and writes it with a single write.
struct Lines<W> {
    level: LevelFilter,
    format: LineFormat,
    output: Mutex<W>,
}

impl<W: Write + Send + 'static> Lines<W> {
    fn boxed(level: LevelFilter, format: LineFormat, output: W) -> Box<Self> {
        Box::new(Self {
            level,
            format,
            output: Mutex::new(output),
        })
    }
}

impl<W: Write + Send + 'static> Log for Lines<W> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.level
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = match self.format {
            LineFormat::Json => json(record, SystemTime::now()),
            LineFormat::Journal => journal(record),
            LineFormat::Warning => format!("httpool: warning: {}\n", record.args()),
        };
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        // The server continues if its log can't be written, and there is no place to report it.
        let _ = output.write_all(text.as_bytes());
    }

    fn flush(&self) {
        let _ = self
            .output
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .flush();
    }
}

impl<W: Write + Send + 'static> SharedLogger for Lines<W> {
    fn level(&self) -> LevelFilter {
        self.level
    }

    fn config(&self) -> Option<&Config> {
        None
    }

    fn as_log(self: Box<Self>) -> Box<dyn Log> {
        self
    }
}

fn json(record: &Record<'_>, now: SystemTime) -> String {
    format!(
        "{{\"ts\":\"{}\",\"level\":\"{}\",\"target\":\"{}\",\"message\":\"{}\"}}\n",
        humantime::format_rfc3339_millis(now),
        record.level().as_str().to_lowercase(),
        escape_json_string(record.target()),
        escape_json_string(&record.args().to_string()),
    )
}

/// The journal reads each line as a message of its own, so each line gets the priority.
fn journal(record: &Record<'_>) -> String {
    let priority = priority(record.level());
    let message = if record.level() >= Level::Debug {
        format!("{}: {}", record.target(), record.args())
    } else {
        record.args().to_string()
    };
    let message = escape_text(&message);
    let lines = message.lines().map(|line| format!("<{priority}>{line}\n"));
    lines.collect()
}

/// The priority of a level in the journal (sd-daemon(3)).
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn json_message_is_one_line() {
        let line = json(
            &Record::builder()
                .level(Level::Warn)
                .target("httpool::server")
                .args(format_args!("a \"quoted\"\nmessage \u{1b}[0m"))
                .build(),
            SystemTime::UNIX_EPOCH,
        );
        assert_eq!(line.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&line).expect("the line is JSON");
        assert_eq!(value["ts"], "1970-01-01T00:00:00.000Z");
        assert_eq!(value["level"], "warn");
        assert_eq!(value["target"], "httpool::server");
        assert_eq!(value["message"], "a \"quoted\"\nmessage \u{1b}[0m");
    }

    #[test]
    fn control_characters_are_escaped_in_all_formats() {
        let message = "\u{1b}[2J\u{9b}2J\u{85}\u{2028}\u{202e}\u{2066}x";
        let mut text = LineBuffer::new(Vec::new());
        let written = writeln!(text, "a {message}");
        written.expect("writing to memory succeeds");
        let text = String::from_utf8(text.output).expect("the line is UTF-8");
        let args = format_args!("{message}");
        let record = Record::builder().level(Level::Info).args(args).build();
        for line in [
            text,
            journal(&record),
            json(&record, SystemTime::UNIX_EPOCH),
        ] {
            let content = line.strip_suffix('\n').expect("the output is one line");
            assert!(
                content.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "{line:?}"
            );
        }
    }

    #[test]
    fn each_journal_line_has_a_priority() {
        #[track_caller]
        fn check(level: Level, message: &str, expected: &str) {
            let text = journal(
                &Record::builder()
                    .level(level)
                    .target("httpool")
                    .args(format_args!("{message}"))
                    .build(),
            );
            assert_eq!(text, expected);
        }
        check(Level::Error, "one\ntwo", "<3>one\n<3>two\n");
        check(Level::Warn, "w", "<4>w\n");
        check(Level::Info, "i", "<6>i\n");
        check(Level::Debug, "d", "<7>httpool: d\n");
    }

    #[test]
    fn messages_below_the_level_are_dropped() {
        let lines = Lines::boxed(LevelFilter::Info, LineFormat::Journal, Vec::new());
        for (level, message) in [(Level::Debug, "no"), (Level::Info, "yes")] {
            let mut record = Record::builder();
            lines.log(&record.level(level).args(format_args!("{message}")).build());
        }
        let written = lines
            .output
            .into_inner()
            .expect("the mutex is not poisoned");
        assert_eq!(written, b"<6>yes\n");
    }
}
