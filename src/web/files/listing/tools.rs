//! What other parts of the handler add to the page of a listing.

use super::Listed;
use crate::message::problem::html_page::HtmlPage;

/// Links to the archives of the folder.
#[cfg(feature = "archive")]
const ARCHIVES: &str = "\
<p>Download this folder as <a href=\"?archive=zip\">zip</a>, <a href=\"?archive=tar\">tar</a> or \
<a href=\"?archive=tar.gz\">tar.gz</a></p>\n";

/// Adds what can be done with the folder, below the number of its files: forms and links. The policy
/// of the page allows forms that are sent to this server, and no script.
#[cfg_attr(
    not(any(feature = "archive", feature = "upload")),
    allow(
        unused_variables,
        reason = "nothing can be done without these features"
    )
)]
pub(crate) fn tools(listed: &Listed<'_>, page: &mut HtmlPage) {
    #[cfg(feature = "archive")]
    if listed.files.archives.is_some() {
        page.markup(ARCHIVES);
    }
    #[cfg(feature = "upload")]
    if let Some(form) = listed.upload_form {
        page.markup(form);
    }
}
