use httpool::Html;
use httpool::Router;

fn main() {
    let _: Router = Router::new().get("/", Html("<p>hello"));
}
