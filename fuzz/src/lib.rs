//! The properties of `tests/properties/` for the fuzz targets. Tests and fuzzers share one
//! implementation.

#[path = "../../tests/properties/connection.rs"]
pub mod connection;
#[path = "../../tests/properties/reference.rs"]
pub mod reference;
#[path = "../../tests/properties/response.rs"]
pub mod response;
