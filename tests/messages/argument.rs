use httpool::routing::Router;

fn show(id: u64) -> String {
    id.to_string()
}

fn main() {
    let _: Router = Router::new().get("/{id}", show);
}
