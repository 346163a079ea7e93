//! Words that flags take, and what they mean.

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
pub(crate) enum Links {
    Inside,
    Never,
}

impl From<Links> for Symlinks {
    fn from(links: Links) -> Self {
        match links {
            Links::Inside => Self::Inside,
            Links::Never => Self::Never,
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
    fn from(fields: ForwardingHeaders) -> Self {
        match fields {
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
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RequestFormat {
    Common,
    Combined,
    Json,
}

impl From<RequestFormat> for AccessFormat {
    fn from(format: RequestFormat) -> Self {
        match format {
            RequestFormat::Common => Self::Common,
            RequestFormat::Combined => Self::Combined,
            RequestFormat::Json => Self::Json,
        }
    }
}
