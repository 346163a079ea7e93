//! Folders: `--root` with the flags that go with it, and `--error-pages`.

use httpool::{ErrorPageDir, ServeDir};

use super::cli::Args;

/// Opens the folder to serve, if there is one.
pub(crate) fn open(args: &Args) -> Result<Option<ServeDir>, String> {
    let Some(root) = &args.root else {
        return Ok(None);
    };
    let files = ServeDir::new(root)
        .map_err(|error| format!("{} {}: {error}", args.root_name(), root.display()))?
        .precompressed(args.precompressed)
        .listing(args.listing)
        .dotfiles(args.dotfiles)
        .symlinks(args.symlinks.map(Into::into).unwrap_or_default())
        .entity_tags(args.etag.map(Into::into).unwrap_or_default());
    let files = match &args.cache_control {
        Some(value) => files.cache_control(value.clone()),
        None => files,
    };
    let files = (args.immutable.iter()).fold(files, |files, prefix| files.immutable(prefix));
    let files = args
        .media_type
        .iter()
        .fold(files, |files, (extension, value)| {
            files.media_type(extension, value.clone())
        });
    match &args.fallback {
        Some(file) => {
            let found = files.find(file);
            found.map_err(|error| format!("--fallback {}: {error}", file.display()))?;
            Ok(Some(files.fallback(file)))
        }
        None => Ok(Some(files)),
    }
}

/// Opens the folder of error pages, if there is one.
pub(crate) fn error_pages(args: &Args) -> Result<Option<ErrorPageDir>, String> {
    let pages = args.error_pages.as_ref().map(ErrorPageDir::open);
    let pages = pages.transpose();
    pages.map_err(|error| format!("--error-pages {error}"))
}
