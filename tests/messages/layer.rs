use httpool::routing::Router;

fn main() {
    let _: Router = Router::new().layer("secret").get("/", || "hello");
}
