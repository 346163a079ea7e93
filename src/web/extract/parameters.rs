//! What stands in a path where its route has names.

use std::fmt;

use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    self, DeserializeOwned, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{Rejection, RequestContext};

/// The parts of a request's path that a route names, percent-decoded, in their order.
///
/// Functions take them as [`Path`](super::Path); what implements [`FromRequest`](super::FromRequest) finds them
/// in its [`RequestContext`](super::RequestContext):
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
///     fn from_request(call: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
///         match call.parameters().get("language") {
///             Some(known @ ("en" | "zh")) => Ok(Self(known.to_owned())),
///             _ => Err(Rejection::new(StatusCode::NOT_FOUND, "nobody has translated this")),
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

/// Why parameters are not what a function wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// The value that a client has sent.
    OfValue(String),
    /// The type: no path of the route can be read as it.
    OfProgram(String),
}

impl Parameters {
    /// `None` if one of them is not UTF-8.
    pub(crate) fn decode<'p>(raw: impl Iterator<Item = (&'p str, &'p str)>) -> Option<Self> {
        let decoded = raw.map(|(name, value)| {
            let value = percent_decode_str(value).decode_utf8().ok()?;
            Some((name.into(), value.into_owned()))
        });
        decoded.collect::<Option<_>>().map(Self)
    }

    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(other, _)| **other == *name)?;
        Some(value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// As a struct by their names, as a tuple by their order, or as one value if there is one.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, Mismatch> {
        T::deserialize(AllOf(&self.0))
    }
}

/// All parameters, as whatever is wanted.
struct AllOf<'a>(&'a [(Box<str>, String)]);

/// One value: text, and whatever can be read from text.
#[derive(Clone, Copy)]
struct One<'a> {
    name: &'a str,
    value: &'a str,
}

impl<'a> AllOf<'a> {
    fn values(&self) -> impl Iterator<Item = One<'a>> + use<'a> {
        self.0.iter().map(|(name, value)| One { name, value })
    }

    fn only(&self) -> Result<One<'a>, Mismatch> {
        match self.0 {
            [(name, value)] => Ok(One { name, value }),
            all => Err(Mismatch::OfProgram(format!(
                "one value is wanted of a path that has {}",
                all.len()
            ))),
        }
    }
}

macro_rules! of_the_only_one {
    ($($method:ident)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
                self.only()?.$method(visitor)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for AllOf<'_> {
    type Error = Mismatch;

    of_the_only_one! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_map(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_seq(SeqDeserializer::new(self.values()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        if length != self.0.len() {
            return Err(Mismatch::OfProgram(format!(
                "{length} values are wanted of a path that has {}",
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
    ) -> Result<V::Value, Mismatch> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_map(MapDeserializer::new(
            self.values().map(|one| (one.name, one)),
        ))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        self.only()?.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_unit()
    }
}

macro_rules! read {
    ($($method:ident $visit:ident)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
                let parsed = self.value.parse().map_err(|why| self.mismatch(why))?;
                visitor.$visit(parsed)
            }
        )*
    };
}

impl One<'_> {
    fn mismatch(self, why: impl fmt::Display) -> Mismatch {
        Mismatch::OfValue(format!("{:?} is no {}: {why}", self.value, self.name))
    }

    /// The same for what a visitor says, who does not know which value it is about.
    fn about(self, mismatch: Mismatch) -> Mismatch {
        match mismatch {
            Mismatch::OfValue(why) => self.mismatch(why),
            Mismatch::OfProgram(why) => Mismatch::OfProgram(format!("{}: {why}", self.name)),
        }
    }
}

impl<'de> Deserializer<'de> for One<'_> {
    type Error = Mismatch;

    read! {
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

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_str(self.value).map_err(|why| self.about(why))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        let value: de::value::StrDeserializer<'_, Mismatch> = self.value.into_deserializer();
        visitor.visit_enum(value).map_err(|why| self.about(why))
    }
}

impl<'de> IntoDeserializer<'de, Mismatch> for One<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl Mismatch {
    /// The rejection of a request whose part of this name can't be read as an argument.
    pub(crate) fn reject<Argument>(
        self,
        status: StatusCode,
        part: &str,
        call: &RequestContext<'_, impl Sized>,
    ) -> Rejection {
        match self {
            Self::OfValue(why) => Rejection::new(status, format!("the {part} is wrong: {why}")),
            Self::OfProgram(why) => {
                let argument = std::any::type_name::<Argument>();
                Rejection::of_program(call.request(), format_args!("{argument}: {why}"))
            }
        }
    }
}

/// A value is always text, and the names are those of the route: what does not fit these fits no
/// request.
impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self::OfValue(why.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::OfProgram(format!(
            "a value is text, which can't be read as {expected}"
        ))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::OfProgram(format!("the path has {length} names, {expected} is wanted"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::OfProgram(format!("the path has no name {field:?}"))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::OfProgram(format!(
            "the path has the name {field:?}, which is no field"
        ))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::OfProgram(format!("the path has the name {field:?} more than once"))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfValue(why) | Self::OfProgram(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Mismatch {}

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
    fn expect_mismatch<T: DeserializeOwned + fmt::Debug>(raw: &[(&str, &str)], why: &str) {
        let mismatch = parameters(raw).parse::<T>().expect_err("it does not match");
        assert_eq!(mismatch, Mismatch::OfValue(why.to_owned()));
    }

    #[track_caller]
    fn expect_mistake<T: DeserializeOwned + fmt::Debug>(raw: &[(&str, &str)], why: &str) {
        let mismatch = parameters(raw).parse::<T>().expect_err("it does not match");
        assert_eq!(mismatch, Mismatch::OfProgram(why.to_owned()));
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
    fn they_are_what_is_wanted() {
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
    fn what_does_not_match_says_why() {
        expect_mismatch::<u8>(
            &[("id", "x")],
            "\"x\" is no id: invalid digit found in string",
        );
        expect_mismatch::<u8>(
            &[("id", "256")],
            "\"256\" is no id: number too large to fit in target type",
        );
        expect_mismatch::<Kind>(
            &[("kind", "pen")],
            "\"pen\" is no kind: unknown variant `pen`, expected `book`",
        );
    }

    #[test]
    fn types_that_no_path_of_the_route_fits_are_mistakes_of_the_program() {
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
        expect_mistake::<u8>(&two, "one value is wanted of a path that has 2");
        expect_mistake::<(u8, u8)>(&[("a", "1")], "2 values are wanted of a path that has 1");
        expect_mistake::<[u8; 3]>(&two, "3 values are wanted of a path that has 2");
        expect_mistake::<Place>(&[("shelf", "1")], "the path has no name \"title\"");
        expect_mistake::<Strict>(&two, "the path has the name \"a\", which is no field");
        expect_mistake::<Strict>(
            &[("id", "1"), ("id", "2")],
            "the path has the name \"id\" more than once",
        );
        let no_sequence = "id: a value is text, which can't be read as a sequence";
        expect_mistake::<Deep>(&[("id", "1")], no_sequence);
        expect_mistake::<Flat>(&[("id", "1")], "a value is text, which can't be read as u8");
    }

    #[test]
    fn what_is_not_utf_8_is_no_parameter() {
        assert_eq!(Parameters::decode([("id", "%FF")].into_iter()), None);
        assert_eq!(parameters(&[("id", "%zz")]).get("id"), Some("%zz"));
    }
}
