//! `httpool completions` and `httpool man`: texts from the table of flags.

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::CliExit;
use super::command::command;
use super::sections::{self, Section};

const COMPLETIONS: &str = "completions";
const MAN: &str = "man";
const SHELL: &str = "SHELL";

/// The first arguments that name a subcommand, not a folder.
pub(super) fn subcommands() -> [Command; 2] {
    let shell = Arg::new(SHELL)
        .required(true)
        .value_parser(value_parser!(Shell))
        .help("The shell");
    [
        Command::new(COMPLETIONS)
            .about("Print a completion script for a shell")
            .arg(shell),
        Command::new(MAN).about("Print the manual page, in the format of man"),
    ]
}

/// What a subcommand prints, if the command line has one. A flag beside it would have no effect.
pub(crate) fn subcommand(matches: &ArgMatches) -> Option<CliExit> {
    let (name, of_subcommand) = matches.subcommand()?;
    if matches.args_present() {
        return Some(CliExit::Error(format!(
            "{name}: takes no flags of the server; a folder of this name is ./{name}"
        )));
    }
    Some(CliExit::Print(
        match of_subcommand.try_get_one::<Shell>(SHELL) {
            Ok(Some(shell)) => completions(*shell),
            _ => manual(),
        },
    ))
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "httpool", &mut script);
    text_of(script)
}

fn manual() -> String {
    let man = Man::new(command()).manual("User Commands");
    let mut page = Vec::new();
    let parts = [
        Man::render_title,
        Man::render_name_section,
        Man::render_synopsis_section,
        Man::render_description_section,
        Man::render_options_section,
    ];
    for render in parts {
        render(&man, &mut page).expect("writing to a Vec can't fail");
    }
    let mut roff = Roff::new();
    sections::all()
        .iter()
        .for_each(|section| section.add_to(&mut roff));
    page.extend_from_slice(roff.to_roff().as_bytes());
    text_of(page)
}

impl Section {
    /// Adds this section to a manual page, with the titles that manual pages use.
    fn add_to(&self, roff: &mut Roff) {
        let title = match self.title {
            "Exit codes" => "EXIT STATUS".to_owned(),
            title => title.to_uppercase(),
        };
        roff.control("SH", [title.as_str()]);
        if !self.text.is_empty() {
            roff.text([roman(self.text.as_str())]);
        }
        for (name, text) in &self.list {
            roff.control("TP", []);
            roff.text([bold(name.as_str())]);
            roff.text([roman(text.replace('\n', " "))]);
        }
    }
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("generated texts are UTF-8")
}
