//! Serves a folder of files under a path, beside a route.
//!
//! Run it with `cargo run --example files [ADDR [DIR]]`, then:
//!
//! ```sh
//! curl -i localhost:4000/docs/wire.md
//! curl -r 0-99 localhost:4000/docs/wire.md    # the first 100 bytes
//! ```

use std::env;
use std::error::Error;

use httpool::{Html, Router, ServeDir, Server};

fn home() -> Html<&'static str> {
    Html("<p><a href=\"docs/wire.md\">The wire behaviour</a></p>\n")
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or("localhost:4000".into());
    let folder = arguments.next();
    let folder = folder.unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/docs").into());

    let router: Router = Router::new()
        .get("/", home)
        .nest("/docs", ServeDir::new(folder)?);
    let server = Server::builder().listen(address).bind()?;
    println!("listening on http://{}", server.local_addrs()[0]);
    server.run(router)?;
    Ok(())
}
