//! Runs scenarios in every interleaving of their threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loom::model;

/// The most preemptions per interleaving, unless `LOOM_MAX_PREEMPTIONS` is set. A switch away from
/// a thread that blocks is not a preemption.
const PREEMPTIONS: usize = 2;

/// The most steps of one interleaving. More would mean an endless loop.
const MAX_STEPS: usize = 20_000;

/// Runs a scenario in every interleaving with two preemptions.
pub(crate) fn explore(scenario: impl Fn() + Send + Sync + 'static) {
    explore_with(PREEMPTIONS, scenario);
}

/// Runs a larger scenario in every interleaving with fewer preemptions.
pub(crate) fn explore_large(scenario: impl Fn() + Send + Sync + 'static) {
    explore_with(PREEMPTIONS - 1, scenario);
}

/// Runs a scenario of a few steps in every interleaving with any number of preemptions.
pub(crate) fn explore_small(scenario: impl Fn() + Send + Sync + 'static) {
    explore_with(100, scenario);
}

fn explore_with(preemptions: usize, scenario: impl Fn() + Send + Sync + 'static) {
    let mut builder = model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.max_branches = MAX_STEPS;
    let interleavings = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&interleavings);
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        scenario();
    });
    let interleavings = interleavings.load(Ordering::Relaxed);
    println!("{interleavings} interleavings");
    assert!(interleavings > 50, "the threads of a scenario interact");
}
