//! The code blocks of a document, and their commands.

use std::fs;
use std::path::Path;

/// A fenced code block.
#[derive(Debug)]
pub(crate) struct Block {
    /// The info string, for example `rust,no_run`.
    language: String,
    pub(crate) text: String,
    /// The text between the previous block and this one.
    pub(crate) before: String,
    /// The line number of the block's first line.
    pub(crate) line: usize,
}

impl Block {
    pub(crate) fn is(&self, language: &str) -> bool {
        self.language.split(',').next() == Some(language)
    }

    /// Whether it may be run: it ends by itself.
    pub(crate) fn ends(&self) -> bool {
        !self.language.contains("no_run")
    }

    /// The program that a reader makes of the block. As the text says, code without `main` goes
    /// into one.
    pub(crate) fn program(&self) -> String {
        match self.text.contains("fn main()") {
            true => self.text.clone(),
            false => format!("fn main() {{\n{}}}\n", self.text),
        }
    }

    /// The features that the preceding text names: "feature `tls`", "features `a` and `b`".
    pub(crate) fn features(&self) -> Vec<&str> {
        let last = self.before.trim_end().rsplit("\n\n").next();
        let Some((_, named)) = last.and_then(|text| text.split_once("(feature")) else {
            return Vec::new();
        };
        let inside = named.split([')', ';']).next().unwrap_or_default();
        inside.split('`').skip(1).step_by(2).collect()
    }

    /// The commands of the block: the text after each `$`, or each line of a script. A trailing
    /// backslash continues a line.
    pub(crate) fn commands(&self) -> Vec<String> {
        if !self.is("sh") && !self.is("console") {
            return Vec::new();
        }
        let joined = self.text.replace("\\\n", " ");
        let lines = joined.lines();
        let commands = lines.filter_map(|line| match self.is("console") {
            true => line.strip_prefix("$ "),
            false => Some(line),
        });
        let one_space = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        commands
            .map(one_space)
            .filter(|line| !line.is_empty())
            .collect()
    }
}

/// All blocks of a document in this repository.
pub(crate) fn of(document: &str) -> Vec<Block> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(document);
    let text = fs::read_to_string(path).expect("the document exists");
    let (mut blocks, mut before, mut open) = (Vec::new(), String::new(), None::<Block>);
    for (index, line) in text.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                open = Some(Block {
                    language: language.to_owned(),
                    text: String::new(),
                    before: std::mem::take(&mut before),
                    line: index + 2,
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text += &format!("{line}\n"),
            (None, None) => before += &format!("{line}\n"),
        }
    }
    assert!(open.is_none(), "{document}: a block does not end");
    blocks
}
