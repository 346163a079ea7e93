//! Rules between flags: flags that have no effect without another flag.

use std::time::Duration;

use super::cli::{Args, Switch};
use super::files::NO_INDEX;
use super::value_parsers::Span;

/// The shortest max-age that the preload lists of browsers accept: https://hstspreload.org.
const MIN_PRELOAD: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A flag, and whether it is given.
type Given = (&'static str, bool);

/// Rejects a flag whose required flag is missing. It would have no effect, and its user expects
/// one. `has_tls_socket` says whether a socket for TLS was passed in.
pub(crate) fn check(args: &Args, has_tls_socket: bool) -> Result<(), String> {
    check_needs(args)?;
    let error = index_error(args)
        .or_else(|| tls_error(args, has_tls_socket))
        .or_else(|| hsts_error(args, has_tls_socket))
        .or_else(|| cors_error(args));
    error.map_or(Ok(()), |line| Err(line.to_owned()))
}

fn check_needs(args: &Args) -> Result<(), String> {
    let of_root: &[Given] = &[
        ("symlinks", args.symlinks.is_some()),
        ("precompressed", args.precompressed),
        ("index", !args.index.is_empty()),
        ("pretty-urls", args.pretty_urls),
        ("listing", args.listing),
        ("archive", args.archive),
        ("upload", args.upload),
        ("dotfiles", args.dotfiles),
        ("fallback", args.fallback.is_some()),
        ("spa", args.spa),
        ("cache-control", args.cache_control.is_some()),
        ("immutable", !args.immutable.is_empty()),
        ("etag", args.etag.is_some()),
        ("media-type", !args.media_type.is_empty()),
    ];
    let of_archive: &[Given] = &[("max-archive", args.max_archive.is_some())];
    let of_upload: &[Given] = &[
        ("max-upload", args.max_upload.is_some()),
        ("upload-overwrite", args.upload_overwrite),
    ];
    let of_proxies: &[Given] = &[
        (
            "listen-proxy-protocol",
            !args.listen_proxy_protocol.is_empty(),
        ),
        (
            "listen-tls-proxy-protocol",
            !args.listen_tls_proxy_protocol.is_empty(),
        ),
    ];
    let of_headers: &[Given] = &[("forwarded-by", args.forwarded_by.is_some())];
    let of_log: &[Given] = &[("access-log-format", args.access_log_format.is_some())];
    let of_authorities: &[Given] = &[("tls-client-auth", args.tls_client_auth.is_some())];
    let of_http2: &[Given] = &[
        ("max-streams", args.max_streams.is_some()),
        ("stream-window", args.stream_window.is_some()),
        ("connection-window", args.connection_window.is_some()),
        (
            "handlers-per-connection",
            args.handlers_per_connection.is_some(),
        ),
    ];
    let of_database: &[Given] = &[("inspect-db-age", args.inspect_db_age.is_some())];
    let of_faults: &[Given] = &[("fault-seed", args.fault_seed.is_some())];
    let of_inspect: &[Given] = &[
        ("allow-faults", args.allow_faults),
        ("fault", args.fault.is_some()),
        ("fault-seed", args.fault_seed.is_some()),
        ("inspect-log", args.inspect_log),
        ("max-delay", args.max_delay.is_some()),
        ("max-bytes", args.max_bytes.is_some()),
        ("inspect-history", args.inspect_history.is_some()),
        ("inspect-token", args.inspect_token.is_some()),
        ("inspect-db", args.inspect_db.is_some()),
    ];
    let has_proxy = !args.trusted_proxy.is_empty();
    for (is_met, need, flags) in [
        (
            has_proxy,
            "a --trusted-proxy, because all other peers are rejected",
            of_proxies,
        ),
        (
            has_proxy,
            "a --trusted-proxy, because only trusted proxies are believed",
            of_headers,
        ),
        (args.root.is_some(), "--root", of_root),
        (args.archive, "--archive", of_archive),
        (args.upload, "--upload", of_upload),
        (args.inspect, "--inspect", of_inspect),
        (
            !args.tls_client_ca.is_empty(),
            "--tls-client-ca, because clients are asked for a certificate only with it",
            of_authorities,
        ),
        (args.access_log.is_some(), "--access-log", of_log),
        (args.inspect_db.is_some(), "--inspect-db", of_database),
        (
            args.fault.is_some() || args.allow_faults,
            "--fault or --allow-faults",
            of_faults,
        ),
        (args.http2 == Switch::On, "--http2 on", of_http2),
    ] {
        if is_met {
            continue;
        }
        if let Some((flag, _)) = flags.iter().find(|(_, is_given)| *is_given) {
            return Err(format!("--{flag}: needs {need}"));
        }
    }
    Ok(())
}

fn index_error(args: &Args) -> Option<&'static str> {
    let has_none = args.index.iter().any(|name| name == NO_INDEX);
    let has_dotfile = args.index.iter().any(|name| name.starts_with('.'));
    if has_none && args.index.len() > 1 {
        Some("--index none: give no other --index with it")
    } else if has_dotfile && !args.dotfiles {
        Some("--index: a name that begins with a dot needs --dotfiles")
    } else {
        None
    }
}

fn tls_error(args: &Args, has_socket: bool) -> Option<&'static str> {
    let listens = listens_tls(args, has_socket);
    if args.tls_cert.len() != args.tls_key.len() {
        Some("--tls-cert and --tls-key: give one key for each certificate")
    } else if args.tls_cert.is_empty() && !args.listen_tls.is_empty() {
        Some("--listen-tls: needs --tls-cert and --tls-key")
    } else if args.tls_cert.is_empty() && !args.listen_tls_proxy_protocol.is_empty() {
        Some("--listen-tls-proxy-protocol: needs --tls-cert and --tls-key")
    } else if args.tls_cert.is_empty() && has_socket {
        Some("LISTEN_FDNAMES: a socket for TLS needs --tls-cert and --tls-key")
    } else if !args.tls_cert.is_empty() && !listens {
        Some("--tls-cert: needs a --listen-tls address")
    } else if !args.tls_client_ca.is_empty() && !listens {
        Some("--tls-client-ca: needs a --listen-tls address")
    } else {
        None
    }
}

fn hsts_error(args: &Args, has_socket: bool) -> Option<&'static str> {
    // A trusted proxy may speak TLS with the clients, and say so in its headers.
    let has_https = listens_tls(args, has_socket) || !args.trusted_proxy.is_empty();
    let is_long = args.hsts.is_some_and(|Span(time)| time >= MIN_PRELOAD);
    if !args.redirect_http.is_empty() && !has_https {
        Some("--redirect-http: needs a --listen-tls address, or a --trusted-proxy that speaks TLS")
    } else if args.hsts_preload && !(is_long && args.hsts_include_subdomains) {
        Some("--hsts-preload: needs --hsts 1y or longer, and --hsts-include-subdomains")
    } else if args.hsts_include_subdomains && args.hsts.is_none() {
        Some("--hsts-include-subdomains: needs --hsts")
    } else if args.hsts.is_some() && !has_https {
        Some("--hsts: needs a --listen-tls address, or a --trusted-proxy that speaks TLS")
    } else {
        None
    }
}

fn cors_error(args: &Args) -> Option<&'static str> {
    let has_any = args.cors.iter().any(|origin| origin == "*");
    (has_any && args.cors.len() > 1).then_some("--cors: * allows all origins, so give no other")
}

fn listens_tls(args: &Args, has_socket: bool) -> bool {
    has_socket || !args.listen_tls.is_empty() || !args.listen_tls_proxy_protocol.is_empty()
}
