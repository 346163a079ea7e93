use httpool::{Request, Server};

fn main() {
    let _ = |server: Server| server.run(|_: Request| ("x-name", "hello"));
}
