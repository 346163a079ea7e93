//! Where the line for each request goes.

use std::io;
use std::path::Path;

use httpool::apps::AccessLog;

use super::cli::Args;
use super::logging::LogFile;

/// The path that is standard output.
const STDOUT: &str = "-";

/// The file that is asked for, if it is one.
pub(crate) fn file(args: &Args) -> Option<&Path> {
    args.access_log
        .as_deref()
        .filter(|path| *path != Path::new(STDOUT))
}

/// Begins the log that is asked for. The file, too, if it is one.
pub(crate) fn start(args: &Args) -> Result<(Option<AccessLog>, Option<LogFile>), String> {
    if args.access_log.is_none() {
        return Ok((None, None));
    }
    let file = file(args)
        .map(|path| LogFile::open("access log", path))
        .transpose()?;
    let format = args.access_log_format.into();
    let log = match &file {
        Some(file) => AccessLog::start(format, file.clone()),
        None => AccessLog::start(format, io::stdout()),
    };
    let log = log.map_err(|error| format!("cannot start a thread: {error}"))?;
    Ok((Some(log), file))
}
