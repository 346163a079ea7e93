//! Measures what the layers of the program cost: its processor time per request for a file, with the
//! flag of each layer beside none.
//!
//! ```sh
//! cargo bench --bench site
//! ```
//!
//! The client is one thread of this process that sends a request on each keep-alive connection and
//! then receives each response. All flags take turns, every second round backwards, and medians are
//! shown. A password is checked once for each start; the measured requests find it remembered.

#[allow(
    unexpected_cfgs,
    reason = "its settings name features of the library, and this bench belongs to the program"
)]
mod serving;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

use serving::Serving;

const PROGRAM: &str = env!("CARGO_BIN_EXE_httpool");

/// Connections that are busy all the time.
const CONNECTIONS: usize = 64;

/// Requests of one measurement of a file of 4 KiB without compression.
const REQUESTS: usize = 20_000;

const ROUNDS: usize = 7;

/// Users with the password `lovelace` (bcrypt, cost 10) and `password` (Argon2).
const USERS: [(&str, &str); 2] = [
    (
        "bcrypt",
        "ada:$2b$10$abcdefghijklmnopqrstuudVH6UADxocdjRbtFP9WKJkGORRNx2fy\n",
    ),
    (
        "argon2",
        "eva:$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4\n",
    ),
];

const AS_ADA: &str = "Authorization: Basic YWRhOmxvdmVsYWNl\r\n";
const AS_EVA: &str = "Authorization: Basic ZXZhOnBhc3N3b3Jk\r\n";
const ORIGIN: &str = "Origin: https://shop.example\r\n";
const GZIP: &str = "Accept-Encoding: gzip\r\n";

/// Flags of the program, in which `%` is the folder of this bench.
struct Setting {
    name: &'static str,
    flags: &'static [&'static str],
    /// Header lines of each request.
    lines: &'static str,
}

const SETTINGS: [Setting; 9] = [
    setting("no flag", &[], ""),
    setting("--header", &["--header", "X-Robots-Tag: noindex"], ""),
    setting(
        "--header with a prefix",
        &["--header", "/4 X-Robots-Tag: noindex"],
        "",
    ),
    setting("--security-headers", &["--security-headers"], ""),
    setting("--cors", &["--cors", "https://shop.example"], ORIGIN),
    setting("--rate-limit", &["--rate-limit", "1000000000/1m"], ""),
    setting(
        "--auth-file with bcrypt",
        &["--auth-file", "%/bcrypt"],
        AS_ADA,
    ),
    setting(
        "--auth-file with Argon2",
        &["--auth-file", "%/argon2"],
        AS_EVA,
    ),
    setting("--compress", &["--compress"], GZIP),
];

const fn setting(
    name: &'static str,
    flags: &'static [&'static str],
    lines: &'static str,
) -> Setting {
    Setting { name, flags, lines }
}

/// Files, by their sizes in KiB. Requests for the larger one are fewer.
const SIZES: [usize; 2] = [4, 64];

struct Scenario {
    setting: &'static Setting,
    size: usize,
    /// Microseconds of processor time per request, of each round.
    costs: Vec<f64>,
}

fn main() {
    let folder = Folder::create();
    let (rounds, requests) = match serving::is_trial() {
        true => (1, 2 * CONNECTIONS),
        false => (ROUNDS, REQUESTS),
    };
    let mut scenarios = scenarios();
    for round in 0..rounds {
        for scenario in &mut scenarios {
            scenario.measure(&folder, requests / (scenario.size / SIZES[0]).min(4));
        }
        eprintln!("round {} of {rounds}", round + 1);
        scenarios.reverse();
    }
    if rounds % 2 == 1 {
        scenarios.reverse();
    }
    print(&mut scenarios);
}

/// Each setting for the small file, and compression for the large one, too.
fn scenarios() -> Vec<Scenario> {
    let of_size = |size: usize| {
        let settings = SETTINGS.iter();
        let wanted = settings.filter(move |setting| {
            size == SIZES[0] || setting.flags.is_empty() || setting.name == "--compress"
        });
        wanted.map(move |setting| Scenario {
            setting,
            size,
            costs: Vec::new(),
        })
    };
    SIZES.into_iter().flat_map(of_size).collect()
}

impl Scenario {
    fn measure(&mut self, folder: &Folder, requests: usize) {
        let server = Serving::start_listening(|address| {
            let mut command = Command::new(PROGRAM);
            let flags = self.setting.flags.iter();
            command
                .arg(format!("--listen={address}"))
                .args(["--workers", "1", "--log-level", "error", "--root"])
                .arg(folder.path("public"))
                .args(flags.map(|flag| flag.replace('%', &folder.path("").display().to_string())))
                .env_clear()
                .stdout(Stdio::null());
            command
        });
        let request = format!(
            "GET /{}.txt HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
            self.size, self.setting.lines
        );
        let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| server.connect()).collect();
        // The first request alone: until its password is remembered, others would get a 503.
        exchange(&mut clients[..1], &request);
        for _ in 0..2 {
            exchange(&mut clients, &request);
        }
        let before = server.processor_time();
        let rounds = (requests / CONNECTIONS).max(1);
        for _ in 0..rounds {
            exchange(&mut clients, &request);
        }
        let used = server.processor_time() - before;
        let count = (rounds * CONNECTIONS) as f64;
        self.costs.push(used.as_secs_f64() * 1e6 / count);
    }

    fn median(&self) -> f64 {
        self.costs[self.costs.len() / 2]
    }
}

/// Sends the request on each connection, and receives the responses.
fn exchange(clients: &mut [TcpStream], request: &str) {
    for client in &mut *clients {
        let sent = client.write_all(request.as_bytes());
        sent.expect("the server takes a request");
    }
    clients.iter_mut().for_each(receive);
}

/// Receives one response with `Content-Length` or chunked content.
fn receive(stream: &mut TcpStream) {
    let mut received = Vec::with_capacity(80 * 1024);
    let mut part = [0; 64 * 1024];
    while !is_whole(&received) {
        let count = stream.read(&mut part).expect("the server responds");
        assert!(count > 0, "the server has closed a connection");
        received.extend_from_slice(&part[..count]);
    }
    let status = String::from_utf8_lossy(&received[..15]);
    assert_eq!(status, "HTTP/1.1 200 OK");
}

fn is_whole(received: &[u8]) -> bool {
    let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return false;
    };
    let head = std::str::from_utf8(&received[..end]).expect("the head is text");
    let length = head.lines().find_map(|line| {
        let value = line.strip_prefix("content-length: ")?;
        value.parse::<usize>().ok()
    });
    match length {
        Some(length) => received.len() >= end + 4 + length,
        None => received.ends_with(b"\r\n0\r\n\r\n"),
    }
}

fn print(scenarios: &mut [Scenario]) {
    println!("file     flag                       CPU us/request   least    most  to no flag");
    for scenario in &mut *scenarios {
        scenario.costs.sort_by(f64::total_cmp);
    }
    for scenario in &*scenarios {
        let mut others = scenarios.iter().filter(|other| other.size == scenario.size);
        let bare = others.find(|other| other.setting.flags.is_empty());
        let bare = bare.map_or(f64::NAN, Scenario::median);
        println!(
            "{:>2} KiB   {:<26} {:>14.2} {:>7.2} {:>7.2} {:>11.2}",
            scenario.size,
            scenario.setting.name,
            scenario.median(),
            scenario.costs[0],
            scenario.costs[scenario.costs.len() - 1],
            scenario.median() / bare,
        );
    }
}

/// The files of this bench, removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn create() -> Self {
        let folder = Self(std::env::temp_dir().join(format!("httpool-site-{}", process::id())));
        fs::create_dir_all(folder.path("public")).expect("the folder is writable");
        for size in SIZES {
            folder.write(&format!("public/{size}.txt"), &text(size * 1024));
        }
        for (name, line) in USERS {
            folder.write(name, line);
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path: &Path = &self.path(name);
        fs::write(path, text).expect("the folder is writable");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Text that compresses about as well as a page: words in an order that repeats late.
fn text(length: usize) -> String {
    const WORDS: [&str; 11] = [
        "request",
        "response",
        "header",
        "the",
        "of",
        "a",
        "worker",
        "<p>",
        "connection",
        "is",
        "bytes\n",
    ];
    let mut text = String::with_capacity(length + 16);
    let mut number = 1_usize;
    while text.len() < length {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        text.push_str(WORDS[(number >> 33) % WORDS.len()]);
        text.push(' ');
    }
    text.truncate(length);
    text
}
