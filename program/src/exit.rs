//! The exit codes of the program.

use std::process::ExitCode;

use httpool::DrainReport;

/// Why the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Clean,
    Failed,
    Misused,
    Aborted,
}

impl Exit {
    pub(crate) const ALL: [Self; 4] = [Self::Clean, Self::Failed, Self::Misused, Self::Aborted];

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Failed => 1,
            Self::Misused => 2,
            Self::Aborted => 3,
        }
    }

    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Clean => "stopped; every request got its full response",
            Self::Failed => "could not start, or failed while running",
            Self::Misused => "wrong usage: a flag, a variable or its value",
            Self::Aborted => "stopped, but requests were aborted or handlers were still running",
        }
    }
}

impl From<&DrainReport> for Exit {
    fn from(report: &DrainReport) -> Self {
        if report.aborted > 0 || report.abandoned_workers > 0 {
            Self::Aborted
        } else {
            Self::Clean
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
