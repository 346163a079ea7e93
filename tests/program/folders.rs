use crate::support::{Program, TempDir, run_program};

/// The exit code of wrong usage.
const MISUSED: i32 = 2;

fn serve(folder: &TempDir, flags: &[&str]) -> Program {
    let root = folder.path("");
    let root = root.to_str().expect("the path is text");
    Program::spawn(&[&["--root", root], flags].concat())
}

#[test]
fn pages_have_clean_urls() {
    let folder = TempDir::new();
    folder
        .file("about.html", "about")
        .file("docs/index.html", "docs");
    let program = serve(&folder, &["--pretty-urls"]);
    let mut client = program.connect();
    client.get("/about").expect_body("about");
    let moved = client.get("/about.html?a=b").expect_status(308);
    assert_eq!(moved.header("location"), Some("./about?a=b"));
    let moved = client.get("/docs/index.html").expect_status(308);
    assert_eq!(moved.header("location"), Some("./"));
    client.get("//evil.html").expect_status(404);
}

#[test]
fn index_files_have_names_in_order() {
    let folder = TempDir::new();
    folder
        .file("index.htm", "first")
        .file("index.html", "second")
        .file("sub/index.html", "only");
    let program = serve(&folder, &["--index", "index.htm", "--index", "index.html"]);
    let mut client = program.connect();
    client.get("/").expect_body("first");
    client.get("/sub/").expect_body("only");
    let program = serve(&folder, &["--index", "none", "--listing"]);
    let page = program.connect().get("/sub/").expect_status(200);
    assert!(page.text().contains("./index.html"), "{}", page.text());
}

#[test]
fn listings_show_what_is_in_a_folder() {
    let folder = TempDir::new();
    folder
        .file("README.md", "# About\n\n<script>")
        .file("sub/x", "12345")
        .file("Ünder.txt", "x");
    let program = serve(&folder, &["--listing"]);
    let mut client = program.connect();
    let page = client.get("/?sizes").expect_status(200).text();
    for part in [
        "1 folder, 2 files",
        "<h2>About</h2>",
        "&lt;script&gt;",
        "<td>5 B</td>",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let found = client.get("/?search=%C3%BCNDER").expect_status(200).text();
    assert!(found.contains("0 folders, 1 file, 1 B with"), "{found}");
}

#[test]
fn wrong_index_names_are_usage_errors() {
    #[track_caller]
    fn check(flags: &[&str], line: &str) {
        let arguments = [&["--root", "."], flags].concat();
        run_program(&arguments, &[]).expect_line(MISUSED, line);
    }
    check(&["--index", "a/index.html"], "--index");
    check(&["--index", "a/index.html"], "not a single file name");
    check(&["--index", ""], "--index");
    check(
        &["--index", "none", "--index", "a"],
        "--index none: give no other --index",
    );
    check(
        &["--index", ".a"],
        "--index: a name that begins with a dot needs --dotfiles",
    );
    run_program(&["--pretty-urls"], &[]).expect_line(MISUSED, "--pretty-urls: needs --root");
    run_program(&["--index", "a"], &[]).expect_line(MISUSED, "--index: needs --root");
}
