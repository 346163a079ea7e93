//! `--upload`: who may store files, and the limits.

use std::sync::Arc;

use httpool::{ListenAddr, ServeDir, Uploads};

use super::cli::Args;
use super::inspect::is_local;
use super::value_parsers::Size;

/// Takes uploads into the folder. They occupy at most half of the workers, so that others are left for
/// downloads.
pub(crate) fn open(args: &Args, folder: Arc<ServeDir>) -> Uploads {
    let uploads = Uploads::new(folder)
        .overwrite(args.upload_overwrite)
        .concurrent((args.workers / 2).max(1));
    match args.max_upload {
        Some(Size(bytes)) => uploads.max_file(bytes as u64),
        None => uploads,
    }
}

/// Says why clients of other machines may reach the server. `None` if only this machine does.
/// `has_sockets` says whether sockets were passed in, whose clients are unknown.
pub(crate) fn reach(args: &Args, listen: &[ListenAddr], has_sockets: bool) -> Option<String> {
    if !args.trusted_proxy.is_empty() {
        return Some("--trusted-proxy brings clients of other machines".into());
    }
    if has_sockets {
        return Some("clients of other machines may reach the socket that was passed in".into());
    }
    let all = [
        (listen, "listen"),
        (&args.listen_proxy_protocol, "listen-proxy-protocol"),
        (&args.listen_tls, "listen-tls"),
        (&args.listen_tls_proxy_protocol, "listen-tls-proxy-protocol"),
    ];
    let mut all = all
        .into_iter()
        .flat_map(|(addresses, flag)| addresses.iter().map(move |address| (address, flag)));
    let (address, flag) = all.find(|(address, _)| !is_local(address))?;
    Some(format!(
        "clients of other machines reach --{flag} {address}"
    ))
}

/// Rejects uploads by everyone who reaches the server: clients need a password, unless they are on this
/// machine.
pub(crate) fn check(args: &Args, reach: Option<&str>) -> Result<(), String> {
    match reach {
        Some(reason) if args.upload && args.auth_file.is_none() => {
            Err(format!("--upload: needs --auth-file, because {reason}"))
        }
        _ => Ok(()),
    }
}
