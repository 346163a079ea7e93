//! The text about a folder that a listing shows below the names.

#[cfg(feature = "readme")]
mod markdown;

use std::io;

use crate::fs::folder::{Folder, OpenError, OpenFile, Opened};
use crate::message::problem::html_page::HtmlPage;
use crate::web::files::join;

/// The names of such a file, in any case. The first one that exists is shown.
const NAMES: [&[u8]; 3] = [b"README.md", b"README", b"README.txt"];

/// How much of it is shown.
const MAX_SIZE: usize = 256 * 1024;

/// The text about a folder.
#[derive(Debug)]
pub(crate) struct Readme {
    pub(crate) name: Vec<u8>,
    text: String,
    is_cut: bool,
}

/// Finds the file among the names of a folder.
#[derive(Debug, Default)]
pub(crate) struct Candidate(Option<(usize, Vec<u8>)>);

impl Candidate {
    pub(crate) fn consider(&mut self, name: &[u8]) {
        let rank = NAMES.iter().position(|one| one.eq_ignore_ascii_case(name));
        let Some(rank) = rank else { return };
        let is_better = match &self.0 {
            None => true,
            Some((other, kept)) => (rank, name) < (*other, kept),
        };
        if is_better {
            self.0 = Some((rank, name.to_vec()));
        }
    }

    /// Reads the file, if there is one that would be served.
    pub(crate) fn read(self, root: &Folder, folder: &[u8]) -> Result<Option<Readme>, OpenError> {
        let Some((_, name)) = self.0 else {
            return Ok(None);
        };
        match root.open_path(&join(folder, &name)) {
            Ok(Opened::File(file)) => Readme::read(name, &file)
                .map(Some)
                .map_err(OpenError::Failed),
            Ok(Opened::Folder) | Err(OpenError::NotFound | OpenError::Forbidden) => Ok(None),
            Err(missed) => Err(missed),
        }
    }
}

impl Readme {
    fn read(name: Vec<u8>, file: &OpenFile) -> io::Result<Self> {
        // One byte more tells whether it is longer.
        let mut bytes = vec![0; MAX_SIZE + 1];
        let mut length = 0;
        while length < bytes.len() {
            match file.file.read_at(&mut bytes[length..], length as u64)? {
                0 => break,
                count => length += count,
            }
        }
        let is_cut = length > MAX_SIZE;
        let bytes = &bytes[..length.min(MAX_SIZE)];
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        Ok(Self {
            name,
            text: String::from_utf8_lossy(bytes).into_owned(),
            is_cut,
        })
    }

    pub(crate) fn html(&self, page: &mut HtmlPage) {
        let name = String::from_utf8_lossy(&self.name);
        page.markup("<section class=\"readme\" aria-label=\"");
        page.text(&name);
        page.markup("\">\n");
        self.content(page);
        if self.is_cut {
            page.markup("<p><small>");
            page.text(&format!(
                "This is the beginning. {name} is longer than 256 KiB."
            ));
            page.markup("</small></p>\n");
        }
        page.markup("</section>\n");
    }

    fn content(&self, page: &mut HtmlPage) {
        #[cfg(feature = "readme")]
        if self.name.to_ascii_lowercase().ends_with(b".md") && !markdown::is_deep(&self.text) {
            return page.rendered(|html| markdown::render(&self.text, html));
        }
        page.markup("<pre>");
        page.text(&self.text);
        page.markup("</pre>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_comes_first_in_any_case() {
        let chosen = |names: &[&str]| {
            let mut candidate = Candidate::default();
            names
                .iter()
                .for_each(|name| candidate.consider(name.as_bytes()));
            candidate
                .0
                .map(|(_, name)| String::from_utf8_lossy(&name).into_owned())
        };
        assert_eq!(
            chosen(&["README.txt", "a", "readme.MD", "README"]).as_deref(),
            Some("readme.MD")
        );
        assert_eq!(chosen(&["readme", "README"]).as_deref(), Some("README"));
        assert_eq!(chosen(&["README.html", "READMEE"]), None);
    }
}
