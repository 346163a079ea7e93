//! Who is told of each request, at whichever server of this program.

use std::sync::Arc;

use httpool::Builder;
use httpool::services::{AccessLines, AccessLog, RequestMetrics};

use super::cli::Args;

/// Those that are asked for.
#[derive(Debug)]
pub(crate) struct Observers {
    meter: Option<Arc<RequestMetrics>>,
    lines: Option<AccessLines>,
}

impl Observers {
    pub(crate) fn new(args: &Args, access_log: Option<&AccessLog>) -> Self {
        Self {
            // Nobody asks for figures where there is no address to ask at.
            meter: (!args.admin.is_empty()).then(|| Arc::new(RequestMetrics::new())),
            lines: access_log.map(AccessLog::lines),
        }
    }

    /// Has a server tell them.
    pub(crate) fn observe(&self, builder: Builder) -> Builder {
        let builder = match &self.meter {
            Some(meter) => builder.observer(Arc::clone(meter)),
            None => builder,
        };
        match &self.lines {
            Some(lines) => builder.observer(lines.clone()),
            None => builder,
        }
    }

    pub(crate) fn meter(&self) -> Option<Arc<RequestMetrics>> {
        self.meter.clone()
    }
}
