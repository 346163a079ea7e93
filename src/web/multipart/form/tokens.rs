//! Files that pass through the parser of forms, which knows only text.
//!
//! A token stands for a file in the text. While a form is parsed, its files are offered on this thread,
//! and the fields take them by their tokens. No client can guess a token, and no other parser finds a
//! file, so a file comes only from a part of the form that is parsed.

use std::cell::RefCell;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::web::multipart::{FileBytes, TempFile};

/// The names by which the file types ask for their value.
pub(super) const FILE_BYTES: &str = "httpool::multipart::FileBytes";
pub(super) const TEMP_FILE: &str = "httpool::multipart::TempFile";

thread_local! {
    static OFFERED: RefCell<Tokens> = RefCell::default();
}

/// Files by their tokens.
#[derive(Default)]
pub(super) struct Tokens {
    files: Vec<(String, File)>,
    hasher: RandomState,
}

pub(super) enum File {
    Bytes(FileBytes),
    Temp(TempFile),
}

impl Tokens {
    /// Adds a file and returns its token.
    pub(super) fn add(&mut self, file: impl Into<File>) -> String {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_usize(self.files.len());
        let token = format!("{:016x}", hasher.finish());
        self.files.push((token.clone(), file.into()));
        token
    }

    /// Offers the files while `parse` runs, and drops the ones that it does not take.
    pub(super) fn offer<T>(self, parse: impl FnOnce() -> T) -> T {
        /// Takes the files back, also when `parse` panics.
        struct Offer;

        impl Drop for Offer {
            fn drop(&mut self) {
                drop(OFFERED.take());
            }
        }

        OFFERED.set(self);
        let _offer = Offer;
        parse()
    }

    fn take(token: &str) -> Option<File> {
        OFFERED.with_borrow_mut(|offered| {
            let is_it = |(other, _): &(String, File)| other == token;
            let at = offered.files.iter().position(is_it)?;
            Some(offered.files.swap_remove(at).1)
        })
    }
}

impl From<FileBytes> for File {
    fn from(file: FileBytes) -> Self {
        Self::Bytes(file)
    }
}

impl From<TempFile> for File {
    fn from(file: TempFile) -> Self {
        Self::Temp(file)
    }
}

/// Reads a token.
struct TokenVisitor;

impl<'de> Visitor<'de> for TokenVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<String, D::Error> {
        String::deserialize(value)
    }
}

/// The file of a token. A file in a `flatten`ed struct gets the text of a part instead.
fn take<'de, D: Deserializer<'de>>(deserializer: D, name: &'static str) -> Result<File, D::Error> {
    let token = deserializer.deserialize_newtype_struct(name, TokenVisitor)?;
    let expected = &"a file, which can only be a direct field of a MultipartForm's struct";
    Tokens::take(&token).ok_or_else(|| de::Error::invalid_type(Unexpected::Str(""), expected))
}

fn wrong_kind<E: de::Error>() -> E {
    E::custom("the file was kept elsewhere")
}

/// Only a [`MultipartForm`](super::MultipartForm) has files; every other format is an error.
impl<'de> Deserialize<'de> for FileBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match take(deserializer, FILE_BYTES)? {
            File::Bytes(file) => Ok(file),
            File::Temp(_) => Err(wrong_kind()),
        }
    }
}

/// Only a [`MultipartForm`](super::MultipartForm) has files; every other format is an error.
impl<'de> Deserialize<'de> for TempFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match take(deserializer, TEMP_FILE)? {
            File::Temp(file) => Ok(file),
            File::Bytes(_) => Err(wrong_kind()),
        }
    }
}
