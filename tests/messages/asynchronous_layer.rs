use httpool::Router;
use httpool::{Next, Request};

fn main() {
    let layer = |_: Request, _: Next<'_>| async { "hello" };
    let _: Router = Router::new().layer(layer); // The mistake.
}
