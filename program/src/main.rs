//! The `httpool` program: starts a server from flags and variables, and returns an exit code.

#![forbid(unsafe_code)]

mod access_log;
mod addresses;
mod announce;
mod check;
mod cli;
mod cli_error;
mod config;
mod environment;
mod exit;
mod files;
mod flag_rules;
mod hosts;
mod https;
mod inspect;
mod log_file;
mod logging;
mod observers;
mod page_urls;
mod qr_code;
mod rules;
mod side_server;
mod signals;
mod site;
mod systemd;
mod uploads;
mod value_parsers;

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use httpool::services::AccessLog;
use httpool::services::inspect::{Inspect, InspectLog};
use httpool::{Builder, DrainReport, ListenAddr, Tls};
use rustix::process::{Resource, getrlimit, setrlimit};

use cli::{Args, CliExit};
use config::Config;
use exit::Exit;
use hosts::Served;
use https::Redirect;
use inspect::LateObserver;
use log_file::LogFile;
use observers::Observers;
use side_server::SideServer;
use signals::{CaughtSignals, Reloadable, SignalThreads, Starting};
use systemd::PassedSocket;

/// Returning from `main` ends the process, including workers whose handlers have not returned.
fn main() -> ExitCode {
    // This comes first: until a signal is caught, SIGHUP ends the process.
    let caught = CaughtSignals::install();
    // This changes the environment, so it runs before there is a second thread.
    let passed = systemd::passed_sockets();
    match caught {
        Ok(caught) => program(caught, passed).into(),
        Err(error) => print_error(&signal_error(&error), Exit::Failed).into(),
    }
}

fn program(caught: CaughtSignals, passed: io::Result<Vec<PassedSocket>>) -> Exit {
    let mut config = match config::load(env::args_os(), |name| env::var_os(name)) {
        Ok(config) => config,
        Err(exit) => {
            caught.restore_default();
            return match exit {
                CliExit::Print(text) => print(&text, Exit::Complete),
                CliExit::Error(line) => print_error(&line, Exit::Usage),
                CliExit::Failed(line) => print_error(&line, Exit::Failed),
            };
        }
    };
    let args = &config.args;
    let passed = match passed {
        Ok(passed) => passed,
        Err(error) => {
            return print_error(&format!("LISTEN_FDS: {error}"), Exit::Failed);
        }
    };
    // Sockets that were passed in replace the default address.
    let addresses = if passed.is_empty() || args.names_addresses() {
        match args.addresses(|name| env::var_os(name)) {
            Ok(addresses) => addresses,
            Err(line) => return print_error(&line, Exit::Usage),
        }
    } else {
        Vec::new()
    };
    config.reach = uploads::reach(&config.args, &addresses, !passed.is_empty());
    let (config, args) = (&config, &config.args);
    let relocate = |line| config.settings.relocate(line);
    let checked = config.check(has_tls_socket(&passed));
    let checked = checked.and_then(|()| addresses::check(args, &addresses).map_err(relocate));
    if let Err(line) = checked {
        return print_error(&line, Exit::Usage);
    }
    if args.print_config {
        caught.restore_default();
        return print(
            &config::print(config, env::var_os("PORT").as_deref()),
            Exit::Complete,
        );
    }
    if args.check {
        caught.restore_default();
        return match check::check(config, &addresses).map_err(relocate) {
            Ok(text) => print(text, Exit::Complete),
            Err(line) => print_error(&line, Exit::Failed),
        };
    }
    let starting = match caught.start_threads() {
        Ok(starting) => starting,
        Err(error) => return print_error(&signal_error(&error), Exit::Failed),
    };
    let log_file = match logging::set_up(args).map_err(relocate) {
        Ok(file) => file,
        Err(line) => return print_error(&line, Exit::Failed),
    };
    match serve(config, addresses, passed, log_file, starting).map_err(relocate) {
        Ok(exit) => exit,
        Err(line) => {
            logging::failure(args, &line);
            Exit::Failed
        }
    }
}

fn serve(
    config: &Config,
    addresses: Vec<ListenAddr>,
    passed: Vec<PassedSocket>,
    log_file: Option<LogFile>,
    starting: Starting,
) -> Result<Exit, String> {
    let args = &config.args;
    check::warn(args);
    raise_descriptor_limit();
    let served = Served::open(config)?;
    let has_tls_socket = has_tls_socket(&passed);
    let tls = https::tls(args)?;
    let builder = listen(args, addresses, passed, tls.as_ref());
    let (access_log, access_file) = access_log::start(args)?;
    let inspect_log = inspect::start_log(args)?;
    let observers = Observers::new(args, access_log.as_ref());
    let builder = observers.observe(builder);
    let rejected = LateObserver::default();
    let builder = rejected.observe(args, builder);
    let builder = served.configure(builder);
    let builder = match args.hsts {
        Some(time) => builder.default_headers(https::hsts(args, time)),
        None => builder,
    };
    let server = builder.bind().map_err(|error| error.to_string())?;
    let without_tls = server.local_addrs().iter();
    let without_tls = without_tls.filter(|address| !server.tls_addrs().any(|tls| tls == *address));
    check::warn_of_plain_passwords(config, without_tls);
    let inspect = inspect::open(args, &server, inspect_log.as_ref(), &rejected)?;
    let page = inspect.as_ref().and_then(Inspect::live_page);
    let admin = observers
        .metrics()
        .map(|metrics| SideServer::admin(args, server.handle(), metrics, page))
        .transpose()?;
    let redirect = (!args.redirect_http.is_empty())
        .then(|| SideServer::redirect(args, &observers, Redirect::to(&server)))
        .transpose()?;
    let (handler, reloadables) = served.start(config, has_tls_socket, tls, inspect)?;
    let files = (log_file.into_iter().chain(access_file))
        .map(Reloadable::Log)
        .chain(reloadables)
        .collect();
    let longest_drain = args.drain_delay.0.saturating_add(args.drain_timeout.0);
    let signal_threads = starting
        .serve(server.handle(), longest_drain, files)
        .map_err(|error| signal_error(&error))?;
    announce::announce(&server, args);
    let result = server.run(handler);
    // This comes first, because the steps below may wait.
    let exit = result.as_ref().map(log_report);
    redirect
        .into_iter()
        .chain(admin)
        .for_each(SideServer::finish);
    let drained = result
        .as_ref()
        .map_or(Duration::MAX, |report| report.duration);
    let left = args.drain_timeout.0.saturating_sub(drained);
    finish_logs(inspect_log, access_log, left, &signal_threads);
    signal_threads.finish();
    exit.map_err(|error| format!("the server failed: {error}"))
}

fn has_tls_socket(passed: &[PassedSocket]) -> bool {
    passed.iter().any(|passed| passed.is_tls)
}

/// Writes what remains of the logs, once the drain has left this much of its time.
fn finish_logs(
    inspect_log: Option<InspectLog>,
    access_log: Option<AccessLog>,
    left: Duration,
    signal_threads: &SignalThreads,
) {
    let keep_waiting = access_log::last_writes(left, signal_threads);
    if let Some(log) = inspect_log {
        log.finish_while(&keep_waiting);
    }
    if let Some(log) = access_log {
        log.finish_while(&keep_waiting);
    }
}

/// A builder with the settings of the flags, the addresses and the sockets that were passed in.
fn listen(
    args: &Args,
    addresses: Vec<ListenAddr>,
    passed: Vec<PassedSocket>,
    tls: Option<&Tls>,
) -> Builder {
    let builder = addresses.into_iter().fold(args.builder(), Builder::listen);
    let builder =
        (args.listen_proxy_protocol.iter().cloned()).fold(builder, Builder::listen_proxy_protocol);
    let builder = tls.into_iter().fold(builder, |builder, tls| {
        let addresses = args.listen_tls.iter().cloned();
        let builder = addresses.fold(builder, |builder, address| {
            builder.listen_tls(address, tls.clone())
        });
        let addresses = args.listen_tls_proxy_protocol.iter().cloned();
        addresses.fold(builder, |builder, address| {
            builder.listen_tls_proxy_protocol(address, tls.clone())
        })
    });
    passed.into_iter().fold(builder, |builder, passed| {
        // The flags were checked: a socket for TLS has a certificate.
        let tls = tls.filter(|_| passed.is_tls).cloned();
        match (tls, passed.has_proxy_header) {
            (None, false) => builder.adopt(passed.socket),
            (None, true) => builder.adopt_proxy_protocol(passed.socket),
            (Some(tls), false) => builder.adopt_tls(passed.socket, tls),
            (Some(tls), true) => builder.adopt_tls_proxy_protocol(passed.socket, tls),
        }
    })
}

/// Logs the result of the shutdown.
fn log_report(report: &DrainReport) -> Exit {
    let exit = Exit::from(report);
    match exit {
        Exit::Complete => log::info!("{report}"),
        _ => log::warn!("{report}"),
    }
    exit
}

/// Raises the soft limit of open files to the hard limit. The soft limit is low for programs that
/// use `select`, and each connection needs a descriptor.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        log::debug!("cannot raise the limit of open files: {error}");
    }
}

/// The program does not fail because standard output is closed.
fn print(text: &str, exit: Exit) -> Exit {
    let _ = io::stdout().write_all(text.as_bytes());
    exit
}

fn signal_error(error: &io::Error) -> String {
    format!("cannot catch signals: {error}")
}

fn print_error(line: &str, exit: Exit) -> Exit {
    logging::print_error(line);
    exit
}
