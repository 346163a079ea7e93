use httpool::Router;
use httpool::extract::Path;

async fn show(Path(id): Path<u64>) -> String {
    id.to_string()
}

fn main() {
    let _: Router = Router::new().get("/{id}", show); // The mistake.
}
