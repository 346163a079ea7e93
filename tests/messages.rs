//! The compiler explains common mistakes of users of the library.
//!
//! Other text of the compiler differs between versions, so only the explanations are compared. Each
//! file in `tests/messages` except one has a mistake.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// A compiler with this crate as a dependency.
struct Compiler {
    dependencies: PathBuf,
    library: PathBuf,
}

impl Compiler {
    /// Takes the newest library with which the correct file compiles: builds with other features
    /// may be in the same folder.
    fn new() -> Self {
        let test = env::current_exe().expect("the test knows its path");
        let dependencies = test.parent().expect("the test is in deps");
        let mut libraries: Vec<_> = fs::read_dir(dependencies)
            .expect("the folder exists")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| is_library(path))
            .collect();
        libraries.sort_by_key(|path| modified(path));
        let mut output = String::from("no library was built");
        while let Some(library) = libraries.pop() {
            let compiler = Self {
                dependencies: dependencies.to_owned(),
                library,
            };
            match compiler.compile("correct") {
                Ok(()) => return compiler,
                Err(errors) => output = errors,
            }
        }
        panic!("the correct file does not compile: {output}");
    }

    /// Compiles the file, and returns the compiler's errors if it fails.
    fn compile(&self, name: &str) -> Result<(), String> {
        let output = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()))
            .args(["--edition", "2024", "--emit", "metadata", "--out-dir"])
            .arg(env!("CARGO_TARGET_TMPDIR"))
            .arg("-L")
            .arg(format!("dependency={}", self.dependencies.display()))
            .arg("--extern")
            .arg(format!("httpool={}", self.library.display()))
            .arg(file(name))
            .output()
            .expect("the compiler can be run");
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Expects the explanation, in an error that points at the line with the mistake.
    #[track_caller]
    fn check(&self, name: &str, sentence: &str) {
        let output = self.compile(name).expect_err("the file must not compile");
        assert!(output.contains(sentence), "{name}: {sentence}\n{output}");
        let text = fs::read_to_string(file(name)).expect("the file exists");
        let marked = text
            .lines()
            .position(|line| line.ends_with("// The mistake."));
        if let Some(index) = marked {
            let place = format!("{name}.rs:{}:", index + 1);
            assert!(output.contains(&place), "{place}\n{output}");
        }
    }
}

/// The path of a file of `tests/messages`.
fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    folder.join(name).with_extension("rs")
}

fn is_library(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("libhttpool-") && name.ends_with(".rlib")
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}

#[test]
fn compiler_messages_explain_the_mistake() {
    let compiler = Compiler::new();
    for (name, sentence) in [
        ("return_type", "a handler can't return `Trouble`"),
        ("argument", "`User` can't be an argument of this function"),
        ("asynchronous", "remove `async`"),
        ("asynchronous_handler", "remove `async`"),
        ("asynchronous_layer", "remove `async`"),
        ("clone", "`App: Clone` is not satisfied"),
        ("headers", "`&str` can't be used as response headers"),
        ("extension", "`User: Clone` is not satisfied"),
        ("function", "Html<&str>` can't handle requests"),
        ("handler", "a handler can't return `u16`"),
        ("layer", "`&str` is not a layer"),
        ("order", "must be the last argument"),
        ("order_of_body", "must be the last argument"),
        ("order_of_closure", "must be the last argument"),
        (
            "state",
            "a router with the state `App` has no `State<Mailer>`",
        ),
        ("stateful", "`Router<App>` is not a handler"),
        (
            "stateless",
            "a router with the state `()` has no `State<App>`",
        ),
    ] {
        compiler.check(name, sentence);
    }
}
