//! The layers of a site, and their order.
//!
//! From the outside to the inside, which is the order in which they see a request:
//!
//! 1. `--security-headers` adds headers to every response, also to those of the layers below.
//! 2. `--cors` responds to preflights itself: browsers send them without credentials. A page can read
//!    the responses of all layers below.

use std::sync::Arc;
use std::time::Duration;

use httpool::http::Method;
use httpool::http::header::{
    ACCEPT_RANGES, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, LOCATION, RANGE,
};
use httpool::layers::{Cors, SecurityHeaders};
use httpool::{Handler, Layered};

use super::super::cli::Args;

/// The layers that flags ask for.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    security: Option<SecurityHeaders>,
    cors: Option<Cors>,
}

impl Layers {
    pub(super) fn open(args: &Args) -> Result<Self, String> {
        Ok(Self {
            security: args.security_headers.then(SecurityHeaders::new),
            cors: cors(args),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(
            self,
            Self {
                security: None,
                cors: None,
            }
        )
    }

    /// Puts the layers around the handler. Without layers it stays as it is.
    pub(super) fn around<H: Handler>(self, handler: H) -> Arc<dyn Handler> {
        if self.is_empty() {
            return Arc::new(handler);
        }
        let mut layered = Layered::new(handler);
        if let Some(layer) = self.security {
            layered = layered.layer(layer);
        }
        if let Some(layer) = self.cors {
            layered = layered.layer(layer);
        }
        Arc::new(layered)
    }
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
