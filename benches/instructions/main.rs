//! Counts the instructions of a request in user space, and compares them with a baseline.
//!
//! Times depend on the machine and its other load; these counts hardly do, so a baseline in the
//! package shows a regression. valgrind counts. The count for one request is the difference between
//! many and few requests, divided by their difference in number: start-up and shutdown cancel out.

mod baseline;
mod callgrind;
mod http2;
#[path = "../messages/mod.rs"]
mod messages;
mod mux;
mod program;
mod protocol;
mod server;

use std::collections::BTreeMap;
use std::env;
use std::process::ExitCode;

use baseline::Baseline;

/// Percent by which a count may exceed the baseline.
const TOLERANCE: f64 = 5.0;

fn main() -> ExitCode {
    if protocol::repeat_if_asked() {
        return ExitCode::SUCCESS;
    }
    let is_asked = |name| env::args().any(|argument| argument == name);
    let outcome = if !is_asked("--bench") {
        // `cargo test --benches`: only check that it runs; valgrind may be missing.
        protocol::try_out();
        server::try_out();
        http2::try_out();
        Ok(())
    } else if is_asked("--accept") {
        accept()
    } else {
        compare()
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("\n{reason}");
            ExitCode::FAILURE
        }
    }
}

/// Accepts today's counts as the baseline.
fn accept() -> Result<(), String> {
    let tools = baseline::tools()?;
    // Without a readable baseline, all counts are new.
    let before = Baseline::read().unwrap_or_default();
    let instructions = measure(&before);
    Baseline {
        tools,
        instructions,
    }
    .write()?;
    println!("\n{} rewritten", baseline::FILE);
    Ok(())
}

/// Fails if a count is too far above the baseline, unless the tools differ.
fn compare() -> Result<(), String> {
    let tools = baseline::tools()?;
    let before = Baseline::read()?;
    let now = measure(&before);
    let names = before.instructions.keys().chain(now.keys());
    let unmatched = names
        .filter(|name| !(before.instructions.contains_key(*name) && now.contains_key(*name)))
        .map(|name| format!("{name} is not in both the baseline and the bench"));
    let over = now.iter().filter_map(|(name, now)| {
        let change = change(*before.instructions.get(name)?, *now);
        (change > TOLERANCE).then(|| format!("{name} is {change:.1} % over the baseline"))
    });
    let mut failures: Vec<_> = unmatched.collect();
    if tools == before.tools {
        failures.extend(over);
    } else {
        // Other code of another compiler is not a regression of this package.
        println!("\nThe baseline was measured elsewhere, so increases are not failures:");
        for (name, here) in &tools {
            match before.tools.get(name) {
                Some(there) if there == here => {}
                Some(there) => println!("  {name}: {there} there, {here} here"),
                None => println!("  {name}: {here} here"),
            }
        }
        over.for_each(|over| println!("  {over}"));
    }
    if failures.is_empty() {
        return Ok(());
    }
    failures.push("To accept this: cargo bench --bench instructions -- --accept".to_owned());
    Err(failures.join("\n"))
}

/// Counts everything, and prints each count beside the baseline.
fn measure(before: &Baseline) -> BTreeMap<String, u64> {
    let heads = ["instructions", "baseline", "now", "change"];
    println!(
        "{:<30}{:>10}{:>10}{:>10}",
        heads[0], heads[1], heads[2], heads[3]
    );
    let counts = protocol::count()
        .chain(server::count())
        .chain(http2::count());
    counts
        .map(|(name, now)| {
            print!("{name:<30}");
            match before.instructions.get(name) {
                Some(before) => println!("{before:>10}{now:>10}{:>+8.1} %", change(*before, now)),
                None => println!("{:>10}{now:>10}", "-"),
            }
            (name.to_owned(), now)
        })
        .collect()
}

/// In percent.
fn change(before: u64, now: u64) -> f64 {
    (now as f64 / before as f64 - 1.0) * 100.0
}
