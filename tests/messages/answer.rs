use httpool::routing::{Path, Router};

fn show(Path(id): Path<u64>) -> u64 {
    id
}

fn main() {
    let _: Router = Router::new().get("/{id}", show);
}
