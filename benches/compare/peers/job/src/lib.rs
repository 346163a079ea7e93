//! The job of every server: `GET /` gets a page, and `POST /` the request's own body and content
//! type, on a port of the loopback interface.

#[cfg(feature = "tls")]
pub mod tls;

use std::env;
use std::net::{Ipv4Addr, SocketAddr};
#[cfg(feature = "tls")]
use std::path::PathBuf;

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

/// The other arguments of a program with HTTP/2: the size of its page, which is 0 for [`PAGE`], and the
/// files of a certificate and its key for TLS.
#[cfg(feature = "tls")]
pub fn page_and_tls() -> (&'static [u8], Option<(PathBuf, PathBuf)>) {
    let mut arguments = env::args().skip(3);
    let size = arguments.next().map_or(0, |size| {
        let size = size.parse();
        size.expect("the third argument is a size")
    });
    let page = match size {
        0 => PAGE.as_bytes(),
        _ => vec![b'x'; size].leak(),
    };
    let tls = arguments.next().zip(arguments.next());
    let tls = tls.map(|(certificate, key)| (certificate.into(), key.into()));
    (page, tls)
}
