//! rouille, which is built on tiny_http.

use std::io::Read;

use peer_job::{BYTES, HTML, PAGE};
use rouille::{Request, Response};

fn handle(request: &Request) -> Response {
    match request.method() {
        "GET" => Response::from_data(HTML, PAGE),
        "POST" => {
            let length = request.header("Content-Length");
            let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
            let mut body = Vec::with_capacity(length);
            let read = request.data().map(|mut data| data.read_to_end(&mut body));
            let kind = request.header("Content-Type").unwrap_or(BYTES).to_owned();
            match read {
                Some(Ok(_)) => Response::from_data(kind, body),
                _ => Response::empty_400(),
            }
        }
        _ => Response::empty_400().with_status_code(405),
    }
}

fn main() {
    let (address, threads) = peer_job::arguments();
    rouille::start_server_with_pool(address, Some(threads), handle);
}
