//! The program's exit codes.

use std::process::ExitCode;

use httpool::DrainReport;

/// The reason why the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Complete,
    Failed,
    Usage,
    Aborted,
}

impl Exit {
    pub(crate) const ALL: [Self; 4] = [Self::Complete, Self::Failed, Self::Usage, Self::Aborted];

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Aborted => 3,
        }
    }

    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Complete => "shutdown complete; every request got its full response",
            Self::Failed => "the server could not start or could not continue",
            Self::Usage => "wrong usage: a flag, a variable or a value",
            Self::Aborted => {
                "shutdown complete, but requests were aborted, or a handler had not returned 250 ms \
                 after the deadline"
            }
        }
    }
}

impl From<&DrainReport> for Exit {
    fn from(report: &DrainReport) -> Self {
        if report.aborted > 0 || report.abandoned_workers > 0 {
            Self::Aborted
        } else {
            Self::Complete
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
