use std::fs;
use std::process::Command;

use crate::support::{Program, Random, TempDir, eventually, run_program};

/// Runs curl, which must succeed, and returns the status of the response.
#[track_caller]
fn curl(arguments: &[&str]) -> String {
    let write_out = ["-sS", "-o", "/dev/null", "-w", "%{http_code}"];
    let mut command = Command::new("curl");
    let output = command.args(write_out).args(arguments).output();
    let output = output.expect("curl is installed");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn root(folder: &TempDir) -> String {
    folder.file("public/x", "x");
    let root = folder.path("public");
    root.to_str().expect("the path is text").to_owned()
}

#[test]
fn curl_uploads_files() {
    let folder = TempDir::new();
    let root = root(&folder);
    let large = Random::new(9).bytes(3_000_000);
    folder.file("large.bin", &large);
    let source = folder.path("large.bin");
    let source = source.to_str().expect("the path is text");
    let program = Program::spawn(&["--root", &root, "--upload", "--listing"]);
    let url = format!("http://{}/", program.address());
    assert_eq!(curl(&["-T", source, &url]), "201");
    assert_eq!(curl(&["-T", source, &url]), "409");
    assert_eq!(curl(&["-T", source, &format!("{url}missing/")]), "409");
    assert_eq!(
        curl(&[
            "--http2-prior-knowledge",
            "-T",
            source,
            &format!("{url}two")
        ]),
        "201"
    );
    let stored = fs::read(folder.path("public/large.bin")).expect("it was stored");
    assert!(stored == large);
    let form = format!("file=@{source};filename=form.bin");
    let second = format!("file=@{source};filename=../../b.bin");
    assert_eq!(curl(&["-F", &form, "-F", &second, &url]), "201");
    assert_eq!(curl(&["-F", &form, "-H", "Accept: text/html", &url]), "409");
    assert!(fs::read(folder.path("public/b.bin")).is_ok_and(|stored| stored == large));
    drop(program);
    let flags = ["--upload", "--upload-overwrite", "--max-upload", "3MiB"];
    let program = Program::spawn(&[&["--root", &root][..], &flags].concat());
    let url = format!("http://{}/large.bin", program.address());
    assert_eq!(curl(&["-T", source, &url]), "204");
    folder.file("larger.bin", [&large[..], &large].concat());
    let larger = folder.path("larger.bin");
    assert_eq!(
        curl(&["-T", larger.to_str().expect("it is text"), &url]),
        "413"
    );
    assert!(fs::read(folder.path("public/large.bin")).is_ok_and(|stored| stored == large));
}

#[test]
fn full_disk_gets_507_and_leaves_nothing() {
    let folder = TempDir::new();
    let root = root(&folder);
    // A file may have a mebibyte, and the signal that says so is ignored.
    let program = Program::spawn_after(
        "trap '' XFSZ; ulimit -f 2048",
        &["--root", &root, "--upload"],
    );
    folder.file("large.bin", Random::new(9).bytes(5_000_000));
    let source = folder.path("large.bin");
    let source = source.to_str().expect("the path is text");
    let url = format!("http://{}/a", program.address());
    assert_eq!(curl(&["-T", source, &url]), "507");
    let form = format!("file=@{source}");
    let folder_url = format!("http://{}/", program.address());
    assert_eq!(curl(&["-F", &form, &folder_url]), "507");
    eventually("nothing is left", || {
        fs::read_dir(folder.path("public")).is_ok_and(|entries| entries.count() == 1)
    });
}

#[test]
fn leftovers_of_a_killed_program_are_replaced() {
    let folder = TempDir::new();
    let root = root(&folder);
    let start = || Program::spawn(&["--root", &root, "--upload", "--listing", "--dotfiles"]);
    let hidden = || {
        let entries = fs::read_dir(folder.path("public")).expect("it can be listed");
        let names = entries.map(|entry| entry.expect("it can be read").file_name());
        let mut names = names.map(|name| name.to_string_lossy().into_owned());
        names.find(|name| name.starts_with(".httpool-upload-"))
    };
    let program = start();
    let mut client = program.connect();
    client.send("PUT /a HTTP/1.1\r\nHost: it\r\nContent-Length: 9\r\n\r\nhalf");
    eventually("the upload has begun", || hidden().is_some());
    program.kill();
    let leftover = hidden().expect("a killed program leaves its file");
    let program = start();
    program
        .connect()
        .get_and_close(&format!("/{leftover}"))
        .expect_status(404);
    let listing = program.connect().get_and_close("/").expect_status(200);
    assert!(!listing.text().contains("httpool-upload-"), "{listing:?}");
    let mut client = program.connect();
    client.send("PUT /a HTTP/1.1\r\nHost: it\r\nContent-Length: 5\r\n\r\nwhole");
    client.expect_status(201);
    assert_eq!(hidden(), None);
    assert!(fs::read(folder.path("public/a")).is_ok_and(|content| content == b"whole"));
}

#[test]
fn uploads_from_elsewhere_need_a_password() {
    let folder = TempDir::new();
    let root = root(&folder);
    for listen in ["0.0.0.0:0", "*:0", "[::]:0"] {
        run_program(&["--root", &root, "--upload", "--listen", listen], &[]).expect_line(
            2,
            &format!("because clients of other machines reach --listen {listen}"),
        );
    }
    let behind_proxy = ["--root", &root, "--upload", "--trusted-proxy", "127.0.0.1"];
    run_program(&behind_proxy, &[]).expect_line(2, "--upload: needs --auth-file");
}

#[test]
fn password_lets_clients_of_other_machines_upload() {
    let folder = TempDir::new();
    let root = root(&folder);
    // The password is `lovelace`.
    folder.file(
        "users",
        "ada:$2y$04$abcdefghijklmnopqrstuuhiTVLHQPvYzPykOsCOnc5I00eOfh33K\n",
    );
    let users = folder.path("users");
    let users = users.to_str().expect("the path is text");
    let flags = ["--root", &root, "--upload", "--auth-file", users];
    let program = Program::spawn(&[&flags[..], &["--trusted-proxy", "192.0.2.1"]].concat());
    let url = format!("http://{}/new", program.address());
    let source = folder.path("public/x");
    let source = source.to_str().expect("the path is text");
    assert_eq!(curl(&["-T", source, &url]), "401");
    assert!(!folder.path("public/new").exists());
    assert_eq!(curl(&["-u", "ada:lovelace", "-T", source, &url]), "201");
    assert!(folder.path("public/new").exists());
}

#[test]
fn flags_without_effect_are_errors() {
    run_program(&["--upload"], &[]).expect_line(2, "--upload: needs --root");
    for flag in [&["--max-upload", "1MiB"][..], &["--upload-overwrite"]] {
        let arguments = [&["--root", "/"][..], flag].concat();
        run_program(&arguments, &[]).expect_line(2, &format!("{}: needs --upload", flag[0]));
    }
}
