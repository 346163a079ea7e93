//! What other parts of the handler add to the page of a listing.

use super::Listed;
use crate::message::problem::html_page::HtmlPage;

/// Adds what can be done with the folder, below the number of its files: forms and links. The policy
/// of the page allows forms that are sent to this server, and no script.
pub(crate) fn tools(_listed: &Listed<'_>, _page: &mut HtmlPage) {}
