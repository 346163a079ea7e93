use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::net::{Alpn, Tls};

const NAME: &str = "it.example";

/// The TLS configuration of a server, and of a client that trusts it.
pub(in crate::connection) fn parties() -> (Tls, Arc<ClientConfig>) {
    let issued = rcgen::generate_simple_self_signed([NAME.to_owned()]);
    let issued = issued.expect("a certificate can be created");
    let tls = Tls::builder()
        .certificate_pem(issued.cert.pem(), issued.signing_key.serialize_pem())
        .build();
    let tls = tls.expect("key and certificate belong together");
    let mut roots = RootCertStore::empty();
    let added = roots.add(issued.cert.der().clone());
    added.expect("the certificate can be a root");
    let provider = Arc::clone(tls.config(Alpn::Http1).crypto_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (tls, Arc::new(config))
}

/// The client's side of one connection.
pub(in crate::connection) fn client(config: &Arc<ClientConfig>) -> ClientConnection {
    let name = NAME.try_into().expect("the name is valid");
    ClientConnection::new(Arc::clone(config), name).expect("the configuration is valid")
}
