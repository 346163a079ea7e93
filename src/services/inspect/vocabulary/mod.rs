//! The paths by which a client asks for a certain response, after those of httpbin.
//!
//! Each theme has a file with its functions and adds them to the [`Table`]. Functions return at once;
//! responses that wait are sent by the server's timers.

#![expect(
    clippy::needless_pass_by_value,
    reason = "a router passes arguments by value"
)]

mod auth;
mod caching;
mod codings;
mod content;
mod cookies;
mod document;
mod index;
mod input;
mod methods;
mod random_bytes;
mod redirects;
mod sizes;
mod status;
mod table;
mod trailers;
mod waiting;
mod websocket;

use std::sync::Arc;

use self::table::Table;
use super::captured::Captured;
use super::reflection;
use super::settings::Settings;
use crate::message::{Handler, Response};

/// The themes, in the order of the page at `/`.
const THEMES: [fn(Table) -> Table; 12] = [
    methods::add,
    status::add,
    waiting::add,
    sizes::add,
    redirects::add,
    cookies::add,
    auth::add,
    codings::add,
    content::add,
    caching::add,
    websocket::add,
    trailers::add,
];

/// A router of all paths that have a meaning. Every other path gets the description of its request.
pub(super) fn router(settings: Arc<Settings>) -> impl Handler {
    let table = THEMES
        .into_iter()
        .fold(Table::new(), |table, add| add(table));
    index::add(table).fallback(describe).with_state(settings)
}

/// The description of a request, as on every path without a meaning of its own.
fn describe(captured: Captured) -> Response {
    reflection::response(&captured, document::of_all(&captured))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::{Inspect, Settings};
    use crate::testing::{Client, TestResponse};

    pub(super) fn client() -> Client {
        Client::new(Inspect::new(Settings::default()))
    }

    pub(super) fn get(target: &str) -> TestResponse {
        client().get(target).send()
    }

    /// The member of a JSON response that this pointer names.
    #[track_caller]
    pub(super) fn member(response: &TestResponse, pointer: &str) -> Value {
        let document: Value = response.json();
        let found = document.pointer(pointer);
        found
            .unwrap_or_else(|| panic!("no {pointer} in {document}"))
            .clone()
    }

    /// Checks that each of these paths gets a 400.
    #[track_caller]
    pub(super) fn expect_bad(targets: &[&str]) {
        for target in targets {
            let response = get(target);
            assert_eq!(response.status(), 400, "{target}: {response:?}");
        }
    }
}
