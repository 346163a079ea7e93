//! Connections of clients: TCP alone, or TLS with the protocol `h2`.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, LazyLock};

use httpool::Tls;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// What a TLS client sends at once, so that frames are split over records. Most frames are longer.
const RECORD: usize = 11;

/// The most that is split like this.
const SHORT: usize = 1000;

/// The name in the certificate.
const NAME: &str = "it";

/// What is below HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Tls,
}

/// The TLS configurations of a server and of its clients.
pub(crate) struct Certificate {
    pub(crate) server: Tls,
    client: Arc<ClientConfig>,
}

/// The certificate of all servers.
pub(crate) static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| {
    let names = vec![NAME.to_owned()];
    let issued = rcgen::generate_simple_self_signed(names).expect("the name is valid");
    let (chain, key) = (issued.cert.pem(), issued.signing_key.serialize_pem());
    let server = Tls::builder().certificate_pem(chain, key).build();
    let mut roots = RootCertStore::empty();
    let root = issued.cert.der().clone();
    roots.add(root).expect("the certificate is valid");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports them");
    let mut client = client.with_root_certificates(roots).with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec()];
    Certificate {
        server: server.expect("key and certificate match"),
        client: Arc::new(client),
    }
});

/// A connection of a client.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    pub(crate) fn new(socket: TcpStream, transport: Transport) -> Self {
        if transport == Transport::Tcp {
            return Self::Tcp(socket);
        }
        let name = ServerName::try_from(NAME).expect("the name is valid");
        let client = ClientConnection::new(CERTIFICATE.client.clone(), name);
        let client = client.expect("the configuration is valid");
        Self::Tls(Box::new(StreamOwned::new(client, socket)))
    }

    /// Ends what the client sends.
    pub(crate) fn half_close(&mut self) -> io::Result<()> {
        if let Self::Tls(stream) = self {
            stream.conn.send_close_notify();
            stream.flush()?;
        }
        self.socket().shutdown(Shutdown::Write)
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Tcp(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.write_all(bytes),
            Self::Tls(stream) if bytes.len() < SHORT => {
                for part in bytes.chunks(RECORD) {
                    stream.write_all(part)?;
                    stream.flush()?;
                }
                Ok(())
            }
            Self::Tls(stream) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}
