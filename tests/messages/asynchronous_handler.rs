use httpool::{Request, Server};

async fn hello(_: Request) -> &'static str {
    "hello"
}

fn main() {
    let _ = |server: Server| server.run(hello); // The mistake.
}
