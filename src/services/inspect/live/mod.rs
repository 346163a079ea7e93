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
use serde::Deserialize;

pub(super) use self::access::is_cross_site;
use self::access::{CROSS_SITE, Gate, Refusal, Token, WRONG_TOKEN};
use super::captured::Captured;
use super::history::inboxes::{Inbox, Inboxes, User};
use super::history::{History, Limits};
use super::settings::Settings;
use crate::message::headers::media_type;
use crate::message::{ClientInfo, Handler, IntoResponse, Later, Problem, Request, Response};

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

/// The address to which a browser sends the token.
const LOGIN: &str = "/inspect/api/login";

#[derive(Deserialize)]
struct Login {
    token: String,
}

/// The live page with its history and its inboxes.
pub(super) struct Live {
    shared: Arc<Shared>,
    gate: Gate,
    router: Box<dyn Handler>,
}

/// The history and the inboxes, which all servers of a page share.
pub(super) struct Shared {
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

impl Shared {
    /// The history of requests to this path. `None` if it is that of no valid inbox.
    pub(super) fn history_of(&self, path: &str) -> Option<Arc<History>> {
        let Some(inbox) = inbox_id(path) else {
            return Some(Arc::clone(&self.history));
        };
        let inbox = self.inboxes.get(inbox, User::Sender)?;
        Some(Arc::clone(&inbox.history))
    }
}

/// The id of the inbox that this path belongs to.
fn inbox_id(path: &str) -> Option<&str> {
    path.strip_prefix("/inbox/")?.split('/').next()
}

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

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Responds to a request that belongs to the page. All others are left alone.
    pub(super) fn respond(&self, request: &mut Request) -> Option<Response> {
        is_page(request.uri().path()).then(|| self.page(request))
    }

    /// Responds to a request that belongs to an inbox. All others are left alone.
    pub(super) fn receive(&self, request: &Request, captured: &Captured) -> Option<Response> {
        let id = inbox_id(request.uri().path())?;
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
        let path = request.uri().path();
        if path == LOGIN && *request.method() == Method::POST {
            return self.log_in(request);
        }
        let is_page = *request.method() == Method::GET && !path.starts_with("/inspect/api/");
        let refusal = match self.gate.check(request) {
            Err(_) if is_page && self.asks_for_token(request) => return login_page(),
            Err(_) if is_page && self.gate.wants_token() && assets::is_of_login(path) => {
                return self.router.handle(request);
            }
            Err(refusal) => refusal,
            Ok(()) if !is_page && is_cross_site(request.headers()) => CROSS_SITE,
            Ok(()) => return self.router.handle(request),
        };
        refuse(refusal, request.headers())
    }

    /// Whether this is a browser at an address of a page that opens with a token.
    fn asks_for_token(&self, request: &Request) -> bool {
        let offers = [(false, &["text/plain"][..]), (true, &["text/html"])];
        self.gate.wants_token()
            && !request.uri().path().starts_with("/inspect/assets/")
            && media_type::preferred(request.headers(), &offers) == Some(true)
    }

    /// Turns a token into a cookie. It comes in a body, because addresses are written to logs, and to the
    /// history of browsers.
    fn log_in(&self, request: &Request) -> Response {
        let headers = request.headers();
        if is_cross_site(headers) {
            return refuse(CROSS_SITE, headers);
        }
        let given: Option<Login> = serde_json::from_slice(request.body().as_bytes()).ok();
        let Some(token) = given.and_then(|Login { token }| self.gate.token(&token)) else {
            return refuse(WRONG_TOKEN, headers);
        };
        let mut response = StatusCode::NO_CONTENT.into_response();
        response
            .headers_mut()
            .insert(SET_COOKIE, cookie(token, request));
        response
    }

    fn close(&self) {
        self.shared.history.close();
        self.shared.inboxes.close();
    }
}

fn refuse(refusal: Refusal, request: &HeaderMap) -> Response {
    Problem::new(StatusCode::FORBIDDEN)
        .detail(refusal)
        .to_response(request)
}

fn login_page() -> Response {
    let mut response = assets::login().into_response();
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
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
pub(super) fn is_page(path: &str) -> bool {
    path == "/inspect" || path.starts_with("/inspect/")
}
