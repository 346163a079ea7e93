//! TLS as the flags say, and how clients come to use it.

use std::time::Duration;

use http::header::{HOST, HeaderMap, HeaderValue, LOCATION, STRICT_TRANSPORT_SECURITY};
use http::uri::{Authority, Scheme};
use http::{StatusCode, Uri};
use httpool::{
    ClientInfo, Handler, IntoResponse as _, ListenAddr, Problem, Request, Response, Server, Tls,
    http,
};

use super::cli::Args;
use super::value_parsers::Span;

/// The ports that addresses do not name.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// What of these flags lacks another one, if there may be sockets for TLS besides.
pub(crate) fn misuse(args: &Args, has_socket: bool) -> Option<&'static str> {
    let addresses = args
        .listen_tls
        .iter()
        .chain(&args.listen_tls_proxy_protocol);
    let listens = has_socket || addresses.count() > 0;
    // A proxy that speaks TLS is believed when it says so, and clients are sent on to it.
    let has_https = listens || !args.trusted_proxy.is_empty();
    if args.tls_cert.len() != args.tls_key.len() {
        Some("--tls-cert and --tls-key: give one key for each certificate")
    } else if args.tls_cert.is_empty() && !args.listen_tls.is_empty() {
        Some("--listen-tls: needs a --tls-cert and its --tls-key")
    } else if args.tls_cert.is_empty() && !args.listen_tls_proxy_protocol.is_empty() {
        Some("--listen-tls-proxy-protocol: needs a --tls-cert and its --tls-key")
    } else if args.tls_cert.is_empty() && has_socket {
        Some("a socket that was passed in for TLS needs a --tls-cert and its --tls-key")
    } else if !args.tls_cert.is_empty() && !listens {
        Some("--tls-cert: needs a --listen-tls address")
    } else if !args.tls_client_ca.is_empty() && !listens {
        Some("--tls-client-ca: needs a --listen-tls address")
    } else if !args.redirect_http.is_empty() && !has_https {
        Some(
            "--redirect-http: needs a --listen-tls, or the --trusted-proxy that speaks TLS instead",
        )
    } else {
        hsts_misuse(args).or((args.hsts.is_some() && !has_https).then_some(
            "--hsts: needs a --listen-tls, or the --trusted-proxy that speaks TLS instead",
        ))
    }
}

/// What the lists of browsers ask for: https://hstspreload.org.
const SHORTEST_PRELOAD: Duration = Duration::from_secs(365 * 24 * 60 * 60);

fn hsts_misuse(args: &Args) -> Option<&'static str> {
    let lasts = args.hsts.is_some_and(|Span(time)| time >= SHORTEST_PRELOAD);
    if args.hsts_preload && !(lasts && args.hsts_include_subdomains) {
        Some("--hsts-preload: needs --hsts 1y or longer, and --hsts-include-subdomains")
    } else if args.hsts_include_subdomains && args.hsts.is_none() {
        Some("--hsts-include-subdomains: needs --hsts")
    } else {
        None
    }
}

/// The certificates, and who needs one; none if nobody is to speak TLS.
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
    tls.map(Some).map_err(|error| format!("TLS: {error}"))
}

/// Tells those who came with https that they are to keep to it (RFC 6797).
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
    let value = HeaderValue::try_from(value).expect("it is ASCII");
    move |fields, origin| {
        if origin.scheme() == Some(&Scheme::HTTPS) {
            fields.insert(STRICT_TRANSPORT_SECURITY, value.clone());
        }
    }
}

/// Sends everyone on to the same address with https.
#[derive(Debug)]
pub(crate) struct Redirect {
    port: u16,
}

impl Redirect {
    /// To the port where this server speaks TLS, for clients that name one; whoever names none gets
    /// none, for the usual one may be passed on to another.
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
                .answer(request.headers());
        };
        let mut response = StatusCode::PERMANENT_REDIRECT.into_response();
        response.headers_mut().insert(LOCATION, location);
        response
    }
}

/// What is asked for on a server; all of it for the asterisk, which is no part of an address.
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
    fn clients_are_sent_on_to_where_they_wanted_to_go() {
        #[track_caller]
        fn check(target: &str, host: Option<&str>, expected: Option<&str>) {
            let mut request = Request::default();
            *request.uri_mut() = target.parse().expect("the target is one");
            if let Some(host) = host {
                let host = HeaderValue::from_str(host).expect("it is a value");
                request.headers_mut().insert(HOST, host);
            }
            let response = Redirect { port: 4443 }.handle(&mut request);
            let location = response.headers().get(LOCATION);
            let location = location.map(|value| value.to_str().expect("it is ASCII"));
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
