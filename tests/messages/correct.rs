//! Correct code: it must compile, so that the other files fail because of their mistakes only.

use httpool::http::StatusCode;
use httpool::http::header::ETAG;
use httpool::Router;
use httpool::extract::{Path, HasPart, State};
use httpool::{IntoResponse, Request, Server};

struct App;

impl HasPart<u8> for App {
    fn part(&self) -> u8 {
        7
    }
}

fn show(Path(id): Path<u64>, State(part): State<u8>) -> Result<impl IntoResponse, StatusCode> {
    Ok((StatusCode::OK, [(ETAG, "\"7\"")], format!("{id} {part}")))
}

fn main() {
    let router: Router = Router::new().get("/{id}", show).with_state(App);
    let _ = |server: Server| server.run(router);
    let _ = |server: Server| server.run(|_: Request| "hello");
}
