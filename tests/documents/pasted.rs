//! README and guide, copied word by word into an empty folder.
//!
//! Their code is built, and run if it ends by itself. Code that serves on port 4000 gets a free
//! port instead. Each command is run or skipped, as [`COMMANDS`] says. The slow tests are ignored
//! by `cargo test` and run by `.ci/run`.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::blocks::{self, Block};
use crate::serving::{Serving, expect_drain, free_port};

const DOCUMENTS: [&str; 3] = ["README.md", "docs/guide.md", "docs/library.md"];

/// The documents whose commands are run.
const PAGES: [&str; 6] = [
    "README.md",
    "docs/inspect.md",
    "docs/library.md",
    "docs/proxies.md",
    "docs/tls.md",
    "docs/systemd.md",
];

/// How to test the commands that begin with each of these prefixes.
const COMMANDS: &[(&str, Action)] = &[
    ("cargo install --locked --path program", Action::Install),
    ("cargo new hello", Action::Project),
    (
        "cargo run --release",
        Action::Skip("it builds and starts the same program as `httpool`"),
    ),
    ("cargo test", Action::Skip("it would run this test")),
    (
        "cargo build --release",
        Action::Skip("`.ci/run` runs it first"),
    ),
    (
        "sudo system",
        Action::Skip("`systemd/test/run` runs it as root, in a container"),
    ),
    (
        "httpool --listen-tls '*:443'",
        Action::Skip("it needs a certificate for a public name"),
    ),
    ("httpool", Action::Serve),
    ("openssl ", Action::Run),
    ("curl ", Action::Run),
];

/// How a command is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// In a release build, by `readme_installs_a_command`.
    Install,
    /// It creates the project in which the code is built.
    Project,
    /// It keeps running during the following commands of its block.
    Serve,
    Run,
    /// It is not run, for this reason.
    Skip(&'static str),
}

fn action_of(command: &str) -> Option<Action> {
    let mut known = COMMANDS.iter();
    let found = known.find(|(start, _)| command.starts_with(start));
    found.map(|(_, action)| *action)
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// An empty folder outside of the workspace, because `cargo new` would add a project to the
/// workspace. It is removed on drop.
struct EmptyFolder(PathBuf);

impl EmptyFolder {
    fn new(name: &str) -> Self {
        let name = format!("httpool-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder can be created");
        Self(folder)
    }
}

impl Deref for EmptyFolder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for EmptyFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
fn expect_success(what: &str, command: &mut Command) -> Output {
    let output = command.output().expect("the program can be started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{what}: {}\n{stderr}",
        output.status
    );
    output
}

#[test]
fn every_readme_command_is_run_or_skipped() {
    let blocks: Vec<Block> = PAGES.into_iter().flat_map(blocks::of).collect();
    let commands: Vec<String> = blocks.iter().flat_map(Block::commands).collect();
    assert!(commands.len() > 15, "only {commands:?} were found");
    for command in &commands {
        assert!(
            action_of(command).is_some(),
            "{command}: add it to COMMANDS"
        );
    }
    for (start, _) in COMMANDS {
        let is_there = commands.iter().any(|command| command.starts_with(start));
        assert!(is_there, "no page has {start}");
    }
}

#[test]
fn code_has_no_hidden_lines() {
    for document in DOCUMENTS {
        let blocks = blocks::of(document);
        let manifest = manifest_of(&blocks);
        for block in blocks.iter().filter(|block| block.is("rust")) {
            let place = format!("{document}:{}", block.line);
            // rustdoc hides such lines, but a reader who copies from the file gets them.
            let hidden = block
                .text
                .lines()
                .any(|line| line == "#" || line.starts_with("# "));
            assert!(!hidden, "{place}: a hidden line");
            for name in ["serde", "tungstenite"] {
                let is_named = block.text.contains(&format!("{name}::"));
                let is_there = manifest.contains(&format!("\n{name} = "));
                assert!(
                    !is_named || is_there,
                    "{place}: no Cargo.toml of the document has {name}"
                );
            }
        }
    }
}

/// The `Cargo.toml` that the document shows, with the features that its code needs.
fn manifest_of(blocks: &[Block]) -> String {
    let toml = blocks.iter().filter(|block| block.is("toml"));
    let mut manifest: String = toml.map(|block| block.text.as_str()).collect();
    for block in blocks.iter().filter(|block| block.is("rust")) {
        for feature in block.features() {
            let quoted = format!("\"{feature}\"");
            if !manifest.contains(&quoted) {
                manifest = manifest.replacen("features = [", &format!("features = [{quoted}, "), 1);
            }
        }
    }
    manifest
}

/// Builds all code of a document, and returns the folder of the programs.
fn build(document: &str, folder: &Path) -> PathBuf {
    let blocks = blocks::of(document);
    let project = folder.join("hello");
    expect_success(
        "cargo new",
        Command::new("cargo")
            .args(["new", "hello"])
            .current_dir(folder),
    );
    std::os::unix::fs::symlink(repository(), folder.join("httpool")).expect("the folder is empty");
    // The lock file of this repository, so that nothing is downloaded.
    fs::copy(repository().join("Cargo.lock"), project.join("Cargo.lock")).expect("the file exists");
    let manifest = project.join("Cargo.toml");
    let made = fs::read_to_string(&manifest).expect("cargo new created it");
    let made = made.replace("[dependencies]\n", "") + &manifest_of(&blocks);
    fs::write(&manifest, made).expect("the file can be written");
    let programs = project.join("src/bin");
    fs::create_dir(&programs).expect("cargo new created the folder");
    for block in blocks.iter().filter(|block| block.is("rust")) {
        let file = programs.join(format!("line_{}.rs", block.line));
        fs::write(file, block.program()).expect("the file can be written");
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pasted-target");
    let mut cargo = Command::new("cargo");
    let cargo = cargo
        .args(["build", "--offline", "--bins"])
        .current_dir(&project);
    expect_success(document, cargo.env("CARGO_TARGET_DIR", &target));
    target.join("debug")
}

#[test]
#[ignore = "it compiles the crate again, for a minute: .ci/run"]
fn code_builds_and_runs_in_an_empty_folder() {
    for document in DOCUMENTS {
        let folder = EmptyFolder::new("pasted");
        let programs = build(document, &folder);
        let mut drained = 0;
        for block in blocks::of(document).iter().filter(|block| block.is("rust")) {
            let (place, program) = (format!("{document}:{}", block.line), block.program());
            let built = programs.join(format!("line_{}", block.line));
            if block.ends() {
                expect_success(&place, Command::new(&built).current_dir(&*folder));
                println!("{place}: built and run");
            } else if program.contains("\"localhost:4000\"") {
                let port = free_port();
                let changed = program.replace("localhost:4000", &format!("127.0.0.1:{port}"));
                let name = format!("line_{}", block.line);
                fs::write(
                    folder
                        .join("hello/src/bin")
                        .join(&name)
                        .with_extension("rs"),
                    changed,
                )
                .expect("the file can be written");
                let mut cargo = Command::new("cargo");
                let cargo = cargo.args(["build", "--offline", "--bin", &name]);
                let target = programs.parent().expect("the folder is in target");
                expect_success(
                    &place,
                    cargo
                        .current_dir(folder.join("hello"))
                        .env("CARGO_TARGET_DIR", target),
                );
                let mut serving = Serving::start(&mut Command::new(&built), port);
                serving.expect_ok("/");
                if program.contains("run_until_signal") {
                    expect_drain(serving);
                    drained += 1;
                    println!("{place}: built and run; it drained on SIGTERM");
                } else {
                    println!("{place}: built and run on another port");
                }
            } else {
                println!("{place}: built, not run: it is incomplete or needs other files");
            }
        }
        assert_eq!(
            drained,
            usize::from(document == "docs/guide.md"),
            "{document}"
        );
    }
}

/// A shell command with the programs of this folder in its PATH.
fn shell(command: &str, programs: &Path, folder: &Path) -> Command {
    let path = std::env::var("PATH").expect("PATH is set");
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(folder);
    shell.env("PATH", format!("{}:{path}", programs.display()));
    shell
}

#[test]
#[ignore = "it needs curl and openssl: .ci/run"]
fn readme_commands_print_the_shown_output() {
    let folder = EmptyFolder::new("commands");
    fs::create_dir(folder.join("public")).expect("the folder is empty");
    fs::write(folder.join("public/style.css"), vec![b' '; 3598]).expect("the file can be written");
    let program = Path::new(env!("CARGO_BIN_EXE_httpool"));
    let programs = program.parent().expect("the path has a parent");
    let mut shown = 0;
    for block in PAGES.into_iter().flat_map(blocks::of) {
        let mut serving = None;
        for command in block.commands() {
            match action_of(&command) {
                Some(Action::Serve) => serving = Some(serve(&command, programs, &folder)),
                Some(Action::Run) => {
                    if command.contains("localhost:") && serving.is_none() {
                        serving = Some(serve("httpool", programs, &folder));
                    }
                    let port = serving.as_ref().map_or(0, |serving: &Serving| serving.port);
                    let here = with_port(&command, port);
                    let output = expect_success(&command, &mut shell(&here, programs, &folder));
                    if block.is("console") {
                        let expected = expected_of(&block, &command);
                        assert_eq!(comparable(&output.stdout), expected, "{command}");
                        shown += 1;
                    }
                    println!("run: {command}");
                }
                Some(Action::Skip(reason)) => println!("skipped: {command}: {reason}"),
                Some(Action::Install | Action::Project) => {
                    println!("run by another test: {command}");
                }
                None => panic!("{command}: add it to COMMANDS"),
            }
        }
    }
    assert!(
        shown >= 6,
        "only {shown} commands were compared with their output in the README"
    );
}

fn serve(command: &str, programs: &Path, folder: &Path) -> Serving {
    let port = free_port();
    let mut here = with_port(command, port);
    if here == command {
        here += &format!(" --listen 127.0.0.1:{port}");
    }
    Serving::start(&mut shell(&format!("exec {here}"), programs, folder), port)
}

fn with_port(command: &str, port: u16) -> String {
    let host = format!("localhost:{port}");
    command
        .replace("localhost:4000", &host)
        .replace("localhost:4443", &host)
        .replace("-p 8080", &format!("-p {port}"))
}

/// The output that the block shows for a command.
fn expected_of(block: &Block, command: &str) -> Vec<String> {
    let start = format!("$ {command}");
    let mut lines = block.text.lines().skip_while(|line| *line != start).skip(1);
    let mut expected = String::new();
    for line in lines.by_ref().take_while(|line| !line.starts_with("$ ")) {
        expected += &format!("{line}\n");
    }
    comparable(expected.as_bytes())
}

/// The lines without what differs in each run: dates, times, tags, and ports.
fn comparable(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let lines = text.trim_end().lines();
    let lines = lines.map(|line| match line.split_once(": ") {
        Some((name @ ("date" | "etag" | "last-modified"), _)) => name.to_owned(),
        Some((name, _)) if TIMES.contains(&name.trim().trim_matches('"')) => name.to_owned(),
        _ => without_ports(line),
    });
    lines.collect()
}

/// Members of a description that differ in each run.
const TIMES: [&str; 4] = ["received", "waited_us", "read_us", "handled_us"];

fn without_ports(line: &str) -> String {
    let mut all = line.to_owned();
    for host in ["127.0.0.1:", "localhost:"] {
        let mut parts = all.split(host).map(str::to_owned);
        let mut rest = parts.next().unwrap_or_default();
        for part in parts {
            rest += host;
            rest += part.trim_start_matches(|character: char| character.is_ascii_digit());
        }
        all = rest;
    }
    all
}

#[test]
#[ignore = "it makes a release build: .ci/run"]
fn readme_installs_a_command() {
    let folder = EmptyFolder::new("installed");
    let blocks: Vec<Block> = PAGES.into_iter().flat_map(blocks::of).collect();
    let mut commands = blocks.iter().flat_map(Block::commands);
    let install = commands.find(|command| action_of(command) == Some(Action::Install));
    let install = install.expect("a page shows an install command");
    let mut command = shell(&install, &folder, repository());
    expect_success(&install, command.env("CARGO_INSTALL_ROOT", &*folder));
    let version = expect_success(
        "httpool",
        &mut shell("httpool --version", &folder.join("bin"), &folder),
    );
    assert!(version.stdout.starts_with(b"httpool "), "{version:?}");
}
