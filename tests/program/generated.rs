//! Completion scripts and the manual page.

use std::fs;
use std::process::{Command, Stdio};

use crate::support::{TempPath, run_program as run};

/// Runs another program, and returns its output and its errors. `None` if it is not installed.
#[track_caller]
fn run_other(name: &str, arguments: &[&str]) -> Option<(String, String)> {
    let command = Command::new(name)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    let output = command.ok()?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is text");
    let (out, errors) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{name}: {out}{errors}");
    Some((out, errors))
}

#[track_caller]
fn script(shell: &str) -> TempPath {
    let completions = run(&["completions", shell], &[]);
    assert_eq!(completions.code, Some(0), "{completions:?}");
    let file = TempPath::new(&format!("completions.{shell}"));
    fs::write(&file, completions.output).expect("the folder is writable");
    file
}

/// The words that bash offers for the last of these words.
#[track_caller]
fn completed_by_bash(script: &TempPath, words: &[&str]) -> Option<Vec<String>> {
    const COMPLETE: &str = r#"
        set -eu
        source "$1"
        shift
        COMP_WORDS=(httpool "$@")
        COMP_CWORD=$#
        set +eu
        "$(complete -p httpool | sed 's/.*-F \([^ ]*\).*/\1/')" \
            httpool "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let before = ["--norc", "-c", COMPLETE, "bash", script.text()];
    let (output, errors) = run_other("bash", &[&before, words].concat())?;
    assert_eq!(errors, "");
    Some(output.lines().map(str::to_owned).collect())
}

#[test]
fn bash_completes_flags_values_and_shells() {
    let script = script("bash");
    let Some(flags) = completed_by_bash(&script, &["--lis"]) else {
        // There is no bash.
        return;
    };
    for flag in ["--listen", "--listing", "--listen-tls"] {
        assert!(flags.iter().any(|offered| offered == flag), "{flags:?}");
    }
    let all = completed_by_bash(&script, &["--dotfiles", "-"]).unwrap_or_default();
    assert!(all.iter().any(|flag| flag == "-p"), "{all:?}");
    assert!(all.iter().any(|flag| flag == "--max-body"), "{all:?}");
    let links = completed_by_bash(&script, &["--symlinks", ""]);
    assert_eq!(links, Some(vec!["inside".to_owned(), "never".to_owned()]));
    let shells = completed_by_bash(&script, &["completions", "f"]);
    assert_eq!(shells, Some(vec!["fish".to_owned()]));
}

#[test]
fn other_shells_accept_their_scripts() {
    // A shell that is not installed is left out.
    run_other("zsh", &["-n", script("zsh").text()]);
    run_other("fish", &["--no-execute", script("fish").text()]);
    for shell in ["elvish", "powershell"] {
        let script = fs::read_to_string(script(shell)).expect("the script was written");
        assert!(script.contains("--max-body"), "{shell}");
    }
}

#[test]
fn manual_page_has_all_flags_and_no_mistakes() {
    let page = run(&["man"], &[]);
    assert_eq!(page.code, Some(0), "{page:?}");
    for part in [
        ".TH httpool 1",
        "\\-\\-max\\-body",
        "HTTPOOL_MAX_BODY",
        "SERVING",
        "ENVIRONMENT",
        "SIGNALS",
        "EXIT STATUS",
        "NOTIFY_SOCKET",
    ] {
        assert!(page.output.contains(part), "{part}");
    }
    let file = TempPath::new("httpool.1");
    fs::write(&file, &page.output).expect("the folder is writable");
    let arguments = ["-man", "-ww", "-Tascii", file.text()];
    let Some((text, warnings)) = run_other("groff", &arguments) else {
        // There is no groff.
        return;
    };
    assert_eq!(warnings, "");
    assert!(text.contains("HTTPOOL_MAX_BODY"), "{text}");
}

#[test]
fn subcommands_take_no_flags_and_know_their_shells() {
    let check = |arguments: &[&str], part| run(arguments, &[]).expect_line(2, part);
    check(&["completions"], "completions: name a shell, one of bash");
    check(&["completions", "tcsh"], "SHELL \"tcsh\": not one of bash");
    check(&["-p", "80", "man"], "man: takes no flags of the server");
    check(&["a", "completion"], "\"completion\": unexpected argument");
    // Variables are for the server.
    let variables = [("HTTPOOL_WORKERS", "wrong")];
    assert_eq!(run(&["man"], &variables).code, Some(0));
    run(&["./man"], &[]).expect_line(1, "folder ./man: ");
}
