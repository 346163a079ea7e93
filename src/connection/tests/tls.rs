use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::net::Tls;

const NAME: &str = "it.example";

/// How a server speaks TLS, and a client that believes it.
pub(in crate::connection) fn parties() -> (Tls, Arc<ClientConfig>) {
    let issued = rcgen::generate_simple_self_signed([NAME.to_owned()]);
    let issued = issued.expect("there is randomness");
    let tls = Tls::builder()
        .certificate_pem(issued.cert.pem(), issued.signing_key.serialize_pem())
        .build();
    let tls = tls.expect("they fit");
    let mut roots = RootCertStore::empty();
    let added = roots.add(issued.cert.der().clone());
    added.expect("it can be a root");
    let provider = Arc::clone(tls.config().crypto_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (tls, Arc::new(config))
}

/// The client's side of one connection.
pub(in crate::connection) fn client(config: &Arc<ClientConfig>) -> ClientConnection {
    let name = NAME.try_into().expect("it is a name");
    ClientConnection::new(Arc::clone(config), name).expect("it is right")
}
