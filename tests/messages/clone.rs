use httpool::Router;
use httpool::extract::State;

struct App;

fn home(State(_): State<App>) {}

fn main() {
    let _: Router = Router::new().get("/", home).with_state(App);
}
