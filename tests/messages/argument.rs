use httpool::Router;
use httpool::extract::Path;

struct User;

fn show(Path(_): Path<u64>, _: User) -> String {
    String::new()
}

fn main() {
    let _: Router = Router::new().get("/{id}", show);
}
