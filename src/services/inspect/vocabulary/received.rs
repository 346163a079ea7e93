//! The parts of a request that httpbin's documents show.

use bytes::Bytes;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Uri};

use crate::message::{ClientInfo, RawRequest, Request};
use crate::web::extract::{FromRequest, Rejection, RequestContext};

/// The parts of a request.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    client: Option<ClientInfo>,
    raw: Option<RawRequest>,
}

impl Received {
    fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            body: request.body().to_bytes(),
            client: ClientInfo::of(request).cloned(),
            raw: RawRequest::of(request).cloned(),
        }
    }

    /// The address of the client, as the trusted proxies name it.
    pub(super) fn origin(&self) -> String {
        let address = self.client.as_ref().and_then(ClientInfo::client);
        match address {
            Some(address) => address
                .ip()
                .map_or_else(|| address.to_string(), |ip| ip.to_string()),
            None => "unknown".to_owned(),
        }
    }

    /// The scheme that the client used.
    pub(super) fn scheme(&self) -> &str {
        let scheme = self.client.as_ref().and_then(ClientInfo::scheme);
        scheme.map_or("http", Scheme::as_str)
    }

    /// The host that the client asked for.
    pub(super) fn host(&self) -> String {
        let host = self.headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = self.uri.authority().map(Authority::as_str);
        host.or(authority).unwrap_or("localhost").to_owned()
    }

    /// The URL that the client asked for.
    pub(super) fn url(&self) -> String {
        format!(
            "{}://{}{}",
            self.scheme(),
            self.host(),
            self.path_and_query()
        )
    }

    /// The path and the query as they were understood.
    pub(super) fn path_and_query(&self) -> &str {
        self.uri.path_and_query().map_or("/", PathAndQuery::as_str)
    }

    /// The target as it was sent.
    pub(super) fn target(&self) -> String {
        let line = self
            .raw
            .as_ref()
            .map(RawRequest::request_line)
            .unwrap_or_default();
        let target = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        String::from_utf8_lossy(target).into_owned()
    }
}

impl<S> FromRequest<S> for Received {
    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        Ok(Self::of(context.request()))
    }
}
