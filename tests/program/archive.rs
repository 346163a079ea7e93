use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::{Program, Random, TempDir, run_program};

/// Names that every one of the programs can write.
const NAMES: [&str; 5] = [
    "a.txt",
    "sub/deep/b.bin",
    "sub/Größe und 'Zeichen' \"%\"",
    "empty",
    "run",
];

fn public() -> TempDir {
    let folder = TempDir::new();
    let mut random = Random::new(3);
    for (index, name) in NAMES.into_iter().enumerate() {
        let content = match index {
            3 => Vec::new(),
            _ => random.bytes(200_000 * index + 7),
        };
        folder.file(&format!("public/photos/{name}"), content);
    }
    let long = format!("public/photos/{}/{}", "x".repeat(120), "é".repeat(120));
    folder.file(&long, "long");
    folder.file("public/photos/.secret", "secret");
    let run = folder.path("public/photos/run");
    fs::set_permissions(run, Permissions::from_mode(0o755)).expect("it can be set");
    folder
}

/// Runs a program that must succeed, and returns its output.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program is installed");
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Saves an archive with curl.
#[track_caller]
fn download(program: &Program, format: &str, folder: &Path) {
    let url = format!("http://{}/photos/?archive={format}", program.address());
    let curl = ["-sSf", "--remote-name", "--remote-header-name", &url];
    run(Command::new("curl").args(curl).current_dir(folder));
}

/// Compares the unpacked folder with the original, apart from the hidden file.
#[track_caller]
fn check(folder: &TempDir, unpacked: &Path) {
    let exclude = ["-r", "--exclude=.secret"];
    let original = folder.path("public/photos");
    let mut diff = Command::new("diff");
    diff.args(exclude)
        .arg(original)
        .arg(unpacked.join("photos"));
    assert_eq!(run(&mut diff), "");
    assert!(!unpacked.join("photos/.secret").exists());
    let run = fs::metadata(unpacked.join("photos/run")).expect("it was unpacked");
    assert_eq!(run.permissions().mode() & 0o111, 0o111);
    let original = fs::metadata(folder.path("public/photos/a.txt"));
    let modified = |metadata: fs::Metadata| {
        let since = metadata.modified().expect("there is a time");
        since
            .duration_since(std::time::UNIX_EPOCH)
            .expect("it is recent")
            .as_secs()
    };
    let copy = fs::metadata(unpacked.join("photos/a.txt"));
    assert_eq!(
        modified(copy.expect("it was unpacked")),
        modified(original.expect("it exists"))
    );
}

#[test]
fn other_programs_unpack_the_archives() {
    let folder = public();
    let root = folder.path("public");
    let root = root.to_str().expect("the path is text");
    let program = Program::spawn(&["--root", root, "--archive"]);
    let unpack: [(&str, &str, &[&str]); 5] = [
        ("tar", "tar", &["xf", "photos.tar"]),
        ("tar.gz", "tar", &["xzf", "photos.tar.gz"]),
        ("zip", "unzip", &["-q", "photos.zip"]),
        (
            "tar",
            "python3",
            &[
                "-c",
                "import tarfile; tarfile.open('photos.tar').extractall(filter='data')",
            ],
        ),
        ("zip", "unzip", &["-tq", "photos.zip"]),
    ];
    for (index, (format, unpacker, arguments)) in unpack.into_iter().enumerate() {
        folder.file(&format!("to{index}/.keep"), "");
        let to = folder.path(&format!("to{index}"));
        download(&program, format, &to);
        let mut command = Command::new(unpacker);
        run(command
            .args(arguments)
            .current_dir(&to)
            .env("LC_ALL", "C.UTF-8"));
        if index < 4 {
            check(&folder, &to);
        }
    }
    let test = "import zipfile; z = zipfile.ZipFile('photos.zip'); assert z.testzip() is None; \
                print(len(z.namelist()))";
    let mut python = Command::new("python3");
    let count = run(python.args(["-c", test]).current_dir(folder.path("to4")));
    assert_eq!(count.trim(), "9");
}

#[test]
fn archives_are_off_by_default_and_bounded() {
    let folder = public();
    let root = folder.path("public");
    let root = root.to_str().expect("the path is text");
    let target = "/photos/?archive=zip";
    let program = Program::spawn(&["--root", root]);
    program.connect().get(target).expect_status(404);
    let program = Program::spawn(&["--root", root, "--archive", "--max-archive", "1KiB"]);
    let response = program.connect().get(target).expect_status(413);
    assert!(response.text().contains("1024 bytes"), "{response:?}");
}

#[test]
fn flags_without_effect_are_errors() {
    run_program(&["--archive"], &[]).expect_line(2, "--archive: needs --root");
    run_program(&["--root", "/", "--max-archive", "1MiB"], &[])
        .expect_line(2, "--max-archive: needs --archive");
}
