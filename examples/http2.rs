//! Serves a page with a hundred images, events and a download, all over one HTTP/2 connection.
//!
//! Browsers use HTTP/2 only over TLS. With the certificate that `examples/tls.rs` describes, or any
//! other one:
//!
//! `cargo run --example http2 --features http2,tls CERTIFICATE KEY [ADDR]`
//!
//! Then open `https://localhost:4443` in a browser. The page names the protocol of its requests.
//! The download can be cancelled, which closes its stream only: the events continue. With HTTP/1.1,
//! a browser opens up to six connections for this page, and closes one to cancel the download.
//!
//! Press Enter to shut the server down.

#![allow(
    clippy::needless_pass_by_value,
    reason = "handlers own the values that they take from a request"
)]

use std::error::Error;
use std::io::{self, Read};
use std::time::Duration;
use std::{env, thread};

use httpool::extract::{Path, State};
use httpool::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use httpool::sse::{Event, Events};
use httpool::{Body, Handle, Html, IntoResponse, Phase, Response, Router, Server, Tls};

const IMAGES: u32 = 100;

/// Time between two events.
const INTERVAL: Duration = Duration::from_millis(200);

/// Size of the download in bytes, which takes some seconds.
const DOWNLOAD: u64 = 1 << 30;

const PAGE: &str = r#"<!doctype html>
<meta charset="utf-8">
<title>One connection</title>
<p id="images"></p>
<p>Events: <output id="count">0</output></p>
<p><button id="start">Download</button> <button id="cancel">Cancel</button>
<output id="received">0</output> bytes</p>
<p>Protocol: <output id="protocol"></output></p>
<script>
for (let number = 0; number < 100; number++) {
    const image = new Image();
    image.src = `/images/${number}`;
    images.append(image);
}
const events = new EventSource('/events');
events.onmessage = ({data}) => { count.value = data; };
let abort;
async function download() {
    abort = new AbortController();
    const reader = (await fetch('/download', {signal: abort.signal})).body.getReader();
    for (let total = 0, part; !(part = await reader.read()).done;) {
        received.value = total += part.value.length;
    }
}
start.onclick = () => download().catch(({name}) => { received.value += `, ${name} after these`; });
cancel.onclick = () => abort.abort();
window.onload = () => {
    const used = performance.getEntriesByType('resource').map(entry => entry.nextHopProtocol);
    protocol.value = [...new Set(used)].join();
};
</script>
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(certificate), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err("usage: http2 CERTIFICATE KEY [ADDR]".into());
    };
    let address = arguments.next().unwrap_or("localhost:4443".into());
    let tls = Tls::builder().certificate_files(certificate, key).build()?;
    let server = Server::builder().listen_tls(address, tls).bind()?;
    println!("listening on https://{}", server.local_addrs()[0]);

    let handle = server.handle();
    thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        handle.shutdown();
    });

    let router: Router = Router::new()
        .get("/", || Html(PAGE))
        .get("/images/{number}", image)
        .get("/events", events)
        .get("/download", || {
            Body::from_reader(Download { left: DOWNLOAD })
        })
        .with_state(server.handle());
    let report = server.run(router)?;
    println!("{report}");
    Ok(())
}

/// A small square in a colour of its own.
fn image(Path(number): Path<u32>) -> Response {
    let hue = number % IMAGES * 360 / IMAGES;
    let svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24">
        <rect width="20" height="20" fill="hsl({hue} 80% 50%)"/></svg>"#
    );
    let headers = [(CONTENT_TYPE, "image/svg+xml"), (CACHE_CONTROL, "no-store")];
    (headers, svg).into_response()
}

/// Numbers the events. Each client that listens occupies a worker.
fn events(State(server): State<Handle>) -> Events {
    let numbers = (1..).inspect(|_: &u32| thread::sleep(INTERVAL));
    let is_over = move || server.phase() > Phase::Running;
    Events::new(numbers.map(|number| Event::data(number.to_string()))).end_when(is_over)
}

/// A body that reports when it is dropped, which is soon after the client cancels the download.
struct Download {
    left: u64,
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = io::repeat(0).take(self.left).read(buffer)?;
        self.left -= count as u64;
        Ok(count)
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if self.left == 0 {
            println!("download complete");
        } else {
            println!("download cancelled, {} bytes not sent", self.left);
        }
    }
}
