//! Measures the memory of an idle connection: user memory for each of ten thousand that have had
//! one response. The kernel's memory for a socket is not included.

mod serving;

use serving::{MEMORY, Serving, send_request};

/// Connections before the measurement, so that every worker has its own buffers by then.
const WARM_UP: usize = 256;

fn main() {
    serving::serve_if_asked();
    let connections = if serving::is_trial() { 500 } else { 10_000 };
    let server = Serving::start();
    for _ in 0..WARM_UP {
        send_request(&mut server.connect());
    }
    let before = server.figure(MEMORY);
    let streams: Vec<_> = (0..connections)
        .map(|_| {
            let mut stream = server.connect();
            send_request(&mut stream);
            stream
        })
        .collect();
    let after = server.figure(MEMORY);
    println!(
        "{} idle connections: {} KiB before, {} KiB after, {} bytes each",
        streams.len(),
        before / 1024,
        after / 1024,
        after.saturating_sub(before) / connections as u64,
    );
}
