//! A client's socket, with TLS or without.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use peer_job::tls::rustls::{ServerConfig, ServerConnection};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg};

use crate::connection::Broken;

pub(crate) struct Socket {
    pub(crate) descriptor: OwnedFd,
    tls: Option<Box<ServerConnection>>,
}

/// The socket as rustls wants it.
struct Transport<'a>(&'a OwnedFd);

impl Socket {
    pub(crate) fn new(descriptor: OwnedFd, config: Option<&Arc<ServerConfig>>) -> Self {
        let tls = config.map(|config| {
            let tls = ServerConnection::new(Arc::clone(config));
            Box::new(tls.expect("the configuration is valid"))
        });
        Self { descriptor, tls }
    }

    /// Receives once. There may be nothing yet.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, Broken> {
        let mut transport = Transport(&self.descriptor);
        let Some(tls) = &mut self.tls else {
            return received(transport.read(buffer));
        };
        if received(tls.read_tls(&mut transport))? == 0 {
            return Ok(0);
        }
        tls.process_new_packets().map_err(|_| Broken)?;
        received(tls.reader().read(buffer))
    }

    /// Sends as much as the client takes, or returns `None` if it takes nothing.
    pub(crate) fn send(&mut self, parts: &[IoSlice<'_>]) -> Result<Option<usize>, Broken> {
        if !self.flush()? {
            return Ok(None);
        }
        let sent = match &mut self.tls {
            Some(tls) => tls.writer().write_vectored(parts),
            None => Transport(&self.descriptor).write_vectored(parts),
        };
        match sent {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(_) => Err(Broken),
        }
    }

    /// Sends what is encrypted, and returns whether that is everything.
    pub(crate) fn flush(&mut self) -> Result<bool, Broken> {
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        while tls.wants_write() {
            match tls.write_tls(&mut Transport(&self.descriptor)) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(_) => return Err(Broken),
            }
        }
        Ok(true)
    }
}

/// The number of bytes; 0 if there are none yet.
fn received(outcome: io::Result<usize>) -> Result<usize, Broken> {
    match outcome {
        Ok(0) => Err(Broken),
        Ok(count) => Ok(count),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(_) => Err(Broken),
    }
}

impl Read for Transport<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (count, _) = recv(self.0, buffer, RecvFlags::empty())?;
        Ok(count)
    }
}

impl Write for Transport<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut control = SendAncillaryBuffer::default();
        Ok(sendmsg(self.0, parts, &mut control, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
