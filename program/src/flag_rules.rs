//! Flags that say how something is done which another flag asks for, and so nothing without it.

use super::cli::Args;

/// A flag, and whether it is there.
type Said = (&'static str, bool);

/// Finds a flag without the one that it needs, which is an error: whoever wrote it expects that it does
/// something.
pub(crate) fn check(args: &Args) -> Result<(), String> {
    let of_root: &[Said] = &[
        ("symlinks", args.symlinks.is_some()),
        ("precompressed", args.precompressed),
        ("listing", args.listing),
        ("dotfiles", args.dotfiles),
        ("fallback", args.fallback.is_some()),
        ("cache-control", args.cache_control.is_some()),
        ("immutable", !args.immutable.is_empty()),
        ("etag", args.etag.is_some()),
        ("media-type", !args.media_type.is_empty()),
    ];
    let of_proxies: &[Said] = &[
        (
            "listen-proxy-protocol",
            !args.listen_proxy_protocol.is_empty(),
        ),
        (
            "listen-tls-proxy-protocol",
            !args.listen_tls_proxy_protocol.is_empty(),
        ),
    ];
    let of_fields: &[Said] = &[("forwarded-by", args.forwarded_by.is_some())];
    let of_log: &[Said] = &[("access-log-format", args.access_log_format.is_some())];
    let of_authorities: &[Said] = &[("tls-client-auth", args.tls_client_auth.is_some())];
    let believes = !args.trusted_proxy.is_empty();
    for (is_met, need, flags) in [
        (
            believes,
            "a --trusted-proxy, because all other peers are rejected",
            of_proxies,
        ),
        (
            believes,
            "a --trusted-proxy, because only trusted proxies are believed",
            of_fields,
        ),
        (args.root.is_some(), "--root", of_root),
        (
            !args.tls_client_ca.is_empty(),
            "--tls-client-ca, because clients are asked for a certificate only with it",
            of_authorities,
        ),
        (args.access_log.is_some(), "--access-log", of_log),
    ] {
        if is_met {
            continue;
        }
        if let Some((flag, _)) = flags.iter().find(|(_, is_said)| *is_said) {
            return Err(format!("--{flag}: needs {need}"));
        }
    }
    Ok(())
}
