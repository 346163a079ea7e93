//! Checks the addresses of all flags against each other.

use httpool::ListenAddr;

use super::cli::Args;

/// An address, its flag, and whether other servers may share its port.
type Named<'a> = (&'a ListenAddr, &'static str, bool);

/// Finds two addresses that conflict. Without this check, the system would report that another
/// program listens there.
pub(crate) fn check(args: &Args, listen: &[ListenAddr]) -> Result<(), String> {
    let all: Vec<Named<'_>> = [
        (listen, "listen", args.reuse_port),
        (
            &args.listen_proxy_protocol,
            "listen-proxy-protocol",
            args.reuse_port,
        ),
        (&args.listen_tls, "listen-tls", args.reuse_port),
        (
            &args.listen_tls_proxy_protocol,
            "listen-tls-proxy-protocol",
            args.reuse_port,
        ),
        (&args.redirect_http, "redirect-http", args.reuse_port),
        (&args.admin, "admin", false),
    ]
    .into_iter()
    .flat_map(|(addresses, flag, shares)| {
        addresses.iter().map(move |address| (address, flag, shares))
    })
    .collect();
    for (index, (address, flag, shares)) in all.iter().enumerate() {
        let conflict = all[..index].iter().find(|(other, _, other_shares)| {
            let is_shared = *shares && *other_shares && matches!(address, ListenAddr::Tcp { .. });
            !is_shared && address.conflicts_with(other)
        });
        if let Some((other, other_flag, _)) = conflict {
            return Err(match address == other && flag == other_flag {
                true => format!("--{flag} {address}: given twice"),
                false => {
                    format!("--{flag} {address}: --{other_flag} {other} listens there already")
                }
            });
        }
    }
    Ok(())
}
