//! Certificates and TLS clients.

use std::fs;
use std::sync::Arc;

use httpool::{Builder, Handler, ListenAddr, Server, Tls};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SignatureScheme, SupportedProtocolVersion};

use super::{BoundServer, Client, TempPath, TestServer};

/// Name of the test servers.
pub(crate) const NAME: &str = "it.example";

/// A certificate authority.
#[derive(Debug)]
pub(crate) struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A certificate and its key as PEM.
#[derive(Debug, Clone)]
pub(crate) struct IssuedCertificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A certificate file and its key file.
#[derive(Debug)]
pub(crate) struct CertificateFiles {
    pub(crate) certificate: TempPath,
    pub(crate) key: TempPath,
}

impl CertificateAuthority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names are valid");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be generated");
        let certificate = params
            .self_signed(&key)
            .expect("the certificate can be signed");
        Self {
            certificate: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Its own certificate as PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    pub(crate) fn issue(&self, names: &[&str]) -> IssuedCertificate {
        self.issue_with(names, |_| {})
    }

    /// Issues a certificate with changed parameters.
    pub(crate) fn issue_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> IssuedCertificate {
        let names: Vec<String> = names.iter().copied().map(String::from).collect();
        let mut params = CertificateParams::new(names).expect("the names are valid");
        change(&mut params);
        let key = KeyPair::generate().expect("a key can be generated");
        let certificate = params.signed_by(&key, &self.issuer);
        IssuedCertificate {
            certificate: certificate.expect("the certificate can be signed").pem(),
            key: key.serialize_pem(),
        }
    }

    /// A client configuration that trusts this authority and supports every TLS version.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        self.client_with(rustls::ALL_VERSIONS, None)
    }

    /// A client configuration with these TLS versions and perhaps a client certificate.
    pub(crate) fn client_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        own: Option<&IssuedCertificate>,
    ) -> Arc<ClientConfig> {
        self.client_of(rustls::crypto::ring::default_provider(), versions, own)
    }

    /// A client configuration that accepts signatures of one scheme only.
    pub(crate) fn client_with_scheme(
        &self,
        version: &'static SupportedProtocolVersion,
        scheme: SignatureScheme,
    ) -> Arc<ClientConfig> {
        let mut provider = rustls::crypto::ring::default_provider();
        let algorithms = &mut provider.signature_verification_algorithms;
        let mapping = algorithms.mapping.iter().copied();
        let mapping: Vec<_> = mapping.filter(|(known, _)| *known == scheme).collect();
        algorithms.mapping = mapping.leak();
        self.client_of(provider, &[version], None)
    }

    /// A client configuration that trusts this certificate, as PEM.
    pub(crate) fn client_trusting(certificate: &str) -> Arc<ClientConfig> {
        let provider = rustls::crypto::ring::default_provider();
        client_of(certificate, provider, rustls::ALL_VERSIONS, None)
    }

    fn client_of(
        &self,
        provider: CryptoProvider,
        versions: &[&'static SupportedProtocolVersion],
        own: Option<&IssuedCertificate>,
    ) -> Arc<ClientConfig> {
        client_of(&self.certificate, provider, versions, own)
    }
}

fn client_of(
    trusted: &str,
    provider: CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
    own: Option<&IssuedCertificate>,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(der(trusted)).expect("the certificate is valid");
    let provider = Arc::new(provider);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("the provider supports the versions")
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("the key is valid");
            let chain = vec![der(&own.certificate)];
            builder
                .with_client_auth_cert(chain, key)
                .expect("key and certificate match")
        }
    };
    // The clients of most tests speak HTTP/1.1.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// The configuration of a client that speaks only HTTP/2.
pub(crate) fn for_http2(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

impl IssuedCertificate {
    pub(crate) fn tls(&self) -> Tls {
        let builder = Tls::builder().certificate_pem(&*self.certificate, &*self.key);
        builder.build().expect("key and certificate match")
    }

    /// Writes the certificate and the key to files with this base name.
    pub(crate) fn files(&self, name: &str) -> CertificateFiles {
        let files = CertificateFiles {
            certificate: TempPath::new(&format!("{name}.pem")),
            key: TempPath::new(&format!("{name}.key")),
        };
        files.write(self);
        files
    }
}

impl CertificateFiles {
    /// Replaces the content of the files.
    pub(crate) fn write(&self, issued: &IssuedCertificate) {
        fs::write(&self.certificate, &issued.certificate).expect("the folder is writable");
        fs::write(&self.key, &issued.key).expect("the folder is writable");
    }
}

/// Decodes a PEM certificate.
pub(crate) fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("the certificate is valid")
}

/// A server that accepts TLS only.
#[track_caller]
pub(crate) fn bind(tls: Tls, configure: impl FnOnce(Builder) -> Builder) -> BoundServer {
    bind_at("127.0.0.1:0", tls, configure)
}

/// A server on `address` that accepts TLS only.
#[track_caller]
pub(crate) fn bind_at(
    address: &str,
    tls: Tls,
    configure: impl FnOnce(Builder) -> Builder,
) -> BoundServer {
    let address: ListenAddr = address.parse().expect("tests listen on valid addresses");
    let builder = configure(
        Server::builder()
            .listen_tls(address, tls)
            .workers(2)
            .http2(true),
    );
    BoundServer::from(builder.bind().expect("the address is free"))
}

/// A TLS server named [`NAME`], and a client configuration that trusts it.
#[derive(Debug)]
pub(crate) struct TlsServer {
    pub(crate) server: TestServer,
    pub(crate) config: Arc<ClientConfig>,
}

impl TlsServer {
    #[track_caller]
    pub(crate) fn spawn(configure: impl FnOnce(Builder) -> Builder, handler: impl Handler) -> Self {
        let authority = CertificateAuthority::new();
        let server = bind(authority.issue(&[NAME]).tls(), configure).run(handler);
        Self {
            server,
            config: authority.client(),
        }
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        self.server.connect().with_tls(&self.config, NAME)
    }
}
