//! The job of every server: `GET /` gets a page, and `POST /` the request's own body and content
//! type, on a port of the loopback interface.

use std::env;
use std::net::{Ipv4Addr, SocketAddr};

/// The response to `GET`.
pub const PAGE: &str = "<h1>Welcome to my Server</h1>";

/// The content type of [`PAGE`].
pub const HTML: &str = "text/html";

/// The content type of an echo if the request has none.
pub const BYTES: &str = "application/octet-stream";

/// The address to listen on and the number of threads, from the program's two arguments.
pub fn arguments() -> (SocketAddr, usize) {
    let mut arguments = env::args().skip(1);
    let mut number = || arguments.next()?.parse::<u16>().ok();
    let (Some(port), Some(threads)) = (number(), number()) else {
        panic!("the arguments are a port and a number of threads");
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    (address, usize::from(threads))
}
