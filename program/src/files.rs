//! `--root` and what goes with it.

use httpool::ServeDir;

use super::cli::Args;

/// The folder that is to be served, if there is one.
pub(crate) fn open(args: &Args) -> Result<Option<ServeDir>, String> {
    let Some(root) = &args.root else {
        return Ok(None);
    };
    let files = ServeDir::new(root)
        .map_err(|error| format!("cannot serve {}: {error}", root.display()))?
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
            found.map_err(|error| {
                format!("cannot serve the fallback {}: {error}", file.display())
            })?;
            Ok(Some(files.fallback(file)))
        }
        None => Ok(Some(files)),
    }
}
