//! The accepted instruction counts.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use serde::Deserialize;

/// The file of the baseline. Cargo runs a bench in the package's directory.
pub(crate) const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../benches/instructions/baseline.toml"
);

/// Counts, and what they depend on beside this package.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Baseline {
    pub(crate) tools: BTreeMap<String, String>,
    pub(crate) instructions: BTreeMap<String, u64>,
}

impl Baseline {
    /// The accepted counts.
    pub(crate) fn read() -> Result<Self, String> {
        let text = fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
        toml::from_str(&text).map_err(|error| format!("{FILE}: {error}"))
    }

    /// Accepts these counts.
    pub(crate) fn write(&self) -> Result<(), String> {
        let mut text =
            "# Written by `cargo bench --bench instructions -- --accept`.\n\n[tools]\n".to_owned();
        for (name, version) in &self.tools {
            let _ = writeln!(text, "{name} = {version:?}");
        }
        text.push_str("\n[instructions]\n");
        for (name, instructions) in &self.instructions {
            let _ = writeln!(text, "{name:?} = {instructions}");
        }
        fs::write(FILE, text).map_err(|error| format!("{FILE}: {error}"))
    }
}

/// The tools here that counts depend on, beside this package.
pub(crate) fn tools() -> Result<BTreeMap<String, String>, String> {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    Ok([
        ("cpu", cpu()),
        ("libc", first_line("getconf", "GNU_LIBC_VERSION")?),
        ("rustc", first_line(&rustc, "--version")?),
        ("valgrind", first_line("valgrind", "--version")?),
    ]
    .map(|(name, version)| (name.to_owned(), version))
    .into())
}

/// The properties of the processor that valgrind does not hide from programs.
fn cpu() -> String {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return "x86_64 with AVX2".to_owned();
    }
    env::consts::ARCH.to_owned()
}

fn first_line(program: &str, argument: &str) -> Result<String, String> {
    let output = Command::new(program)
        .arg(argument)
        .output()
        .map_err(|error| format!("{program} can't be run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().unwrap_or_default().trim();
    if !output.status.success() || line.is_empty() {
        return Err(format!("{program} {argument} does not say its version"));
    }
    Ok(line.to_owned())
}
