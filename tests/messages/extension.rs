use httpool::Router;
use httpool::extract::Extension;

struct User;

fn show(_: Extension<User>) -> &'static str {
    "hello"
}

fn main() {
    let _: Router = Router::new().get("/", show); // The mistake.
}
