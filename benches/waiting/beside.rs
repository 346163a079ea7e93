//! Ordinary requests beside others.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::serving::{GET, Serving};

/// Time between two ordinary requests.
const REQUEST_GAP: Duration = Duration::from_millis(5);

/// Sends a request and reads its short response.
pub(crate) fn exchange(stream: &mut TcpStream, request: &[u8]) {
    stream
        .write_all(request)
        .expect("the server takes a request");
    let mut response = [0; 4096];
    let count = stream.read(&mut response).expect("the server responds");
    assert!(response[..count].starts_with(b"HTTP/1.1 2"));
}

/// Sends ordinary requests while `run` runs, and returns their times, too.
pub(crate) fn beside_requests<R>(server: &Serving, run: impl FnOnce() -> R) -> (R, Vec<Duration>) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let requests = scope.spawn(|| {
            let (mut stream, mut times) = (server.connect(), Vec::new());
            while !is_over.load(Ordering::Relaxed) {
                let began = Instant::now();
                exchange(&mut stream, GET);
                times.push(began.elapsed());
                thread::sleep(REQUEST_GAP);
            }
            times
        });
        let result = run();
        is_over.store(true, Ordering::Relaxed);
        (result, requests.join().expect("the requests succeed"))
    })
}
