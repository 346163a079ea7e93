//! The welcome page for browsers.

use http::header::HOST;
use http::uri::Scheme;

use crate::message::problem::html_page::HtmlPage;
use crate::message::{ClientInfo, Request};

/// The host of the example if that of the request could mean something to a shell.
const OTHER_HOST: &str = "localhost:4000";

/// A page that says what the server does, with an example for this address.
pub(super) fn html(request: &Request) -> String {
    let mut page = HtmlPage::new("Welcome to my Server");
    page.markup("<h1>Welcome to my Server</h1>\n");
    page.markup(
        "<p>This is httpool, an HTTP server that echoes. The response to a POST is the content of \
         the request with its content type, on every path. Try it in a terminal:</p>\n",
    );
    page.markup("<kbd>curl -H &#39;content-type: application/json&#39; -d &#39;");
    page.text("{\"hello\": \"world\"}");
    page.markup("&#39; ");
    page.text(scheme(request));
    page.markup("://");
    page.text(host(request));
    page.markup("/</kbd>\n");
    page.markup(
        "<p>A GET gets this page. <a href=\"?origin\">?origin</a> shows the address of the client, \
         as the server sees it.</p>\n\
         <p>To serve a folder instead, start the server with it:</p>\n<kbd>httpool public</kbd>\n",
    );
    page.finish()
}

fn scheme(request: &Request) -> &'static str {
    match ClientInfo::of(request).and_then(ClientInfo::scheme) {
        Some(scheme) if *scheme == Scheme::HTTPS => "https",
        _ => "http",
    }
}

/// The host that the client used. Users copy the example, so it contains no character that is special
/// in a shell.
fn host(request: &Request) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let host = request.headers().get(HOST);
    host.and_then(|host| host.to_str().ok())
        .filter(|host| !host.is_empty() && host.bytes().all(is_plain))
        .unwrap_or(OTHER_HOST)
}
