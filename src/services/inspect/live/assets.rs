//! The files of the page. They are a part of the program and need no build step.

use std::sync::LazyLock;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use http::{Response as HttpResponse, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::message::{Body, Html, IntoResponse, Problem, Response};
use crate::services::inspect::reflection::hexadecimal;

const INDEX: &str = concat!(
    include_str!("page/head.html"),
    include_str!("page/index.html")
);
const LOGIN: &str = concat!(
    include_str!("page/head.html"),
    include_str!("page/login.html")
);

/// The files of the page that asks for the token, which browsers load without it.
const OF_LOGIN: [&str; 3] = ["dom.js", "login.js", "page.css"];

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Browsers keep the files, and ask whether they have changed.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static str,
}

macro_rules! assets {
    ($($name:literal $content_type:ident)*) => {
        [$(Asset {
            name: $name,
            content_type: $content_type,
            content: include_str!(concat!("page/", $name)),
        }),*]
    };
}

static ASSETS: [Asset; 12] = assets! {
    "api.js" JS
    "body.js" JS
    "compare.js" JS
    "details.js" JS
    "dom.js" JS
    "inbox.js" JS
    "list.js" JS
    "login.js" JS
    "page.css" CSS
    "page.js" JS
    "store.js" JS
    "stream.js" JS
};

/// One tag for all files: they belong together.
static TAG: LazyLock<HeaderValue> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for asset in &ASSETS {
        digest.update(asset.content);
    }
    let digits = hexadecimal(&digest.finalize()[..8]);
    HeaderValue::try_from(format!("\"{digits}\"")).expect("digits in quotes are valid")
});

/// The page itself. It is the same for all addresses, and its script reads the address.
pub(super) fn index() -> Html<&'static str> {
    Html(INDEX)
}

/// The page that asks for the token.
pub(super) fn login() -> Html<&'static str> {
    Html(LOGIN)
}

/// Whether this path is that of a file which needs no token.
pub(super) fn is_of_login(path: &str) -> bool {
    let name = path.strip_prefix("/inspect/assets/");
    name.is_some_and(|name| OF_LOGIN.contains(&name))
}

/// A file of the page.
pub(super) fn asset(name: &str, request: &HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return Problem::new(StatusCode::NOT_FOUND).to_response(request);
    };
    let known = request.get_all(IF_NONE_MATCH).iter();
    let is_known = known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim().trim_start_matches("W/").as_bytes() == TAG.as_bytes());
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => HttpResponse::new(Body::from(asset.content.as_bytes())),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(CACHE_CONTROL, REVALIDATE);
    headers.insert(ETAG, TAG.clone());
    response
}
