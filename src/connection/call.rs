//! Calls that run while their connection is lent.
//!
//! A protocol with several requests at a time must not keep its connection while a handler runs: the
//! other requests, and the client's frames, would wait for that handler. So it leaves a [`Call`] in
//! the [`WorkerBuffers`] and returns [`DriveResult::Lend`](super::DriveResult::Lend). The server
//! lends the connection, runs the call, and delivers its [`Reply`] to the connection. Meanwhile
//! another thread may drive the connection.

#[cfg(feature = "http2")]
use super::http2::{CompleteCall, DriveCall, HandlerCall, ReadCall, StreamReply};
use super::{Service, WorkerBuffers};

/// A handler's call, a read of its body reader, the completion of a response that came later, or a
/// protocol behind an extended CONNECT. It uses the buffers of its worker and nothing of the connection.
#[derive(Debug)]
pub(crate) enum Call {
    #[cfg(test)]
    Scripted(super::scripted::ScriptedCall),
    #[cfg(feature = "http2")]
    Handler(HandlerCall),
    #[cfg(feature = "http2")]
    Read(ReadCall),
    #[cfg(feature = "http2")]
    Complete(CompleteCall),
    #[cfg(feature = "http2")]
    Drive(DriveCall),
}

/// The result of a [`Call`], for the connection that made it.
#[derive(Debug)]
#[cfg_attr(
    test,
    expect(
        clippy::large_enum_variant,
        reason = "only tests have the small variant"
    )
)]
pub(crate) enum Reply {
    #[cfg(test)]
    Scripted(u8),
    #[cfg(feature = "http2")]
    Stream(StreamReply),
}

impl Call {
    /// Runs the call. It does not panic, whatever a handler does.
    pub(crate) fn run(self, buffers: &mut WorkerBuffers, service: &Service) -> Reply {
        let _ = (&buffers, service);
        match self {
            #[cfg(test)]
            Self::Scripted(call) => super::scripted::run(call, buffers, service),
            #[cfg(feature = "http2")]
            Self::Handler(call) => Reply::Stream(call.run(buffers, service)),
            #[cfg(feature = "http2")]
            Self::Read(call) => Reply::Stream(call.run()),
            #[cfg(feature = "http2")]
            Self::Complete(call) => Reply::Stream(call.run(buffers, service)),
            #[cfg(feature = "http2")]
            Self::Drive(call) => Reply::Stream(call.run(service)),
        }
    }
}
