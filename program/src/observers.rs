//! The observers of requests, for every server of this program.

use std::sync::Arc;

use httpool::Builder;
use httpool::services::{AccessLines, AccessLog, RequestMetrics};

use super::cli::Args;

/// The observers that the flags ask for.
#[derive(Debug)]
pub(crate) struct Observers {
    metrics: Option<Arc<RequestMetrics>>,
    lines: Option<AccessLines>,
}

impl Observers {
    pub(crate) fn new(args: &Args, access_log: Option<&AccessLog>) -> Self {
        Self {
            // Metrics can only be read through `--admin`.
            metrics: (!args.admin.is_empty()).then(|| Arc::new(RequestMetrics::new())),
            lines: access_log.map(AccessLog::lines),
        }
    }

    /// Adds the observers to a server.
    pub(crate) fn observe(&self, builder: Builder) -> Builder {
        let builder = match &self.metrics {
            Some(metrics) => builder.observer(Arc::clone(metrics)),
            None => builder,
        };
        match &self.lines {
            Some(lines) => builder.observer(lines.clone()),
            None => builder,
        }
    }

    pub(crate) fn metrics(&self) -> Option<Arc<RequestMetrics>> {
        self.metrics.clone()
    }
}
