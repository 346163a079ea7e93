//! Health checks and metrics for operators: is the server alive, is it ready, what are its metrics.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::RequestMetrics;
use super::metrics;
use crate::message::headers::vary::vary;
use crate::message::{Handler, IntoResponse, Problem, Request, Response};
use crate::server::Phase;
use crate::server::{Handle, Heartbeat};
use crate::sync::ignore_poison;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};

/// Responses describe the present and must not be cached.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// Shortest time between two liveness checks. Within a shorter time, a healthy acceptor may not
/// have made progress.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Serves health checks and metrics of another server: `/healthz` (liveness), `/readyz` (readiness
/// for new clients), and `/metrics` for Prometheus.
///
/// Serve it from a server of its own, which responds even when all workers of the other are busy:
///
/// ```
/// use std::thread;
///
/// use httpool::services::Admin;
/// use httpool::{Request, Server};
///
/// let server = Server::builder().listen("127.0.0.1:0").bind()?;
/// let admin = Server::builder().listen("127.0.0.1:0").workers(1).bind()?;
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
/// * `/healthz` is 200 while the server's acceptor makes progress, and 503 if it has made none
///   since the last check, which was at least a second ago. Slow handlers do not matter.
/// * `/readyz` is 200 while the server runs, and 503 from the start of its drain, or of its [drain
///   delay](crate::Builder::drain_delay).
/// * `/metrics` is in the text format of Prometheus (0.0.4), or in that of OpenMetrics (1.0.0) for
///   clients that prefer it by `Accept`, as Prometheus itself does.
#[derive(Debug)]
pub struct Admin {
    handle: Handle,
    request_metrics: Option<Arc<RequestMetrics>>,
    health: Mutex<Health>,
}

#[derive(Debug)]
struct Health {
    checked: Instant,
    heartbeat: Heartbeat,
    is_alive: bool,
}

impl Admin {
    /// Serves the health and the metrics of the server with this handle.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        let health = Health {
            checked: Instant::now(),
            heartbeat: handle.heartbeat(),
            is_alive: true,
        };
        Self {
            handle,
            request_metrics: None,
            health: Mutex::new(health),
        }
    }

    /// Adds the metrics of requests to `/metrics`. Pass the same object to
    /// [`Builder::observer`](crate::Builder::observer) of the server.
    #[must_use]
    pub fn request_metrics(mut self, metrics: Arc<RequestMetrics>) -> Self {
        self.request_metrics = Some(metrics);
        self
    }

    fn is_alive(&self) -> bool {
        let mut health = ignore_poison(self.health.lock());
        let now = Instant::now();
        if now.saturating_duration_since(health.checked) >= CHECK_INTERVAL {
            let heartbeat = self.handle.heartbeat();
            *health = Health {
                checked: now,
                heartbeat,
                is_alive: heartbeat.acceptor_moved_since(&health.heartbeat),
            };
        }
        health.is_alive
    }

    fn respond(&self, request: &Request) -> Response {
        let headers = request.headers();
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = Problem::new(StatusCode::METHOD_NOT_ALLOWED).to_response(headers);
            response.headers_mut().insert(ALLOW, ALLOWED);
            return response;
        }
        let unavailable = |reason| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE)
                .detail(reason)
                .to_response(headers)
        };
        match request.uri().path() {
            "/healthz" if self.is_alive() => "alive\n".into_response(),
            "/healthz" => unavailable("the server makes no progress"),
            "/readyz" if self.handle.snapshot().phase == Phase::Running => {
                "ready\n".into_response()
            }
            "/readyz" => unavailable("the server is shutting down"),
            "/metrics" => self.metrics(headers).unwrap_or_else(|_| {
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR).to_response(headers)
            }),
            _ => Problem::new(StatusCode::NOT_FOUND)
                .detail("the paths are /healthz, /readyz and /metrics")
                .to_response(headers),
        }
    }

    fn metrics(&self, request: &HeaderMap) -> Result<Response, fmt::Error> {
        let format = metrics::Format::preferred(request);
        let text = metrics::text(format, &self.handle, self.request_metrics.as_ref())?;
        let mut response = text.into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, format.content_type());
        vary(headers, "accept");
        Ok(response)
    }
}

impl Handler for Admin {
    fn handle(&self, request: &mut Request) -> Response {
        let mut response = self.respond(request);
        response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
        response
    }

    fn may_upgrade(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use http::header::ACCEPT;

    use super::*;
    use crate::message::Body;
    use crate::server::ListenAddr;
    use crate::server::Server;

    fn server() -> Server {
        let address: ListenAddr = "127.0.0.1:0".parse().expect("the address is valid");
        let server = Server::builder().listen(address).workers(3).bind();
        server.expect("a port is free")
    }

    #[track_caller]
    fn send(admin: &Admin, method: Method, path: &str) -> (u16, String) {
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
    fn server_is_ready_until_it_drains() {
        let server = server();
        let admin = Admin::new(server.handle());
        assert_eq!(send(&admin, Method::GET, "/healthz").0, 200);
        assert_eq!(send(&admin, Method::GET, "/readyz").0, 200);
        server.handle().shutdown();
        assert_eq!(send(&admin, Method::GET, "/readyz?verbose").0, 503);
        assert_eq!(send(&admin, Method::GET, "/healthz").0, 200);
    }

    /// Moves the last check into the past, so that the next one checks again.
    fn expire_check(admin: &Admin) {
        let mut health = admin.health.lock().expect("no thread panicked");
        let earlier = health.checked.checked_sub(CHECK_INTERVAL);
        health.checked = earlier.expect("the machine has been up for longer");
    }

    #[test]
    fn server_without_progress_is_not_alive() {
        let server = server();
        let handle = server.handle();
        let admin = Admin::new(handle.clone());
        // The server is not running yet.
        expire_check(&admin);
        assert_eq!(
            send(&admin, Method::GET, "/healthz"),
            (
                503,
                "503 Service Unavailable: the server makes no progress\n".into()
            )
        );
        // The next check is too soon to be a new one.
        assert_eq!(send(&admin, Method::GET, "/healthz").0, 503);
        let running = thread::spawn(move || server.run(|_: Request| "hello"));
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            expire_check(&admin);
            if send(&admin, Method::GET, "/healthz").0 == 200 {
                break;
            }
            assert!(Instant::now() < deadline, "the server is alive");
            thread::sleep(Duration::from_millis(1));
        }
        handle.shutdown();
        let result = running.join().expect("the server does not panic");
        result.expect("the server does not fail");
    }

    #[test]
    fn other_paths_and_methods_are_rejected() {
        let admin = Admin::new(server().handle());
        assert_eq!(send(&admin, Method::GET, "/").0, 404);
        assert_eq!(send(&admin, Method::POST, "/healthz").0, 405);
    }
}
