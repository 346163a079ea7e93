//! Checks of paths while a router is built. They panic, because an invalid path is a mistake in the
//! program.

use matchit::InsertError;

use crate::message::path::is_dot_segment;
use crate::web::router::path;

/// Adds a path to matchit's router. Panics if it is invalid or conflicts with another path.
#[track_caller]
pub(super) fn insert<T>(paths: &mut matchit::Router<T>, path: &str, value: T) {
    match paths.insert(path, value) {
        Ok(()) => {}
        Err(InsertError::Conflict { with }) => {
            panic!("{path} conflicts with {with}: both match the same requests")
        }
        Err(reason) => panic!("invalid path {path}: {reason}"),
    }
}

/// Panics if no router can be nested at this path.
#[track_caller]
pub(super) fn check_nested(written: &str) {
    let trimmed = written.trim_end_matches('/');
    assert!(
        !trimmed.is_empty(),
        "nest({written:?}, ..): the path needs a segment, for example \"/api\"; merge(..) adds routes \
         without a prefix"
    );
    assert!(
        trimmed == written,
        "nest({written:?}, ..): write nest({trimmed:?}, ..); the path of a nested router has no final \
         slash"
    );
    assert!(
        !written.contains("{*"),
        "nest({written:?}, ..): write {{name}} instead of {{*name}}; no path is beneath a catch-all"
    );
}

/// Panics if the path is not valid for a route.
#[track_caller]
pub(super) fn check_path(path: &str) {
    insert(&mut matchit::Router::new(), path, ());
}

/// Checks the path of a route, and returns its normal form.
#[track_caller]
pub(super) fn checked_path(written: &str) -> String {
    assert!(
        written.starts_with('/'),
        "the path {written:?} must begin with /"
    );
    let is_other_syntax = written.split('/').any(|part| part.starts_with([':', '*']));
    assert!(
        !is_other_syntax,
        "{written}: write path parameters as {{name}} and {{*rest}}"
    );
    let path = path::normalize_route(written);
    assert!(
        !path.split('/').any(is_dot_segment),
        "{written}: requests never have a segment . or .., because the server resolves them: \
         write the path without them"
    );
    path
}
