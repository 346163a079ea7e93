//! Finds out which fields a type has, and which of them are files.
//!
//! A deserializer without data asks the type for its fields, and then for one field after another. The
//! type's first request for a field is the answer.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::tokens::{FILE_BYTES, TEMP_FILE};

/// What a field is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Bytes,
    TempFile,
}

/// The fields of a type.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fields {
    Named(Vec<(&'static str, Kind)>),
    /// Any names.
    All(Kind),
}

impl Fields {
    pub(super) fn of<T: DeserializeOwned>() -> Self {
        match ask::<T>(None) {
            Answer::Struct(names) => {
                let named = names.iter().map(|name| (*name, kind_of::<T>(name)));
                Self::Named(named.collect())
            }
            Answer::Map => Self::All(kind_of::<T>("any")),
            Answer::Kind(_) | Answer::Other => Self::All(Kind::Text),
        }
    }

    /// The kind of the field with this name, if there is one.
    pub(super) fn kind(&self, name: &str) -> Option<Kind> {
        match self {
            Self::Named(fields) => {
                let (_, kind) = fields.iter().find(|(other, _)| *other == name)?;
                Some(*kind)
            }
            Self::All(kind) => Some(*kind),
        }
    }
}

fn kind_of<T: DeserializeOwned>(field: &'static str) -> Kind {
    match ask::<T>(Some(field)) {
        Answer::Kind(kind) => kind,
        _ => Kind::Text,
    }
}

fn ask<T: DeserializeOwned>(field: Option<&'static str>) -> Answer {
    T::deserialize(FormProbe { field })
        .err()
        .unwrap_or(Answer::Other)
}

/// A type's answer, as an error.
#[derive(Debug)]
enum Answer {
    Struct(&'static [&'static str]),
    Map,
    Kind(Kind),
    /// The type itself reports an error, or is not a struct.
    Other,
}

/// A form with one field, or with a question about the fields.
struct FormProbe {
    field: Option<&'static str>,
}

/// The value of the field.
#[derive(Clone, Copy)]
struct ValueProbe;

/// A sequence of one value, or a map of one field.
struct One {
    field: &'static str,
    is_taken: Cell<bool>,
}

impl FormProbe {
    fn visit<'de, V: Visitor<'de>>(self, visitor: V, names: Answer) -> Result<V::Value, Answer> {
        let field = self.field.ok_or(names)?;
        visitor.visit_map(One {
            field,
            is_taken: Cell::new(false),
        })
    }
}

impl<'de> Deserializer<'de> for FormProbe {
    type Error = Answer;

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct enum identifier ignored_any
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
        Err(Answer::Other)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Answer> {
        self.visit(visitor, Answer::Map)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Answer> {
        self.visit(visitor, Answer::Struct(names))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Answer> {
        visitor.visit_newtype_struct(self)
    }
}

impl<'de> Deserializer<'de> for ValueProbe {
    type Error = Answer;

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple tuple_struct map struct enum identifier ignored_any
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
        Err(Answer::Kind(Kind::Text))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Answer> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Answer> {
        visitor.visit_seq(One {
            field: "",
            is_taken: Cell::new(false),
        })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Answer> {
        match name {
            FILE_BYTES => Err(Answer::Kind(Kind::Bytes)),
            TEMP_FILE => Err(Answer::Kind(Kind::TempFile)),
            _ => visitor.visit_newtype_struct(self),
        }
    }
}

impl<'de> MapAccess<'de> for One {
    type Error = Answer;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Answer> {
        if self.is_taken.replace(true) {
            return Ok(None);
        }
        seed.deserialize(self.field.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Answer> {
        seed.deserialize(ValueProbe)
    }
}

impl<'de> SeqAccess<'de> for One {
    type Error = Answer;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Answer> {
        seed.deserialize(ValueProbe).map(Some)
    }
}

impl de::Error for Answer {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Other
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Answer {}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;

    use super::*;
    use crate::web::multipart::{FileBytes, TempFile};

    #[derive(Deserialize)]
    struct Wrapped(#[allow(dead_code, reason = "only the type matters")] TempFile);

    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    #[allow(dead_code, reason = "only the types matter")]
    struct Upload {
        title: String,
        number: Option<u32>,
        tags: Vec<String>,
        one_file: FileBytes,
        maybe: Option<Box<FileBytes>>,
        #[serde(default, alias = "more")]
        many: Vec<TempFile>,
        wrapped: Wrapped,
    }

    #[test]
    fn fields_are_found_with_their_kinds() {
        let fields = Fields::of::<Upload>();
        for (name, kind) in [
            ("title", Some(Kind::Text)),
            ("number", Some(Kind::Text)),
            ("tags", Some(Kind::Text)),
            ("one-file", Some(Kind::Bytes)),
            ("maybe", Some(Kind::Bytes)),
            ("many", Some(Kind::TempFile)),
            ("more", Some(Kind::TempFile)),
            ("wrapped", Some(Kind::TempFile)),
            ("one_file", None),
            ("", None),
        ] {
            assert_eq!(fields.kind(name), kind, "{name}");
        }
    }

    #[test]
    fn other_types_take_all_names() {
        #[derive(Deserialize)]
        struct Newtype(#[allow(dead_code, reason = "only the type matters")] Upload);
        #[derive(Deserialize)]
        #[allow(dead_code, reason = "only the types matter")]
        struct Flat {
            #[serde(flatten)]
            upload: Upload,
        }
        assert_eq!(Fields::of::<Newtype>(), Fields::of::<Upload>());
        assert_eq!(Fields::of::<Flat>(), Fields::All(Kind::Text));
        assert_eq!(Fields::of::<HashMap<String, u8>>(), Fields::All(Kind::Text));
        assert_eq!(
            Fields::of::<HashMap<String, Vec<FileBytes>>>(),
            Fields::All(Kind::Bytes)
        );
        assert_eq!(
            Fields::of::<Vec<(String, String)>>(),
            Fields::All(Kind::Text)
        );
        assert_eq!(Fields::of::<()>(), Fields::All(Kind::Text));
    }
}
