//! The form on listings, and the results of a form.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::STORED;
use super::form::FormFile;
use crate::fs::new_file::Published;
use crate::message::problem::html_page::HtmlPage;
use crate::message::{Html, Request};

/// The form. It works without scripts: the browser sends the files to the path of the listing.
const FORM: &str = "\
<form method=\"post\" enctype=\"multipart/form-data\" action=\"./\">\n\
<label for=\"upload\">Upload files to this folder</label>\n\
<input id=\"upload\" type=\"file\" name=\"file\" multiple required>\n\
<button>Upload</button>\n\
</form>\n";

/// Marks a request whose folder takes uploads.
#[derive(Debug, Clone, Copy)]
pub(super) struct OffersUploads;

/// The markup of the form for a listing, if its folder takes uploads.
pub(crate) fn form(request: &Request) -> Option<&'static str> {
    let offers = request.extensions().get::<OffersUploads>();
    offers.map(|OffersUploads| FORM)
}

#[derive(Serialize)]
pub(super) struct JsonResults<'f> {
    files: Vec<JsonResult<'f>>,
}

#[derive(Serialize)]
struct JsonResult<'f> {
    name: &'f str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    href: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

pub(super) fn json_results(files: &[FormFile]) -> JsonResults<'_> {
    let result = |file: &FormFile| match &file.result {
        Ok(stored) => (
            match stored.published {
                Published::Created => STORED,
                Published::Replaced => http::StatusCode::OK,
            },
            Some(href(&file.name)),
            Some(stored.length),
            None,
        ),
        Err(error) => (
            error.status(),
            None,
            None,
            Some(error.detail().into_owned()),
        ),
    };
    let files = files.iter().map(|file| {
        let (status, href, size, detail) = result(file);
        JsonResult {
            name: &file.name,
            status: status.as_u16(),
            href,
            size,
            detail,
        }
    });
    JsonResults {
        files: files.collect(),
    }
}

/// The page of a form of which some files were not stored.
pub(super) fn results(files: &[FormFile], path: &str) -> Html<String> {
    let mut page = HtmlPage::new("Upload");
    page.markup("<h1>Some files were not uploaded</h1>\n<table>\n");
    page.markup("<thead><tr><th>File</th><th>Result</th></tr></thead>\n<tbody>\n");
    for file in files {
        page.markup("<tr><td>");
        page.text(&file.name);
        page.markup("</td><td>");
        match &file.result {
            Ok(stored) => match stored.published {
                Published::Created => page.text("uploaded"),
                Published::Replaced => page.text("replaced"),
            },
            Err(error) => match error.detail() {
                detail if detail.is_empty() => page.text("failed"),
                detail => page.text(&detail),
            },
        }
        page.markup("</td></tr>\n");
    }
    page.markup("</tbody>\n</table>\n<p><a href=\"");
    page.text(path);
    page.markup("\">Back to the folder</a></p>\n");
    Html(page.finish())
}

/// A link relative to the folder. It begins with `./`, so no name can be taken for another URL.
fn href(name: &str) -> String {
    format!("./{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}
