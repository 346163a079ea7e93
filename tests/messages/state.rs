use httpool::Router;
use httpool::extract::State;

#[derive(Clone)]
struct App;

#[derive(Clone)]
struct Mailer;

fn send(State(_): State<Mailer>) {}

fn main() {
    let _: Router = Router::new().get("/", send).with_state(App);
}
