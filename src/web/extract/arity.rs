//! Finds out how many path parameters a type is read from.

use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// How many parameters the path of a route may have for this type. A deserializer without data
/// records the type's first request: a single value, a tuple of a fixed length, or something whose
/// length is not fixed.
pub(crate) fn parameter_count<T: DeserializeOwned>() -> RangeInclusive<usize> {
    match T::deserialize(Probe) {
        Err(Arity::Exactly(count)) => count..=count,
        Err(Arity::AnyNumber) | Ok(_) => 0..=usize::MAX,
    }
}

/// A deserializer without data. It returns the type's first request as an error.
struct Probe;

#[derive(Debug)]
enum Arity {
    Exactly(usize),
    AnyNumber,
}

macro_rules! single_value {
    ($($method:ident)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Arity> {
                Err(Arity::Exactly(1))
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Probe {
    type Error = Arity;

    single_value! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_identifier
    }

    forward_to_deserialize_any! {
        unit unit_struct seq map struct ignored_any
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Arity> {
        Err(Arity::AnyNumber)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Arity> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, count: usize, _: V) -> Result<V::Value, Arity> {
        Err(Arity::Exactly(count))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        count: usize,
        _: V,
    ) -> Result<V::Value, Arity> {
        Err(Arity::Exactly(count))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Arity> {
        Err(Arity::Exactly(1))
    }
}

/// An error that the type itself reports, which requested nothing.
impl de::Error for Arity {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::AnyNumber
    }
}

impl fmt::Display for Arity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(count) => write!(f, "{count} parameters"),
            Self::AnyNumber => f.write_str("any number of parameters"),
        }
    }
}

impl std::error::Error for Arity {}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::IpAddr;

    use super::*;

    #[derive(serde::Deserialize)]
    struct Id(#[allow(dead_code, reason = "only the type matters")] u64);

    #[derive(serde::Deserialize)]
    struct Pair(
        #[allow(dead_code, reason = "only the type matters")] u64,
        #[allow(dead_code, reason = "only the type matters")] u64,
    );

    #[derive(serde::Deserialize)]
    struct ByName {
        #[allow(dead_code, reason = "only the type matters")]
        shelf: u8,
    }

    #[test]
    fn types_take_a_number_of_parameters() {
        let any = 0..=usize::MAX;
        assert_eq!(parameter_count::<u64>(), 1..=1);
        assert_eq!(parameter_count::<String>(), 1..=1);
        assert_eq!(parameter_count::<Option<IpAddr>>(), 1..=1);
        assert_eq!(parameter_count::<Id>(), 1..=1);
        assert_eq!(parameter_count::<(u64,)>(), 1..=1);
        assert_eq!(parameter_count::<(u64, String)>(), 2..=2);
        assert_eq!(parameter_count::<Pair>(), 2..=2);
        assert_eq!(parameter_count::<[u8; 3]>(), 3..=3);
        assert_eq!(parameter_count::<ByName>(), any);
        assert_eq!(parameter_count::<Vec<String>>(), any);
        assert_eq!(parameter_count::<HashMap<String, String>>(), any);
        assert_eq!(parameter_count::<()>(), any);
    }
}
