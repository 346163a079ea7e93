use httpool::Server;
use httpool::Router;
use httpool::extract::State;

#[derive(Clone)]
struct App;

fn home(State(_): State<App>) {}

fn main() {
    let _ = |server: Server| server.run(Router::new().get("/", home));
}
