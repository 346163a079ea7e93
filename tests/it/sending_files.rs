use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use httpool::http::StatusCode;
use httpool::{Body, CloseReason, IntoResponse as _, Request, Response};

use crate::support::{
    End, HUGE, NEVER, Random, SOON, TempDir, TestServer, Transport, in_own_process,
    over_every_transport, request, resident_memory,
};

over_every_transport! {
    file_arrives_unchanged,
}

/// Sizes that are sent in one write with the head, and sizes that use sendfile.
const SIZES: [usize; 6] = [0, 1, 1024, 4 * 1024, 4 * 1024 + 1, 3_000_000];

/// Sends the file named by the path. `NAME+N` announces N bytes more than the file has.
fn send_file(folder: &Arc<TempDir>) -> impl Fn(Request) -> Response + Send + Sync + 'static {
    let folder = Arc::clone(folder);
    move |request: Request| {
        let path = request.uri().path().trim_start_matches('/');
        let (name, more) = path.split_once('+').unwrap_or((path, "0"));
        let more: u64 = more.parse().expect("the suffix is a number");
        match File::open(folder.path(name)) {
            Ok(file) if more == 0 => file.into_response(),
            Ok(file) => {
                let length = file.metadata().expect("the metadata is readable").len();
                Body::from_file(file, 0..length + more).into_response()
            }
            Err(_) => (StatusCode::OK, "no file").into_response(),
        }
    }
}

fn file_arrives_unchanged(transport: Transport) {
    let folder = Arc::new(TempDir::new());
    let mut random = Random::new(5);
    let contents = SIZES.map(|size| random.bytes(size));
    for content in &contents {
        folder.file(&content.len().to_string(), content);
    }
    let server = transport.spawn(|builder| builder, send_file(&folder));
    let mut client = server.connect();
    for content in &contents {
        let target = format!("/{}", content.len());
        let response = client.get(&target).expect_body(content);
        let length = content.len().to_string();
        assert_eq!(response.header("content-length"), Some(&*length));
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: it\r\n\r\n"));
        let response = client.expect_response_to_head();
        assert_eq!(response.header("content-length"), Some(&*length));
    }
    // Pipelined.
    let requests = contents
        .iter()
        .map(|content| request::get(&format!("/{}", content.len())));
    client.send(requests.collect::<Vec<_>>().concat());
    for content in &contents {
        client.expect_body(content);
    }
}

#[test]
fn http10_client_gets_the_whole_file() {
    let folder = Arc::new(TempDir::new());
    let content = Random::new(6).bytes(200_000);
    folder.file("file", &content);
    let server = TestServer::spawn(|builder| builder, send_file(&folder));
    let mut client = server.connect();
    client.send("GET /file HTTP/1.0\r\n\r\n");
    client.expect_body(&content);
    client.expect_closed();
}

/// The client must notice that bytes are missing.
#[test]
fn short_file_resets_the_connection() {
    let folder = Arc::new(TempDir::new());
    for size in SIZES {
        folder.file(&size.to_string(), Random::new(7).bytes(size));
    }
    let server = TestServer::spawn(|builder| builder, send_file(&folder));
    for size in SIZES {
        for more in [1, 100_000] {
            let mut client = server.connect();
            client.get(&format!("/{size}+{more}"));
            assert_eq!(client.read_rest().1, End::Reset, "{size}+{more}");
        }
    }
    server.expect_serving();
    server.expect_open(0);
}

#[test]
fn file_truncated_while_sent_resets_the_connection() {
    let folder = Arc::new(TempDir::new());
    let file = folder.sparse("file", HUGE as u64);
    let server = TestServer::spawn(|builder| builder, send_file(&folder));
    let mut client = server.connect();
    client.get("/file").expect_bytes(1);
    file.set_len(1000).expect("the file can be truncated");
    let (received, end) = client.read_rest();
    assert_eq!(end, End::Reset);
    assert!(received.len() < HUGE);
    server.expect_serving();
}

/// The client is not at fault either.
#[test]
fn unreadable_file_resets_the_connection() {
    let folder = Arc::new(TempDir::new());
    folder.file("file", [7; 100_000]);
    let server = TestServer::spawn(
        |builder| builder,
        move |request: Request| {
            let length = request.uri().path().trim_start_matches('/').parse();
            let file = File::options().write(true).open(folder.path("file"));
            match length {
                Ok(length) => {
                    Body::from_file(file.expect("the file can be opened for writing"), 0..length)
                }
                Err(_) => Body::from("no file"),
            }
        },
    );
    for length in [1000, 100_000] {
        let mut client = server.connect();
        client.get(&format!("/{length}"));
        assert_eq!(client.read_rest().1, End::Reset, "{length}");
    }
    server.expect_serving();
    server.expect_open(0);
    let mut close_counts = server.handle().close_counts();
    assert_eq!(
        close_counts.find(|(reason, _)| *reason == CloseReason::Broken),
        Some((CloseReason::Broken, 2))
    );
}

#[test]
fn file_without_sendfile_support_is_read() {
    // This process's memory can be read as a file but does not support sendfile.
    let content: &'static [u8] = Random::new(8).bytes(3_000_000).leak();
    let start = content.as_ptr().addr() as u64;
    let server = TestServer::spawn(
        |builder| builder,
        move |_: Request| {
            let memory = File::open("/proc/self/mem").expect("/proc is mounted");
            Body::from_file(memory, start..start + content.len() as u64)
        },
    );
    let mut client = server.connect();
    for _ in 0..2 {
        client.get("/").expect_body(content);
    }
}

#[test]
fn growing_file_keeps_its_content_length() {
    let folder = Arc::new(TempDir::new());
    let file = folder.sparse("file", HUGE as u64);
    let server = TestServer::spawn(|builder| builder, send_file(&folder));
    let mut client = server.connect();
    client.get("/file");
    client.send(request::get("/none"));
    let head = client.expect_bytes(1);
    file.set_len(2 * HUGE as u64).expect("a file can grow");
    assert_eq!(head, b"H");
    let mut left = HUGE;
    while client.expect_bytes(1) != b"\r" || client.expect_bytes(3) != b"\n\r\n" {}
    while left > 0 {
        let count = left.min(1_000_000);
        assert!(client.expect_bytes(count).iter().all(|byte| *byte == 0));
        left -= count;
    }
    client.expect_body("no file");
}

#[test]
fn slow_readers_of_large_files_cost_no_worker_or_memory() {
    in_own_process(
        "sending_files::slow_readers_of_large_files_cost_no_worker_or_memory",
        || {
            let folder = Arc::new(TempDir::new());
            folder.sparse("large", 10 << 30);
            let server = TestServer::spawn(
                |builder| {
                    builder
                        .workers(1)
                        .write_timeout(NEVER)
                        .min_rate_grace(NEVER)
                },
                send_file(&folder),
            );
            let mut readers: Vec<_> = (0..50).map(|_| server.connect()).collect();
            for client in &mut readers {
                client.get("/none").expect_body("no file");
            }
            let before = resident_memory();
            for client in &mut readers {
                client.get("/large").expect_bytes(1000);
            }
            for _ in 0..20 {
                server.expect_serving();
                for client in &mut readers {
                    client.expect_bytes(10_000);
                }
                assert_eq!(server.handle().snapshot().buffered, 0);
            }
            // The clients are in this process and keep what they received: at most two reads of 64
            // KiB.
            let grown = resident_memory().saturating_sub(before);
            let most = readers.len() as u64 * 256 * 1024;
            assert!(grown < most, "resident memory grew by {grown} bytes");
            for client in readers {
                client.reset();
            }
            server.expect_open(0);
        },
    );
}

/// A client that reads as fast as the server sends must wait its turn.
#[test]
fn fast_reader_does_not_starve_other_clients() {
    let folder = Arc::new(TempDir::new());
    folder.sparse("large", 10 << 30);
    let server = TestServer::spawn(|builder| builder.workers(1), send_file(&folder));
    let mut greedy = server.connect();
    greedy.get("/large").expect_bytes(1000);
    let mut others = 0;
    thread::scope(|scope| {
        let reader = scope.spawn(|| while greedy.try_discard().is_ok() {});
        while others < 20 && !reader.is_finished() {
            server.expect_serving();
            others += 1;
        }
        assert!(
            !reader.is_finished(),
            "the file was sent before other clients were answered"
        );
        server.handle().shutdown_now();
    });
}

#[test]
fn drain_finishes_sending_a_file() {
    let folder = Arc::new(TempDir::new());
    folder.sparse("file", HUGE as u64);
    let server = TestServer::spawn(|builder| builder.write_timeout(NEVER), send_file(&folder));
    let mut client = server.connect();
    client.get("/file").expect_bytes(1);
    server.begin_drain();
    let (rest, end) = client.read_rest();
    assert!(rest.len() > HUGE);
    assert_eq!(end, End::Closed);
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (1, 0));
}

#[test]
fn file_unfinished_at_the_drain_deadline_is_aborted() {
    let folder = Arc::new(TempDir::new());
    folder.sparse("file", HUGE as u64);
    let server = TestServer::spawn(
        |builder| builder.write_timeout(NEVER).drain_timeout(SOON),
        send_file(&folder),
    );
    let mut client = server.connect();
    client.get("/file").expect_bytes(1);
    server.handle().shutdown();
    let report = server.expect_end();
    assert_eq!((report.answered, report.aborted), (0, 1));
    let (received, end) = client.read_rest();
    assert!(received.len() < HUGE);
    assert_eq!(end, End::Reset);
}

#[test]
fn special_file_is_read_until_eof() {
    let server = TestServer::spawn(
        |builder| builder,
        |_: Request| {
            let (reader, mut writer) = io::pipe().expect("a pipe can be created");
            writer
                .write_all(b"through a pipe")
                .expect("a pipe takes a few bytes");
            File::from(OwnedFd::from(reader))
        },
    );
    let response = server.connect().get("/").expect_body("through a pipe");
    assert_eq!(response.header("transfer-encoding"), Some("chunked"));
}
