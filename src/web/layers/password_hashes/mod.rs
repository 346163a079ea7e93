//! Users with hashes of their passwords.

mod cache;
mod file;
mod hash;
mod limit;

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Instant;

use http::{HeaderMap, StatusCode};

use self::cache::Cache;
pub use self::file::PasswordFileError;
use self::file::Source;
use self::hash::Hash;
use self::limit::Limit;
use crate::message::problem::try_again;
use crate::message::{IntoResponse, Problem, Response};

/// Users with hashes of their passwords, from a file as `htpasswd` makes it. [`BasicAuth`] can ask for
/// them, and so can the function behind a login form.
///
/// [`BasicAuth`]: super::BasicAuth
///
/// ```
/// use httpool::layers::{BasicAuth, PasswordHashes};
/// use httpool::testing::Client;
/// use httpool::{Layered, Request};
///
/// // The password is `lovelace`. `htpasswd -nBC 10 ada` prints such a line.
/// let line = "ada:$2y$04$abcdefghijklmnopqrstuuhiTVLHQPvYzPykOsCOnc5I00eOfh33K";
/// let hashes = PasswordHashes::parse(line)?;
/// let auth = BasicAuth::hashed("Library", hashes);
/// let client = Client::new(Layered::new(|_: Request| "hello").layer(auth));
/// let request = client.get("/").header("authorization", "Basic YWRhOmxvdmVsYWNl");
/// assert_eq!(request.send().text(), "hello");
/// # Ok::<(), httpool::layers::PasswordFileError>(())
/// ```
///
/// # The file
///
/// Each line is `name:hash`. Empty lines and lines that begin with `#` are ignored. A hash is one of
///
/// * bcrypt (`$2y$`, `$2b$` or `$2a$`), as `htpasswd -B` makes it. It uses the first 72 bytes of a
///   password.
/// * Argon2 (`$argon2id$`, `$argon2i$` or `$argon2d$`) in the PHC string format, for example as the
///   command `argon2` prints it with `-e`.
///
/// Hashes that are too weak (MD5, SHA-1, the traditional crypt) and other lines are errors that name the
/// file and the line. [`open`](Self::open) reads the file again when it changes.
///
/// # Cost
///
/// To check a password takes a core for a while on purpose: 50 ms for bcrypt with a cost of 10, and with
/// Argon2 memory, too. Therefore
///
/// * a name and password that were right are remembered for ten minutes, as a keyed hash (HMAC-SHA-256
///   with a random key), for up to 1024 pairs. A change of the user's hash ends that at once.
/// * only a [number of checks](Self::max_verifications) run at the same time, so that guesses can't
///   occupy all workers. Further ones get a 503 with `Retry-After` at once. Remembered users are not
///   affected.
///
/// An unknown name takes as long as a known one with a wrong password: the password is compared with
/// the hash of a user, and refused. If the hashes of a file have different costs, response times tell
/// which ones have the same cost. A [`RateLimit`](super) slows down guesses.
pub struct PasswordHashes {
    source: Source,
    cache: Cache,
    limit: Limit,
    /// Chooses a hash for each unknown name.
    decoy: RandomState,
}

/// The users of one state of a file.
#[derive(Debug, Default)]
struct Users {
    hashes: Vec<Hash>,
    by_name: HashMap<Box<str>, usize>,
}

/// Too many passwords are checked at the moment. As a response it is a 503 with `Retry-After`.
///
/// ```
/// use httpool::layers::{PasswordHashes, TooManyVerifications};
///
/// fn log_in(users: &PasswordHashes) -> Result<&'static str, TooManyVerifications> {
///     Ok(if users.verify("ada", "lovelace")? { "welcome" } else { "try again" })
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooManyVerifications;

impl PasswordHashes {
    /// Reads a file, and reads it again when it has changed, at most once per second. If the new content
    /// has an error, it is logged, and the users stay as they were.
    ///
    /// ```no_run
    /// use httpool::layers::{BasicAuth, PasswordHashes};
    ///
    /// let auth = BasicAuth::hashed("Library", PasswordHashes::open("/etc/library/users")?);
    /// # Ok::<(), httpool::layers::PasswordFileError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the file can't be read, or has an invalid line.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PasswordFileError> {
        Source::open(path.as_ref()).map(Self::new)
    }

    /// Reads users from text with the same lines as a file.
    ///
    /// ```
    /// use httpool::layers::PasswordHashes;
    ///
    /// let error = PasswordHashes::parse("# users\nada:lovelace\n").expect_err("it is no hash");
    /// assert!(error.to_string().starts_with("line 2: "), "{error}");
    /// ```
    ///
    /// # Errors
    ///
    /// If a line is invalid.
    pub fn parse(text: &str) -> Result<Self, PasswordFileError> {
        let users = file::parse(text.as_bytes());
        users.map(Source::fixed).map(Self::new)
    }

    /// Reads the file again at once, for example when a signal asks for it. Users from text stay as they
    /// are.
    ///
    /// ```no_run
    /// use httpool::layers::PasswordHashes;
    ///
    /// let users = PasswordHashes::open("/etc/library/users")?;
    /// if let Err(error) = users.reload() {
    ///     eprintln!("the old users stay: {error}");
    /// }
    /// # Ok::<(), httpool::layers::PasswordFileError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the file can't be read, or has an invalid line. The users stay as they were.
    pub fn reload(&self) -> Result<(), PasswordFileError> {
        self.source.reload()
    }

    /// Whether there are no users. Then every login fails.
    ///
    /// ```
    /// use httpool::layers::PasswordHashes;
    ///
    /// let users = PasswordHashes::parse("# no users yet")?;
    /// assert!(users.is_empty());
    /// # Ok::<(), httpool::layers::PasswordFileError>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.source.users(Instant::now()).hashes.is_empty()
    }

    fn new(source: Source) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self {
            source,
            cache: Cache::new(),
            limit: Limit::new(cores),
            decoy: RandomState::new(),
        }
    }

    /// Sets how many passwords are checked at the same time. The default is the number of cores. With
    /// fewer workers than twice this number, half of the workers is a good value.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn max_verifications(mut self, count: usize) -> Self {
        assert!(
            count > 0,
            "the number of verifications must be greater than zero"
        );
        self.limit = Limit::new(count);
        self
    }

    /// Whether this is the password of the user with this name.
    ///
    /// # Errors
    ///
    /// If too many other passwords are checked at the moment. Nothing was compared.
    pub fn verify(&self, name: &str, password: &str) -> Result<bool, TooManyVerifications> {
        let now = Instant::now();
        let users = self.source.users(now);
        let known = users.by_name.get(name).copied();
        let Some(hash) = users
            .hashes
            .get(known.unwrap_or_else(|| self.decoy(name, &users)))
        else {
            // There are no users, and no names to reveal.
            return Ok(false);
        };
        let entry = self.cache.entry(hash, password);
        if known.is_some() && self.cache.contains(&entry, now) {
            return Ok(true);
        }
        let permit = self.limit.enter().ok_or(TooManyVerifications)?;
        let is_right = hash.verify(password);
        drop(permit);
        let is_valid = is_right && known.is_some();
        if is_valid {
            self.cache.insert(entry, Instant::now());
        }
        Ok(is_valid)
    }

    /// The user whose hash is compared for an unknown name. It is always the same for a name, so that the
    /// time that it takes does not differ from that of a user.
    fn decoy(&self, name: &str, users: &Users) -> usize {
        let count = users.hashes.len().max(1) as u64;
        (self.decoy.hash_one(name) % count) as usize
    }
}

impl fmt::Display for TooManyVerifications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many passwords are checked at the moment")
    }
}

impl Error for TooManyVerifications {}

impl TooManyVerifications {
    fn problem(self) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE).detail(self.to_string())
    }

    pub(super) fn to_response(self, request: &HeaderMap) -> Response {
        try_again(self.problem().to_response(request))
    }
}

impl IntoResponse for TooManyVerifications {
    fn into_response(self) -> Response {
        try_again(self.problem().into_response())
    }
}

/// Shows no names and no hashes.
impl fmt::Debug for PasswordHashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHashes").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "\
        ada:$2y$04$abcdefghijklmnopqrstuuhiTVLHQPvYzPykOsCOnc5I00eOfh33K\n\
        grace:$2a$04$abcdefghijklmnopqrstuusbOCNW3VIzDW4ckvmlDBJU5.wgUnpPS\n";

    fn hashes() -> PasswordHashes {
        PasswordHashes::parse(USERS).expect("the users are valid")
    }

    #[test]
    fn names_have_their_own_passwords() {
        let hashes = hashes();
        for _ in 0..2 {
            assert_eq!(hashes.verify("ada", "lovelace"), Ok(true));
            assert_eq!(hashes.verify("grace", "grace"), Ok(true));
            for (name, password) in [
                ("ada", "grace"),
                ("ada", "Lovelace"),
                ("ada", ""),
                ("Ada", "lovelace"),
                ("", "lovelace"),
                ("eva", "lovelace"),
                ("eva", "grace"),
            ] {
                assert_eq!(hashes.verify(name, password), Ok(false), "{name}");
            }
        }
        let nobody = PasswordHashes::parse("").expect("there may be no users");
        assert_eq!(nobody.verify("ada", "lovelace"), Ok(false));
    }

    #[test]
    fn remembered_users_need_no_permit() {
        let hashes = hashes().max_verifications(1);
        assert_eq!(hashes.verify("ada", "lovelace"), Ok(true));
        let permit = hashes.limit.enter();
        assert!(permit.is_some());
        assert_eq!(hashes.verify("ada", "lovelace"), Ok(true));
        for (name, password) in [("ada", "wrong"), ("grace", "grace"), ("eva", "lovelace")] {
            assert_eq!(hashes.verify(name, password), Err(TooManyVerifications));
        }
        drop(permit);
        assert_eq!(hashes.verify("grace", "grace"), Ok(true));
    }

    #[test]
    fn layer_answers_503_if_too_many_passwords_are_checked() {
        use std::sync::Arc;

        use super::super::BasicAuth;
        use crate::message::{Handler as _, Request};
        use crate::web::Layered;

        let hashes = Arc::new(hashes().max_verifications(1));
        let auth = BasicAuth::hashed("Library", Arc::clone(&hashes));
        let handler = Layered::new(|_: Request| "hello").layer(auth);
        let ask = || {
            let request = http::Request::get("/").header("authorization", "Basic YWRhOmxvdmVsYWNl");
            let mut request = request.body(Default::default()).expect("it is valid");
            handler.handle(&mut request)
        };
        let permit = hashes.limit.enter();
        let response = ask();
        assert_eq!(
            (
                response.status().as_u16(),
                &response.headers()["retry-after"]
            ),
            (503, &"1".parse().expect("valid"))
        );
        drop(permit);
        assert_eq!(ask().status(), 200);
    }

    #[test]
    fn unknown_name_has_one_decoy() {
        let (hashes, users) = (
            hashes(),
            file::parse(USERS.as_bytes()).expect("it is valid"),
        );
        let mut seen = [0; 2];
        for number in 0..100 {
            let name = format!("user{number}");
            let decoy = hashes.decoy(&name, &users);
            assert_eq!(decoy, hashes.decoy(&name, &users));
            seen[decoy] += 1;
        }
        assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    }
}
