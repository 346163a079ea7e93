//! Serves HTTPS, reports details of each TLS connection, and reloads its certificate on request.
//!
//! Browsers and curl require a certificate from an authority that they trust. To try this example
//! with a self-signed certificate:
//!
//! ```sh
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
//!     -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem
//! cargo run --example tls --features tls cert.pem key.pem
//! curl --cacert cert.pem https://localhost:4443
//! ```
//!
//! Press Enter to reload changed files. Open connections are not affected.
//!
//! Run it with `cargo run --example tls --features tls CERTIFICATE KEY [ADDR]`.

use std::error::Error;
use std::{env, io, thread};

use httpool::{ClientInfo, Request, Server, Tls};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(certificate), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err("usage: tls CERTIFICATE KEY [ADDR]".into());
    };
    let address = arguments.next().unwrap_or("localhost:4443".into());
    let tls = Tls::builder().certificate_files(certificate, key).build()?;
    let server = Server::builder().listen_tls(address, tls.clone()).bind()?;
    println!("listening on https://{}", server.local_addrs()[0]);

    thread::spawn(move || {
        while io::stdin()
            .read_line(&mut String::new())
            .is_ok_and(|read| read > 0)
        {
            match tls.reload() {
                Ok(()) => println!("certificate reloaded"),
                // The old certificate stays in use.
                Err(error) => println!("{error}"),
            }
        }
    });
    server.run(|request: Request| greet(&request))?;
    Ok(())
}

fn greet(request: &Request) -> String {
    match ClientInfo::of(request).and_then(ClientInfo::tls) {
        Some(tls) => format!(
            "hello over {} with {}, you know me as {}\n",
            tls.version(),
            tls.cipher_suite(),
            tls.server_name().unwrap_or("no name")
        ),
        None => "hello, this connection is not encrypted\n".into(),
    }
}
