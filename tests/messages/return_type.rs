use httpool::Router;
use httpool::extract::Path;

struct Trouble;

fn show(Path(id): Path<u64>) -> Result<String, Trouble> {
    Ok(id.to_string())
}

fn main() {
    let _: Router = Router::new().get("/{id}", show);
}
