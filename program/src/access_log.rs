//! The access log: where the line for each request goes.

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
        return Ok((None, None));
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
    let log = log.map_err(|error| format!("cannot start the access log: {error}"))?;
    Ok((Some(log), file))
}

/// Whether to wait for the remaining lines of a log: for the time `left` of the drain, and at least for
/// [`LAST_WRITES`]. A second signal ends this at once.
pub(crate) fn last_writes(left: Duration, signal_threads: &SignalThreads) -> impl Fn() -> bool {
    let (start, timeout) = (Instant::now(), left.max(LAST_WRITES));
    move || start.elapsed() < timeout && !signal_threads.must_stop_now()
}
