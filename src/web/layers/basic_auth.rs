//! Basic authentication (RFC 7617).

use std::fmt;
#[cfg(feature = "password-hashes")]
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

#[cfg(feature = "password-hashes")]
use super::password_hashes::{PasswordHashes, TooManyVerifications};
use crate::message::user_name::UserName;
use crate::message::{BodyMode, Problem, Request, Response};
use crate::web::{Layer, Next};

/// Requires a name and a password (Basic authentication, RFC 7617). Other requests get a
/// 401, and browsers then ask their users for a password.
///
/// ```
/// use httpool::http::{self, StatusCode};
/// use httpool::layers::{BasicAuth, User};
/// use httpool::{Handler, Layered, Request};
///
/// fn greet(request: Request) -> String {
///     format!("hello, {}", User::of(&request).unwrap_or("stranger"))
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
/// Names and passwords are sent unencrypted: use this layer only over TLS. Comparing with the list
/// takes constant time, so response times reveal nothing about it. A [check of your
/// own](Self::checked_by) has to ensure that itself. With the feature `password-hashes`, the program
/// needs no passwords, only their hashes.
pub struct BasicAuth {
    challenge: HeaderValue,
    check: Check,
}

/// The name of a user that [`BasicAuth`] has authenticated. As an argument of a route's function it
/// needs that layer around the function; without the layer the response is 403.
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
    /// The digest of each name and password: values of one length can be compared in constant time.
    List(Vec<[u8; 32]>),
    #[cfg(feature = "password-hashes")]
    Hashes(Arc<PasswordHashes>),
    Custom(Box<CustomCheck>),
}

/// Why a request is not handled.
enum Refusal {
    /// The client must ask its user.
    Challenge,
    #[cfg(feature = "password-hashes")]
    Busy(TooManyVerifications),
}

type CustomCheck = dyn Fn(&str, &str) -> bool + Send + Sync;

impl BasicAuth {
    /// Accepts users with these names and passwords. Browsers show the realm when they ask for a
    /// password.
    ///
    /// # Panics
    ///
    /// If the realm has characters other than printable ASCII, or if a name has a colon.
    #[must_use]
    #[track_caller]
    pub fn of<'u>(realm: &str, users: impl IntoIterator<Item = (&'u str, &'u str)>) -> Self {
        let digests = users.into_iter().map(|(name, password)| {
            assert!(
                !name.contains(':'),
                "the name {name:?} must not contain a colon"
            );
            Sha256::digest(format!("{name}:{password}")).into()
        });
        Self {
            challenge: challenge(realm),
            check: Check::List(digests.collect()),
        }
    }

    /// Accepts users whose passwords have these hashes. If too many passwords are checked at the moment,
    /// the response is a 503 with `Retry-After`.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use httpool::layers::{BasicAuth, PasswordHashes};
    ///
    /// let line = "ada:$2y$04$abcdefghijklmnopqrstuuhiTVLHQPvYzPykOsCOnc5I00eOfh33K";
    /// let users = Arc::new(PasswordHashes::parse(line)?);
    /// let auth = BasicAuth::hashed("Library", Arc::clone(&users));
    /// # Ok::<(), httpool::layers::PasswordFileError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the realm has characters other than printable ASCII.
    #[cfg(feature = "password-hashes")]
    #[must_use]
    #[track_caller]
    pub fn hashed(realm: &str, users: impl Into<Arc<PasswordHashes>>) -> Self {
        Self {
            challenge: challenge(realm),
            check: Check::Hashes(users.into()),
        }
    }

    /// Accepts users whose name and password pass a check.
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
    /// If the realm has characters other than printable ASCII.
    #[must_use]
    #[track_caller]
    pub fn checked_by(
        realm: &str,
        check: impl Fn(&str, &str) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            challenge: challenge(realm),
            check: Check::Custom(Box::new(check)),
        }
    }

    /// The user that these headers authenticate.
    fn user(&self, request: &HeaderMap) -> Result<User, Refusal> {
        let credentials = credentials(request).ok_or(Refusal::Challenge)?;
        let (name, password) = credentials.split_once(':').ok_or(Refusal::Challenge)?;
        let is_valid = match &self.check {
            Check::List(digests) => {
                let given = Sha256::digest(&credentials);
                // Every digest is compared, so that the time does not depend on the match.
                let found = digests.iter().fold(Choice::from(0), |found, digest| {
                    found | digest.ct_eq(given.as_slice())
                });
                found.into()
            }
            #[cfg(feature = "password-hashes")]
            Check::Hashes(users) => users.verify(name, password).map_err(Refusal::Busy)?,
            Check::Custom(check) => check(name, password),
        };
        match is_valid {
            true => Ok(User(name.to_owned())),
            false => Err(Refusal::Challenge),
        }
    }
}

impl Layer for BasicAuth {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        match self.user(request.headers()) {
            Ok(user) => {
                // A handler may take the request, and the log has the name, too.
                let name = UserName::new(&user.0);
                request.extensions_mut().insert(user);
                let mut response = next.handle(request);
                name.attach(&mut response);
                response
            }
            #[cfg(feature = "password-hashes")]
            Err(Refusal::Busy(busy)) => busy.to_response(request.headers()),
            Err(Refusal::Challenge) => {
                let problem = Problem::new(StatusCode::UNAUTHORIZED);
                let mut response = problem.to_response(request.headers());
                let headers = response.headers_mut();
                headers.insert(WWW_AUTHENTICATE, self.challenge.clone());
                response
            }
        }
    }

    fn body_mode(&self, request: &Request, behind: BodyMode) -> BodyMode {
        // A check of the program may be slow or count attempts, so it runs only once, in `handle`.
        match credentials(request.headers()) {
            Some(_) => behind,
            None => BodyMode::HeadOnly,
        }
    }
}

/// The well-formed credentials of a request, decoded: a name, a colon and a password.
pub(crate) fn credentials(request: &HeaderMap) -> Option<String> {
    let mut lines = request.get_all(AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return None;
    };
    let (scheme, token) = line.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let credentials = String::from_utf8(STANDARD.decode(token.trim()).ok()?).ok()?;
    // Control characters are rejected, because names appear in logs and on pages.
    let is_well_formed = credentials.contains(':') && !credentials.contains(char::is_control);
    is_well_formed.then_some(credentials)
}

impl User {
    /// The name of the user that sent this request. `None` if no [`BasicAuth`] is around the
    /// handler.
    #[must_use]
    pub fn of(request: &Request) -> Option<&str> {
        let user = request.extensions().get::<Self>();
        user.map(|user| user.0.as_str())
    }
}

#[cfg(feature = "router")]
impl<S> crate::web::extract::FromRequest<S> for User {
    fn from_request(
        context: &mut crate::web::extract::RequestContext<'_, S>,
    ) -> Result<Self, crate::web::extract::Rejection> {
        use crate::web::extract::{OptionalFromRequest as _, Rejection};

        Self::optional_from_request(context)?
            .ok_or_else(|| Rejection::new(StatusCode::FORBIDDEN, "the user is not authenticated"))
    }
}

/// `None` without the layer.
#[cfg(feature = "router")]
impl<S> crate::web::extract::OptionalFromRequest<S> for User {
    fn optional_from_request(
        context: &mut crate::web::extract::RequestContext<'_, S>,
    ) -> Result<Option<Self>, crate::web::extract::Rejection> {
        Ok(context.request().extensions().get().cloned())
    }
}

/// The value of `WWW-Authenticate`.
#[track_caller]
fn challenge(realm: &str) -> HeaderValue {
    let is_printable = |c: char| c == ' ' || c.is_ascii_graphic();
    assert!(
        realm.chars().all(is_printable),
        "the realm {realm:?} must be printable ASCII"
    );
    let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
    let challenge = format!("Basic realm=\"{quoted}\", charset=\"UTF-8\"");
    HeaderValue::try_from(challenge).expect("the realm is printable ASCII")
}

/// Hides the passwords, even their digests.
impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicAuth")
            .field("challenge", &self.challenge)
            .finish_non_exhaustive()
    }
}
