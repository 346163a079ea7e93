//! What every peer does: it serves `GET /` with a page and `POST /` with the request's own body
//! and content type, on a port of the loopback interface.

use std::env;
use std::net::{Ipv4Addr, SocketAddr};

/// What `GET` is answered with.
pub const PAGE: &str = "<h1>Welcome to my Server</h1>";

/// The content type of [`PAGE`].
pub const HTML: &str = "text/html";

/// The content type of an echo whose request has none.
pub const BYTES: &str = "application/octet-stream";

/// Where to listen, and with how many threads: the program's two arguments are a port and a number.
pub fn arguments() -> (SocketAddr, usize) {
    let mut arguments = env::args().skip(1);
    let mut number = || arguments.next()?.parse::<u16>().ok();
    let (Some(port), Some(threads)) = (number(), number()) else {
        panic!("the arguments are a port and a number of threads");
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    (address, usize::from(threads))
}
