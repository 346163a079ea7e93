//! TLS settings from flags, `Strict-Transport-Security`, and the redirect to https.

use http::header::{HOST, HeaderMap, HeaderValue, LOCATION, STRICT_TRANSPORT_SECURITY};
use http::uri::{Authority, Scheme};
use http::{StatusCode, Uri};
use httpool::{
    ClientInfo, Handler, IntoResponse as _, ListenAddr, Problem, Request, Response, Server, Tls,
    TlsError, http,
};

use super::cli::Args;
use super::value_parsers::Span;

/// The default ports of http and https.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// Reads the certificates and keys. `None` if there is no TLS.
pub(crate) fn tls(args: &Args) -> Result<Option<Tls>, String> {
    if args.tls_cert.is_empty() {
        return Ok(None);
    }
    let builder = (args.tls_cert.iter().zip(&args.tls_key))
        .fold(Tls::builder(), |builder, (chain, key)| {
            builder.certificate_files(chain, key)
        })
        .client_certificates(args.tls_client_auth.map(Into::into).unwrap_or_default());
    let builder = (args.tls_client_ca.iter()).fold(builder, |builder, authorities| {
        builder.client_authorities_file(authorities)
    });
    let tls = builder.build();
    tls.map(Some).map_err(|error| tls_error(args, &error))
}

/// Names the flags of the file in which something is wrong. The error itself names the file.
fn tls_error(args: &Args, error: &TlsError) -> String {
    let flags: Vec<&str> = [
        ("--tls-cert", &args.tls_cert),
        ("--tls-key", &args.tls_key),
        ("--tls-client-ca", &args.tls_client_ca),
    ]
    .into_iter()
    .filter(|(_, paths)| {
        paths
            .iter()
            .any(|path| Some(path.as_path()) == error.file())
    })
    .map(|(flag, _)| flag)
    .collect();
    match flags.is_empty() {
        true => format!("cannot set up TLS: {error}"),
        false => format!("{} {error}", flags.join(" and ")),
    }
}

/// Sets `Strict-Transport-Security` in responses over https (RFC 6797).
pub(crate) fn hsts(
    args: &Args,
    Span(time): Span,
) -> impl Fn(&mut HeaderMap, &ClientInfo) + Send + Sync + 'static {
    let subdomains = match args.hsts_include_subdomains {
        true => "; includeSubDomains",
        false => "",
    };
    let preload = if args.hsts_preload { "; preload" } else { "" };
    let value = format!("max-age={}{subdomains}{preload}", time.as_secs());
    let value = HeaderValue::try_from(value).expect("the value is ASCII");
    move |headers, client_info| {
        if client_info.scheme() == Some(&Scheme::HTTPS) {
            headers.insert(STRICT_TRANSPORT_SECURITY, value.clone());
        }
    }
}

/// Redirects every request to the same address with https.
#[derive(Debug)]
pub(crate) struct Redirect {
    port: u16,
}

impl Redirect {
    /// Redirects to the first TLS port of this server if the client's `Host` has a port. Without
    /// one, the location has none either: a proxy or firewall may forward the default port to this
    /// server.
    pub(crate) fn to(server: &Server) -> Self {
        let port = server.tls_addrs().find_map(|address| match address {
            ListenAddr::Tcp { port, .. } => Some(*port),
            _ => None,
        });
        Self {
            port: port.unwrap_or(HTTPS),
        }
    }

    fn location(&self, request: &Request) -> Option<HeaderValue> {
        let authority = match request.uri().authority() {
            Some(authority) => authority.clone(),
            None => Authority::try_from(request.headers().get(HOST)?.as_bytes()).ok()?,
        };
        let names_port = authority.port_u16().is_some_and(|port| port != HTTP);
        let port = match self.port {
            port if names_port && port != HTTPS => format!(":{port}"),
            _ => String::new(),
        };
        let target = target(request.uri());
        HeaderValue::try_from(format!("https://{}{port}{target}", authority.host())).ok()
    }
}

impl Handler for Redirect {
    fn handle(&self, request: &mut Request) -> Response {
        let Some(location) = self.location(request) else {
            return Problem::new(StatusCode::BAD_REQUEST)
                .detail("a redirect to https needs a Host header")
                .to_response(request.headers());
        };
        let mut response = StatusCode::PERMANENT_REDIRECT.into_response();
        response.headers_mut().insert(LOCATION, location);
        response
    }

    fn may_upgrade(&self) -> bool {
        false
    }
}

/// The path and query of a request. `OPTIONS *` has none, and the redirect leads to `/`.
fn target(uri: &Uri) -> &str {
    match uri.path_and_query() {
        Some(target) if target.as_str().starts_with('/') => target.as_str(),
        _ => "/",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_keeps_host_path_and_query() {
        #[track_caller]
        fn check(target: &str, host: Option<&str>, expected: Option<&str>) {
            let mut request = Request::default();
            *request.uri_mut() = target.parse().expect("the target is valid");
            if let Some(host) = host {
                let host = HeaderValue::from_str(host).expect("the host is a header value");
                request.headers_mut().insert(HOST, host);
            }
            let response = Redirect { port: 4443 }.handle(&mut request);
            let location = response.headers().get(LOCATION);
            let location = location.map(|value| value.to_str().expect("the location is ASCII"));
            assert_eq!(location, expected, "{target} {host:?}");
            let status = if expected.is_some() { 308 } else { 400 };
            assert_eq!(response.status(), status, "{target} {host:?}");
        }
        check(
            "/a?b=c",
            Some("example.org"),
            Some("https://example.org/a?b=c"),
        );
        check("/", Some("example.org:80"), Some("https://example.org/"));
        check("/", Some("localhost:4000"), Some("https://localhost:4443/"));
        check("/", Some("[::1]:4000"), Some("https://[::1]:4443/"));
        check(
            "//other.org",
            Some("example.org"),
            Some("https://example.org//other.org"),
        );
        check("*", Some("example.org"), Some("https://example.org/"));
        check("http://example.org/a", None, Some("https://example.org/a"));
        check("/", None, None);
        check("/", Some(""), None);
        check("/", Some("a b"), None);
    }
}
