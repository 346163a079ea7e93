use httpool::Router;
use httpool::extract::{BodyStream, Path};

fn main() {
    let _: Router = Router::new()
        .fallback(|_: Option<BodyStream>, Path(id): Path<u64>| id.to_string()); // The mistake.
}
