//! What the program prints to a terminal, and what it opens.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::support::{Program, TIMEOUT, TempDir, TempPath, eventually, run_program};

/// The program with a terminal as its standard output and standard error.
struct OnTerminal {
    program: Child,
    lines: Receiver<String>,
}

impl OnTerminal {
    #[track_caller]
    fn start(arguments: &[&str]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let screen = openpt(flags).expect("there are terminals");
        grantpt(&screen).expect("the terminal is new");
        unlockpt(&screen).expect("the terminal is new");
        let path = ptsname(&screen, Vec::new()).expect("the terminal has a path");
        let terminal = OpenOptions::new()
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits().cast_signed())
            .open(path.to_str().expect("the path is text"))
            .expect("the terminal exists");
        let errors = terminal.try_clone().expect("the terminal is open");
        let program = Command::new(env!("CARGO_BIN_EXE_httpool"))
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(terminal)
            .stderr(errors)
            .spawn()
            .expect("the program starts");
        let (sender, lines) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(File::from(screen)).lines();
            // Reading fails once the program has ended.
            let lines = lines.map_while(Result::ok);
            lines
                .map_while(|line| sender.send(line).ok())
                .for_each(drop);
        });
        Self { program, lines }
    }

    /// The next line that contains `part`.
    #[track_caller]
    fn expect_line(&self, part: &str) -> String {
        let mut seen = String::new();
        loop {
            match self.lines.recv_timeout(TIMEOUT) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => seen.push_str(&line),
                Err(_) => panic!("no line with {part:?} in {seen}"),
            }
        }
    }

    /// Waits until it listens, and returns its address.
    #[track_caller]
    fn address(&self) -> SocketAddr {
        let line = self.expect_line("listening on http://");
        let (_, address) = line.split_once("http://").expect("the line has a URL");
        let address = address.split(' ').next().unwrap_or_default();
        address.parse().expect("the address is numeric")
    }

    /// Stops the program, and returns the lines that were not read before.
    #[track_caller]
    fn stop(mut self) -> Vec<String> {
        let pid = Pid::from_child(&self.program);
        kill_process(pid, Signal::TERM).expect("the program runs");
        let status = self.program.wait().expect("the program is a child");
        assert!(status.success(), "{status}");
        self.lines.iter().collect()
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // The program has normally ended already.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[track_caller]
fn send(address: SocketAddr, request: &[u8]) {
    let mut client = TcpStream::connect(address).expect("the program listens");
    client.write_all(request).expect("the connection is open");
    let mut response = String::new();
    let read = BufReader::new(client).read_line(&mut response);
    read.expect("the program responds");
    assert!(response.starts_with("HTTP/1.1 "), "{response}");
}

#[test]
fn terminal_gets_urls_and_a_line_for_each_request() {
    let terminal = OnTerminal::start(&["-l", "127.0.0.1:0"]);
    let address = terminal.address();
    let url = format!("open http://localhost:{}/", address.port());
    terminal.expect_line(&url);
    send(address, b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n");
    let line = terminal.expect_line("GET /a?b 200 29 B ");
    assert!(line.ends_with(" ms"), "{line}");
    let log = OnTerminal::start(&["-l", "127.0.0.1:0", "--access-log=-", "-q"]);
    send(log.address(), b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n");
    log.expect_line("\"GET /c HTTP/1.1\" 200 29");
}

#[test]
fn requests_do_not_control_the_terminal() {
    let terminal = OnTerminal::start(&["-l", "127.0.0.1:0"]);
    let address = terminal.address();
    send(
        address,
        b"GET /\x1b]0;title\x07\x1b[2J HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    send(
        address,
        b"G\x9b2J /\xe2\x80\xae HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    send(
        address,
        b"GET /?\"\\|%1B[2J HTTP/1.1\r\nHost: x\r\nCookie: \x9b\r\n\r\n",
    );
    let lines = [
        terminal.expect_line("- - 400 "),
        terminal.expect_line("%1B[2J"),
    ];
    for line in lines.iter().chain(&terminal.stop()) {
        assert!(
            line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{line:?}"
        );
    }
}

#[test]
fn quiet_terminal_gets_no_requests_and_no_urls() {
    let terminal = OnTerminal::start(&["-l", "127.0.0.1:0", "--quiet"]);
    send(terminal.address(), b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    let lines = terminal.stop().join("\n");
    assert!(!lines.contains("GET"), "{lines}");
    assert!(!lines.contains("open http"), "{lines}");
}

#[test]
fn without_a_terminal_no_requests_are_printed() {
    let server = Program::spawn(&[]);
    let mut client = server.connect();
    client.get("/a").expect_status(200);
    drop(client);
    server.signal(Signal::TERM);
    let exit = server.expect_exit(0);
    assert_eq!(exit.output, "");
    assert!(!exit.errors.contains("open http"), "{exit:?}");
}

#[test]
fn every_interface_is_named_by_its_addresses() {
    let mut server = Program::start(&["-l", "*", "-p", "0"], &[]);
    let line = server.expect_line("open http://localhost:");
    assert!(!line.contains("0.0.0.0"), "{line}");
}

#[test]
fn folder_without_an_index_gets_a_warning() {
    let folder = TempDir::new();
    let path = folder.as_ref().to_str().expect("the path is text");
    let warning = "has no index.html, so requests for / get a 404: --listing";
    let mut server = Program::start(&[path, "--listen=127.0.0.1:0"], &[]);
    server.expect_line(warning);
    let checked = run_program(&["--check", path], &[]);
    assert!(checked.errors.contains(warning), "{checked:?}");
    let listed = run_program(&["--check", path, "--listing"], &[]);
    assert_eq!(listed.errors, "");
    run_program(&[path, "--spa"], &[]).expect_line(1, "--spa index.html: ");

    folder.file("index.html", "home");
    for arguments in [&["--check", path][..], &["--check", path, "--spa"]] {
        assert_eq!(run_program(arguments, &[]).errors, "");
    }
    let server = Program::spawn(&[path, "--spa"]);
    let mut client = server.connect();
    client.get("/any/path").expect_body("home");
}

#[test]
fn spa_qr_and_open_need_something_to_work_on() {
    let check = |arguments: &[&str], part| run_program(arguments, &[]).expect_line(2, part);
    check(&["--spa"], "--spa: needs --root");
    check(
        &[".", "--spa", "--fallback", "x"],
        "--spa: excludes --fallback",
    );
    check(&["--qr"], "--qr: needs an address that other devices can");
    check(&["--qr", "-l::1"], "--qr: needs an address that other");
    check(
        &["--open", "-l", "unix:x.sock"],
        "--open: needs an address that a browser",
    );
}

/// The text of a QR code of half blocks that are dark on light.
fn read_code(picture: &[String]) -> Option<String> {
    let rows: Vec<Vec<char>> = picture.iter().map(|row| row.chars().collect()).collect();
    let (width, height) = (rows.first()?.len(), rows.len() * 2);
    // The reader wants several pixels for each module.
    const SCALE: usize = 4;
    let is_dark = |x: usize, y: usize| match rows[y / 2].get(x) {
        Some('█') => true,
        Some('▀') => y.is_multiple_of(2),
        Some('▄') => !y.is_multiple_of(2),
        _ => false,
    };
    let pixel = |x: usize, y: usize| match is_dark(x / SCALE, y / SCALE) {
        true => 0,
        false => 255,
    };
    let (width, height) = (width * SCALE, height * SCALE);
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, pixel);
    let (_, text) = image.detect_grids().first()?.decode().ok()?;
    Some(text)
}

#[test]
fn qr_code_contains_the_url_for_other_devices() {
    let mut server = Program::start(&["-l", "*", "-p", "0", "--qr"], &[]);
    let named = server.expect_line("open http://localhost:");
    let Some((_, rest)) = named.split_once(" or ") else {
        // This machine has a loopback interface only.
        server.expect_line("--qr: no other device can open this server");
        return;
    };
    let url = rest.split(' ').next().unwrap_or_default();
    let mut picture = Vec::new();
    loop {
        let line = server.expect_line("");
        if line == url {
            break;
        }
        picture.push(line);
    }
    assert_eq!(read_code(&picture).as_deref(), Some(url));
}

#[test]
fn qr_code_is_dark_on_light_on_a_terminal() {
    let terminal = OnTerminal::start(&["-l", "*", "-p", "0", "--qr"]);
    let named = terminal.expect_line("open http://localhost:");
    if named.contains(" or ") {
        let row = terminal.expect_line("▀▀▀▀▀▀▀");
        assert!(row.starts_with("\u{1b}[30;107m"), "{row:?}");
        assert!(row.ends_with("\u{1b}[0m"), "{row:?}");
    }
}

#[test]
fn open_starts_the_browser_with_the_url() {
    let folder = TempDir::new();
    let opened = TempPath::new("opened");
    let script = format!("#!/bin/sh\necho \"$1\" > {}\n", opened.text());
    folder.file("xdg-open", script);
    folder.set_permissions("xdg-open", 0o755);
    let path = folder.as_ref().to_str().expect("the path is text");
    let server = Program::spawn_with(&["--open"], &[("PATH", path)]);
    let url = format!("http://{}/\n", server.address());
    eventually("the browser has the URL", || {
        fs::read_to_string(&opened).is_ok_and(|text| text == url)
    });

    let mut server = Program::start(
        &["--open", "--listen=127.0.0.1:0"],
        &[("PATH", "/nonexistent")],
    );
    server.expect_line("--open: cannot open http://localhost:");
}
