//! The inspector: `--inspect` with the flags that go with it.

use httpool::services::inspect::{Inspect, Settings};

use super::cli::Args;

/// The inspector, if it is asked for.
pub(crate) fn open(args: &Args) -> Option<Inspect> {
    args.inspect.then(|| Inspect::new(Settings::default()))
}
