//! Where a connection begins.

use std::time::Instant;

use super::State;
use super::config::Config;
use super::deadlines::Deadlines;
use crate::net::ListenerProtocol;

impl State {
    /// What a connection begins with.
    pub(super) fn first(protocol: &ListenerProtocol) -> Self {
        let ListenerProtocol {
            #[cfg(feature = "proxy")]
            is_proxied,
            #[cfg(feature = "_tls")]
            tls,
        } = protocol;
        #[cfg(feature = "proxy")]
        if *is_proxied {
            return Self::Introduction;
        }
        #[cfg(feature = "_tls")]
        if tls.is_some() {
            return Self::Handshake;
        }
        Self::Open
    }

    /// What is waited for where it begins, whose time runs from now on.
    pub(super) fn deadlines(self, now: Instant, config: &Config) -> Deadlines {
        match self {
            #[cfg(feature = "_tls")]
            Self::Handshake => Deadlines::before_handshake(now, config),
            _ => Deadlines::new(now, config),
        }
    }
}
