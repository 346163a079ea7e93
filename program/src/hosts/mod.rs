//! Virtual hosts: one server with several sites, each with its own names.

mod current;
mod name;
mod served;
mod sites;
mod table;

pub(crate) use self::current::CurrentSites;
pub(crate) use self::name::HostName;
pub(crate) use self::served::Served;
pub(crate) use self::sites::Sites;
pub(crate) use self::table::HostTable;
