use httpool::Server;
use httpool::Router;
use httpool::extract::State;

#[derive(Clone)]
struct App;

fn home(State(_): State<App>) {}

fn main() {
    let router: Router<App> = Router::new().get("/", home);
    let _ = |server: Server| server.run(router);
}
