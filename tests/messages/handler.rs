use httpool::{Request, Server};

fn main() {
    let _ = |server: Server| server.run(|request: Request| request.uri().port_u16().unwrap_or(80));
}
