//! The parameters of a request's path.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::parse_error::ParseError;

/// The parameters of a request's path: the values of the route's `{names}`, percent-decoded, in the
/// order of the path.
///
/// Functions take them as [`Path`](super::Path). An implementation of
/// [`FromRequest`](super::FromRequest) finds them in its [`RequestContext`](super::RequestContext):
///
/// ```
/// use httpool::http::StatusCode;
/// use httpool::Router;
/// use httpool::extract::{RequestContext, FromRequest, Rejection};
///
/// /// The language that the path begins with.
/// struct Language(String);
///
/// impl<S> FromRequest<S> for Language {
///     fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
///         match context.parameters().get("language") {
///             Some(known @ ("en" | "zh")) => Ok(Self(known.to_owned())),
///             _ => Err(Rejection::new(StatusCode::NOT_FOUND, "there is no translation")),
///         }
///     }
/// }
///
/// let router: Router = Router::new()
///     .get("/{language}/news", |Language(language): Language| language)
///     .get("/{language}/news/{id}", |Language(language): Language| language);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(Box<str>, String)>);

impl Parameters {
    /// Decodes the parameters. `None` if one of them is not UTF-8.
    pub(crate) fn decode<'p>(raw: impl Iterator<Item = (&'p str, &'p str)>) -> Option<Self> {
        let decoded = raw.map(|(name, value)| {
            let value = percent_decode_str(value).decode_utf8().ok()?;
            Some((name.into(), value.into_owned()))
        });
        decoded.collect::<Option<_>>().map(Self)
    }

    /// The value of the parameter with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(other, _)| **other == *name)?;
        Some(value)
    }

    /// Names and values, in the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Parses the parameters as a struct by their names, as a tuple by their order, or as a single
    /// value.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, ParseError> {
        T::deserialize(AllParameters(&self.0))
    }
}

/// Deserializes all parameters.
struct AllParameters<'a>(&'a [(Box<str>, String)]);

/// Deserializes the text of one parameter.
#[derive(Clone, Copy)]
struct Parameter<'a> {
    name: &'a str,
    value: &'a str,
}

impl<'a> AllParameters<'a> {
    fn values(&self) -> impl Iterator<Item = Parameter<'a>> + use<'a> {
        self.0.iter().map(|(name, value)| Parameter { name, value })
    }

    fn single(&self) -> Result<Parameter<'a>, ParseError> {
        match self.0 {
            [(name, value)] => Ok(Parameter { name, value }),
            all => Err(ParseError::Program(format!(
                "the type needs one parameter, but the path has {}",
                all.len()
            ))),
        }
    }
}

macro_rules! delegate_to_single {
    ($($method:ident)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
                self.single()?.$method(visitor)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for AllParameters<'_> {
    type Error = ParseError;

    delegate_to_single! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ParseError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ParseError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        visitor.visit_seq(SeqDeserializer::new(self.values()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, ParseError> {
        if length != self.0.len() {
            return Err(ParseError::Program(format!(
                "the type needs {length} parameters, but the path has {}",
                self.0.len()
            )));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, ParseError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        visitor.visit_map(MapDeserializer::new(
            self.values().map(|parameter| (parameter.name, parameter)),
        ))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParseError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParseError> {
        self.single()?.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        visitor.visit_unit()
    }
}

macro_rules! parse {
    ($($method:ident $visit:ident)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
                let parsed = self.value.parse().map_err(|error| self.error(error))?;
                visitor.$visit(parsed)
            }
        )*
    };
}

impl Parameter<'_> {
    fn error(self, reason: impl fmt::Display) -> ParseError {
        ParseError::Named {
            name: self.name.into(),
            reason: format!("{:?} is not a valid {}: {reason}", self.value, self.name),
        }
    }

    /// Adds the parameter to an error of a visitor, which does not know the parameter.
    fn add_name(self, error: ParseError) -> ParseError {
        match error {
            ParseError::Client(reason) => self.error(reason),
            named @ ParseError::Named { .. } => named,
            ParseError::Program(reason) => ParseError::Program(format!("{}: {reason}", self.name)),
        }
    }
}

impl<'de> Deserializer<'de> for Parameter<'_> {
    type Error = ParseError;

    parse! {
        deserialize_bool visit_bool
        deserialize_i8 visit_i8 deserialize_i16 visit_i16 deserialize_i32 visit_i32
        deserialize_i64 visit_i64 deserialize_i128 visit_i128
        deserialize_u8 visit_u8 deserialize_u16 visit_u16 deserialize_u32 visit_u32
        deserialize_u64 visit_u64 deserialize_u128 visit_u128
        deserialize_f32 visit_f32 deserialize_f64 visit_f64
        deserialize_char visit_char
    }

    forward_to_deserialize_any! {
        str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        visitor
            .visit_str(self.value)
            .map_err(|error| self.add_name(error))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ParseError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParseError> {
        let value: de::value::StrDeserializer<'_, ParseError> = self.value.into_deserializer();
        visitor
            .visit_enum(value)
            .map_err(|error| self.add_name(error))
    }
}

impl<'de> IntoDeserializer<'de, ParseError> for Parameter<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(raw: &[(&str, &str)]) -> Parameters {
        Parameters::decode(raw.iter().copied()).expect("the values are UTF-8")
    }

    #[track_caller]
    fn expect<T: DeserializeOwned + PartialEq + fmt::Debug>(raw: &[(&str, &str)], value: T) {
        assert_eq!(parameters(raw).parse(), Ok(value));
    }

    #[track_caller]
    fn expect_client_error<T: DeserializeOwned + fmt::Debug>(raw: &[(&str, &str)], reason: &str) {
        let error = parameters(raw).parse::<T>().expect_err("T does not fit");
        assert!(matches!(error, ParseError::Named { .. }), "{error:?}");
        assert_eq!(error.to_string(), reason);
    }

    #[track_caller]
    fn expect_program_error<T: DeserializeOwned + fmt::Debug>(raw: &[(&str, &str)], reason: &str) {
        let error = parameters(raw).parse::<T>().expect_err("T does not fit");
        assert_eq!(error, ParseError::Program(reason.to_owned()));
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Place {
        shelf: u8,
        title: String,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Book,
    }

    #[test]
    fn parameters_are_parsed_as_many_types() {
        let two = [("shelf", "7"), ("title", "a%20%2F%C3%A9")];
        let title = String::from("a /é");
        expect(&two, (7_u8, title.clone()));
        expect(
            &two,
            Place {
                shelf: 7,
                title: title.clone(),
            },
        );
        expect(&two, vec![String::from("7"), title]);
        expect(&[("id", "-3")], -3_i64);
        expect(&[("id", "3")], Some(3_u8));
        expect(&[("id", "3")], (3_u8,));
        expect(&[("yes", "true")], true);
        expect(&[("letter", "%C3%A9")], 'é');
        expect(&[("kind", "book")], Kind::Book);
        expect(&[], ());
    }

    #[test]
    fn wrong_values_are_reported_with_the_reason() {
        expect_client_error::<u8>(
            &[("id", "x")],
            "\"x\" is not a valid id: invalid digit found in string",
        );
        expect_client_error::<u8>(
            &[("id", "256")],
            "\"256\" is not a valid id: number too large to fit in target type",
        );
        expect_client_error::<Kind>(
            &[("kind", "pen")],
            "\"pen\" is not a valid kind: unknown variant `pen`, expected `book`",
        );
    }

    #[test]
    fn types_that_never_fit_the_route_are_program_errors() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Strict {
            #[serde(rename = "id")]
            _id: u8,
        }
        #[derive(Debug, serde::Deserialize)]
        struct Deep {
            #[serde(rename = "id")]
            _id: Vec<u8>,
        }
        #[derive(Debug, serde::Deserialize)]
        struct Flat {
            #[serde(flatten)]
            _strict: Strict,
        }
        let two = [("a", "1"), ("b", "2")];
        expect_program_error::<u8>(&two, "the type needs one parameter, but the path has 2");
        expect_program_error::<(u8, u8)>(
            &[("a", "1")],
            "the type needs 2 parameters, but the path has 1",
        );
        expect_program_error::<[u8; 3]>(&two, "the type needs 3 parameters, but the path has 2");
        expect_program_error::<Place>(&[("shelf", "1")], "the path has no parameter \"title\"");
        expect_program_error::<Strict>(
            &two,
            "the path has the parameter \"a\", which is not a field",
        );
        expect_program_error::<Strict>(
            &[("id", "1"), ("id", "2")],
            "the path has the parameter \"id\" more than once",
        );
        let not_a_sequence = "id: a parameter is text and can't be parsed as a sequence";
        expect_program_error::<Deep>(&[("id", "1")], not_a_sequence);
        expect_program_error::<Flat>(
            &[("id", "1")],
            "a parameter is text and can't be parsed as u8",
        );
    }

    #[test]
    fn parameters_must_be_utf_8() {
        assert_eq!(Parameters::decode([("id", "%FF")].into_iter()), None);
        assert_eq!(parameters(&[("id", "%zz")]).get("id"), Some("%zz"));
    }
}
