//! The `httpool` program: flags and environment into a server, and an exit code out of it.

#![forbid(unsafe_code)]

mod access_log;
mod addresses;
mod check;
mod cli;
mod cli_error;
mod environment;
mod exit;
mod files;
mod flag_rules;
mod https;
mod log_file;
mod logging;
mod observers;
mod side_server;
mod signals;
mod systemd;
mod value_parsers;

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use httpool::services::Echo;
use httpool::{DrainReport, ErrorPageDir, ListenAddr, Server};
use rustix::process::{Resource, getrlimit, setrlimit};

use cli::{Args, Stop};
use exit::Exit;
use https::Redirect;
use log_file::LogFile;
use observers::Observers;
use side_server::SideServer;
use signals::{Caught, Reloaded, Starting};
use systemd::Passed;

/// Returning ends the process, and with it any worker whose handler never came back.
fn main() -> ExitCode {
    // First: until then a signal to reload ends the process.
    let caught = Caught::install();
    // While there is no thread that could read the environment: it changes it.
    let passed = systemd::passed_sockets();
    match caught {
        Ok(caught) => program(caught, passed).into(),
        Err(error) => complain(&no_signals(&error), Exit::Failed).into(),
    }
}

fn program(caught: Caught, passed: io::Result<Vec<Passed>>) -> Exit {
    let args = match cli::parse(env::args_os(), |name| env::var_os(name)) {
        Ok(args) => args,
        Err(stop) => {
            caught.give_back();
            return match stop {
                Stop::Shown(text) => say(&text, Exit::Clean),
                Stop::Wrong(line) => complain(&line, Exit::Misused),
            };
        }
    };
    let passed = match passed {
        Ok(passed) => passed,
        Err(error) => {
            return complain(&format!("the sockets in LISTEN_FDS: {error}"), Exit::Failed);
        }
    };
    // Sockets passed in are the manager's choice of where to listen: they replace the default.
    let addresses = if passed.is_empty() || args.names_addresses() {
        match args.addresses(|name| env::var_os(name)) {
            Ok(addresses) => addresses,
            Err(line) => return complain(&line, Exit::Misused),
        }
    } else {
        Vec::new()
    };
    if let Err(line) = flag_rules::check(&args) {
        return complain(&line, Exit::Misused);
    }
    if let Err(line) = addresses::check(&args, &addresses) {
        return complain(&line, Exit::Misused);
    }
    if let Some(line) = https::misuse(&args, passed.iter().any(|passed| passed.is_tls)) {
        return complain(line, Exit::Misused);
    }
    if args.check {
        caught.give_back();
        return match check::check(&args, &addresses) {
            Ok(text) => say(text, Exit::Clean),
            Err(line) => complain(&line, Exit::Failed),
        };
    }
    let starting = match caught.watch() {
        Ok(starting) => starting,
        Err(error) => return complain(&no_signals(&error), Exit::Failed),
    };
    let log_file = match logging::set_up(&args) {
        Ok(file) => file,
        Err(line) => return complain(&line, Exit::Failed),
    };
    match serve(&args, addresses, passed, log_file, starting) {
        Ok(exit) => exit,
        Err(line) => {
            logging::failure(&args, &line);
            Exit::Failed
        }
    }
}

fn serve(
    args: &Args,
    addresses: Vec<ListenAddr>,
    passed: Vec<Passed>,
    log_file: Option<LogFile>,
    starting: Starting,
) -> Result<Exit, String> {
    check::warn(args);
    raise_descriptor_limit();
    let folder = files::open(args)?.map(Arc::new);
    let builder = addresses
        .into_iter()
        .fold(args.builder(), httpool::Builder::listen);
    let builder = (args.listen_proxy_protocol.iter().cloned())
        .fold(builder, httpool::Builder::listen_proxy_protocol);
    let tls = https::tls(args)?;
    let builder = tls.iter().fold(builder, |builder, tls| {
        let addresses = args.listen_tls.iter().cloned();
        let builder = addresses.fold(builder, |builder, address| {
            builder.listen_tls(address, tls.clone())
        });
        let addresses = args.listen_tls_proxy_protocol.iter().cloned();
        addresses.fold(builder, |builder, address| {
            builder.listen_tls_proxy_protocol(address, tls.clone())
        })
    });
    let builder = (passed.into_iter()).fold(builder, |builder, passed| {
        // There is a certificate if a socket is for TLS, or it is misuse.
        let tls = tls.as_ref().filter(|_| passed.is_tls).cloned();
        match (tls, passed.is_proxied) {
            (None, false) => builder.adopt(passed.socket),
            (None, true) => builder.adopt_proxy_protocol(passed.socket),
            (Some(tls), false) => builder.adopt_tls(passed.socket, tls),
            (Some(tls), true) => builder.adopt_tls_proxy_protocol(passed.socket, tls),
        }
    });
    let (access_log, access_file) = access_log::start(args)?;
    let observers = Observers::new(args, access_log.as_ref());
    let builder = observers.observe(builder);
    let pages = (args.error_pages.as_ref())
        .map(ErrorPageDir::open)
        .transpose()
        .map_err(|error| format!("cannot read the error pages: {error}"))?
        .map(Arc::new);
    let builder = match &pages {
        Some(pages) => builder.error_pages(Arc::clone(pages)),
        None => builder,
    };
    let builder = match args.hsts {
        Some(time) => builder.default_headers(https::hsts(args, time)),
        None => builder,
    };
    let server = builder.bind().map_err(|error| error.to_string())?;
    let admin = observers
        .meter()
        .map(|meter| SideServer::admin(args, server.handle(), meter))
        .transpose()?;
    let redirect = (!args.redirect_http.is_empty())
        .then(|| SideServer::redirect(args, &observers, Redirect::to(&server)))
        .transpose()?;
    let files = (log_file.into_iter().chain(access_file))
        .map(Reloaded::Log)
        .chain(pages.map(Reloaded::Pages))
        .chain(tls.map(Reloaded::Tls))
        .chain(folder.clone().map(Reloaded::Folder))
        .collect();
    let longest_drain = args.drain_delay.0.saturating_add(args.drain_timeout.0);
    let watch = starting
        .serve(server.handle(), longest_drain, files)
        .map_err(|error| no_signals(&error))?;
    announce(&server, args.workers);
    let result = match folder {
        Some(folder) => server.run(folder),
        None => server.run(Echo::new(args.echo_json.into())),
    };
    // First, for what follows may have to wait.
    let exit = result.as_ref().map(tell);
    redirect
        .into_iter()
        .chain(admin)
        .for_each(SideServer::finish);
    if let Some(log) = access_log {
        let drained = result
            .as_ref()
            .map_or(Duration::MAX, |report| report.duration);
        access_log::finish(log, args.drain_timeout.0.saturating_sub(drained), &watch);
    }
    watch.finish();
    exit.map_err(|error| format!("the server failed: {error}"))
}

/// Says what came of the server.
fn tell(report: &DrainReport) -> Exit {
    let exit = Exit::from(report);
    match exit {
        Exit::Clean => log::info!("{report}"),
        _ => log::warn!("{report}"),
    }
    exit
}

/// As many descriptors as this process may have: the soft limit is low for the sake of programs
/// that still use `select`, and every connection takes one.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        log::debug!("cannot raise the limit of open files: {error}");
    }
}

/// Tells people and the service manager. Clients that come from now on wait in the kernel's queue
/// until the workers run, so that nobody is told too early.
fn announce(server: &Server, workers: usize) {
    let addresses = listed(server);
    let plural = if workers == 1 { "" } else { "s" };
    log::info!("listening on {addresses} with {workers} worker{plural}");
    systemd::ready(&format!("listening on {addresses}"));
}

/// Its addresses, each in the form a client would use.
fn listed(server: &Server) -> String {
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
    sentence(&texts)
}

/// `a`, `a and b`, `a, b and c`.
fn sentence(texts: &[String]) -> String {
    match texts.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => String::from("nothing"),
    }
}

/// A reader that went away is no reason to fail.
fn say(text: &str, exit: Exit) -> Exit {
    let _ = io::stdout().write_all(text.as_bytes());
    exit
}

fn no_signals(error: &io::Error) -> String {
    format!("cannot wait for signals: {error}")
}

fn complain(line: &str, exit: Exit) -> Exit {
    logging::complain(line);
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_like_a_sentence() {
        #[track_caller]
        fn check(addresses: &[&str], expected: &str) {
            let texts: Vec<String> = addresses.iter().copied().map(String::from).collect();
            assert_eq!(sentence(&texts), expected);
        }
        check(&["a"], "a");
        check(&["a", "b"], "a and b");
        check(&["a", "b", "c"], "a, b and c");
    }
}
