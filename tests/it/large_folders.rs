use std::fs::File;
use std::io::Write as _;

use serde_json::Value;

use crate::listing::{json, listing, names_of, text};
use crate::support::{TempDir, expect_status};

#[test]
fn a_large_folder_is_sorted_as_a_whole() {
    let folder = TempDir::new();
    for index in 0..60_000_u32 {
        let file = File::create(folder.as_ref().join(format!("{index:05}")));
        let mut file = file.expect("a file can be created");
        // Sizes in another order than the names, some of them the same.
        if index % 1000 == 7 {
            let size = (index / 1000) % 7;
            file.write_all(&vec![b'x'; size as usize])
                .expect("a file can be written");
        }
    }
    folder.file("sub/x", "");
    let files = listing(&folder);
    let first = json(&files, "/?sort=size&order=desc");
    assert_eq!(first["complete"], false);
    assert_eq!(first["names"], 60_001);
    assert_eq!(first["folders"], 1);
    assert_eq!(first["files"], 60_000);
    assert_eq!((&first["page"], &first["pages"]), (&1.into(), &61.into()));
    assert_eq!(first["next"], "?sort=size&order=desc&page=2");
    assert_eq!(first["last"], "?sort=size&order=desc&page=61");
    let of_first = names_of(std::slice::from_ref(&first));
    assert_eq!(of_first.len(), 1000);
    assert_eq!(of_first[..4], ["sub", "55007", "48007", "41007"]);
    let last = json(&files, "/?page=99999999");
    assert_eq!((&last["page"], &last["next"]), (&61.into(), &Value::Null));
    assert_eq!(last["previous"], "?page=60");
    assert_eq!(names_of(&[last]), ["59999"]);
    let page = text(&expect_status(&files, "/?page=30&sort=size", 200));
    for part in [
        "1 folder, 60000 files, 174 B",
        "<a href=\"?sort=size\">First</a>",
        "<a href=\"?sort=size&amp;page=29\">Previous</a>",
        "<span aria-current=\"page\">30 of 61</span>",
        "<a href=\"?sort=size&amp;page=61\">Last</a>",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let found = json(&files, "/?search=999");
    assert_eq!(
        (&found["names"], &found["complete"]),
        (&114.into(), &true.into())
    );
}

#[test]
fn names_that_are_too_many_are_sorted_by_name() {
    let folder = TempDir::new();
    // Their names have more than 8 MiB.
    let name = |index: usize| format!("{index:05}{}", "x".repeat(250));
    for index in 0..33_000 {
        File::create(folder.as_ref().join(name(index))).expect("a file can be created");
    }
    folder.file("00000 x/in", "");
    let files = listing(&folder);
    let first = json(&files, "/?sort=size&order=desc&page=2");
    assert_eq!(first["complete"], false);
    assert_eq!(first["names"], 33_001);
    assert_eq!(
        (&first["page"], &first["size"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(first["entries"][0]["name"], "00000 x");
    assert_eq!(first["entries"][999]["name"], name(998));
    assert_eq!(
        first["next"],
        format!("?sort=size&order=desc&after={}", name(998))
    );
    let second = json(&files, &format!("/?after={}", name(32_998)));
    assert_eq!(
        (&second["complete"], &second["next"]),
        (&false.into(), &Value::Null)
    );
    assert_eq!(names_of(&[second]), [name(32_999)]);
    let page = text(&expect_status(&files, "/?after=00000", 200));
    assert!(page.contains("33001 names. These are too many"), "{page}");
    assert!(page.contains("<a href=\"./\">First</a>"));
    assert!(page.contains(&format!("<a href=\"?after={}\">Next</a>", name(998))));
    assert!(!page.contains("sort=size"));
    // Few enough names are sorted as a whole.
    let found = json(&files, "/?search=0000&sort=size");
    assert_eq!((&found["names"], &found["pages"]), (&14.into(), &1.into()));
}
