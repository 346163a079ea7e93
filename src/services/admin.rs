//! What those ask who watch a server: is it alive, is it ready, what are its figures.

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
/// * `/healthz` is 200 while the server's acceptor goes round, and 503 if it has not since the last
///   look, a second ago or more. Handlers that take long are no illness.
/// * `/readyz` is 200 while the server runs, and 503 from the start of its drain, or its
///   [delay](crate::Builder::drain_delay).
/// * `/metrics` is in the text format of Prometheus (0.0.4), or in that of OpenMetrics (1.0.0) for
///   clients whose `Accept` prefers it, as that of Prometheus itself does.
#[derive(Debug)]
pub struct Admin {
    handle: Handle,
    meter: Option<Arc<RequestMetrics>>,
    health: Mutex<Health>,
}

#[derive(Debug)]
struct Health {
    looked: Instant,
    heartbeat: Heartbeat,
    is_alive: bool,
}

impl Admin {
    /// Answers for the server with this handle.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        let health = Health {
            looked: Instant::now(),
            heartbeat: handle.heartbeat(),
            is_alive: true,
        };
        Self {
            handle,
            meter: None,
            health: Mutex::new(health),
        }
    }

    /// Has `/metrics` tell of requests, too: give the same one to the server.
    #[must_use]
    pub fn meter(mut self, meter: Arc<RequestMetrics>) -> Self {
        self.meter = Some(meter);
        self
    }

    fn is_alive(&self) -> bool {
        let mut health = ignore_poison(self.health.lock());
        let now = Instant::now();
        if now.saturating_duration_since(health.looked) >= LOOK {
            let heartbeat = self.handle.heartbeat();
            *health = Health {
                looked: now,
                heartbeat,
                is_alive: heartbeat.acceptor_moved_since(&health.heartbeat),
            };
        }
        health.is_alive
    }

    fn answer(&self, request: &Request) -> Response {
        let fields = request.headers();
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = Problem::new(StatusCode::METHOD_NOT_ALLOWED).to_response(fields);
            response.headers_mut().insert(ALLOW, ALLOWED);
            return response;
        }
        let unavailable = |why| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE)
                .detail(why)
                .to_response(fields)
        };
        match request.uri().path() {
            "/healthz" if self.is_alive() => "alive\n".into_response(),
            "/healthz" => unavailable("the server stands still"),
            "/readyz" if self.handle.snapshot().phase == Phase::Running => {
                "ready\n".into_response()
            }
            "/readyz" => unavailable("the server is stopping"),
            "/metrics" => self.metrics(fields).unwrap_or_else(|_| {
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR).to_response(fields)
            }),
            _ => Problem::new(StatusCode::NOT_FOUND)
                .detail("there are /healthz, /readyz and /metrics")
                .to_response(fields),
        }
    }

    fn metrics(&self, request: &HeaderMap) -> Result<Response, fmt::Error> {
        let form = metrics::Form::preferred(request);
        let text = metrics::text(form, &self.handle, self.meter.as_ref())?;
        let mut response = text.into_response();
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, form.content_type());
        vary(fields, "accept");
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

#[cfg(test)]
mod tests {
    use std::thread;

    use http::header::ACCEPT;

    use super::*;
    use crate::message::Body;
    use crate::server::ListenAddr;
    use crate::server::Server;

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

    /// Has the last look be so long ago that the next one counts.
    fn looked_long_ago(admin: &Admin) {
        let mut health = admin.health.lock().expect("nobody has panicked");
        let earlier = health.looked.checked_sub(LOOK);
        health.looked = earlier.expect("the machine is up for longer");
    }

    #[test]
    fn a_server_that_stands_still_is_not_alive_until_it_moves() {
        let server = server();
        let handle = server.handle();
        let admin = Admin::new(handle.clone());
        // Nobody runs it.
        looked_long_ago(&admin);
        assert_eq!(
            ask(&admin, Method::GET, "/healthz"),
            (
                503,
                "503 Service Unavailable: the server stands still\n".into()
            )
        );
        // It is not judged again so soon.
        assert_eq!(ask(&admin, Method::GET, "/healthz").0, 503);
        let running = thread::spawn(move || server.run(|_: Request| "hello"));
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            looked_long_ago(&admin);
            if ask(&admin, Method::GET, "/healthz").0 == 200 {
                break;
            }
            assert!(Instant::now() < deadline, "it is alive");
            thread::sleep(Duration::from_millis(1));
        }
        handle.shutdown();
        let ended = running.join().expect("it does not panic");
        ended.expect("it does not fail");
    }

    #[test]
    fn other_questions_are_refused() {
        let admin = Admin::new(server().handle());
        assert_eq!(ask(&admin, Method::GET, "/").0, 404);
        assert_eq!(ask(&admin, Method::POST, "/healthz").0, 405);
    }
}
