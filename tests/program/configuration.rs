use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;

use crate::support::http2::{END_STREAM, Http2Client};
use crate::support::tls::{CertificateAuthority, for_http2};
use crate::support::{
    Client, Program, Response, TempDir, address_in, eventually, run_program, unique_loopback,
};

/// The name of the file in its folder.
const FILE: &str = "httpool.toml";

/// A folder with a configuration file and the program that reads it.
struct Configured {
    folder: TempDir,
    program: Program,
}

impl Configured {
    /// Starts the program with this file, and folders with files of these names and contents.
    #[track_caller]
    fn spawn(config: &str, files: &[(&str, &str)]) -> Self {
        let folder = folder(config, files);
        let program = Program::spawn(&["--config", &path(&folder)]);
        Self { folder, program }
    }

    /// Replaces the file and reloads it.
    #[track_caller]
    fn reload(&mut self, config: &str) {
        self.write(config);
        self.program.signal(Signal::USR1);
        self.program.expect_line("configuration reloaded");
    }

    fn write(&self, config: &str) {
        self.folder.file("new.toml", config);
        let renamed = fs::rename(self.folder.path("new.toml"), self.folder.path(FILE));
        renamed.expect("the folder is writable");
    }

    #[track_caller]
    fn end(self) {
        self.program.signal(Signal::TERM);
        self.program.expect_exit(0);
    }
}

fn folder(config: &str, files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new();
    folder.file(FILE, config);
    for (name, content) in files {
        folder.file(name, content);
    }
    folder
}

fn path(folder: &TempDir) -> String {
    let path = folder.path(FILE);
    path.to_str().expect("the path is UTF-8").to_owned()
}

/// The response to a request for a path of a host.
#[track_caller]
fn get(client: &mut Client, host: &str, target: &str) -> Response {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client.expect_response()
}

const THREE_HOSTS: &str = r#"
root = "default"
cache-control = "max-age=1"

[[host]]
name = ["a.example", "*.a.example"]
root = "a"

[[host]]
name = "b.a.example"
root = "b"
cache-control = "max-age=2"

[[host.redirect]]
from = "/old/{rest...}"
to = "https://new.example/{rest}"
status = 301

[[host.rewrite]]
from = "/other"
to = "/index.html"
"#;

const THREE_FILES: [(&str, &str); 3] = [
    ("default/index.html", "default"),
    ("a/index.html", "a"),
    ("b/index.html", "b"),
];

#[test]
fn hosts_have_their_own_sites() {
    let server = Configured::spawn(THREE_HOSTS, &THREE_FILES);
    let mut client = server.program.connect();
    for (host, body, age) in [
        ("a.example", "a", "max-age=1"),
        ("A.Example.:8080", "a", "max-age=1"),
        ("x.y.a.example", "a", "max-age=1"),
        ("b.a.example", "b", "max-age=2"),
        ("c.example", "default", "max-age=1"),
        ("[::1]", "default", "max-age=1"),
        ("", "default", "max-age=1"),
    ] {
        let response = get(&mut client, host, "/");
        assert_eq!(response.text(), body, "{host}");
        assert_eq!(response.header("cache-control"), Some(age), "{host}");
    }
    client.send("GET http://b.a.example/ HTTP/1.1\r\nHost: b.a.example\r\n\r\n");
    client.expect_body("b");
    client.send("GET / HTTP/1.0\r\n\r\n");
    client.expect_body("default");

    let client = server.program.connect();
    let mut client = Http2Client::over(client, &[]);
    for (authority, body) in [
        ("b.a.example", "b"),
        ("X.a.example:80", "a"),
        ("c", "default"),
    ] {
        let stream = client.request(&[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", authority),
        ]);
        client.expect_body(stream, body);
    }
    server.end();
}

#[test]
fn redirects_and_rewrites_belong_to_a_host() {
    let server = Configured::spawn(THREE_HOSTS, &THREE_FILES);
    let mut client = server.program.connect();
    let response = get(&mut client, "b.a.example", "/old/%61/b%2fc?d=%20");
    assert_eq!(response.status, 301);
    let location = "https://new.example/a/b%2Fc?d=%20";
    assert_eq!(response.header("location"), Some(location));
    assert_eq!(get(&mut client, "b.a.example", "/other?x").text(), "b");
    assert_eq!(get(&mut client, "a.example", "/old/a").status, 404);
    assert_eq!(get(&mut client, "a.example", "/other").status, 404);
    // A client that waits for permission to send its body is redirected at once.
    client.send(
        "POST /old/x HTTP/1.1\r\nHost: b.a.example\r\nContent-Length: 5\r\n\
         Expect: 100-continue\r\n\r\n",
    );
    client.expect_status(301);
    server.end();
}

#[test]
fn redirect_never_leads_to_a_host_of_the_client() {
    let config = "[[redirect]]\nfrom = \"/old/{rest...}\"\nto = \"/{rest}\"\n";
    let server = Configured::spawn(config, &[]);
    let mut client = server.program.connect();
    for (target, location) in [
        ("/old//evil.example/", "/evil.example/"),
        ("/old/////evil.example", "/evil.example"),
        ("/old/%2F/evil.example", "/%2F/evil.example"),
        ("/old/%5Cevil.example", "/%5Cevil.example"),
        ("/old/.//evil.example", "/evil.example"),
        ("/old/https://evil.example", "/https://evil.example"),
        ("/old/%0d%0aX:1", "/%0D%0AX:1"),
    ] {
        let response = get(&mut client, "a.example", target);
        assert_eq!(response.header("location"), Some(location), "{target}");
    }
    server.end();
}

#[test]
fn unknown_host_can_be_rejected() {
    let config = "unknown-host = \"reject\"\n[[host]]\nname = \"a.example\"\n";
    let server = Configured::spawn(config, &[]);
    let mut client = server.program.connect();
    assert_eq!(get(&mut client, "a.example", "/").status, 200);
    let response = get(&mut client, "b.example", "/");
    assert_eq!(response.status, 421);
    assert!(
        response.text().contains("no site with the name"),
        "{response:?}"
    );
    server.end();
}

#[test]
fn hosts_have_their_own_error_pages() {
    let config = "error-pages = \"errors\"\n[[host]]\nname = \"a.example\"\n\
                  error-pages = \"others\"\nroot = \"errors\"\n[[host]]\nname = \"b.example\"\n\
                  root = \"errors\"\nerror-pages = false\n[[host]]\nname = \"c.example\"\n\
                  root = \"errors\"\n";
    let files = [("errors/4xx.html", "top"), ("others/404.html", "a")];
    let server = Configured::spawn(config, &files);
    let mut client = server.program.connect();
    for (host, part) in [
        ("a.example", "a"),
        ("c.example", "top"),
        ("b.example", "<title>404"),
    ] {
        client.send(format!(
            "GET /none HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n"
        ));
        let response = client.expect_status(404);
        assert!(response.text().contains(part), "{host}: {response:?}");
    }
    server.end();
}

#[test]
fn hosts_have_their_own_users_and_headers() {
    // The password is `lovelace`.
    let users = "ada:$2y$04$abcdefghijklmnopqrstuuhiTVLHQPvYzPykOsCOnc5I00eOfh33K\n";
    let config = "auth-file = \"users\"\nheader = [\"X-Top: a, b\"]\nrate-limit = \"1000/1m\"\n\
                  [[host]]\nname = \"open.example\"\nauth-file = false\nrate-limit = \"1/1h\"\n\
                  [[host]]\nname = \"closed.example\"\nheader = \"X-Own: c\"\n\
                  [[host.redirect]]\nfrom = \"/a\"\nto = \"/b\"\n";
    let mut server = Configured::spawn(config, &[("users", users)]);
    let mut client = server.program.connect();
    let response = get(&mut client, "open.example", "/");
    assert_eq!(
        (response.status, response.header("x-top")),
        (200, Some("a, b"))
    );
    assert_eq!(get(&mut client, "open.example", "/").status, 429);
    assert_eq!(get(&mut client, "other.example", "/").status, 401);
    assert_eq!(get(&mut client, "closed.example", "/a").status, 401);
    client.send(
        "GET /a HTTP/1.1\r\nHost: closed.example\r\nAuthorization: Basic YWRhOmxvdmVsYWNl\r\n\r\n",
    );
    let response = client.expect_status(307);
    assert_eq!(response.header("location"), Some("/b"));
    assert_eq!(
        (response.header("x-own"), response.header("x-top")),
        (Some("c"), None)
    );

    // A wrong file of users keeps the old one.
    server.folder.file("users", "ada\n");
    server.program.signal(Signal::USR1);
    let line = server
        .program
        .expect_line("configuration reload failed, keeping the old one: ");
    assert!(
        line.contains(":1: auth-file ") && line.contains("users"),
        "{line}"
    );
    assert_eq!(
        get(&mut server.program.connect(), "other.example", "/").status,
        401
    );
    server.end();
}

#[test]
fn certificate_of_a_host_is_chosen_by_the_name() {
    let authority = CertificateAuthority::new();
    let files = ["a.example", "b.example"].map(|name| authority.issue(&[name]).files(name));
    let listen = format!("{}:0", unique_loopback());
    let mut config = format!("listen = \"{listen}\"\nlisten-tls = \"{listen}\"\n");
    for (name, files) in ["a.example", "b.example"].iter().zip(&files) {
        config.push_str(&format!(
            "[[host]]\nname = \"{name}\"\nroot = \"{name}\"\ntls-cert = \"{}\"\ntls-key = \"{}\"\n",
            files.certificate.text(),
            files.key.text()
        ));
    }
    let contents = [("a.example/index.html", "a"), ("b.example/index.html", "b")];
    let folder = folder(&config, &contents);
    let mut program = Program::start(&["-c", &path(&folder)], &[]);
    let line = program.expect_line("listening on http://");
    let secure = line.find("https://").expect("the line names the address");
    let address = address_in(&line[secure..]);
    for (name, body) in [("a.example", "a"), ("b.example", "b")] {
        // The client checks that the certificate has this name.
        let mut client = Client::connect(&address).with_tls(&authority.client(), name);
        assert_eq!(get(&mut client, name, "/").text(), body);
        // All hosts ask for the same certificate of the client, so any of them may respond.
        assert_eq!(get(&mut client, "a.example", "/").text(), "a");

        let client = Client::connect(&address);
        let client = client.with_tls(&for_http2(&authority.client()), name);
        let mut client = Http2Client::over(client, &[]);
        let stream = client.request(&[
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/"),
            (":authority", name),
        ]);
        client.expect_body(stream, body);
    }
    program.signal(Signal::TERM);
    program.expect_exit(0);
}

#[test]
fn reloaded_file_adds_hosts_and_certificates() {
    let authority = CertificateAuthority::new();
    let files = ["c.example", "d.example"].map(|name| authority.issue(&[name]).files(name));
    let listen = format!("{}:0", unique_loopback());
    let host = |number: usize| {
        format!(
            "[[host]]\nname = \"{}.example\"\ntls-cert = \"{}\"\ntls-key = \"{}\"\n",
            ["c", "d"][number],
            files[number].certificate.text(),
            files[number].key.text()
        )
    };
    let top = format!("listen = \"{listen}\"\nlisten-tls = \"{listen}\"\n");
    let folder = folder(&format!("{top}{}", host(0)), &[]);
    let mut program = Program::start(&["-c", &path(&folder)], &[]);
    let line = program.expect_line("listening on http://");
    let secure = line.find("https://").expect("the line names the address");
    let address = address_in(&line[secure..]);
    let connect = || Client::connect(&address).with_tls(&authority.client(), "d.example");
    assert!(
        connect().try_handshake().is_err(),
        "the certificate has another name"
    );
    folder.file(FILE, format!("{top}{}{}", host(0), host(1)));
    program.signal(Signal::USR1);
    program.expect_line("configuration reloaded");
    assert_eq!(get(&mut connect(), "d.example", "/").status, 200);
    program.signal(Signal::TERM);
    program.expect_exit(0);
}

#[test]
fn wrong_file_keeps_the_old_configuration() {
    let mut server = Configured::spawn("root = \"a\"\nworkers = 3\n", &THREE_FILES);
    let mut client = server.program.connect();
    for (config, line) in [
        (
            "root = \"a\"\nworker = 3\n",
            ":2: worker: no such setting, did you mean workers?",
        ),
        ("root = \"nowhere\"\n", ":1: root "),
        (
            "root = \"b\"\n[[host]]\nname = \"x\"\nroot = \"nowhere\"\n",
            ":4: root ",
        ),
        (
            "root = \"b\"\ntls-cert = \"x\"\n",
            ":2: tls-cert and tls-key: give one key",
        ),
        ("root = ", ": not TOML: "),
        ("inspect = true\n", ":1: inspect: needs a restart"),
    ] {
        server.write(config);
        server.program.signal(Signal::USR1);
        let start = "configuration reload failed, keeping the old one: ";
        let logged = server.program.expect_line(start);
        assert!(logged.contains(line), "{logged}");
        assert_eq!(get(&mut client, "x", "/").text(), "a");
    }
    fs::remove_file(server.folder.path(FILE)).expect("the file exists");
    server.program.signal(Signal::USR1);
    server
        .program
        .expect_line("keeping the old one: configuration ");
    server.write("root = \"b\"\nworkers = 5\nlog-level = \"info\"\n");
    server.program.signal(Signal::USR1);
    server
        .program
        .expect_line("workers: changed from 3 to 5, needs a restart");
    server
        .program
        .expect_line("log-level: changed from the default to info, needs a restart");
    server.program.expect_line("configuration reloaded");
    assert_eq!(get(&mut client, "x", "/").text(), "b");
    server.end();
}

#[test]
fn request_keeps_its_site_while_its_body_arrives() {
    let mut server = Configured::spawn("# the echo\n", &THREE_FILES);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n";
    let mut client = server.program.connect();
    client.send(head).send("old");
    // The program has read the head if it has read what another client has sent later.
    server
        .program
        .connect()
        .get_and_close("/")
        .expect_status(200);
    let http2 = server.program.connect();
    let mut http2 = Http2Client::over(http2, &[]);
    let stream = http2.open_post("/");
    http2.data(stream, "old", 0).settle();

    server.reload("root = \"a\"\n");
    assert_eq!(get(&mut server.program.connect(), "a", "/").text(), "a");
    client.send("old").expect_body("oldold");
    http2.data(stream, "old", END_STREAM);
    http2.expect_body(stream, "oldold");
    // The next request of the connection has the new site.
    client.send(head).send("newnew").expect_status(405);
    server.end();
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn reload_under_load_fails_no_request_and_mixes_no_sites() {
    const RELOADS: usize = 25;
    const CLIENTS: usize = 4;
    let files = [
        ("one/index.html", "1"),
        ("two/index.html", "2"),
        ("one/long", &"1".repeat(300_000)),
        ("two/long", &"2".repeat(300_000)),
    ];
    let config = |name: &str, age: usize| {
        format!("[[host]]\nname = \"h\"\nroot = \"{name}\"\ncache-control = \"max-age={age}\"\n")
    };
    let configs = [config("one", 1), config("two", 2)];
    let mut server = Configured::spawn(&configs[0], &files);
    let (is_over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let mut client = server.program.connect();
            let (is_over, served) = (&is_over, &served);
            scope.spawn(move || {
                let target = ["/", "/long"][number % 2];
                while !is_over.load(Ordering::Relaxed) {
                    let response = get(&mut client, "h", target);
                    assert_eq!(response.status, 200);
                    let age = response.header("cache-control").expect("it is set");
                    let site = age.trim_start_matches("max-age=").as_bytes()[0];
                    assert!(response.body.iter().all(|byte| *byte == site), "{age}");
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // If a reload fails, the clients must end too.
        let _end = SetOnDrop(&is_over);
        for number in 1..=RELOADS {
            let before = served.load(Ordering::Relaxed);
            server.reload(&configs[number % 2]);
            eventually("requests are served", || {
                served.load(Ordering::Relaxed) >= before + CLIENTS
            });
        }
    });
    server.end();
}

#[test]
fn check_opens_everything_that_the_file_names() {
    #[track_caller]
    fn check(config: &str, code: i32, line: &str) {
        let folder = folder(config, &THREE_FILES);
        let exit = run_program(&["--check", "--config", &path(&folder)], &[]);
        exit.expect_line(code, line);
    }
    check(
        "workers = 0",
        2,
        "httpool.toml:1: workers \"0\": not a whole number",
    );
    check("root = \"nowhere\"", 1, "httpool.toml:1: root ");
    let host = "[[host]]\nname = \"x\"\nroot = \"a\"\nerror-pages = \"nowhere\"";
    check(host, 1, "httpool.toml:4: error-pages ");
    let host =
        "listen-tls = \"*:0\"\n[[host]]\nname = \"x\"\ntls-cert = \"none\"\ntls-key = \"none\"";
    check(host, 1, "none: No such file");
    check("access-log = \"none/x\"", 1, "httpool.toml:1: access-log ");

    let folder = folder(THREE_HOSTS, &THREE_FILES);
    let exit = run_program(&["--check"], &[("HTTPOOL_CONFIG", &path(&folder))]);
    assert_eq!((exit.code, exit.errors.as_str()), (Some(0), ""), "{exit:?}");
    let missing = run_program(&["-c", "/nowhere/x.toml"], &[]);
    missing.expect_line(
        1,
        "configuration /nowhere/x.toml: No such file or directory",
    );
    let folder = run_program(&["-c", "/"], &[]);
    folder.expect_line(1, "configuration /: it is a folder");
    run_program(&["-c"], &[]).expect_line(2, "--config: needs a value");
}

#[test]
fn printed_configuration_starts_the_same_server() {
    let written = folder(THREE_HOSTS, &THREE_FILES);
    let arguments = ["--print-config", "-c", &path(&written), "--workers", "3"];
    let exit = run_program(&arguments, &[("HTTPOOL_ETAG", "content")]);
    assert_eq!((exit.code, exit.errors.as_str()), (Some(0), ""), "{exit:?}");
    let lines = [
        "workers = 3  # command line",
        "etag = \"content\"  # HTTPOOL_ETAG",
    ];
    for line in lines {
        assert!(
            exit.output.lines().any(|printed| printed == line),
            "{}",
            exit.output
        );
    }
    let port = run_program(&["--print-config"], &[("PORT", "8080")]);
    let line = "# The server listens on *:8080  # PORT";
    assert!(
        port.output.lines().any(|printed| printed == line),
        "{port:?}"
    );
    let printed = folder(&exit.output, &[]);
    let program = Program::spawn(&["-c", &path(&printed)]);
    let mut client = program.connect();
    assert_eq!(get(&mut client, "b.a.example", "/other").text(), "b");
    assert_eq!(get(&mut client, "x", "/").text(), "default");
    program.signal(Signal::TERM);
    program.expect_exit(0);
}

#[test]
fn example_of_the_document_is_valid() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let document = fs::read_to_string(document).expect("the document exists");
    let (_, rest) = document.split_once("```toml\n").expect("it has an example");
    let (example, _) = rest.split_once("```").expect("the example ends");
    let files = [
        ("www/index.html", ""),
        ("blog/index.html", ""),
        ("blog/errors/404.html", "none"),
    ];
    let folder = folder(example, &files);
    let authority = CertificateAuthority::new();
    for name in ["example.org", "blog.example.org"] {
        let issued = authority.issue(&[name]);
        folder.file(&format!("tls/{name}.pem"), issued.certificate);
        folder.file(&format!("tls/{name}.key"), issued.key);
    }
    let exit = run_program(&["--check", "-c", &path(&folder)], &[]);
    assert_eq!((exit.code, exit.errors.as_str()), (Some(0), ""), "{exit:?}");
}

#[test]
fn missing_index_is_warned_of_once_for_each_folder() {
    let config = "root = \"a\"\n[[host]]\nname = \"same.example\"\n[[host]]\nname = \"other.example\"\nroot = \"b\"\n";
    let folder = folder(config, &[("a/x", ""), ("b/x", "")]);
    let exit = run_program(&["--check", "-c", &path(&folder)], &[]);
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert_eq!(
        exit.errors.matches("has no index.html").count(),
        2,
        "{exit:?}"
    );
}
