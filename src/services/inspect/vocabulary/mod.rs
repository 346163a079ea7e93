//! The paths by which a client asks for a certain response, after those of httpbin.

#![expect(
    clippy::needless_pass_by_value,
    reason = "a router passes arguments by value"
)]

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::message::{Handler, Later, Problem};
use crate::web::Router;
use crate::web::extract::{Path, State};

use super::captured::Captured;
use super::reflection;
use super::settings::Settings;

/// A router of all paths that have a meaning. Every other path gets the description of its request.
pub(super) fn router(settings: Arc<Settings>) -> impl Handler {
    Router::new()
        .get("/delay/{seconds}", delay)
        .fallback(|captured: Captured| reflection::response(&captured))
        .with_state(settings)
}

/// Responds after a number of seconds, at most [`Settings::max_delay`].
fn delay(
    State(settings): State<Arc<Settings>>,
    Path(seconds): Path<f64>,
    captured: Captured,
) -> Result<Later, Problem> {
    let delay = Duration::try_from_secs_f64(seconds)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST).detail(error.to_string()))?;
    let delay = delay.min(settings.longest_delay());
    Ok(Later::after(delay, reflection::response(&captured)))
}
