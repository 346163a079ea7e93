use httpool::routing::{Incoming, Path, Router};

fn main() {
    let _: Router = Router::new()
        .fallback(|_: Option<Incoming>, Path(id): Path<u64>| id.to_string()); // The mistake.
}
