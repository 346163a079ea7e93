//! The inspector: `--inspect` and its flags.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use httpool::services::Admin;
#[cfg(feature = "inspect-db")]
use httpool::services::inspect::Database;
use httpool::services::inspect::{
    Access, Inspect, InspectLog, LivePage, RejectedRequests, Settings,
};
use httpool::{Builder, Handler, ListenAddr, Observer, Request, RequestRecord, Response, Server};

use super::cli::Args;
use super::log_file::standard_output;
use super::value_parsers::{Size, Span};

/// The observer of an inspector that is opened when the server has its addresses.
#[derive(Debug, Clone, Default)]
pub(crate) struct LateObserver(Arc<OnceLock<RejectedRequests>>);

impl LateObserver {
    /// Adds it to the server of the inspector, if there is to be one.
    pub(crate) fn observe(&self, args: &Args, builder: Builder) -> Builder {
        match args.inspect {
            true => builder.observer(self.clone()),
            false => builder,
        }
    }
}

impl Observer for LateObserver {
    fn on_response(&self, record: &RequestRecord<'_>) {
        if let Some(observer) = self.0.get() {
            observer.on_response(record);
        }
    }
}

/// The inspector of this server, if `--inspect` is given.
pub(crate) fn open(
    args: &Args,
    server: &Server,
    log: Option<&InspectLog>,
    observer: &LateObserver,
) -> Result<Option<Inspect>, String> {
    if !args.inspect {
        return Ok(None);
    }
    let settings = with_database(args, settings(args))?.access(access(args, server.local_addrs()));
    let inspect = Inspect::new(match args.inspect_history {
        Some(requests) => settings.history(requests),
        None => settings,
    });
    if let Some(page) = inspect.live_page() {
        server.handle().on_shutdown(move || page.close());
    }
    server.handle().on_shutdown(inspect.on_shutdown());
    log_faults(args, &inspect, server.local_addrs());
    let inspect = match log {
        Some(log) => inspect.log(log),
        None => inspect,
    };
    // This is the first call, so it succeeds.
    let _ = observer.0.set(inspect.rejected_requests());
    Ok(Some(inspect))
}

/// Starts the log of requests on standard output, if there is one.
pub(crate) fn start_log(args: &Args) -> Result<Option<InspectLog>, String> {
    if !args.inspect_log {
        return Ok(None);
    }
    let log = standard_output().and_then(InspectLog::start);
    let log = log.map_err(|error| format!("cannot start the inspect log: {error}"))?;
    Ok(Some(log))
}

#[cfg(feature = "inspect-db")]
fn with_database(args: &Args, settings: Settings) -> Result<Settings, String> {
    let Some(path) = &args.inspect_db else {
        return Ok(settings);
    };
    let database = match args.inspect_db_age {
        Some(Span(age)) => Database::open_for(path, age),
        None => Database::open(path),
    };
    let database = database.map_err(|error| format!("--inspect-db {}: {error}", path.display()))?;
    Ok(settings.database(database))
}

#[cfg(not(feature = "inspect-db"))]
fn with_database(args: &Args, settings: Settings) -> Result<Settings, String> {
    match args.inspect_db {
        Some(_) => {
            Err("--inspect-db: this program was built without the feature inspect-db".into())
        }
        None => Ok(settings),
    }
}

/// Logs how to repeat the run, and warns if clients of other machines can ask for faults.
fn log_faults(args: &Args, inspect: &Inspect, addresses: &[ListenAddr]) {
    if let Some(faults) = &args.fault {
        let seed = inspect.fault_seed();
        log::info!("faults: {faults}; --fault-seed {seed} repeats this run");
    }
    if args.allow_faults
        && let Some(address) = addresses.iter().find(|address| !is_local(address))
    {
        log::warn!("--allow-faults: every client that reaches {address} can ask for faults");
    }
}

/// The limits and faults that flags set.
fn settings(args: &Args) -> Settings {
    let mut settings = Settings::default()
        .allow_faults(args.allow_faults)
        .faults(args.fault.clone().unwrap_or_default());
    if let Some(seed) = args.fault_seed {
        settings = settings.fault_seed(seed);
    }
    if let Some(Span(longest)) = args.max_delay {
        settings = settings.max_delay(longest);
    }
    if let Some(Size(most)) = args.max_bytes {
        settings = settings.max_bytes(most as u64);
    }
    settings
}

/// The live page shows the requests of others, so it is open to this machine only unless there is a
/// token.
fn access(args: &Args, addresses: &[ListenAddr]) -> Access {
    match &args.inspect_token {
        Some(token) => Access::Token(token.clone()),
        None if addresses.iter().all(is_local) => Access::Local,
        None => Access::Closed,
    }
}

/// Whether only this machine reaches the address.
pub(crate) fn is_local(address: &ListenAddr) -> bool {
    match address {
        ListenAddr::Tcp { host, .. } => {
            host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
        }
        ListenAddr::Unix(_) => true,
        _ => false,
    }
}

/// The address of `--admin` with the live page.
pub(crate) struct AdminPage {
    admin: Admin,
    page: Option<LivePage>,
}

impl AdminPage {
    pub(crate) fn new(admin: Admin, page: Option<LivePage>) -> Self {
        Self { admin, page }
    }
}

impl Handler for AdminPage {
    fn handle(&self, request: &mut Request) -> Response {
        let path = request.uri().path();
        match &self.page {
            Some(page) if path == "/inspect" || path.starts_with("/inspect/") => {
                page.handle(request)
            }
            _ => self.admin.handle(request),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_open_on_loopback_addresses_only() {
        for (address, expected) in [
            ("localhost:4000", true),
            ("127.0.0.1:4000", true),
            ("[::1]:4000", true),
            ("unix:/run/httpool.sock", true),
            ("*:4000", false),
            ("0.0.0.0:4000", false),
            ("192.0.2.1:4000", false),
            ("localhost.example:4000", false),
        ] {
            let address: ListenAddr = address.parse().expect("the address is valid");
            assert_eq!(is_local(&address), expected, "{address}");
        }
    }
}
