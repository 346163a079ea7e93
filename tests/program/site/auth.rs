//! `--auth-file`.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use super::{ask, folder, get, serve};
use crate::support::{Program, TempDir, TempPath, eventually, run_program};

/// The passwords are `lovelace` and `grace`.
const ADA: &str = "ada:$2y$04$abcdefghijklmnopqrstuuhiTVLHQPvYzPykOsCOnc5I00eOfh33K\n";
const GRACE: &str = "grace:$2a$04$abcdefghijklmnopqrstuusbOCNW3VIzDW4ckvmlDBJU5.wgUnpPS\n";

const AS_ADA: &str = "Authorization: Basic YWRhOmxvdmVsYWNl\r\n";
const AS_GRACE: &str = "Authorization: Basic Z3JhY2U6Z3JhY2U=\r\n";

/// A file with these lines, and the flag for it.
struct Users(TempDir);

impl Users {
    fn new(lines: &str) -> Self {
        let folder = TempDir::new();
        folder.file("users", lines);
        Self(folder)
    }

    fn write(&self, lines: &str) {
        self.0.file("users", lines);
    }

    fn path(&self) -> String {
        self.0
            .path("users")
            .to_str()
            .expect("it is UTF-8")
            .to_owned()
    }
}

#[test]
fn only_users_get_files() {
    let (folder, users) = (folder(), Users::new(ADA));
    let program = serve(
        &folder,
        &["--auth-file", &users.path(), "--security-headers"],
    );
    for target in ["/", "/none", "/assets"] {
        let refused = get(&program, target, "");
        assert_eq!(refused.status, 401);
        let challenge = refused.header("www-authenticate").unwrap_or_default();
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
        assert_eq!(refused.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(get(&program, "/", AS_ADA).text(), "<h1>home</h1>");
    assert_eq!(get(&program, "/none", AS_ADA).status, 404);
    assert_eq!(get(&program, "/", AS_GRACE).status, 401);
    assert_eq!(get(&program, "/", "Authorization: Basic x\r\n").status, 401);
}

#[test]
fn preflights_need_no_password() {
    let users = Users::new(ADA);
    let program = Program::spawn(&["--auth-file", &users.path(), "--cors", "https://a.example"]);
    let origin = "Origin: https://a.example\r\n";
    let preflight = format!(
        "{origin}Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: authorization\r\n"
    );
    let mut client = program.connect();
    let response = ask(&mut client, "OPTIONS", "/", &preflight);
    assert_eq!(response.status, 204);
    assert_eq!(
        response.header("access-control-allow-credentials"),
        Some("true")
    );
    let refused = ask(&mut client, "GET", "/", origin);
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some("https://a.example")
    );
    assert_eq!(ask(&mut client, "OPTIONS", "/", "").status, 401);
}

#[test]
fn inspector_asks_for_a_password_on_every_path() {
    let users = Users::new(ADA);
    let program = Program::spawn(&["--inspect", "--auth-file", &users.path()]);
    for target in [
        "/",
        "/get",
        "/status/204",
        "/inspect",
        "/inspect/api/requests",
        "/delay/0",
    ] {
        assert_eq!(get(&program, target, "").status, 401, "{target}");
        assert_ne!(get(&program, target, AS_ADA).status, 401, "{target}");
    }
}

#[test]
fn health_checks_need_no_password() {
    let users = Users::new(ADA);
    let socket = TempPath::new("auth-admin");
    let admin = format!("unix:{}", socket.text());
    let program = Program::spawn(&["--auth-file", &users.path(), "--admin", &admin]);
    assert_eq!(get(&program, "/healthz", "").status, 401);
    let address = admin.parse().expect("it is an address");
    let mut client = crate::support::Client::connect(&address);
    client.get("/healthz").expect_status(200);
}

#[test]
fn signal_reloads_the_users_and_a_wrong_file_keeps_the_old_ones() {
    let users = Users::new(ADA);
    let mut program = Program::spawn(&["--auth-file", &users.path()]);
    users.write(GRACE);
    program.signal(Signal::USR1);
    program.expect_line("passwords reloaded");
    assert_eq!(get(&program, "/", AS_ADA).status, 401);
    assert_eq!(get(&program, "/", AS_GRACE).status, 200);
    users.write(&format!("{ADA}\neva:secret\n"));
    program.signal(Signal::USR1);
    let line = program.expect_line("password reload failed, keeping the old ones");
    assert!(line.contains("users:3: after the name, a hash"), "{line}");
    assert!(!line.contains("secret"), "{line}");
    assert_eq!(get(&program, "/", AS_GRACE).status, 200);
    fs::remove_file(users.path()).expect("the file is there");
    program.signal(Signal::USR1);
    program.expect_line("password reload failed, keeping the old ones");
    assert_eq!(get(&program, "/", AS_GRACE).status, 200);
}

#[test]
fn wrong_file_is_an_error_with_its_line() {
    for (lines, reason) in [
        ("ada\n".to_owned(), "users:1: "),
        (
            format!("{ADA}# more\nada:lovelace\n"),
            "users:3: after the name, a hash",
        ),
        (format!("{ADA}{ADA}"), "users:2: the user \"ada\""),
        (
            "ada:$apr1$x5yF$8QXX0B0hyxqqkJXJqSPiP.".to_owned(),
            "users:1: MD5",
        ),
    ] {
        let users = Users::new(&lines);
        for check in [&[][..], &["--check"]] {
            let arguments = [
                &["--listen", "127.0.0.1:0", "--auth-file", &users.path()],
                check,
            ];
            let exit = run_program(&arguments.concat(), &[]);
            exit.expect_line(1, &format!("--auth-file {}/", parent(&users.path())));
            exit.expect_line(1, reason);
            assert!(!exit.errors.contains("lovelace"), "{exit:?}");
        }
    }
}

fn parent(path: &str) -> &str {
    let parent = Path::new(path).parent().and_then(Path::to_str);
    parent.expect("the file is in a folder")
}

#[test]
fn file_that_cannot_be_read_is_an_error() {
    let folder = TempDir::new();
    folder.pipe("pipe").sparse("huge", 17 * 1024 * 1024);
    for (name, reason) in [
        ("none", "No such file or directory"),
        ("", "not a regular file"),
        ("pipe", "not a regular file"),
        ("huge", "larger than 16 MiB"),
    ] {
        let path = folder.path(name);
        let path = path.to_str().expect("it is UTF-8");
        let exit = run_program(&["--listen", "127.0.0.1:0", "--auth-file", path], &[]);
        exit.expect_line(1, reason);
    }
}

#[test]
fn file_of_ten_mebibytes_is_read() {
    let comment = format!("# {}\n", "x".repeat(1021));
    let users = Users::new(&format!("{}{ADA}", comment.repeat(10 * 1024)));
    let program = Program::spawn(&["--auth-file", &users.path()]);
    assert_eq!(get(&program, "/", AS_ADA).status, 200);
}

#[test]
fn file_without_users_and_open_addresses_cause_warnings() {
    let users = Users::new("# nobody\n");
    let check = |flags: &[&str]| {
        let path = users.path();
        let arguments = [&["--check", "--auth-file", &path], flags].concat();
        let exit = run_program(&arguments, &[]);
        assert_eq!(exit.code, Some(0), "{exit:?}");
        exit.errors
    };
    let open = check(&["--listen", "*:0"]);
    assert!(open.contains("the file has no users"), "{open}");
    assert!(open.contains("without encryption"), "{open}");
    users.write(ADA);
    assert!(check(&["--listen", "*:0"]).contains("without encryption"));
    for flags in [
        &["--listen", "127.0.0.1:0"][..],
        &["--listen", "*:0", "--trusted-proxy", "127.0.0.1"],
    ] {
        assert_eq!(check(flags), "", "{flags:?}");
    }
    let mut program = Program::start(
        &["--listen", "0.0.0.0:0", "--auth-file", &users.path()],
        &[],
    );
    program.expect_line("--auth-file: clients send their passwords to 0.0.0.0:");
}

#[test]
fn access_log_names_the_user() {
    for (format, of_ada, of_none) in [
        ("combined", " - ada [", " - - ["),
        ("json", "\"user\":\"ada\"", "\"status\":401"),
    ] {
        let users = Users::new(ADA);
        let log = TempPath::new("auth-log");
        let flags = ["--access-log", log.text(), "--access-log-format", format];
        let program = Program::spawn(&[&["--auth-file", &users.path()][..], &flags].concat());
        assert_eq!(get(&program, "/", AS_ADA).status, 200);
        assert_eq!(get(&program, "/", AS_GRACE).status, 401);
        let lines = || fs::read_to_string(&log).unwrap_or_default();
        eventually("both requests are logged", || lines().lines().count() == 2);
        let lines = lines();
        let of = |part| lines.lines().filter(|line| line.contains(part)).count();
        assert_eq!((of(of_ada), of(of_none), of("grace")), (1, 1, 0), "{lines}");
    }
}
