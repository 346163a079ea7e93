//! `--check`: finds out whether the server could start, without starting it.

use std::env;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use httpool::ListenAddr;
use rustix::fs::{Access, access};

use super::cli::Args;
use super::config::Config;
use super::hosts::Served;
use super::inspect::is_local;
use super::log_file::standard_stream;
use super::{access_log, cli, https, logging};

/// Checks the names, folders and files that the flags refer to. Settings that may be intended are
/// warnings on standard error.
pub(crate) fn check(config: &Config, addresses: &[ListenAddr]) -> Result<&'static str, String> {
    let args = &config.args;
    let has_warned = logging::set_up_for_check()?;
    warn(args);
    let others = [
        &args.listen_proxy_protocol,
        &args.listen_tls,
        &args.listen_tls_proxy_protocol,
        &args.redirect_http,
        &args.admin,
    ];
    for address in addresses.iter().chain(others.into_iter().flatten()) {
        address.check().map_err(|error| error.to_string())?;
    }
    https::tls(args)?;
    for (flag, path) in [
        ("log-file", logging::file(args)),
        ("access-log", access_log::file(args)),
    ] {
        if let Some(path) = path {
            check_log_file(path)
                .map_err(|error| format!("--{flag} {}: {error}", path.display()))?;
        }
    }
    Served::open(config)?;
    warn_of_plain_passwords(config, addresses.iter().chain(&args.listen_proxy_protocol));
    Ok(match has_warned.load(Ordering::Relaxed) {
        true => "configuration is valid, with warnings\n",
        false => "configuration is valid\n",
    })
}

/// Warns about settings without effect: limits that contradict each other, and variables with
/// misspelt names.
pub(crate) fn warn(args: &Args) {
    let flag = |name: &str| format!("--{}", name.replace('_', "-"));
    for conflict in args.builder().conflicts() {
        log::warn!("{}", conflict.named(flag));
    }
    for warning in cli::misspelt(env::vars_os().map(|(name, _)| name)) {
        log::warn!("{warning}");
    }
}

/// Warns if passwords arrive at one of these addresses, which have no TLS, from other machines. Behind
/// a trusted proxy the way to the client is that of the proxy.
pub(crate) fn warn_of_plain_passwords<'a>(
    config: &Config,
    mut without_tls: impl Iterator<Item = &'a ListenAddr>,
) {
    let hosts = config.hosts.iter().map(|host| &host.args);
    let has_passwords = hosts
        .chain([&config.args])
        .any(|args| args.auth_file.is_some());
    if !has_passwords || !config.args.trusted_proxy.is_empty() {
        return;
    }
    if let Some(address) = without_tls.find(|address| !is_local(address)) {
        log::warn!(
            "--auth-file: clients send their passwords to {address} without encryption; use --listen-tls"
        );
    }
}

fn check_log_file(path: &Path) -> io::Result<()> {
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) if standard_stream(path).is_some() => Ok(()),
        Ok(_) => Ok(access(path, Access::WRITE_OK)?),
        Err(_) => check_folder(path),
    }
}

/// Checks that a file can be created at this path, without creating one.
fn check_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) => Path::new("."),
        None => return Err(io::ErrorKind::IsADirectory.into()),
    };
    if folder.metadata()?.is_dir() {
        Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}
