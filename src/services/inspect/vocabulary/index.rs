//! The page at `/` and `/legacy`, which lists all paths.

use http::HeaderMap;
use http::header::CONTENT_SECURITY_POLICY;

use super::input::Pairs;
use super::table::{Entry, Shared, Table};
use super::{Captured, describe};
use crate::message::headers::media_type::preferred;
use crate::message::problem::html_page::{HtmlPage, POLICY};
use crate::message::{Html, IntoResponse, Response};
use crate::web::Router;

/// Adds the page to the paths of the table. Browsers get it; all others get the description of their
/// request, as on a path without a meaning.
pub(super) fn add(table: Table) -> Router<Shared> {
    let (router, mut entries) = table.into_parts();
    entries.push(Entry {
        method: "any",
        path: "/anything",
        what: "your request as it came, on this and every other path",
    });
    entries.push(Entry {
        method: "GET",
        path: "/legacy",
        what: "this page, whatever your client accepts",
    });
    let page = page(&entries);
    let same = page.clone();
    router
        .get("/legacy", move || respond(same.clone()))
        .get("/", move |query: Pairs, captured: Captured| {
            match query.get("format") {
                None if prefers_html(&captured.headers()) => respond(page.clone()),
                _ => describe(captured),
            }
        })
        .any("/", describe)
}

fn prefers_html(headers: &HeaderMap) -> bool {
    let offers: [(bool, &[&str]); 2] = [(false, &["application/json"]), (true, &["text/html"])];
    preferred(headers, &offers) == Some(true)
}

fn respond(page: String) -> Response {
    let mut response = Html(page).into_response();
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, POLICY);
    response
}

fn page(entries: &[Entry]) -> String {
    let mut page = HtmlPage::new("httpool");
    page.markup("<h1>httpool --inspect</h1>\n<dl>\n");
    for entry in entries {
        page.markup("<dt>");
        // A path with parameters can't be a link.
        if entry.path.contains('{') || !matches!(entry.method, "GET" | "any") {
            page.text(entry.path);
        } else {
            page.markup("<a href=\"");
            page.text(entry.path);
            page.markup("\">");
            page.text(entry.path);
            page.markup("</a>");
        }
        page.markup(" <small>");
        page.text(entry.method);
        page.markup("</small><dd>");
        page.text(entry.what);
        page.markup("\n");
    }
    page.markup("</dl>\n");
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{client, get};

    #[test]
    fn all_paths_are_listed() {
        let page = client()
            .get("/")
            .header("accept", "text/html,*/*;q=0.8")
            .send();
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        let policy = page
            .header("content-security-policy")
            .expect("it has a policy");
        assert!(policy.contains("default-src 'none'"), "{policy}");
        for path in ["/get", "/status/{codes}", "/delay/{seconds}", "/anything"] {
            assert!(page.text().contains(path), "{path}");
        }
        // httpbin has this path, from which the tests of clients follow links.
        let same = get("/legacy");
        assert_eq!(same.header("content-type"), page.header("content-type"));
        assert_eq!(same.text(), page.text());
        // All others get the description of their request.
        assert_eq!(get("/").header("content-type"), Some("application/json"));
        assert_eq!(client().post("/").body("x").send().status(), 200);
        let raw = get("/?format=http");
        assert!(raw.text().starts_with("GET /?format=http HTTP/1.1\r\n"));
        assert!(page.text().contains("<a href=\"/get\">/get</a>"));
    }
}
