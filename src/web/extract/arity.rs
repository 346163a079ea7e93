//! How many names a path must have for a type that is read from it.

use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// How many names the path of a route may have for this type: the type is asked what it wants to read
/// first, which is a single value, a tuple of so many, or something that does not count.
pub(crate) fn names_for<T: DeserializeOwned>() -> RangeInclusive<usize> {
    match T::deserialize(Probe) {
        Err(Wanted::Exactly(count)) => count..=count,
        Err(Wanted::AnyNumber) | Ok(_) => 0..=usize::MAX,
    }
}

/// Has nothing to read, and gives the type's first wish back as an error.
struct Probe;

#[derive(Debug)]
enum Wanted {
    Exactly(usize),
    AnyNumber,
}

macro_rules! one_value {
    ($($method:ident)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Wanted> {
                Err(Wanted::Exactly(1))
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Probe {
    type Error = Wanted;

    one_value! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_identifier
    }

    forward_to_deserialize_any! {
        unit unit_struct seq map struct ignored_any
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Wanted> {
        Err(Wanted::AnyNumber)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wanted> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, count: usize, _: V) -> Result<V::Value, Wanted> {
        Err(Wanted::Exactly(count))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        count: usize,
        _: V,
    ) -> Result<V::Value, Wanted> {
        Err(Wanted::Exactly(count))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Wanted> {
        Err(Wanted::Exactly(1))
    }
}

/// An error of the type's own, which has not read anything.
impl de::Error for Wanted {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::AnyNumber
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(count) => write!(f, "{count} values"),
            Self::AnyNumber => f.write_str("any number of values"),
        }
    }
}

impl std::error::Error for Wanted {}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::IpAddr;

    use super::*;

    #[derive(serde::Deserialize)]
    struct Id(#[allow(dead_code, reason = "it is only asked what it wants")] u64);

    #[derive(serde::Deserialize)]
    struct Pair(
        #[allow(dead_code, reason = "it is only asked what it wants")] u64,
        #[allow(dead_code, reason = "it is only asked what it wants")] u64,
    );

    #[derive(serde::Deserialize)]
    struct Place {
        #[allow(dead_code, reason = "it is only asked what it wants")]
        shelf: u8,
    }

    #[test]
    fn types_want_so_many_names() {
        let any = 0..=usize::MAX;
        assert_eq!(names_for::<u64>(), 1..=1);
        assert_eq!(names_for::<String>(), 1..=1);
        assert_eq!(names_for::<Option<IpAddr>>(), 1..=1);
        assert_eq!(names_for::<Id>(), 1..=1);
        assert_eq!(names_for::<(u64,)>(), 1..=1);
        assert_eq!(names_for::<(u64, String)>(), 2..=2);
        assert_eq!(names_for::<Pair>(), 2..=2);
        assert_eq!(names_for::<[u8; 3]>(), 3..=3);
        assert_eq!(names_for::<Place>(), any);
        assert_eq!(names_for::<Vec<String>>(), any);
        assert_eq!(names_for::<HashMap<String, String>>(), any);
        assert_eq!(names_for::<()>(), any);
    }
}
