//! A limit for the bodies of a part of the routes.

use crate::message::{BodyMode, Request, Response};
use crate::web::{Layer, Next};

/// Sets the largest request body for the handlers behind this layer, in bytes, instead of
/// [`Builder::max_body`](crate::Builder::max_body). It may be lower or higher. A larger body is
/// rejected with 413, before it arrives if its length is announced.
///
/// Of two such layers, the inner one holds: a router can have a low limit, and one of its routes a
/// higher one. A body that its function [streams](crate::BodyMode::Streaming) has the limit that the
/// function chooses. The memory of all bodies together stays limited by
/// [`Builder::max_buffered_memory`](crate::Builder::max_buffered_memory).
///
#[cfg_attr(
    feature = "router",
    doc = r#"
```
use httpool::bytes::Bytes;
use httpool::layers::MaxBody;
use httpool::testing::Client;
use httpool::{Layered, Router};

fn save(picture: Bytes) -> String {
    format!("{} bytes", picture.len())
}

let router: Router = Router::new()
    .layer(MaxBody::new(10_000))
    .post("/name", |name: String| name)
    .post("/picture", Layered::new(save).layer(MaxBody::new(20_000_000)));
let client = Client::new(router);
let large = vec![0; 5_000_000];
assert_eq!(client.post("/picture").body(large.clone()).send().text(), "5000000 bytes");
assert_eq!(client.post("/name").body(large).send().status(), 413);
```
"#
)]
#[derive(Debug, Clone, Copy)]
pub struct MaxBody(u64);

impl MaxBody {
    /// Creates the layer with a limit in bytes.
    #[must_use]
    pub fn new(most: u64) -> Self {
        Self(most)
    }
}

impl Layer for MaxBody {
    fn handle(&self, request: &mut Request, next: Next<'_>) -> Response {
        next.handle(request)
    }

    fn body_mode(&self, _: &Request, behind: BodyMode) -> BodyMode {
        match behind {
            BodyMode::Buffered => BodyMode::BufferedUpTo { most: self.0 },
            other => other,
        }
    }
}
