use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::support::{Program, TempDir, TempPath, eventually};

/// Starts the program with a log file, and waits until it listens.
fn spawn_with_log_file(path: &TempPath) -> Program {
    let name = path.text();
    let arguments = ["--listen", "127.0.0.1:0", "--log-file", name];
    let program = Program::start(&arguments, &[]);
    expect_line(path, "listening on");
    program
}

#[track_caller]
fn expect_line(path: impl AsRef<Path>, part: &str) {
    eventually(&format!("{part:?} is in the log"), || {
        fs::read_to_string(&path).is_ok_and(|text| text.contains(part))
    });
}

#[test]
fn renamed_log_file_is_reopened() {
    let (path, rotated) = (TempPath::new("log"), TempPath::new("log.1"));
    let program = spawn_with_log_file(&path);
    fs::rename(&path, &rotated).expect("the log exists");
    program.signal(Signal::USR1);
    expect_line(&path, "log file reopened");
    program.signal(Signal::TERM);
    program.expect_exit(0);
    expect_line(&path, ", 0 aborted");
    let before = fs::read_to_string(&rotated).expect("the log was renamed");
    assert!(
        before.contains("listening on") && !before.contains(", 0 aborted"),
        "{before}"
    );
}

#[test]
fn unopenable_log_file_keeps_the_old_one() {
    let (path, rotated) = (TempPath::new("stays"), TempPath::new("stays.1"));
    let program = spawn_with_log_file(&path);
    fs::rename(&path, &rotated).expect("the log exists");
    fs::create_dir(&path).expect("the name is free");
    program.signal(Signal::USR1);
    expect_line(&rotated, "log file not reopened, keeping the old file: ");
    program.signal(Signal::TERM);
    program.expect_exit(0);
    expect_line(&rotated, ", 0 aborted");
    fs::remove_dir(&path).expect("the file is empty");
}

#[test]
fn reload_signal_without_a_log_file_is_harmless() {
    let mut program = Program::spawn(&[]);
    program.signal(Signal::USR1);
    program.expect_line("ignored: no log file, certificate or folder to reload");
    program.connect().get("/").expect_status(200);
    program.signal(Signal::TERM);
    program.expect_exit(0);
}

#[test]
fn replaced_folder_is_reopened() {
    let outer = TempDir::new();
    outer.file("dist/a", "old").file("new/a", "newer");
    let dist = outer.path("dist");
    let root = dist.to_str().expect("the file is readable");
    let mut program = Program::spawn(&["--root", root]);
    program.connect().get("/a").expect_body("old");
    fs::rename(&dist, outer.path("before")).expect("the folder is writable");
    program.signal(Signal::USR1);
    program.expect_line("folder not reopened, keeping the old one: No such file or directory");
    fs::rename(outer.path("new"), &dist).expect("the folder is writable");
    program.signal(Signal::USR1);
    program.expect_line("is another folder now");
    program.expect_line("folder reopened");
    program.connect().get("/a").expect_body("newer");
    program.signal(Signal::TERM);
    program.expect_exit(0);
}
