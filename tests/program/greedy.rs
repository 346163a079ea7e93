//! Clients that pipeline and read nothing.

use crate::support::{Client, Program, request};

/// The server runs in a process of its own, so its memory can be measured.
#[test]
fn unread_pipelines_do_not_grow_memory() {
    const PIPELINES: usize = 8;
    const REQUESTS: usize = 4_000;
    const BODY: usize = 8 * 1024;
    const BOUND: u64 = 16 * 1024 * 1024;
    let program = Program::spawn(&["--workers", "2"]);
    let mut good = program.connect();
    good.post("/", "first").expect_body("first");
    let before = program.peak_memory();

    let requests = request::post("/", vec![b'x'; BODY]).repeat(REQUESTS);
    assert!(PIPELINES * requests.len() > 10 * BOUND as usize);
    let mut pipelines: Vec<Client> = (0..PIPELINES).map(|_| program.connect()).collect();
    let sending: Vec<_> = pipelines
        .iter_mut()
        .map(|client| client.send_in_background(requests.clone()))
        .collect();
    for client in &mut pipelines {
        client.expect_bytes(1);
    }
    // Each of these waits for a turn of every client that can make progress, and a turn is some
    // dozens of requests.
    for round in 0..200 {
        let body = format!("round {round}");
        good.post("/", &body).expect_body(&body);
    }
    let grown = program.peak_memory() - before;
    assert!(grown < BOUND, "memory grew by {grown} bytes");
    drop(program);
    for thread in sending {
        let sent = thread.join().expect("sending does not panic");
        assert!(sent.is_err(), "the server stopped reading");
    }
}

/// Checks the memory bound of docs/limits.md with clients that leave a response unread. The kernel
/// buffers most of each response, and the server must count everything that it keeps.
#[test]
fn unread_responses_stay_within_the_budget() {
    const CLIENTS: usize = 60;
    const BODY: usize = 4 * 1024 * 1024;
    const BUDGET: u64 = 32 * 1024 * 1024;
    /// The buffers of two workers, and overhead of the allocator.
    const BESIDE: u64 = 32 * 1024 * 1024;
    let flags = [
        "--workers",
        "2",
        "--max-buffered-memory",
        "32MiB",
        "--write-timeout",
        "1h",
    ];
    // As the service unit does.
    let variables = [("MALLOC_MMAP_THRESHOLD_", "131072")];
    let program = Program::spawn_with(&flags, &variables);
    let mut good = program.connect();
    good.post("/", "first").expect_body("first");
    let before = program.peak_memory();

    // Each client sends its next request at once and reads nothing.
    let requests = [
        request::post("/", vec![b'x'; BODY]),
        request::post("/", "next"),
    ]
    .concat();
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| program.connect()).collect();
    let sending: Vec<_> = clients
        .iter_mut()
        .map(|client| client.send_in_background(requests.clone()))
        .collect();
    for thread in sending {
        // A client over the limit is rejected, and its connection does not matter.
        let _ = thread.join().expect("sending does not panic");
    }
    good.post("/", "beside").expect_body("beside");
    let grown = program.peak_memory() - before;
    assert!(grown < BUDGET + BESIDE, "memory grew by {grown} bytes");
}
