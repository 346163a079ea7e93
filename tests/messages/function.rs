use httpool::Html;
use httpool::routing::Router;

fn main() {
    let _: Router = Router::new().get("/", Html("<p>hello"));
}
