//! Folders: `--root` with the flags that go with it, and `--error-pages`.

use std::io;
use std::path::Path;

use httpool::{Archives, ErrorPageDir, ServeDir};

use super::cli::Args;
use super::value_parsers::Size;

/// The value of `--index` for folders without an index.
pub(crate) const NO_INDEX: &str = "none";

/// Opens the folder to serve, if there is one.
pub(crate) fn open(args: &Args) -> Result<Option<ServeDir>, String> {
    let Some(root) = &args.root else {
        return Ok(None);
    };
    let files = ServeDir::new(root)
        .map_err(|error| format!("{} {}: {error}", args.root_name(), root.display()))?
        .precompressed(args.precompressed)
        .pretty_urls(args.pretty_urls)
        .listing(args.listing)
        .dotfiles(args.dotfiles)
        .symlinks(args.symlinks.map(Into::into).unwrap_or_default())
        .entity_tags(args.etag.map(Into::into).unwrap_or_default());
    let files = match &*args.index {
        [] => files,
        names => {
            let names = names.iter().filter(|name| *name != NO_INDEX);
            files
                .index(names)
                .map_err(|error| format!("--index {error}"))?
        }
    };
    let files = match &args.cache_control {
        Some(value) => files.cache_control(value.clone()),
        None => files,
    };
    let files = match args.archive {
        true => files.archives(archives(args)),
        false => files,
    };
    let files = (args.immutable.iter()).fold(files, |files, prefix| files.immutable(prefix));
    let files = args
        .media_type
        .iter()
        .fold(files, |files, (extension, value)| {
            files.media_type(extension, value.clone())
        });
    let Some((flag, file)) = args.fallback() else {
        return Ok(Some(files));
    };
    let found = files.find(file);
    found.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("{flag} {}: not in the folder", file.display()),
        _ => format!("{flag} {}: {error}", file.display()),
    })?;
    Ok(Some(files.fallback(file)))
}

/// Warns that the address of the server itself will show nothing but an error.
pub(crate) fn warn_without_index(args: &Args, files: &ServeDir) {
    let named = args.index.iter().map(String::as_str);
    let mut indexes: Vec<&str> = named.collect();
    if indexes.is_empty() {
        indexes.push("index.html");
    }
    // A user who turns index files off knows that there is none.
    let is_off = indexes.contains(&NO_INDEX);
    let is_expected = args.listing || is_off || args.fallback().is_some();
    if !is_expected && !indexes.iter().any(|index| files.find(index).is_ok()) {
        let root = args.root.as_deref().unwrap_or(Path::new(""));
        log::warn!(
            "{} {} has no {}, so requests for / get a 404: --listing shows the files, --index NAME \
             names the index file, --fallback FILE sends a file instead",
            args.root_name(),
            root.display(),
            indexes.join(" or ")
        );
    }
}

fn archives(args: &Args) -> Archives {
    match args.max_archive {
        Some(Size(bytes)) => Archives::new().max_bytes(bytes as u64),
        None => Archives::new(),
    }
}

/// Opens the folder of error pages, if there is one.
pub(crate) fn error_pages(args: &Args) -> Result<Option<ErrorPageDir>, String> {
    let pages = args.error_pages.as_ref().map(ErrorPageDir::open);
    let pages = pages.transpose();
    pages.map_err(|error| format!("--error-pages {error}"))
}
