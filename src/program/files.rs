//! `--root` and what goes with it.

use httpool::Files;

use super::cli::Args;

/// The flags that say how a folder is served, and so nothing without one.
pub(crate) fn check_use(args: &Args) -> Result<(), String> {
    if args.root.is_some() {
        return Ok(());
    }
    let said = [
        ("symlinks", args.symlinks.is_some()),
        ("precompressed", args.precompressed),
        ("listing", args.listing),
        ("dotfiles", args.dotfiles),
        ("fallback", args.fallback.is_some()),
        ("cache-control", args.cache_control.is_some()),
        ("immutable", !args.immutable.is_empty()),
    ];
    match said.iter().find(|(_, is_said)| *is_said) {
        Some((flag, _)) => Err(format!("--{flag}: needs --root, the folder to serve")),
        None => Ok(()),
    }
}

/// The folder that is to be served, if there is one.
pub(crate) fn open(args: &Args) -> Result<Option<Files>, String> {
    let Some(root) = &args.root else {
        return Ok(None);
    };
    let files = Files::new(root)
        .map_err(|error| format!("cannot serve {}: {error}", root.display()))?
        .precompressed(args.precompressed)
        .listing(args.listing)
        .dotfiles(args.dotfiles)
        .symlinks(args.symlinks.map(Into::into).unwrap_or_default());
    let files = match &args.cache_control {
        Some(value) => files.cache_control(value.clone()),
        None => files,
    };
    let files = (args.immutable.iter()).fold(files, |files, prefix| files.immutable(prefix));
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
