//! What comes on a connection before its first request.

use std::time::Instant;

use super::Stage;
use super::patience::Patience;
#[cfg(feature = "tls")]
use crate::Tls;
use crate::config::Config;

/// Parts that come in this order, each or none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Opening {
    /// A proxy says whom it passes on bytes for, before anything else.
    #[cfg(feature = "proxy")]
    pub(crate) is_proxied: bool,
    /// Client and server agree on TLS.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
}

impl Opening {
    #[cfg(feature = "proxy")]
    pub(crate) fn behind_proxy(mut self) -> Self {
        self.is_proxied = true;
        self
    }

    #[cfg(feature = "tls")]
    pub(crate) fn over(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// What a connection begins with.
    pub(super) fn stage(&self) -> Stage {
        let Self {
            #[cfg(feature = "proxy")]
            is_proxied,
            #[cfg(feature = "tls")]
            tls,
        } = self;
        #[cfg(feature = "proxy")]
        if *is_proxied {
            return Stage::Introduction;
        }
        #[cfg(feature = "tls")]
        if tls.is_some() {
            return Stage::Handshake;
        }
        Stage::Open
    }
}

impl Stage {
    /// What is waited for where it begins, whose time runs from now on.
    pub(super) fn patience(self, now: Instant, config: &Config) -> Patience {
        match self {
            #[cfg(feature = "tls")]
            Self::Handshake => Patience::before_handshake(now, config),
            _ => Patience::new(now, config),
        }
    }
}
