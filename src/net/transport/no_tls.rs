//! Stands for TLS in builds without it: no connection has a session.

use std::fs::File;
use std::io;

use super::plain::Plain;
use super::{FileSent, Received};

/// A session that can't exist, so that the compiler removes its branches.
#[derive(Debug)]
pub(super) enum SessionBox {}

impl SessionBox {
    pub(super) fn receive(&mut self, _: &Plain, _: &mut Vec<u8>) -> io::Result<Received> {
        match *self {}
    }

    pub(super) fn send(&mut self, _: &Plain, _: &[u8], _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(super) fn write(&mut self, _: &Plain, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(super) fn flush(&mut self, _: &Plain) -> io::Result<bool> {
        match *self {}
    }

    pub(super) fn send_file(
        &mut self,
        _: &Plain,
        _: &File,
        _: u64,
        _: usize,
    ) -> io::Result<FileSent> {
        match *self {}
    }

    pub(super) fn has_unread(&self) -> bool {
        match *self {}
    }

    pub(super) fn has_partial_record(&self) -> bool {
        match *self {}
    }

    pub(super) fn keys_near_limit(&self) -> bool {
        match *self {}
    }

    pub(super) fn held(&self) -> usize {
        match *self {}
    }

    pub(super) fn send_close_notify(&mut self, _: &Plain) -> io::Result<bool> {
        match *self {}
    }

    pub(super) fn has_received_close_notify(&self) -> bool {
        match *self {}
    }
}
