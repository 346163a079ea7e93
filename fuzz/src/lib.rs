//! The properties of `tests/properties/` for the fuzz targets. Tests and fuzzers share one
//! implementation.

#[path = "../../tests/properties/connection.rs"]
pub mod connection;
#[path = "../../tests/properties/frames.rs"]
pub mod frames;
#[path = "../../tests/properties/hpack.rs"]
pub mod hpack;
#[path = "../../tests/properties/http2_connection.rs"]
pub mod http2_connection;
#[path = "../../tests/properties/http2_head.rs"]
pub mod http2_head;
#[path = "../../tests/properties/multipart.rs"]
pub mod multipart;
#[path = "../../tests/properties/plan.rs"]
pub mod plan;
#[path = "../../tests/properties/reference.rs"]
pub mod reference;
#[path = "../../tests/properties/reference_http2.rs"]
pub mod reference_http2;
#[path = "../../tests/properties/reference_multipart.rs"]
pub mod reference_multipart;
#[path = "../../tests/properties/response.rs"]
pub mod response;
