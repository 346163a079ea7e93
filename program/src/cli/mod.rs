//! What a person typed: the one table of flags, from which the help comes and the variables too.

mod choices;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, ValueHint};
use httpool::http::HeaderValue;
use httpool::{Builder, ListenAddr, Server, TrustedProxy, defaults};
use log::LevelFilter;

pub(crate) use self::choices::{
    ClientAuth, Etag, ForwardingHeaders, Json, Links, LogFormat, RequestFormat,
};
use super::cli_error::{ValueSource, one_line, renamed_variable};
use super::environment;
use super::exit::Exit;
use super::value_parsers::{Size, Span, count, limit, policy, size_from};

/// Where to listen when nothing says otherwise: on this machine only.
const LISTEN: &str = "localhost:4000";

/// The program's flags.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "httpool",
    version,
    about,
    disable_help_subcommand = true,
    max_term_width = 100
)]
#[command(next_help_heading = "Serving")]
pub(crate) struct Args {
    #[arg(long, value_name = "ADDR", help = format!(
        "Address to listen on: host:port, [::1]:port, *:port for every interface over IPv4 and \
         IPv6, or unix:/path, whose mode and group may follow as in \
         unix:/path?mode=660&group=www-data; repeat it for more [default: {LISTEN}]"
    ))]
    pub(crate) listen: Vec<ListenAddr>,

    #[arg(long, value_name = "N", value_parser = count(1..=4096),
        default_value_t = defaults::workers(), help = format!(
        "Threads that run handlers, which may block; {} for each core unless given",
        defaults::WORKERS_PER_CORE
    ))]
    pub(crate) workers: usize,

    /// Address on which to answer /healthz, /readyz and /metrics, whatever the workers do; repeat it
    /// for more [default: none]
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Vec<ListenAddr>,

    /// Share the port with other servers that do so too, such as the next version of this one
    #[arg(long)]
    pub(crate) reuse_port: bool,

    /// Folder to serve with GET and HEAD, in place of the echo [default: none]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Files")]
    pub(crate) root: Option<PathBuf>,

    /// Which symbolic links to follow: inside follows links that stay within the folder, never
    /// follows none [default: inside]
    #[arg(long, value_name = "WHICH", value_enum, help_heading = "Files")]
    pub(crate) symlinks: Option<Links>,

    /// Serve what begins with a dot, too, and not only /.well-known/
    #[arg(long, help_heading = "Files")]
    pub(crate) dotfiles: bool,

    /// Send FILE.br, FILE.zst or FILE.gz in place of FILE to clients that take it
    #[arg(long, help_heading = "Files")]
    pub(crate) precompressed: bool,

    /// Tell what is in a folder that has no index.html, as a page or JSON
    #[arg(long, help_heading = "Files")]
    pub(crate) listing: bool,

    /// File of the folder to serve where there is none, such as index.html, for programs in a
    /// browser that read paths themselves [default: none]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Files")]
    pub(crate) fallback: Option<PathBuf>,

    /// Cache-Control of files [default: no-cache, which is to ask each time whether it is the same]
    #[arg(long, value_name = "VALUE", help_heading = "Files")]
    pub(crate) cache_control: Option<HeaderValue>,

    /// Start of paths, such as /assets/, whose files never change: caches keep them for a year;
    /// repeat it for more [default: none]
    #[arg(long, value_name = "PREFIX", value_parser = path_prefix, help_heading = "Files")]
    pub(crate) immutable: Vec<String>,

    /// What entity tags are made of: mtime is the same on all copies of a file that keep its time,
    /// change tells apart files with the same time, content reads them [default: mtime]
    #[arg(long, value_name = "WHAT", value_enum, help_heading = "Files")]
    pub(crate) etag: Option<Etag>,

    /// Content-Type of files by what follows the last dot of their names, such as
    /// ts=text/plain; repeat it for more [default: types that are built in]
    #[arg(long, value_name = "EXT=TYPE", value_parser = media_type, help_heading = "Files")]
    pub(crate) media_type: Vec<(String, HeaderValue)>,

    /// How the echo treats bodies with a JSON content type: strict refuses invalid ones, raw
    /// sends them back unread
    #[arg(long, value_name = "MODE", value_enum, default_value_t = Json::Strict)]
    pub(crate) echo_json: Json,

    /// Folder with error pages for browsers: 404.html for one status, 4xx.html and 5xx.html for the
    /// others [default: pages that are built in]
    #[arg(long, value_name = "DIR")]
    pub(crate) error_pages: Option<PathBuf>,

    /// Give every request an id, its own X-Request-Id if that is sane: for handlers, answers, error
    /// pages and logs
    #[arg(long)]
    pub(crate) request_ids: bool,

    /// Say in every answer how long its handler took (Server-Timing)
    #[arg(long)]
    pub(crate) server_timing: bool,

    /// Validate flags, variables, addresses and paths, say so, and exit without listening
    #[arg(long)]
    pub(crate) check: bool,

    /// Address to listen on for proxies that begin each connection with a PROXY protocol header,
    /// version 1 or 2; needs --trusted-proxy, lets nobody else in; repeat it for more [default: none]
    #[arg(long, value_name = "ADDR", help_heading = "Proxies")]
    pub(crate) listen_proxy_protocol: Vec<ListenAddr>,

    /// Proxy that is believed when it says who its client is: an IP address, a network such as
    /// 10.0.0.0/8, or unix for whoever connects to a Unix socket; repeat it for more
    /// [default: nobody is believed]
    #[arg(long, value_name = "CIDR", help_heading = "Proxies")]
    pub(crate) trusted_proxy: Vec<TrustedProxy>,

    /// Fields that these proxies set themselves, and so what is believed: x-forwarded is
    /// X-Forwarded-For and X-Forwarded-Proto [default: x-forwarded]
    #[arg(long, value_name = "FIELD", value_enum, help_heading = "Proxies")]
    pub(crate) forwarded_by: Option<ForwardingHeaders>,

    /// Address to listen on for clients that speak TLS; needs --tls-cert and --tls-key; repeat it for
    /// more [default: none]
    #[arg(long, value_name = "ADDR", help_heading = "TLS")]
    pub(crate) listen_tls: Vec<ListenAddr>,

    /// Address to listen on for proxies that begin each connection with a PROXY protocol header and
    /// then pass on TLS; needs --trusted-proxy, --tls-cert and --tls-key; repeat it for more
    /// [default: none]
    #[arg(long, value_name = "ADDR", help_heading = "TLS")]
    pub(crate) listen_tls_proxy_protocol: Vec<ListenAddr>,

    /// Certificate as PEM, with those behind it that lead to its authority; repeat it, and --tls-key
    /// with it, for more: a client gets one that is for the name it asks for, or the first
    #[arg(long, value_name = "PATH", help_heading = "TLS")]
    pub(crate) tls_cert: Vec<PathBuf>,

    /// Private key of that certificate, as PEM
    #[arg(long, value_name = "PATH", help_heading = "TLS")]
    pub(crate) tls_key: Vec<PathBuf>,

    /// Ask clients for a certificate that one of the authorities in this file has given them; repeat
    /// it for more [default: clients are asked for none]
    #[arg(long, value_name = "PATH", help_heading = "TLS")]
    pub(crate) tls_client_ca: Vec<PathBuf>,

    /// Whether clients that are asked for a certificate need one; needs --tls-client-ca
    /// [default: required]
    #[arg(long, value_name = "POLICY", value_enum, help_heading = "TLS")]
    pub(crate) tls_client_auth: Option<ClientAuth>,

    /// Address on which to answer every request with a redirect to the same address with https;
    /// repeat it for more [default: none]
    #[arg(long, value_name = "ADDR", help_heading = "TLS")]
    pub(crate) redirect_http: Vec<ListenAddr>,

    /// Tell clients that came with https never to come without for so long
    /// (Strict-Transport-Security) [default: nothing is told]
    #[arg(long, value_name = "TIME", value_parser = policy, help_heading = "TLS")]
    pub(crate) hsts: Option<Span>,

    /// Tell them the same for all subdomains (includeSubDomains)
    #[arg(long, help_heading = "TLS")]
    pub(crate) hsts_include_subdomains: bool,

    /// Allow browsers to come with this policy built in (preload), which takes months to undo; needs
    /// --hsts 1y or longer and --hsts-include-subdomains
    #[arg(long, help_heading = "TLS")]
    pub(crate) hsts_preload: bool,

    /// Most connections open at once, as far as the limit of open files allows; more wait in the
    /// kernel's queue
    #[arg(long, value_name = "N", value_parser = count(1..=10_000_000), help_heading = "Limits",
        default_value_t = defaults::MAX_CONNECTIONS)]
    pub(crate) max_connections: usize,

    /// Largest request body, in bytes or with a unit; a larger one gets a 413
    #[arg(long, value_name = "SIZE", help_heading = "Limits",
        default_value_t = Size(defaults::MAX_BODY))]
    pub(crate) max_body: Size,

    /// Longest request line and header fields together, in bytes or with a unit; a longer head
    /// gets a 431, or a 414
    #[arg(long, value_name = "SIZE", value_parser = size_from(256), help_heading = "Limits",
        default_value_t = Size(defaults::MAX_HEADER_SIZE))]
    pub(crate) max_header_size: Size,

    /// Most bytes that all connections together keep of unfinished requests and of answers that are
    /// not taken; a request that needs more gets a 503, an answer is cut
    #[arg(long, value_name = "SIZE", value_parser = size_from(64 * 1024), help_heading = "Limits",
        default_value_t = Size(defaults::MAX_BUFFERED_MEMORY))]
    pub(crate) max_buffered_memory: Size,

    /// Most connections that wait for a worker; of more, those that have waited for longest get a 503
    #[arg(long, value_name = "N", value_parser = count(0..=10_000_000), help_heading = "Limits",
        default_value_t = defaults::QUEUE_LIMIT)]
    pub(crate) queue_limit: usize,

    /// Longest time for a client to agree on TLS
    #[arg(long, value_name = "TIME", value_parser = limit, help_heading = "Timeouts",
        default_value_t = Span(defaults::HANDSHAKE_TIMEOUT))]
    pub(crate) handshake_timeout: Span,

    /// Longest time for a request's head to arrive
    #[arg(long, value_name = "TIME", value_parser = limit, help_heading = "Timeouts",
        default_value_t = Span(defaults::HEAD_TIMEOUT))]
    pub(crate) head_timeout: Span,

    /// Longest time for a request's body to arrive, after its head
    #[arg(long, value_name = "TIME", value_parser = limit, help_heading = "Timeouts",
        default_value_t = Span(defaults::BODY_TIMEOUT))]
    pub(crate) body_timeout: Span,

    /// Longest time a connection is kept open between two requests
    #[arg(long, value_name = "TIME", value_parser = limit, help_heading = "Timeouts",
        default_value_t = Span(defaults::IDLE_TIMEOUT))]
    pub(crate) idle_timeout: Span,

    /// Longest time in which a client takes nothing of its answer
    #[arg(long, value_name = "TIME", value_parser = limit, help_heading = "Timeouts",
        default_value_t = Span(defaults::WRITE_TIMEOUT))]
    pub(crate) write_timeout: Span,

    /// Longest time a request waits for a worker; afterwards it gets a 503
    #[arg(long, value_name = "TIME", value_parser = limit, help_heading = "Timeouts",
        default_value_t = Span(defaults::QUEUE_TIMEOUT))]
    pub(crate) queue_timeout: Span,

    /// Slowest a client may send a head or body or take an answer, in bytes a second on average; 0
    /// to leave it to the timeouts
    #[arg(long, value_name = "SIZE", help_heading = "Timeouts",
        default_value_t = Size(defaults::MIN_RATE))]
    pub(crate) min_rate: Size,

    /// Time for which a client may be slower than that
    #[arg(long, value_name = "TIME", help_heading = "Timeouts",
        default_value_t = Span(defaults::MIN_RATE_GRACE))]
    pub(crate) min_rate_grace: Span,

    /// When stopping: longest time for requests under way to finish, then they are cut
    #[arg(long, value_name = "TIME", help_heading = "Stopping",
        default_value_t = Span(defaults::DRAIN_TIMEOUT))]
    pub(crate) drain_timeout: Span,

    /// When stopping: time to go on serving first, so that load balancers can turn away
    #[arg(long, value_name = "TIME", help_heading = "Stopping",
        default_value_t = Span(defaults::DRAIN_DELAY))]
    pub(crate) drain_delay: Span,

    /// When stopping: time that idle connections are kept for a request already on its way
    #[arg(long, value_name = "TIME", help_heading = "Stopping",
        default_value_t = Span(defaults::DRAIN_IDLE))]
    pub(crate) drain_idle: Span,

    /// Least important messages to log
    #[arg(long, value_name = "LEVEL", help_heading = "Logging", ignore_case = true,
        default_value = "info",
        value_parser = PossibleValuesParser::new(["error", "warn", "info", "debug", "trace", "off"])
            .try_map(|name| name.parse::<LevelFilter>()))]
    pub(crate) log_level: LevelFilter,

    /// How to write messages: text for people, or one JSON object a line
    #[arg(long, value_name = "FORMAT", value_enum, help_heading = "Logging",
        default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// File to append a line to for each request, or - for standard output [default: none]
    #[arg(long, value_name = "PATH", help_heading = "Logging")]
    pub(crate) access_log: Option<PathBuf>,

    /// What those lines look like [default: combined]
    #[arg(long, value_name = "FORMAT", value_enum, help_heading = "Logging")]
    pub(crate) access_log_format: Option<RequestFormat>,

    /// File to append messages to, or - for standard output [default: standard error]
    #[arg(long, value_name = "PATH", help_heading = "Logging")]
    pub(crate) log_file: Option<PathBuf>,
}

/// Why there are no [`Args`] to go on with.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Help or version was asked for: this is the text.
    Shown(String),
    /// Something is wrong: this is the line that says what.
    Wrong(String),
}

/// Reads the command line, and the environment where the command line says nothing.
pub(crate) fn parse(
    typed: impl IntoIterator<Item = OsString>,
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Result<Args, Stop> {
    let typed: Vec<OsString> = typed.into_iter().collect();
    let matches = command()
        .try_get_matches_from(&typed)
        .map_err(|error| Stop::new(&error, ValueSource::CommandLine))?;

    let is_set = |name: &str| lookup(name).is_some_and(|value| !value.is_empty());
    if let Some(line) = renamed_variable(is_set) {
        return Err(Stop::Wrong(line));
    }
    // The command line alone was right, so whatever is wrong now came from the environment.
    let mut all = environment::arguments(&command(), &matches, lookup);
    all.splice(0..0, typed.first().cloned());
    all.extend(typed.into_iter().skip(1));
    command()
        .try_get_matches_from(all)
        .and_then(|matches| Args::from_arg_matches(&matches))
        .map_err(|error| Stop::new(&error, ValueSource::Environment))
}

/// Warnings about variables that no flag has, but one with a similar name.
///
/// Where services are discovered by variables, one named httpool brings `HTTPOOL_PORT`,
/// `HTTPOOL_PORT_…` and `HTTPOOL_SERVICE_…` into every neighbour's environment. Those are passed over,
/// and so are names that are like no flag's.
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
    /// Whether it was said where to listen.
    pub(crate) fn names_addresses(&self) -> bool {
        let lists = [
            &self.listen,
            &self.listen_proxy_protocol,
            &self.listen_tls,
            &self.listen_tls_proxy_protocol,
        ];
        lists.iter().any(|addresses| !addresses.is_empty())
    }

    /// Where to listen for clients: what was asked for, else what `PORT` says, else this machine.
    pub(crate) fn addresses(
        &self,
        lookup: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Vec<ListenAddr>, String> {
        if self.names_addresses() {
            return Ok(self.listen.clone());
        }
        let address = environment::port(lookup)?.unwrap_or_else(|| {
            LISTEN
                .parse()
                .expect("the tests hold that the default is an address")
        });
        Ok(vec![address])
    }

    /// The echo sends no files.
    fn descriptors_per_connection(&self) -> usize {
        match self.root {
            Some(_) => defaults::DESCRIPTORS_PER_CONNECTION,
            None => 1,
        }
    }

    /// A server that is told everything but where to listen.
    pub(crate) fn builder(&self) -> Builder {
        let proxies = self.trusted_proxy.iter().copied();
        proxies
            .fold(Server::builder(), Builder::trusted_proxy)
            .forwarded_by(self.forwarded_by.map(Into::into).unwrap_or_default())
            .reuse_port(self.reuse_port)
            .request_ids(self.request_ids)
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

fn path_prefix(text: &str) -> Result<String, String> {
    match text.starts_with('/') {
        true => Ok(text.to_owned()),
        false => Err("not the start of a path: write it as in /assets/".into()),
    }
}

fn media_type(text: &str) -> Result<(String, HeaderValue), String> {
    let wrong = || "write it as EXT=TYPE, such as ts=text/plain".to_owned();
    let (extension, media_type) = text.split_once('=').ok_or_else(wrong)?;
    let extension = extension.strip_prefix('.').unwrap_or(extension);
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let is_type = essence
        .split_once('/')
        .is_some_and(|(kind, name)| is_token(kind) && is_token(name));
    if extension.is_empty() || extension.contains(['.', '/']) || !is_type {
        return Err(wrong());
    }
    let value = HeaderValue::from_str(media_type).map_err(|_| wrong())?;
    Ok((extension.to_owned(), value))
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_in_token)
}

impl Stop {
    fn new(error: &clap::Error, origin: ValueSource) -> Self {
        if error.use_stderr() {
            Self::Wrong(one_line(error, origin))
        } else {
            Self::Shown(error.render().to_string())
        }
    }
}

/// The flags as `clap` knows them, with what holds for all of them by rule.
fn command() -> clap::Command {
    let command = Args::command();
    let variables: Vec<(String, String)> = environment::flags(&command)
        .map(|(flag, name)| (flag.get_id().to_string(), environment::variable(name)))
        .collect();
    let command = variables
        .into_iter()
        .fold(command, |command, (id, variable)| {
            command.mut_arg(id, |flag| {
                let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
                // `-1` is a wrong value of its flag, not an unknown flag. A path may stay unsaid by
                // mistake, though, and then the flag behind it must not become the path.
                let is_value =
                    flag.get_action().takes_values() && flag.get_value_hint() == ValueHint::Unknown;
                flag.help(format!("{help} [env: {variable}]"))
                    .allow_hyphen_values(is_value)
            })
        });
    command.after_help(after_help())
}

fn after_help() -> String {
    let mut text = format!(
        "Environment:\n  \
         Each flag can be given as the variable shown beside it; the command line wins, and an \
         empty variable counts as unset. {}, and each flag that can be repeated, takes several \
         values, with commas or spaces between them.\n\n  \
         PORT            Port to listen on, as --listen *:PORT, when no address is given\n  \
         LISTEN_FDS      Sockets that systemd passes in, used instead of PORT and the default;\n                  \
         those named proxied in LISTEN_FDNAMES are as of --listen-proxy-protocol,\n                  \
         those named tls as of --listen-tls, tls-proxied as of both\n  \
         NOTIFY_SOCKET   Where systemd is told about readiness and the progress of stopping: a\n                  \
         path, or @name for an abstract socket; a warning says if that fails\n  \
         JOURNAL_STREAM  If standard error is the journal, text has priorities instead of times\n\n\
         Signals:\n  \
         SIGTERM and SIGINT stop the server without losing a request; a second one aborts open \
         requests. SIGHUP and SIGUSR1 open log files and the folder again, and read certificates and \
         error pages again. A signal that was ignored at the start stays ignored.\n\n\
         Exit codes:\n",
        environment::variable("listen")
    );
    for exit in Exit::ALL {
        writeln!(text, "  {}  {}", exit.code(), exit.meaning())
            .expect("writing to a String can't fail");
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests;
