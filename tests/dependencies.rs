//! All dependencies follow the rules in `deny.toml`: licences, versions and sources.
//!
//! `cargo deny check` reads the same file and also checks advisories. These tests need the sources of
//! all optional dependencies, which cargo may have to download. So `cargo test` ignores them, and
//! `.ci/run` runs them.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use spdx::{Expression, ParseMode};

#[derive(Deserialize)]
struct Rules {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    skip: Vec<Skip>,
}

/// A second version that is accepted.
#[derive(Deserialize)]
struct Skip {
    /// The name and the start of the version, for example `syn@2`.
    #[serde(rename = "crate")]
    spec: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// `None` for packages of this workspace.
    source: Option<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rules() -> Rules {
    let text = fs::read_to_string(root().join("deny.toml")).expect("deny.toml exists");
    toml::from_str(&text).expect("deny.toml has these tables")
}

/// The packages that are built for one of the targets, with all features.
fn packages(rules: &Rules) -> Vec<Package> {
    let of_target = |target: &String| {
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args([
                "metadata",
                "--locked",
                "--all-features",
                "--format-version=1",
            ])
            .args(["--filter-platform", target])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let metadata: Metadata =
            serde_json::from_slice(&output.stdout).expect("cargo prints its metadata as JSON");
        metadata.packages
    };
    let mut packages: Vec<Package> = rules.graph.targets.iter().flat_map(of_target).collect();
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    packages.dedup_by(|a, b| (&a.name, &a.version) == (&b.name, &b.version));
    assert!(packages.len() > 100, "{} packages", packages.len());
    packages
}

impl Skip {
    fn matches(&self, package: &Package) -> bool {
        let (name, start) = self.spec.split_once('@').expect("a skip has a version");
        let rest = package.version.strip_prefix(start);
        name == package.name && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

#[test]
#[ignore = "may download dependencies"]
fn licences_are_allowed() {
    let rules = rules();
    let is_allowed = |license: &str| {
        rules
            .licenses
            .allow
            .iter()
            .any(|allowed| allowed == license)
    };
    for Package { name, license, .. } in packages(&rules) {
        let license = license.unwrap_or_else(|| panic!("{name} names no licence"));
        let expression = Expression::parse_mode(&license, ParseMode::LAX)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let is_met = expression.evaluate(|license| is_allowed(&license.to_string()));
        assert!(
            is_met,
            "{name} has the licence {license}, which deny.toml does not allow"
        );
    }
}

#[test]
#[ignore = "may download dependencies"]
fn crates_have_one_version_or_a_reason() {
    let rules = rules();
    let packages = packages(&rules);
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in &packages {
        if !rules.bans.skip.iter().any(|skip| skip.matches(package)) {
            versions
                .entry(&package.name)
                .or_default()
                .push(&package.version);
        }
    }
    versions.retain(|_, versions| versions.len() > 1);
    assert!(versions.is_empty(), "several versions: {versions:?}");
    for skip in &rules.bans.skip {
        let is_used = packages.iter().any(|package| skip.matches(package));
        assert!(is_used, "deny.toml skips {}, which is not used", skip.spec);
    }
}

#[test]
#[ignore = "may download dependencies"]
fn crates_come_from_crates_io() {
    let rules = rules();
    for Package { name, source, .. } in packages(&rules) {
        let Some(source) = source else { continue };
        let registry = source.strip_prefix("registry+").unwrap_or_default();
        let is_allowed = rules
            .sources
            .allow_registry
            .iter()
            .any(|allowed| allowed == registry);
        assert!(is_allowed, "{name} comes from {source}");
    }
}

/// How many crates the library has with this feature alone, or without features.
fn crates_with(feature: &str) -> usize {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["tree", "--locked", "--package", "httpool"])
        .args(["--edges", "normal", "--prefix", "none", "--no-dedupe"])
        .args(["--no-default-features", "--features", feature])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).expect("cargo prints text");
    let crates: BTreeSet<&str> = text.lines().collect();
    crates.len()
}

#[test]
#[ignore = "may download dependencies"]
fn documented_numbers_of_crates_are_right() {
    let text = fs::read_to_string(root().join("docs/library.md")).expect("the document exists");
    let (_, table) = text
        .split_once("## What a feature adds")
        .expect("it has the chapter");
    let rows = table.lines().filter_map(|line| {
        let (feature, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        let (count, _) = rest.split_once(' ')?;
        Some((feature, count.parse().ok()?))
    });
    let without = crates_with("");
    let mut count = 0;
    for (feature, added) in rows {
        let added: usize = added;
        assert_eq!(crates_with(feature) - without, added, "{feature}");
        count += 1;
    }
    assert!(count > 20, "{count} features");
}
