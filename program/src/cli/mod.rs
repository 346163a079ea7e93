//! The program's flags. The help text and the environment variables come from this one table.

mod choices;
mod command;
mod generate;
mod sections;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Parser, ValueHint};
use httpool::http::HeaderValue;
use httpool::services::inspect::FaultList;
use httpool::{Builder, ListenAddr, Server, TrustedProxy, defaults};
use log::LevelFilter;

pub(crate) use self::choices::{
    ClientAuth, Etag, ForwardingHeaders, Json, LogFormat, RequestFormat, Switch, SymlinkChoice,
};
pub(crate) use self::command::{SHORT_HELP_FLAG, command, short_help};
pub(crate) use self::generate::subcommand;
use super::addresses::{LISTEN, Listen};
use super::config::Settings;
use super::environment;
use super::site::{HeaderRule, Rate};
use super::value_parsers::{
    Size, Span, count, index_name, limit, media_type, origin, path_prefix, policy, port, secret,
    seed, size_from, window,
};

/// The program's flags.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "httpool",
    version,
    about,
    disable_help_flag = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
#[command(next_help_heading = "Serving")]
pub(crate) struct Args {
    /// Folder to serve, the same as --root; without it, the server echoes requests
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = None, conflicts_with_all = ["root", "inspect"])]
    pub(crate) folder: Option<PathBuf>,

    /// Port of the addresses that have none; alone, it means localhost:PORT [default: 4000]
    #[arg(long, short, value_name = "PORT", value_parser = port)]
    pub(crate) port: Option<u16>,

    #[arg(long, short, value_name = "ADDR", help = format!(
        "Address to listen on: host:port, [::1]:port, *:port for every interface over IPv4 and \
         IPv6, or unix:/path, for example unix:/path?mode=660&group=www-data; a host without a port \
         takes that of --port; repeatable [default: {LISTEN}]"
    ))]
    pub(crate) listen: Vec<Listen>,

    #[arg(long, short, value_name = "N", value_parser = count(1..=4096),
        default_value_t = defaults::workers(), help = format!(
        "Threads that run handlers, which may block; by default {} per core",
        defaults::WORKERS_PER_CORE
    ))]
    pub(crate) workers: usize,

    /// Print no line for each request and no addresses to open on a terminal
    #[arg(long, short)]
    pub(crate) quiet: bool,

    /// Print a QR code of the first address that other devices can open
    #[arg(long)]
    pub(crate) qr: bool,

    /// Open the server in the browser of this machine, once it listens
    #[arg(long)]
    pub(crate) open: bool,

    /// Serve /healthz, /readyz and /metrics on this address, also while all workers are busy;
    /// repeatable [default: none]
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Vec<ListenAddr>,

    /// Share the port with other servers that also share it, for example the next version of this
    /// server
    #[arg(long)]
    pub(crate) reuse_port: bool,

    /// Folder to serve with GET and HEAD instead of the echo [default: none]
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Files")]
    pub(crate) root: Option<PathBuf>,

    /// Which symbolic links to follow: inside follows links that stay within the folder, never
    /// follows none [default: inside]
    #[arg(long, value_name = "WHICH", value_enum, help_heading = "Files")]
    pub(crate) symlinks: Option<SymlinkChoice>,

    /// Serve names that begin with a dot, not only /.well-known/
    #[arg(long, help_heading = "Files")]
    pub(crate) dotfiles: bool,

    /// Send FILE.br, FILE.zst or FILE.gz instead of FILE to clients that accept it
    #[arg(long, help_heading = "Files")]
    pub(crate) precompressed: bool,

    /// Name of the file that is served for a folder; repeatable: the first one that exists is
    /// served; none serves no file [default: index.html]
    #[arg(long, value_name = "NAME", value_parser = index_name, help_heading = "Files")]
    pub(crate) index: Vec<String>,

    /// Serve about.html at /about, and redirect /about.html there
    #[arg(long, help_heading = "Files")]
    pub(crate) pretty_urls: bool,

    /// List folders without an index, as a page with search, folder sizes and the README, or as JSON
    #[arg(long, help_heading = "Files")]
    pub(crate) listing: bool,

    /// Send folders as archives: /folder/?archive=zip, tar or tar.gz
    #[arg(long, help_heading = "Files")]
    pub(crate) archive: bool,

    /// Most bytes of the files in an archive [default: 10GiB]
    #[arg(long, value_name = "SIZE", help_heading = "Files")]
    pub(crate) max_archive: Option<Size>,

    /// Let clients store files: PUT /folder/file, and a form on listings. Without --auth-file, for
    /// clients on this machine only
    #[arg(long, help_heading = "Files")]
    pub(crate) upload: bool,

    /// Most bytes of a file that is uploaded [default: 1GiB]
    #[arg(long, value_name = "SIZE", help_heading = "Files")]
    pub(crate) max_upload: Option<Size>,

    /// Let uploads replace files
    #[arg(long, help_heading = "Files")]
    pub(crate) upload_overwrite: bool,

    /// File in the folder that is sent for paths without a file, for example index.html of a web
    /// application that handles paths in the browser [default: none]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Files")]
    pub(crate) fallback: Option<PathBuf>,

    /// Send index.html for paths without a file, for a web application that handles paths in the
    /// browser: the same as --fallback index.html
    #[arg(long, conflicts_with = "fallback", help_heading = "Files")]
    pub(crate) spa: bool,

    /// Cache-Control of files [default: no-cache, so that caches revalidate before each use]
    #[arg(long, value_name = "VALUE", help_heading = "Files")]
    pub(crate) cache_control: Option<HeaderValue>,

    /// Prefix of paths whose files never change, for example /assets/: caches keep them for a year;
    /// repeatable [default: none]
    #[arg(long, value_name = "PREFIX", value_parser = path_prefix, help_heading = "Files")]
    pub(crate) immutable: Vec<String>,

    /// Source of entity tags: mtime is size and modification time, which copies of a file can
    /// share; change adds inode and change time; content is a hash of the content [default: mtime]
    #[arg(long, value_name = "WHAT", value_enum, help_heading = "Files")]
    pub(crate) etag: Option<Etag>,

    /// Content-Type of files with this extension, for example ts=text/plain; repeatable [default:
    /// built in]
    #[arg(long, value_name = "EXT=TYPE", value_parser = media_type, help_heading = "Files")]
    pub(crate) media_type: Vec<(String, HeaderValue)>,

    /// Whether the echo validates bodies with a JSON content type: strict rejects invalid JSON, raw
    /// echoes every body
    #[arg(long, value_name = "MODE", value_enum, help_heading = "Responses",
        default_value_t = Json::Strict)]
    pub(crate) echo_json: Json,

    /// Show clients exactly what they sent, instead of the echo, and respond to httpbin's paths, for
    /// example /status/418
    #[arg(long, conflicts_with = "root", help_heading = "Inspect")]
    pub(crate) inspect: bool,

    /// Let requests ask for faults of their responses, for example delays and resets, with the header
    /// Fault or the parameter fault of their query
    #[arg(long, help_heading = "Inspect")]
    pub(crate) allow_faults: bool,

    /// Faults of the responses to all requests or a share of them, for example
    /// reset=5%,delay=p50:20ms,p99:1s (docs/inspect.md lists them) [default: none]
    #[arg(long, value_name = "FAULTS", help_heading = "Inspect")]
    pub(crate) fault: Option<FaultList>,

    /// Seed by which requests are chosen for faults, so that a run can be repeated; the log names it
    /// [default: random]
    #[arg(long, value_name = "N", value_parser = seed, help_heading = "Inspect")]
    pub(crate) fault_seed: Option<u64>,

    /// Print each request to standard output: its head and the start of its body, with secrets masked
    #[arg(long, help_heading = "Inspect")]
    pub(crate) inspect_log: bool,

    /// With --inspect: the longest time that a path can make its response wait; a path that asks for
    /// more gets a 400 [default: 1m]
    #[arg(long, value_name = "TIME", help_heading = "Inspect")]
    pub(crate) max_delay: Option<Span>,

    /// With --inspect: the most content that a path can ask for, in bytes or with a unit; a path that
    /// asks for more gets a 400 [default: 10MiB]
    #[arg(long, value_name = "SIZE", help_heading = "Inspect")]
    pub(crate) max_bytes: Option<Size>,

    /// Number of requests that the live page at /inspect shows, at most 10000; 0 turns the page and
    /// the inboxes off [default: 500]
    #[arg(long, value_name = "N", value_parser = count(0..=10_000), help_heading = "Inspect")]
    pub(crate) inspect_history: Option<usize>,

    /// Token for the live page, at least 16 characters: open /inspect#token=TOKEN. Without it, the
    /// page is open on loopback addresses and at the address of --admin only [default: none]
    #[arg(long, value_name = "TOKEN", value_parser = secret, help_heading = "Inspect")]
    pub(crate) inspect_token: Option<String>,

    /// File that keeps the requests of the live page over restarts; the program must be built with the
    /// feature inspect-db [default: none]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Inspect")]
    pub(crate) inspect_db: Option<PathBuf>,

    /// Age at which requests leave the file of --inspect-db [default: 7d]
    #[arg(long, value_name = "TIME", help_heading = "Inspect")]
    pub(crate) inspect_db_age: Option<Span>,

    /// Folder with error pages for browsers: for example 404.html for one status, and 4xx.html and
    /// 5xx.html for all others [default: built in]
    #[arg(long, value_name = "DIR", help_heading = "Responses")]
    pub(crate) error_pages: Option<PathBuf>,

    /// Give each request an id, or keep its X-Request-Id if that is safe; the id is in responses,
    /// error pages and logs
    #[arg(long, help_heading = "Responses")]
    pub(crate) request_ids: bool,

    /// Send Server-Timing with the handler's time in each response
    #[arg(long, help_heading = "Responses")]
    pub(crate) server_timing: bool,

    /// Header of every response, for example 'X-Robots-Tag: noindex', or of those to paths with a
    /// prefix: '/assets/ Cache-Control: no-cache'. It replaces the header that a response has, and an
    /// empty value removes it; repeatable [default: none]
    #[arg(long, value_name = "HEADER", value_hint = ValueHint::Other,
        help_heading = "Responses")]
    pub(crate) header: Vec<HeaderRule>,

    /// Compress text, JSON, scripts and similar content from 1 KiB on with zstd, brotli or gzip, if the
    /// client accepts it
    #[arg(long, help_heading = "Responses")]
    pub(crate) compress: bool,

    /// Origin whose pages may read responses (CORS), for example https://shop.example, or * for all
    /// pages; repeatable [default: none]
    #[arg(long, value_name = "ORIGIN", value_parser = origin, help_heading = "Responses")]
    pub(crate) cors: Vec<String>,

    /// Send headers that restrict what browsers do: X-Content-Type-Options, Referrer-Policy and
    /// Content-Security-Policy
    #[arg(long, help_heading = "Responses")]
    pub(crate) security_headers: bool,

    /// File of users that may send requests, with a line NAME:HASH for each, as htpasswd -B writes it;
    /// hashes of bcrypt and Argon2 are accepted [default: none, all may]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Access")]
    pub(crate) auth_file: Option<PathBuf>,

    /// Number of requests that one client may send in a time, for example 100/1m; further ones get a
    /// 429. IPv6 addresses of a /64 are one client [default: none]
    #[arg(long, value_name = "N/TIME", help_heading = "Access")]
    pub(crate) rate_limit: Option<Rate>,

    /// Validate the configuration (flags, variables, addresses and paths) and exit without
    /// listening
    #[arg(long)]
    pub(crate) check: bool,

    /// File with settings, as TOML: the long names of flags, virtual hosts, redirects and rewrites
    /// [default: none]
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,

    /// Print each setting with its source, in the form of a file for --config, and exit
    #[arg(long)]
    pub(crate) print_config: bool,

    /// Address to listen on for proxies that send the PROXY protocol, version 1 or 2; needs
    /// --trusted-proxy and rejects all other peers; repeatable [default: none]
    #[arg(long, value_name = "ADDR", help_heading = "Proxies")]
    pub(crate) listen_proxy_protocol: Vec<ListenAddr>,

    /// Proxy whose forwarding headers are trusted: an IP address, a network such as 10.0.0.0/8, or
    /// unix for all peers of Unix sockets; repeatable [default: none]
    #[arg(long, value_name = "CIDR", help_heading = "Proxies")]
    pub(crate) trusted_proxy: Vec<TrustedProxy>,

    /// Headers that the trusted proxies set; all others are ignored. x-forwarded is X-Forwarded-For
    /// and X-Forwarded-Proto [default: x-forwarded]
    #[arg(long, value_name = "HEADERS", value_enum, help_heading = "Proxies")]
    pub(crate) forwarded_by: Option<ForwardingHeaders>,

    /// Address to listen on for TLS; needs --tls-cert and --tls-key; repeatable [default: none]
    #[arg(long, value_name = "ADDR", help_heading = "TLS")]
    pub(crate) listen_tls: Vec<ListenAddr>,

    /// Address to listen on for proxies that send the PROXY protocol before the client's TLS; needs
    /// --trusted-proxy, --tls-cert and --tls-key; repeatable [default: none]
    #[arg(long, value_name = "ADDR", help_heading = "TLS")]
    pub(crate) listen_tls_proxy_protocol: Vec<ListenAddr>,

    /// Certificate as PEM, followed by its intermediate certificates; repeatable together with
    /// --tls-key: a client gets the certificate for the name that it requests, or the first one
    #[arg(long, value_name = "PATH", help_heading = "TLS")]
    pub(crate) tls_cert: Vec<PathBuf>,

    /// Private key of the certificate, as PEM
    #[arg(long, value_name = "PATH", help_heading = "TLS")]
    pub(crate) tls_key: Vec<PathBuf>,

    /// Authority of client certificates, as PEM: clients must present a certificate from one of
    /// these authorities; repeatable [default: none]
    #[arg(long, value_name = "PATH", help_heading = "TLS")]
    pub(crate) tls_client_ca: Vec<PathBuf>,

    /// Whether clients need a certificate: optional also accepts clients without one; needs
    /// --tls-client-ca [default: required]
    #[arg(long, value_name = "POLICY", value_enum, help_heading = "TLS")]
    pub(crate) tls_client_auth: Option<ClientAuth>,

    /// Address to listen on that redirects every request to https; repeatable [default: none]
    #[arg(long, value_name = "ADDR", help_heading = "TLS")]
    pub(crate) redirect_http: Vec<ListenAddr>,

    /// Send Strict-Transport-Security with this max-age over https, at most 10y [default: none]
    #[arg(long, value_name = "TIME", value_parser = policy, help_heading = "TLS")]
    pub(crate) hsts: Option<Span>,

    /// Add includeSubDomains to Strict-Transport-Security
    #[arg(long, help_heading = "TLS")]
    pub(crate) hsts_include_subdomains: bool,

    /// Add preload to Strict-Transport-Security, so that browsers may ship with this setting for the
    /// site, which takes months to undo; needs --hsts 1y or longer and --hsts-include-subdomains
    #[arg(long, help_heading = "TLS")]
    pub(crate) hsts_preload: bool,

    /// Largest number of open connections, as far as the limit of open files allows; more clients
    /// wait in the kernel's queue
    #[arg(long, value_name = "N", value_parser = count(1..=10_000_000), help_heading = "Limits",
        default_value_t = defaults::MAX_CONNECTIONS)]
    pub(crate) max_connections: usize,

    /// Largest request body, in bytes or with a unit; a larger one gets a 413
    #[arg(long, value_name = "SIZE", help_heading = "Limits",
        default_value_t = Size(defaults::MAX_BODY))]
    pub(crate) max_body: Size,

    /// Largest head (request line and headers), in bytes or with a unit; a larger one gets a 431 or
    /// 414
    #[arg(long, value_name = "SIZE", value_parser = size_from(256), help_heading = "Limits",
        default_value_t = Size(defaults::MAX_HEADER_SIZE))]
    pub(crate) max_header_size: Size,

    /// Largest memory of all connections together for incomplete requests and unsent responses; a
    /// request that needs more gets a 503, a response that needs more is aborted
    #[arg(long, value_name = "SIZE", value_parser = size_from(64 * 1024), help_heading = "Limits",
        default_value_t = Size(defaults::MAX_BUFFERED_MEMORY))]
    pub(crate) max_buffered_memory: Size,

    /// Largest number of connections that wait for a worker; if there are more, those that have
    /// waited longest get a 503
    #[arg(long, value_name = "N", value_parser = count(0..=10_000_000), help_heading = "Limits",
        default_value_t = defaults::QUEUE_LIMIT)]
    pub(crate) queue_limit: usize,

    /// Whether clients may speak HTTP/2, over TLS and without
    #[arg(long, value_name = "SWITCH", value_enum, help_heading = "HTTP/2",
        default_value_t = defaults::HTTP2.into())]
    pub(crate) http2: Switch,

    #[arg(long, value_name = "N", value_parser = count(1..=1_000_000), help_heading = "HTTP/2",
        help = format!(
        "Largest number of requests of one connection that are open at once; more are refused \
         [default: {}]",
        defaults::MAX_STREAMS
    ))]
    pub(crate) max_streams: Option<usize>,

    #[arg(long, value_name = "SIZE", value_parser = window, help_heading = "HTTP/2", help = format!(
        "Largest part of a request's body that a client may send before earlier parts were taken \
         [default: {}]",
        Size(defaults::STREAM_WINDOW as usize)
    ))]
    pub(crate) stream_window: Option<Size>,

    #[arg(long, value_name = "SIZE", value_parser = window, help_heading = "HTTP/2", help = format!(
        "The same for all bodies of one connection together [default: {}]",
        Size(defaults::CONNECTION_WINDOW as usize)
    ))]
    pub(crate) connection_window: Option<Size>,

    /// Largest number of handlers that run at once for one connection; further requests of that
    /// connection wait [default: half of the workers]
    #[arg(long, value_name = "N", value_parser = count(1..=4096), help_heading = "HTTP/2")]
    pub(crate) handlers_per_connection: Option<usize>,

    /// Longest time from the start of a connection to the end of its TLS handshake
    #[arg(long, value_name = "TIME", value_parser = limit, help_heading = "Timeouts",
        default_value_t = Span(defaults::HANDSHAKE_TIMEOUT))]
    pub(crate) handshake_timeout: Span,

    /// Longest time for a request's head to arrive, from the start of the connection or the first
    /// byte of a later request
    #[arg(long, value_name = "TIME", value_parser = limit, help_heading = "Timeouts",
        default_value_t = Span(defaults::HEAD_TIMEOUT))]
    pub(crate) head_timeout: Span,

    /// Longest time for a request's body to arrive, after its head; for a streamed body, the
    /// longest pause
    #[arg(long, value_name = "TIME", value_parser = limit, help_heading = "Timeouts",
        default_value_t = Span(defaults::BODY_TIMEOUT))]
    pub(crate) body_timeout: Span,

    /// Longest pause between two requests on a connection
    #[arg(long, value_name = "TIME", value_parser = limit, help_heading = "Timeouts",
        default_value_t = Span(defaults::IDLE_TIMEOUT))]
    pub(crate) idle_timeout: Span,

    /// Longest time in which a client takes no byte of a response
    #[arg(long, value_name = "TIME", value_parser = limit, help_heading = "Timeouts",
        default_value_t = Span(defaults::WRITE_TIMEOUT))]
    pub(crate) write_timeout: Span,

    /// Longest time that a request waits for a worker; then it gets a 503
    #[arg(long, value_name = "TIME", value_parser = limit, help_heading = "Timeouts",
        default_value_t = Span(defaults::QUEUE_TIMEOUT))]
    pub(crate) queue_timeout: Span,

    /// Lowest average rate, in bytes per second, at which a client may send a head or body or read a
    /// response; 0 turns this limit off
    #[arg(long, value_name = "SIZE", help_heading = "Timeouts",
        default_value_t = Size(defaults::MIN_RATE))]
    pub(crate) min_rate: Size,

    /// Longest time for which a client may be slower than --min-rate
    #[arg(long, value_name = "TIME", help_heading = "Timeouts",
        default_value_t = Span(defaults::MIN_RATE_GRACE))]
    pub(crate) min_rate_grace: Span,

    /// In a shutdown: the deadline after which open requests are aborted
    #[arg(long, value_name = "TIME", help_heading = "Shutdown",
        default_value_t = Span(defaults::DRAIN_TIMEOUT))]
    pub(crate) drain_timeout: Span,

    /// In a shutdown: how long to keep accepting connections first, so that load balancers notice
    #[arg(long, value_name = "TIME", help_heading = "Shutdown",
        default_value_t = Span(defaults::DRAIN_DELAY))]
    pub(crate) drain_delay: Span,

    /// In a shutdown: how long idle connections may still send a request
    #[arg(long, value_name = "TIME", help_heading = "Shutdown",
        default_value_t = Span(defaults::DRAIN_IDLE))]
    pub(crate) drain_idle: Span,

    /// Log messages of this level and above
    #[arg(long, value_name = "LEVEL", help_heading = "Logging", ignore_case = true,
        default_value = "info",
        value_parser = PossibleValuesParser::new(["error", "warn", "info", "debug", "trace", "off"])
            .try_map(|name| name.parse::<LevelFilter>()))]
    pub(crate) log_level: LevelFilter,

    /// Format of messages: text lines, or one JSON object per line
    #[arg(long, value_name = "FORMAT", value_enum, help_heading = "Logging",
        default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// File to append a line to for each request; - is standard output [default: none, and short lines
    /// on a terminal]
    #[arg(long, value_name = "PATH", help_heading = "Logging")]
    pub(crate) access_log: Option<PathBuf>,

    /// Format of the access log [default: combined]
    #[arg(long, value_name = "FORMAT", value_enum, help_heading = "Logging")]
    pub(crate) access_log_format: Option<RequestFormat>,

    /// File to append messages to; - is standard output [default: standard error]
    #[arg(long, value_name = "PATH", help_heading = "Logging")]
    pub(crate) log_file: Option<PathBuf>,
}

/// The reason why there are no [`Args`] to continue with.
#[derive(Debug)]
pub(crate) enum CliExit {
    /// Help or version was asked for; this is the text.
    Print(String),
    /// The usage is wrong; this line says how.
    Error(String),
    /// The configuration file can't be read; this line says why.
    Failed(String),
}

/// Warnings about variables that belong to no flag but have a name similar to one.
///
/// Service discovery puts `HTTPOOL_PORT`, `HTTPOOL_PORT_…` and `HTTPOOL_SERVICE_…` into the
/// environment of every program near a service named httpool. These are ignored, and so are names
/// that are similar to no flag.
pub(crate) fn misspelt(names: impl IntoIterator<Item = OsString>) -> Vec<String> {
    let command = command();
    let names = names.into_iter().filter_map(|name| name.into_string().ok());
    let mut warnings: Vec<String> = names
        .filter_map(|name| {
            let near = environment::nearest(&command, &name)?;
            Some(format!("{name}: no such variable, did you mean {near}?"))
        })
        .collect();
    warnings.sort();
    warnings
}

impl Args {
    /// The flag and the file of `--fallback` or `--spa`.
    pub(crate) fn fallback(&self) -> Option<(&'static str, &Path)> {
        match &self.fallback {
            Some(file) => Some(("--fallback", file)),
            None => self.spa.then_some(("--spa", Path::new("index.html"))),
        }
    }

    /// How the user named the folder to serve.
    pub(crate) fn root_name(&self) -> &'static str {
        match self.folder {
            Some(_) => "folder",
            None => "--root",
        }
    }

    /// The echo sends no files, so each connection needs its socket only.
    fn descriptors_per_connection(&self) -> usize {
        match self.root {
            Some(_) => defaults::DESCRIPTORS_PER_CONNECTION,
            None => 1,
        }
    }

    /// A builder with the settings of HTTP/2.
    fn http2_builder(&self) -> Builder {
        let number = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let mut builder = Server::builder()
            .http2(self.http2 == Switch::On)
            .client_settings(self.inspect);
        if let Some(streams) = self.max_streams {
            builder = builder.max_streams(number(streams));
        }
        if let Some(Size(bytes)) = self.stream_window {
            builder = builder.stream_window(number(bytes));
        }
        if let Some(Size(bytes)) = self.connection_window {
            builder = builder.connection_window(number(bytes));
        }
        if let Some(handlers) = self.handlers_per_connection {
            builder = builder.handlers_per_connection(handlers);
        }
        builder
    }

    /// A builder with all settings except the addresses.
    pub(crate) fn builder(&self) -> Builder {
        let proxies = self.trusted_proxy.iter().copied();
        proxies
            .fold(self.http2_builder(), Builder::trusted_proxy)
            .forwarded_by(self.forwarded_by.map(Into::into).unwrap_or_default())
            .reuse_port(self.reuse_port)
            .request_ids(self.request_ids)
            .request_times(self.inspect)
            .server_timing(self.server_timing)
            .workers(self.workers)
            .max_connections(self.max_connections)
            .descriptors_per_connection(self.descriptors_per_connection())
            .max_header_size(self.max_header_size.0)
            .max_body(self.max_body.0)
            .max_buffered_memory(self.max_buffered_memory.0)
            .handshake_timeout(self.handshake_timeout.0)
            .head_timeout(self.head_timeout.0)
            .body_timeout(self.body_timeout.0)
            .idle_timeout(self.idle_timeout.0)
            .write_timeout(self.write_timeout.0)
            .queue_limit(self.queue_limit)
            .queue_timeout(self.queue_timeout.0)
            .min_rate(self.min_rate.0)
            .min_rate_grace(self.min_rate_grace.0)
            .drain_timeout(self.drain_timeout.0)
            .drain_delay(self.drain_delay.0)
            .drain_idle(self.drain_idle.0)
    }
}

impl CliExit {
    pub(crate) fn new(error: &clap::Error, settings: &Settings) -> Self {
        if error.use_stderr() {
            Self::Error(settings.explain(error))
        } else {
            Self::Print(error.render().to_string())
        }
    }
}

#[cfg(test)]
mod tests;
