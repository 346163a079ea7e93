//! Flag values that are one of a list of words, and their meaning for the library.

use clap::ValueEnum;
use httpool::services::{AccessFormat, JsonCheck};
use httpool::{ClientCertificates, EntityTags, ForwardedBy, Symlinks};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Json {
    Strict,
    Raw,
}

impl From<Json> for JsonCheck {
    fn from(mode: Json) -> Self {
        match mode {
            Json::Strict => Self::Strict,
            Json::Raw => Self::Raw,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SymlinkChoice {
    Inside,
    Never,
}

impl From<SymlinkChoice> for Symlinks {
    fn from(links: SymlinkChoice) -> Self {
        match links {
            SymlinkChoice::Inside => Self::Inside,
            SymlinkChoice::Never => Self::Never,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Etag {
    Mtime,
    Change,
    Content,
}

impl From<Etag> for EntityTags {
    fn from(etag: Etag) -> Self {
        match etag {
            Etag::Mtime => Self::Mtime,
            Etag::Change => Self::Change,
            Etag::Content => Self::Content,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ForwardingHeaders {
    XForwarded,
    XForwardedFor,
    Forwarded,
}

impl From<ForwardingHeaders> for ForwardedBy {
    fn from(headers: ForwardingHeaders) -> Self {
        match headers {
            ForwardingHeaders::XForwarded => Self::XForwarded,
            ForwardingHeaders::XForwardedFor => Self::XForwardedFor,
            ForwardingHeaders::Forwarded => Self::Forwarded,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClientAuth {
    Required,
    Optional,
}

impl From<ClientAuth> for ClientCertificates {
    fn from(policy: ClientAuth) -> Self {
        match policy {
            ClientAuth::Required => Self::Required,
            ClientAuth::Optional => Self::Optional,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

impl From<bool> for Switch {
    fn from(is_on: bool) -> Self {
        match is_on {
            true => Self::On,
            false => Self::Off,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RequestFormat {
    Common,
    Combined,
    Json,
    Brief,
}

impl From<RequestFormat> for AccessFormat {
    fn from(format: RequestFormat) -> Self {
        match format {
            RequestFormat::Common => Self::Common,
            RequestFormat::Combined => Self::Combined,
            RequestFormat::Json => Self::Json,
            RequestFormat::Brief => Self::Brief,
        }
    }
}
