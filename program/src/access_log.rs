//! The access log: where the line for each request goes.

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::time::{Duration, Instant};

use httpool::services::{AccessFormat, AccessLog};

use super::cli::Args;
use super::log_file::{LogFile, standard_output};
use super::logging;
use super::signals::SignalThreads;

/// Once the drain has used all its time, a slow output may delay the end of the program this much
/// longer.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// The path of the access log, unless it is standard output.
pub(crate) fn file(args: &Args) -> Option<&Path> {
    logging::unless_stdout(args.access_log.as_deref())
}

/// Starts the access log, if there is one. Also returns the file, if it is one.
pub(crate) fn start(args: &Args) -> Result<(Option<AccessLog>, Option<LogFile>), String> {
    if args.access_log.is_none() {
        return Ok((on_terminal(args)?, None));
    }
    let file = file(args)
        .map(|path| LogFile::open("access log", path))
        .transpose()
        .map_err(|error| format!("--access-log {error}"))?;
    let format = args
        .access_log_format
        .map_or(AccessFormat::Combined, Into::into);
    let log = match &file {
        Some(file) => AccessLog::start(format, file.clone()),
        None => standard_output().and_then(|output| AccessLog::start(format, output)),
    };
    let log = log.map_err(|error| start_error(&error))?;
    Ok((Some(log), file))
}

/// A short line for each request, if a person looks at standard output and nothing else prints there.
fn on_terminal(args: &Args) -> Result<Option<AccessLog>, String> {
    let prints_itself = args.inspect_log || args.log_file.as_deref() == Some(Path::new("-"));
    if args.quiet || prints_itself || !io::stdout().is_terminal() {
        return Ok(None);
    }
    let log = standard_output().and_then(|output| AccessLog::start(AccessFormat::Brief, output));
    log.map(Some).map_err(|error| start_error(&error))
}

fn start_error(error: &io::Error) -> String {
    format!("cannot start the access log: {error}")
}

/// Whether to wait for the remaining lines of a log: for the time `left` of the drain, and at least for
/// [`LAST_WRITES`]. A second signal ends this at once.
pub(crate) fn last_writes(left: Duration, signal_threads: &SignalThreads) -> impl Fn() -> bool {
    let (start, timeout) = (Instant::now(), left.max(LAST_WRITES));
    move || start.elapsed() < timeout && !signal_threads.must_stop_now()
}
