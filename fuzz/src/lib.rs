//! The properties of `tests/properties/`, for the fuzz targets: there is one place that says what
//! is true, and two that try.

#[path = "../../tests/properties/connection.rs"]
pub mod connection;
#[path = "../../tests/properties/reference.rs"]
pub mod reference;
#[path = "../../tests/properties/response.rs"]
pub mod response;
