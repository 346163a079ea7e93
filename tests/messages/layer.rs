use httpool::Router;

fn main() {
    let _: Router = Router::new().layer("secret").get("/", || "hello");
}
