//! What those ask who watch a server: is it alive, is it ready, what are its figures.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use procfs::WithCurrentSystemInfo;
use procfs::process::{LimitValue, Process};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::server::{Handle, Vitals};
use crate::{Handler, IntoResponse, Phase, Problem, Request, Response};

/// The format of `/metrics`.
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// An answer is true for the moment only.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// A server that is looked at twice within this time is not judged again: it may just not have come
/// to show itself.
const LOOK: Duration = Duration::from_secs(1);

/// Answers for another server: `/healthz` whether it is alive, `/readyz` whether it takes new
/// clients, `/metrics` its figures for Prometheus.
///
/// Serve it from a server of its own, which answers when every worker of the other is busy:
///
/// ```
/// use std::thread;
///
/// use httpool::apps::Admin;
/// use httpool::{ListenAddr, Request, Server};
///
/// let local = "127.0.0.1:0".parse::<ListenAddr>()?;
/// let server = Server::builder().listen(local.clone()).bind()?;
/// let admin = Server::builder().listen(local).workers(1).bind()?;
/// let (handle, admin_handle) = (server.handle(), admin.handle());
/// let watched = handle.clone();
/// let admin = thread::spawn(move || admin.run(Admin::new(watched)));
/// # handle.shutdown();
/// server.run(|_: Request| "hello")?;
/// admin_handle.shutdown();
/// admin.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// * `/healthz` is 200 while the server's acceptor goes round, and 503 if it has not since the last
///   look, a second ago or more. Handlers that take long are no illness.
/// * `/readyz` is 200 while the server runs, and 503 from the start of its drain, or its
///   [delay](crate::Builder::drain_delay).
/// * `/metrics` is in the OpenMetrics text format.
#[derive(Debug)]
pub struct Admin {
    handle: Handle,
    health: Mutex<Health>,
}

#[derive(Debug)]
struct Health {
    looked: Instant,
    vitals: Vitals,
    is_alive: bool,
}

impl Admin {
    /// Answers for the server with this handle.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        let health = Health {
            looked: Instant::now(),
            vitals: handle.vitals(),
            is_alive: true,
        };
        Self {
            handle,
            health: Mutex::new(health),
        }
    }

    fn is_alive(&self) -> bool {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now.saturating_duration_since(health.looked) >= LOOK {
            let vitals = self.handle.vitals();
            *health = Health {
                looked: now,
                vitals,
                is_alive: vitals.acceptor_moved_since(&health.vitals),
            };
        }
        health.is_alive
    }

    fn answer(&self, request: &Request) -> Response {
        let fields = request.headers();
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = Problem::new(StatusCode::METHOD_NOT_ALLOWED).answer(fields);
            response.headers_mut().insert(ALLOW, ALLOWED);
            return response;
        }
        let unavailable = |why| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE)
                .detail(why)
                .answer(fields)
        };
        match request.uri().path() {
            "/healthz" if self.is_alive() => "alive\n".into_response(),
            "/healthz" => unavailable("the server stands still"),
            "/readyz" if self.handle.progress().phase == Phase::Running => {
                "ready\n".into_response()
            }
            "/readyz" => unavailable("the server is stopping"),
            "/metrics" => self
                .metrics()
                .unwrap_or_else(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR).answer(fields)),
            _ => Problem::new(StatusCode::NOT_FOUND)
                .detail("there are /healthz, /readyz and /metrics")
                .answer(fields),
        }
    }

    fn metrics(&self) -> Result<Response, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(OfServer(self.handle.clone())));
        registry.register_collector(Box::new(OfProcess));
        let mut written = String::new();
        text::encode(&mut written, &registry)?;
        let mut response = written.into_response();
        response.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS);
        Ok(response)
    }
}

impl Handler for Admin {
    fn handle(&self, request: &mut Request) -> Response {
        let mut response = self.answer(request);
        response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
        response
    }
}

/// The figures of a server.
#[derive(Debug)]
struct OfServer(Handle);

/// The figures of this process, by the names that are usual for them.
#[derive(Debug)]
struct OfProcess;

impl Collector for OfServer {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let progress = self.0.progress();
        let mut figures = Figures(encoder);
        figures.count(
            "httpool_connections_accepted",
            "Connections accepted",
            progress.accepted,
        )?;
        figures.level(
            "httpool_connections_open",
            "Connections open now",
            progress.open,
        )?;
        figures.count(
            "httpool_requests_answered",
            "Requests answered in full",
            progress.answered,
        )?;
        figures.count(
            "httpool_requests_cut",
            "Requests that the end of the server has cut",
            progress.cut,
        )?;
        figures.level(
            "httpool_workers",
            "Threads that run handlers",
            progress.workers,
        )?;
        figures.level(
            "httpool_workers_busy",
            "Workers that have a connection in hand",
            progress.busy,
        )?;
        figures.level(
            "httpool_buffered_bytes",
            "Memory kept of unfinished requests and of answers that are not taken",
            progress.buffered,
        )?;
        figures.level(
            "httpool_draining",
            "Whether the server is stopping",
            usize::from(progress.phase > Phase::Running),
        )
    }
}

impl Collector for OfProcess {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut figures = Figures(encoder);
        // Where /proc does not tell, there are no such figures; the others are told all the same.
        let Ok(process) = Process::myself() else {
            return Ok(());
        };
        if let Ok(stat) = process.stat() {
            let ticks = procfs::ticks_per_second();
            figures.count(
                "process_cpu_seconds",
                "Time that this process has used, in user space and in the system",
                seconds(stat.utime + stat.stime, ticks),
            )?;
            figures.level(
                "process_resident_memory_bytes",
                "Memory of this process that is in use",
                stat.rss_bytes().get(),
            )?;
            figures.level(
                "process_virtual_memory_bytes",
                "Addresses that this process has",
                stat.vsize,
            )?;
            figures.level(
                "process_threads",
                "Threads of this process",
                stat.num_threads,
            )?;
            if let Ok(boot) = procfs::boot_time_secs() {
                figures.level(
                    "process_start_time_seconds",
                    "When this process was started, since 1970",
                    boot + stat.starttime / ticks,
                )?;
            }
        }
        if let Ok(open) = process.fd_count() {
            figures.level("process_open_fds", "Descriptors open", open)?;
        }
        if let Ok(limits) = process.limits()
            && let LimitValue::Value(most) = limits.max_open_files.soft_limit
        {
            figures.level("process_max_fds", "Descriptors that may be open", most)?;
        }
        Ok(())
    }
}

/// Where figures are written.
struct Figures<'a>(DescriptorEncoder<'a>);

impl Figures<'_> {
    /// A figure that only grows.
    fn count<N>(&mut self, name: &str, help: &str, value: N) -> fmt::Result
    where
        ConstCounter<N>: EncodeMetric,
    {
        self.tell(name, help, &ConstCounter::new(value))
    }

    /// A figure that goes up and down.
    fn level<N: TryInto<i64>>(&mut self, name: &str, help: &str, value: N) -> fmt::Result {
        let value = value.try_into().unwrap_or(i64::MAX);
        self.tell(name, help, &ConstGauge::new(value))
    }

    fn tell(&mut self, name: &str, help: &str, metric: &impl EncodeMetric) -> fmt::Result {
        let encoder = self
            .0
            .encode_descriptor(name, help, None, metric.metric_type())?;
        metric.encode(encoder)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "ticks of a process stay far below 2^52"
)]
fn seconds(ticks: u64, per_second: u64) -> f64 {
    ticks as f64 / per_second as f64
}

#[cfg(test)]
mod tests {
    use http::header::ACCEPT;

    use super::*;
    use crate::{Body, ListenAddr, Server};

    fn server() -> Server {
        let address: ListenAddr = "127.0.0.1:0".parse().expect("it is an address");
        let server = Server::builder().listen(address).workers(3).bind();
        server.expect("a port is free")
    }

    #[track_caller]
    fn ask(admin: &Admin, method: Method, path: &str) -> (u16, String) {
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(ACCEPT, "text/plain")
            .body(Body::empty())
            .expect("test requests are valid");
        let response = admin.handle(&mut request);
        assert_eq!(response.headers()[CACHE_CONTROL], NO_STORE);
        let body = String::from_utf8_lossy(response.body().as_bytes()).into_owned();
        (response.status().as_u16(), body)
    }

    #[test]
    fn a_server_is_ready_until_it_stops() {
        let server = server();
        let admin = Admin::new(server.handle());
        assert_eq!(ask(&admin, Method::GET, "/healthz").0, 200);
        assert_eq!(ask(&admin, Method::GET, "/readyz").0, 200);
        server.handle().shutdown();
        assert_eq!(ask(&admin, Method::GET, "/readyz?verbose").0, 503);
        assert_eq!(ask(&admin, Method::GET, "/healthz").0, 200);
    }

    #[test]
    fn other_questions_are_refused() {
        let admin = Admin::new(server().handle());
        assert_eq!(ask(&admin, Method::GET, "/").0, 404);
        assert_eq!(ask(&admin, Method::POST, "/healthz").0, 405);
    }

    /// The rules that `promtool check metrics` and the format itself have for names and lines.
    #[test]
    fn metrics_are_well_formed() {
        let admin = Admin::new(server().handle());
        let (status, text) = ask(&admin, Method::GET, "/metrics");
        assert_eq!(status, 200);
        assert!(text.ends_with("# EOF\n"), "{text}");
        let mut families = Vec::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next().filter(|line| *line != "# EOF") {
            let (name, help) = line
                .strip_prefix("# HELP ")
                .and_then(|rest| rest.split_once(' '))
                .expect("a family begins with its help");
            assert!(!help.is_empty(), "{line}");
            let kind = lines.next().and_then(|line| {
                line.strip_prefix("# TYPE ")?
                    .strip_prefix(name)?
                    .strip_prefix(' ')
            });
            let kind = kind.expect("the type follows");
            let is_named = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            assert!(name.bytes().all(is_named), "{name}");
            assert!(!name.ends_with("_total"), "{name}");
            let sample = lines.next().expect("a figure follows");
            let (series, value) = sample.split_once(' ').expect("a figure has a value");
            match kind {
                "counter" => assert_eq!(series, format!("{name}_total")),
                _ => assert_eq!((series, kind), (name, "gauge")),
            }
            let value: f64 = value.parse().expect("a value is a number");
            assert!(value >= 0.0, "{sample}");
            families.push((name, value));
        }
        let figure = |wanted| {
            let found = families.iter().find(|(name, _)| *name == wanted);
            found.unwrap_or_else(|| panic!("there is no {wanted}")).1
        };
        assert!((figure("httpool_workers") - 3.0).abs() < f64::EPSILON);
        assert!(figure("process_resident_memory_bytes") > 1e5);
        assert!(figure("process_open_fds") >= 3.0);
        let names: std::collections::HashSet<_> = families.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), families.len(), "each comes once");
    }
}
