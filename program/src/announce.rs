//! Says that the server listens, and how to open it.

use std::io::{self, IsTerminal as _};
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use httpool::{ListenAddr, Server};

use super::cli::Args;
use super::page_urls::PageUrls;
use super::{logging, qr_code, systemd};

/// The launcher of a browser that still runs after this time is taken as successful.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Reports that the server listens, to the log and to the service manager. Until the workers run,
/// new clients wait in the kernel's queue, so this is not too early.
pub(crate) fn announce(server: &Server, args: &Args) {
    let addresses = address_list(server);
    let plural = if args.workers == 1 { "" } else { "s" };
    log::info!(
        "listening on {addresses} with {} worker{plural}",
        args.workers
    );
    systemd::ready(&format!("listening on {addresses}"));
    help_to_open(server, args);
}

/// Names the addresses to open, and opens them if the flags say so. A program in the background
/// names them only if the line before does not.
fn help_to_open(server: &Server, args: &Args) {
    let is_read = !args.quiet && args.log_file.is_none() && io::stderr().is_terminal();
    let is_wildcard = server.local_addrs().iter().any(is_wildcard);
    if !(is_read || is_wildcard || args.qr || args.open) {
        return;
    }
    let urls = PageUrls::new(server, args);
    match urls.to_string().as_str() {
        "" => {}
        text if is_read || is_wildcard => log::info!("open {text}"),
        _ => {}
    }
    if args.qr {
        match urls.for_other_devices() {
            Some(url) => logging::print_picture(&qr_code::picture(url), url),
            None => log::warn!(
                "--qr: no other device can open this server: listen on every interface with -l '*'"
            ),
        }
    }
    if args.open {
        match urls.first() {
            Some(url) => open_browser(url.to_owned()),
            None => log::warn!("--open: the server has no address that a browser can open"),
        }
    }
}

/// Starts the browser. A launcher may take seconds to report an error, so a thread waits for it.
fn open_browser(url: String) {
    let wait = move || {
        if let Err(error) = open::that_detached_with_timeout(&url, LAUNCH_TIMEOUT) {
            log::warn!("--open: cannot open {url} in a browser: {error}");
        }
    };
    if let Err(error) = thread::Builder::new().name("browser".into()).spawn(wait) {
        log::warn!("--open: cannot start a thread: {error}");
    }
}

fn is_wildcard(address: &ListenAddr) -> bool {
    let ListenAddr::Tcp { host, .. } = address else {
        return false;
    };
    host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified())
}

/// The server's addresses, each as a client would write it.
pub(crate) fn address_list(server: &Server) -> String {
    let texts: Vec<String> = server
        .local_addrs()
        .iter()
        .map(|address| match address {
            ListenAddr::Tcp { .. } if server.tls_addrs().any(|tls| tls == address) => {
                format!("https://{address}")
            }
            ListenAddr::Tcp { .. } => format!("http://{address}"),
            _ => address.to_string(),
        })
        .collect();
    join(&texts)
}

/// `a`, `a and b`, `a, b and c`.
fn join(texts: &[String]) -> String {
    match texts.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => String::from("nothing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_joined_with_commas_and_and() {
        #[track_caller]
        fn check(addresses: &[&str], expected: &str) {
            let texts: Vec<String> = addresses.iter().copied().map(String::from).collect();
            assert_eq!(join(&texts), expected);
        }
        check(&["a"], "a");
        check(&["a", "b"], "a and b");
        check(&["a", "b", "c"], "a, b and c");
    }
}
