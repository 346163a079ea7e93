use httpool::Request;
use httpool::Router;
use httpool::extract::Path;

fn show(_: Request, Path(id): Path<u64>) -> String {
    id.to_string()
}

fn main() {
    let _: Router = Router::new().get("/{id}", show); // The mistake.
}
