//! Where the line for each request goes.

use std::path::Path;
use std::time::{Duration, Instant};

use httpool::services::{AccessFormat, AccessLog};

use super::cli::Args;
use super::log_file::{LogFile, standard_output};
use super::logging;
use super::signals::Watch;

/// How long an output that is slow may keep the program from ending although the drain has taken all
/// its time.
const FAREWELL: Duration = Duration::from_secs(2);

/// The file that is asked for, if it is one.
pub(crate) fn file(args: &Args) -> Option<&Path> {
    logging::not_stdout(args.access_log.as_deref())
}

/// Begins the log that is asked for. The file, too, if it is one.
pub(crate) fn start(args: &Args) -> Result<(Option<AccessLog>, Option<LogFile>), String> {
    if args.access_log.is_none() {
        return Ok((None, None));
    }
    let file = file(args)
        .map(|path| LogFile::open("access log", path))
        .transpose()?;
    let format = args
        .access_log_format
        .map_or(AccessFormat::Combined, Into::into);
    let log = match &file {
        Some(file) => AccessLog::start(format, file.clone()),
        None => standard_output().and_then(|output| AccessLog::start(format, output)),
    };
    let log = log.map_err(|error| format!("cannot start a thread: {error}"))?;
    Ok((Some(log), file))
}

/// Writes what has not been written, as far as the output takes it in what is left of the drain's
/// time, and before somebody insists on the end.
pub(crate) fn finish(log: AccessLog, left: Duration, watch: &Watch) {
    let (start, patience) = (Instant::now(), left.max(FAREWELL));
    log.finish_while(|| start.elapsed() < patience && !watch.has_insisted());
}
