//! The page at `/inspect`, its interface, and the inboxes.

mod access;
mod api;
mod assets;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue};
use http::header::{REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, Method, StatusCode};

pub(super) use self::access::is_cross_site;
use self::access::{CROSS_SITE, Gate, Token};
use super::captured::Captured;
use super::history::inboxes::{Inbox, Inboxes, User};
use super::history::{History, Limits};
use super::settings::Settings;
use crate::message::{
    ClientInfo, Handler, IntoResponse, Later, Problem, Redirect, Request, Response,
};

/// Together with the requests of inboxes, this bounds the memory of the inspector.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Bodies of calls and webhooks are smaller, and the start of others shows what they are.
const MAX_BODY: usize = 64 * 1024;

/// The page runs its own scripts and styles only, and nothing is ever parsed as markup.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'",
);

/// A response that a user has written must not run on the origin of the page.
const SANDBOX: HeaderValue =
    HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'");

const HARMLESS: [(HeaderName, HeaderValue); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// The live page with its history and its inboxes.
pub(super) struct Live {
    shared: Arc<Shared>,
    gate: Gate,
    router: Box<dyn Handler>,
}

struct Shared {
    history: Arc<History>,
    inboxes: Inboxes,
    longest_delay: Duration,
}

/// The live page of an [`Inspect`](super::Inspect) for a server of its own. It is open to every client
/// that reaches that server, so use an address that only administrators reach. A browser must use an IP
/// address or `localhost` in its address bar, so that no page of another site can read it by a name of
/// its own.
///
/// ```
/// use httpool::services::inspect::{Inspect, Settings};
/// use httpool::testing::Client;
///
/// let inspect = Inspect::new(Settings::default());
/// let page = Client::new(inspect.live_page().expect("a history is kept by default"));
/// let response = page.get("/inspect").header("host", "127.0.0.1:9000").send();
/// assert_eq!(response.status(), 200);
/// ```
#[derive(Clone)]
pub struct LivePage(Arc<Live>);

impl Live {
    /// The page of a new history. `None` if no history is kept.
    pub(super) fn new(settings: &Settings) -> Option<Self> {
        let requests = settings.kept_requests();
        let limits = Limits {
            requests,
            bytes: MAX_BYTES,
            body: MAX_BODY,
        };
        let shared = Arc::new(Shared {
            history: History::with_store(limits, settings.store()),
            inboxes: Inboxes::default(),
            longest_delay: settings.longest_delay(),
        });
        (requests > 0).then(|| Self::with(shared, Gate::new(settings.page_access())))
    }

    fn with(shared: Arc<Shared>, gate: Gate) -> Self {
        let router = Box::new(api::router(Arc::clone(&shared)));
        Self {
            shared,
            gate,
            router,
        }
    }

    /// This page for a server on which all clients may see it.
    pub(super) fn trusted(&self) -> LivePage {
        LivePage(Arc::new(Self::with(
            Arc::clone(&self.shared),
            Gate::Trusted,
        )))
    }

    pub(super) fn history(&self) -> &Arc<History> {
        &self.shared.history
    }

    /// Responds to a request that belongs to the page. All others are left alone.
    pub(super) fn respond(&self, request: &mut Request) -> Option<Response> {
        is_page(request.uri().path()).then(|| self.page(request))
    }

    /// Responds to a request that belongs to an inbox. All others are left alone.
    pub(super) fn receive(&self, request: &Request, captured: &Captured) -> Option<Response> {
        let id = request.uri().path().strip_prefix("/inbox/")?;
        let id = id.split('/').next().unwrap_or_default();
        Some(match self.shared.inboxes.get(id, User::Sender) {
            Some(inbox) => Self::receive_in(&inbox, captured),
            None => no_inbox(request.headers()),
        })
    }

    /// Puts a request into an inbox.
    fn receive_in(inbox: &Inbox, captured: &Captured) -> Response {
        let recording = inbox.history.record(captured);
        let response = inbox.response().make();
        recording.complete(Later::map(response, |mut response| {
            let headers = response.headers_mut();
            headers.insert(CONTENT_SECURITY_POLICY, SANDBOX);
            let (name, value) = HARMLESS[1].clone();
            headers.insert(name, value);
            response
        }))
    }

    fn page(&self, request: &mut Request) -> Response {
        let mut response = self.checked(request);
        let headers = response.headers_mut();
        for (name, value) in HARMLESS {
            headers.entry(name).or_insert(value);
        }
        response
    }

    fn checked(&self, request: &mut Request) -> Response {
        if let Some(response) = self.log_in(request) {
            return response;
        }
        let is_page =
            *request.method() == Method::GET && !request.uri().path().starts_with("/inspect/api/");
        let refusal = match self.gate.check(request) {
            Err(refusal) => refusal,
            Ok(()) if !is_page && is_cross_site(request.headers()) => CROSS_SITE,
            Ok(()) => return self.router.handle(request),
        };
        Problem::new(StatusCode::FORBIDDEN)
            .detail(refusal)
            .to_response(request.headers())
    }

    /// Turns a token in the address into a cookie, so that it does not stay in the address bar.
    fn log_in(&self, request: &Request) -> Option<Response> {
        let query = request.uri().query()?.split('&');
        let given = query
            .filter_map(|pair| pair.strip_prefix("token="))
            .next()?;
        let given = percent_encoding::percent_decode_str(given).decode_utf8_lossy();
        let token = self.gate.token(&given)?;
        let mut response = Redirect::to(request.uri().path()).into_response();
        response
            .headers_mut()
            .insert(SET_COOKIE, cookie(token, request));
        Some(response)
    }

    fn close(&self) {
        self.shared.history.close();
        self.shared.inboxes.close();
    }
}

fn cookie(token: &Token, request: &Request) -> HeaderValue {
    let scheme = ClientInfo::of(request).and_then(ClientInfo::scheme);
    let secure = match scheme {
        Some(scheme) if scheme.as_str() == "https" => "; Secure",
        _ => "",
    };
    let (name, value) = (access::COOKIE_NAME, &token.cookie_value);
    let text = format!("{name}={value}; Path=/inspect; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::try_from(text).expect("a name and digits are valid")
}

fn no_inbox(request: &HeaderMap) -> Response {
    Problem::new(StatusCode::NOT_FOUND)
        .detail("the id of an inbox has up to 64 letters, digits, - and _")
        .to_response(request)
}

impl LivePage {
    /// Ends the streams of all open pages. They reconnect to the next server. Call this when a shutdown
    /// begins, which otherwise waits for them:
    ///
    /// ```
    /// use httpool::Server;
    /// use httpool::services::inspect::{Inspect, Settings};
    ///
    /// let server = Server::builder().listen("127.0.0.1:0").bind()?;
    /// let inspect = Inspect::new(Settings::default());
    /// if let Some(page) = inspect.live_page() {
    ///     server.handle().on_shutdown(move || page.close());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.0.close();
    }
}

impl Handler for LivePage {
    fn handle(&self, request: &mut Request) -> Response {
        self.0.page(request)
    }

    fn may_upgrade(&self) -> bool {
        false
    }
}

impl fmt::Debug for LivePage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LivePage").finish_non_exhaustive()
    }
}

/// Whether this path belongs to the page.
fn is_page(path: &str) -> bool {
    path == "/inspect" || path.starts_with("/inspect/")
}
