//! The layers of a site, and their order.
//!
//! From the outside to the inside, which is the order in which they see a request:
//!
//! 1. `--header` changes every response, also those of the layers below and of the server.
//! 2. `--security-headers` adds to them what they do not have.
//! 3. `--cors` responds to preflights itself: browsers send them without credentials. A page can read
//!    the responses of all layers below.
//! 4. `--rate-limit` counts requests before a password is checked, so that each guess counts.
//! 5. `--auth-file` lets authenticated users pass.
//! 6. `--compress` compresses what the folder, the inspector or the echo sends.

use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use httpool::http::Method;
use httpool::http::header::{
    ACCEPT_RANGES, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, LOCATION, RANGE,
};
use httpool::layers::{
    BasicAuth, Compression, Cors, PasswordHashes, RateLimit, SecurityHeaders, SetHeaders,
};
use httpool::{Handler, Layer, Layered};

use super::super::cli::Args;
use super::rate::Rate;

/// What browsers show when they ask for a password.
const REALM: &str = "httpool";

/// The name of the limit in the headers that clients read.
const LIMIT: &str = "client";

/// The layers that flags ask for.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    headers: Option<SetHeaders>,
    security: Option<SecurityHeaders>,
    cors: Option<Cors>,
    limit: Option<RateLimit>,
    users: Option<Arc<PasswordHashes>>,
    compression: Option<Compression>,
}

impl Layers {
    pub(super) fn open(args: &Args) -> Result<Self, String> {
        let users = args
            .auth_file
            .as_deref()
            .map(|path| users(path, args.workers));
        Ok(Self {
            headers: headers(args),
            security: args.security_headers.then(SecurityHeaders::new),
            cors: cors(args),
            limit: args.rate_limit.map(limit),
            users: users.transpose()?.map(Arc::new),
            compression: args.compress.then(Compression::new),
        })
    }

    pub(super) fn users(&self) -> Option<&Arc<PasswordHashes>> {
        self.users.as_ref()
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(
            self,
            Self {
                headers: None,
                security: None,
                cors: None,
                limit: None,
                users: None,
                compression: None,
            }
        )
    }

    /// Puts the layers around the handler. Without layers it stays as it is.
    pub(super) fn around<H: Handler>(self, handler: H) -> Arc<dyn Handler> {
        if self.is_empty() {
            return Arc::new(handler);
        }
        let auth = self.users.map(|users| BasicAuth::hashed(REALM, users));
        let layered = Layered::new(handler);
        let layered = add(layered, self.headers);
        let layered = add(layered, self.security);
        let layered = add(layered, self.cors);
        let layered = add(layered, self.limit);
        let layered = add(layered, auth);
        Arc::new(add(layered, self.compression))
    }
}

/// Adds a layer inside the others, if there is one.
fn add<H>(layered: Layered<H>, layer: Option<impl Layer>) -> Layered<H> {
    match layer {
        Some(layer) => layered.layer(layer),
        None => layered,
    }
}

fn headers(args: &Args) -> Option<SetHeaders> {
    let rules = args.header.iter();
    let layer = rules.fold(SetHeaders::new(), |layer, rule| rule.add(layer));
    (!args.header.is_empty()).then_some(layer)
}

fn limit(Rate { requests, time }: Rate) -> RateLimit {
    RateLimit::new(requests, time).headers(LIMIT)
}

/// Reads the users. Half of the workers stay free while passwords are checked.
fn users(path: &Path, workers: usize) -> Result<PasswordHashes, String> {
    let users = PasswordHashes::open(path).map_err(|error| format!("--auth-file {error}"))?;
    if users.is_empty() {
        let path = path.display();
        log::warn!("--auth-file {path}: the file has no users, so every request gets a 401");
    }
    let cores = available_parallelism().map_or(1, usize::from);
    Ok(users.max_verifications(cores.min(workers / 2).max(1)))
}

/// The headers of responses that a page may read, beside those that it can read of any response.
const EXPOSED: [HeaderName; 8] = [
    ACCEPT_RANGES,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_RANGE,
    ETAG,
    LOCATION,
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
];

/// The headers of requests that need permission.
const ALLOWED: [HeaderName; 8] = [
    AUTHORIZATION,
    CONTENT_TYPE,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    RANGE,
];

/// How long browsers remember what a preflight allows.
const PREFLIGHT_AGE: Duration = Duration::from_secs(10 * 60);

/// Pages of listed origins may send any request, also with credentials. All others may only read,
/// except from the inspector, which is there to show any request.
fn cors(args: &Args) -> Option<Cors> {
    let origins = || args.cors.iter().map(String::as_str);
    let all_methods = [Method::PUT, Method::PATCH, Method::DELETE];
    let cors = match args.cors.is_empty() {
        true => return None,
        false if origins().any(|origin| origin == "*") && args.inspect => {
            Cors::any_origin().methods(all_methods)
        }
        false if origins().any(|origin| origin == "*") => Cors::any_origin(),
        false => Cors::allow_origins(origins())
            .credentials()
            .methods(all_methods),
    };
    Some(
        cors.allow_headers(ALLOWED)
            .expose_headers(EXPOSED)
            .max_age(PREFLIGHT_AGE),
    )
}
