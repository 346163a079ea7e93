use httpool::Body;
use httpool::Router;
use httpool::extract::Path;

fn main() {
    let _: Router = Router::new()
        .get("/", || "hello")
        .post("/{id}", |_: Body, Path(id): Path<u64>| id.to_string()); // The mistake.
}
