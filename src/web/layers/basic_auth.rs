//! Users with passwords (RFC 7617).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::message::{BodyMode, Problem, Request, Response};
use crate::web::{Layer, Next};

/// Lets those in who give a name and a password (Basic authentication, RFC 7617). To everyone else
/// the answer is 401, upon which browsers ask their users.
///
/// ```
/// use httpool::http::{self, StatusCode};
/// use httpool::layers::{BasicAuth, User};
/// use httpool::{Handler, Layered, Request};
///
/// fn greet(request: Request) -> String {
///     format!("hello, {}", User::of(&request).unwrap_or("whoever you are"))
/// }
///
/// let handler = Layered::new(greet).layer(BasicAuth::of("Library", [("ada", "lovelace")]));
/// let mut request = Request::default();
/// assert_eq!(handler.handle(&mut request).status(), StatusCode::UNAUTHORIZED);
///
/// let mut request = http::Request::get("/")
///     .header("authorization", "Basic YWRhOmxvdmVsYWNl")
///     .body(Default::default())?;
/// assert_eq!(handler.handle(&mut request).body().as_bytes(), b"hello, ada");
/// # Ok::<(), http::Error>(())
/// ```
///
/// Names and passwords travel as they are: use it over TLS only. How long a comparison takes tells
/// nothing of names and passwords in the list; of [one's own check](Self::checked_by) one has to
/// see to that oneself.
pub struct BasicAuth {
    challenge: HeaderValue,
    check: Check,
}

/// Who has been let in by [`BasicAuth`]. As an argument of a routed function it needs that layer
/// before the function; without it the answer is 403.
///
/// ```
/// # #[cfg(feature = "router")] {
/// use httpool::layers::{BasicAuth, User};
/// use httpool::Router;
/// use httpool::testing::Client;
///
/// let router: Router = Router::new()
///     .layer(BasicAuth::of("Library", [("ada", "lovelace")]))
///     .get("/", |User(name): User| format!("hello, {name}"));
///
/// let client = Client::new(router);
/// let request = client.get("/").header("authorization", "Basic YWRhOmxvdmVsYWNl");
/// assert_eq!(request.send().text(), "hello, ada");
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User(
    /// The name.
    pub String,
);

enum Check {
    /// The digest of each name and password, so that all that is compared is of one length.
    List(Vec<[u8; 32]>),
    Own(Box<OwnCheck>),
}

type OwnCheck = dyn Fn(&str, &str) -> bool + Send + Sync;

impl BasicAuth {
    /// Lets in who has one of these names with its password. The realm tells users where they are.
    ///
    /// # Panics
    ///
    /// If the realm has anything but printable ASCII characters, or a name a colon.
    #[must_use]
    #[track_caller]
    pub fn of<'u>(realm: &str, users: impl IntoIterator<Item = (&'u str, &'u str)>) -> Self {
        let digests = users.into_iter().map(|(name, password)| {
            assert!(!name.contains(':'), "the name {name:?} has a colon");
            Sha256::digest(format!("{name}:{password}")).into()
        });
        Self {
            challenge: challenge(realm),
            check: Check::List(digests.collect()),
        }
    }

    /// Lets in whose name and password this function takes.
    ///
    /// ```
    /// use httpool::layers::BasicAuth;
    ///
    /// let auth = BasicAuth::checked_by("Library", |name, password| {
    ///     is_in_database(name, password)
    /// });
    /// # fn is_in_database(_: &str, _: &str) -> bool { false }
    /// ```
    ///
    /// # Panics
    ///
    /// If the realm has anything but printable ASCII characters.
    #[must_use]
    #[track_caller]
    pub fn checked_by(
        realm: &str,
        check: impl Fn(&str, &str) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            challenge: challenge(realm),
            check: Check::Own(Box::new(check)),
        }
    }

    /// Who has sent these fields, if he is to be let in.
    fn user(&self, request: &HeaderMap) -> Option<User> {
        let credentials = credentials(request)?;
        let (name, password) = credentials.split_once(':')?;
        let is_right = match &self.check {
            Check::List(digests) => {
                let given = Sha256::digest(&credentials);
                // All are compared, whichever it is.
                let found = digests.iter().fold(Choice::from(0), |found, digest| {
                    found | digest.ct_eq(given.as_slice())
                });
                found.into()
            }
            Check::Own(check) => check(name, password),
        };
        is_right.then(|| User(name.to_owned()))
    }
}

impl Layer for BasicAuth {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        match self.user(request.headers()) {
            Some(user) => {
                request.extensions_mut().insert(user);
                next.handle(request)
            }
            None => {
                let problem = Problem::new(StatusCode::UNAUTHORIZED);
                let mut response = problem.to_response(request.headers());
                let fields = response.headers_mut();
                fields.insert(WWW_AUTHENTICATE, self.challenge.clone());
                response
            }
        }
    }

    fn body_mode(&self, request: &Request, behind: BodyMode) -> BodyMode {
        // A check of the program's own may take long, or count, and is not asked twice.
        match credentials(request.headers()) {
            Some(_) => behind,
            None => BodyMode::HeadOnly,
        }
    }
}

/// What a request says of its user, in a form that can be right.
fn credentials(request: &HeaderMap) -> Option<String> {
    let mut lines = request.get_all(AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return None;
    };
    let (scheme, token) = line.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let credentials = String::from_utf8(STANDARD.decode(token.trim()).ok()?).ok()?;
    // They stand in logs and on pages.
    let is_sane = credentials.contains(':') && !credentials.contains(char::is_control);
    is_sane.then_some(credentials)
}

impl User {
    /// The name of who has sent this request; `None` if nobody has asked.
    #[must_use]
    pub fn of(request: &Request) -> Option<&str> {
        let user = request.extensions().get::<Self>();
        user.map(|user| user.0.as_str())
    }
}

#[cfg(feature = "router")]
impl<S> crate::web::extract::FromRequest<S> for User {
    fn from_request(
        call: &mut crate::web::extract::RequestContext<'_, S>,
    ) -> Result<Self, crate::web::extract::Rejection> {
        use crate::web::extract::{OptionalFromRequest as _, Rejection};

        Self::optional_from_request(call)?
            .ok_or_else(|| Rejection::new(StatusCode::FORBIDDEN, "nobody has said who this is"))
    }
}

/// Without the layer there is none.
#[cfg(feature = "router")]
impl<S> crate::web::extract::OptionalFromRequest<S> for User {
    fn optional_from_request(
        call: &mut crate::web::extract::RequestContext<'_, S>,
    ) -> Result<Option<Self>, crate::web::extract::Rejection> {
        Ok(call.request().extensions().get().cloned())
    }
}

/// What a client is told that has given nothing, or nothing right.
#[track_caller]
fn challenge(realm: &str) -> HeaderValue {
    let is_printable = |c: char| c == ' ' || c.is_ascii_graphic();
    assert!(
        realm.chars().all(is_printable),
        "the realm {realm:?} has other than printable ASCII characters"
    );
    let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
    let challenge = format!("Basic realm=\"{quoted}\", charset=\"UTF-8\"");
    HeaderValue::try_from(challenge).expect("all of it is printable")
}

/// Shows no passwords, not even their digests.
impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicAuth")
            .field("challenge", &self.challenge)
            .finish_non_exhaustive()
    }
}
