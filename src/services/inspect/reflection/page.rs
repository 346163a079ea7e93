//! The page about a request, for browsers.

use super::content::Summary;
use super::target::Target;
use crate::message::problem::html_page::HtmlPage;
use crate::services::inspect::captured::Captured;

/// The request as text in sections. The JSON document has the rest.
pub(super) fn page(captured: &Captured) -> String {
    let target = Target::of(captured.target());
    let title = format!("{} {}", captured.method(), target.path);
    let mut page = HtmlPage::new(&title);
    page.markup("<h1>");
    page.text(&title);
    page.markup("</h1>\n<p>");
    page.text(&summary(captured));
    page.markup(
        "</p>\n<p><a href=\"?format=json\">as JSON</a> \
         <a href=\"?format=http\">as sent</a></p>\n",
    );
    section(
        "Head",
        &String::from_utf8_lossy(captured.raw.head()),
        &mut page,
    );
    if !captured.body.is_empty() {
        section("Body", &Summary::of(&captured.body).to_string(), &mut page);
    }
    let chunks = String::from_utf8_lossy(captured.raw.chunk_section());
    if !chunks.is_empty() {
        section("Chunk lines", &chunks, &mut page);
    }
    let trailers = String::from_utf8_lossy(captured.raw.trailer_section());
    if !trailers.is_empty() {
        section("Trailers", &trailers, &mut page);
    }
    let connection = serde_json::to_string_pretty(&*captured.connection).unwrap_or_default();
    section("Connection", &connection, &mut page);
    page.finish()
}

/// The client of the request, and the protocol.
fn summary(captured: &Captured) -> String {
    let connection = &captured.connection;
    let client = connection.client.as_deref().unwrap_or("an unknown client");
    let version = captured.version();
    match &connection.tls {
        Some(tls) => format!("{version} over {} from {client}", tls.version),
        None => format!("{version} from {client}"),
    }
}

fn section(title: &'static str, text: &str, page: &mut HtmlPage) {
    page.markup("<h2>");
    page.text(title);
    page.markup("</h2>\n<pre>");
    page.text(text.trim_end());
    page.markup("</pre>\n");
}
