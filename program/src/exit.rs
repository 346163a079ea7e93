//! How the program ends: the one table of exit codes.

use std::process::ExitCode;

use httpool::DrainReport;

/// Why the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Clean,
    Failed,
    Misused,
    Cut,
}

impl Exit {
    pub(crate) const ALL: [Self; 4] = [Self::Clean, Self::Failed, Self::Misused, Self::Cut];

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Failed => 1,
            Self::Misused => 2,
            Self::Cut => 3,
        }
    }

    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Clean => "stopped, and every request was answered in full",
            Self::Failed => "could not start, or could not go on",
            Self::Misused => "wrong usage: a flag, a variable or its value",
            Self::Cut => "stopped, but requests were cut or handlers left behind",
        }
    }
}

impl From<&DrainReport> for Exit {
    fn from(report: &DrainReport) -> Self {
        if report.aborted > 0 || report.abandoned_workers > 0 {
            Self::Cut
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
