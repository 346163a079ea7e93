//! Archives of real folders, read by other code.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::message::Handler as _;
use crate::web::ServeDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder can be created")
}

fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let path = path.as_ref();
    let parent = path.parent().expect("the path has a folder");
    fs::create_dir_all(parent).expect("folders can be created");
    fs::write(path, content).expect("a file can be written");
}

/// Calls the handler, and reads the response.
struct Client(ServeDir);

struct Received {
    response: Response,
    content: Vec<u8>,
}

impl Client {
    fn get(&self, target: &str) -> Received {
        self.request(Method::GET, target)
    }

    fn request(&self, method: Method, target: &str) -> Received {
        let mut request = request(target);
        *request.method_mut() = method;
        self.send(&mut request)
    }

    fn send(&self, request: &mut Request) -> Received {
        let mut response = self.0.handle(request);
        let mut content = Vec::new();
        let read = response.body_mut().read_to_end(&mut content);
        read.expect("the content is whole");
        Received { response, content }
    }
}

impl Received {
    fn status(&self) -> StatusCode {
        self.response.status()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }
}

fn request(target: &str) -> Request {
    let request = http::Request::get(target).body(Body::empty());
    request.expect("the target is valid")
}

fn client(root: &Path, archives: Archives) -> Client {
    let files = ServeDir::new(root).expect("the folder exists");
    Client(files.archives(archives))
}

/// The content of an archive by name. Names of folders end with a slash.
type Content = BTreeMap<String, Vec<u8>>;

fn get(client: &Client, target: &str) -> Vec<u8> {
    let response = client.get(target);
    assert_eq!(response.status(), StatusCode::OK, "{target}");
    response.content
}

fn read_tar(archive: &[u8]) -> Content {
    let mut archive = ::tar::Archive::new(archive);
    let entries = archive.entries().expect("the archive is valid");
    entries
        .map(|entry| {
            let mut entry = entry.expect("the entry is valid");
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("it is whole");
            (name, content)
        })
        .collect()
}

fn read_zip(archive: &[u8]) -> Content {
    let mut archive = ::zip::ZipArchive::new(Cursor::new(archive)).expect("it is an archive");
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).expect("the entry is valid");
            let mut content = Vec::new();
            file.read_to_end(&mut content).expect("it is whole");
            (file.name().expect("it is text").into_owned(), content)
        })
        .collect()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(bytes);
    decoder.read_to_end(&mut plain).expect("it is whole");
    plain
}

#[track_caller]
fn check(root: &Path, target: &str, expected: &[(&str, &[u8])]) {
    let client = client(root, Archives::new());
    let expected: Content = expected
        .iter()
        .map(|(name, content)| ((*name).to_owned(), content.to_vec()))
        .collect();
    let tar = get(&client, &format!("{target}?archive=tar"));
    assert_eq!(read_tar(&tar), expected);
    let gz = get(&client, &format!("{target}?archive=tar.gz"));
    assert_eq!(gunzip(&gz), tar);
    let zip = get(&client, &format!("{target}?archive=zip"));
    assert_eq!(read_zip(&zip), expected);
}

#[test]
fn archives_have_what_is_served() {
    let root = folder();
    let large = (0..300_000_u32)
        .flat_map(u32::to_le_bytes)
        .collect::<Vec<_>>();
    write(root.path().join("a.txt"), "a");
    write(root.path().join(".env"), "secret");
    write(root.path().join(".well-known/x"), "x");
    write(root.path().join("b/c/d.bin"), &large);
    write(root.path().join("b/.git/config"), "secret");
    write(root.path().join("b/empty"), "");
    write(root.path().join("b/index.html"), "index");
    symlink("/etc/passwd", root.path().join("b/out")).expect("a link can be made");
    symlink("../a.txt", root.path().join("b/link")).expect("a link can be made");
    symlink("..", root.path().join("b/up")).expect("a link can be made");
    let beneath: &[(&str, &[u8])] = &[
        ("b/c/", b""),
        ("b/c/d.bin", &large),
        ("b/empty", b""),
        ("b/index.html", b"index"),
        ("b/link", b"a"),
        ("b/up/", b""),
        ("b/up/.well-known/", b""),
    ];
    let root = root.path();
    let of_b: Vec<_> = beneath[..5].to_vec();
    fs::remove_file(root.join("b/up")).expect("the link can be removed");
    check(root, "/b/", &of_b);
    let mut of_root = vec![
        ("files/.well-known/".to_owned(), &b""[..]),
        ("files/.well-known/x".to_owned(), b"x"),
        ("files/a.txt".to_owned(), b"a"),
        ("files/b/".to_owned(), b""),
    ];
    of_root.extend(
        of_b.iter()
            .map(|(name, content)| (format!("files/{name}"), *content)),
    );
    let of_root: Vec<_> = of_root
        .iter()
        .map(|(name, content)| (&**name, *content))
        .collect();
    check(root, "/", &of_root);
}

#[test]
fn folder_that_links_to_itself_ends() {
    let root = folder();
    write(root.path().join("a/b/c"), "c");
    symlink("../../a", root.path().join("a/b/a")).expect("a link can be made");
    let expected: &[(&str, &[u8])] = &[("a/b/", b""), ("a/b/a/", b""), ("a/b/c", b"c")];
    check(root.path(), "/a/", expected);
}

#[test]
fn names_of_every_kind_are_kept_in_tar() {
    let root = folder();
    let long = PathBuf::from("l".repeat(200)).join("m".repeat(200));
    let names = [
        "é".into(),
        PathBuf::from(std::ffi::OsStr::from_bytes(b"\xff\xfe")),
        PathBuf::from("a\nb"),
        PathBuf::from("..."),
        PathBuf::from("-rf"),
        long.join(std::ffi::OsStr::from_bytes(b"\xff")),
        long,
    ];
    for name in &names[..6] {
        write(
            root.path().join("x").join(name),
            name.as_os_str().as_bytes(),
        );
    }
    let client = Client(
        (ServeDir::new(root.path())
            .expect("it exists")
            .dotfiles(true))
        .archives(Archives::new()),
    );
    let archive = get(&client, "/x/?archive=tar");
    let mut archive = ::tar::Archive::new(&archive[..]);
    let mut files = 0;
    for entry in archive.entries().expect("it is valid") {
        let mut entry = entry.expect("it is valid");
        let path = entry.path_bytes().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("it is whole");
        if entry.header().entry_type().is_file() {
            assert_eq!(path, [b"x/", &content[..]].concat());
            files += 1;
        }
    }
    assert_eq!(files, 6);
    let zip = get(&client, "/x/?archive=zip");
    let zip = read_zip(&zip);
    assert_eq!(zip["x/%FF%FE"], b"\xff\xfe");
    assert_eq!(zip["x/é"], "é".as_bytes());
}

#[test]
fn times_and_executable_bits_are_kept() {
    let root = folder();
    let run = root.path().join("x/run");
    write(&run, "#!");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).expect("it can be set");
    write(root.path().join("x/data"), "");
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_500_000_001);
    fs::File::open(&run)
        .and_then(|file| file.set_modified(time))
        .expect("it can be set");
    let client = client(root.path(), Archives::new());
    let tar = get(&client, "/x/?archive=tar");
    let mut tar = ::tar::Archive::new(&tar[..]);
    let headers: Vec<_> = (tar.entries().expect("it is valid"))
        .map(|entry| entry.expect("it is valid").header().clone())
        .collect();
    assert_eq!(headers[1].mode().ok(), Some(0o755));
    assert_eq!(headers[0].mode().ok(), Some(0o644));
    assert_eq!(headers[1].mtime().ok(), Some(1_500_000_001));
    let zip = get(&client, "/x/?archive=zip");
    let mut zip = ::zip::ZipArchive::new(Cursor::new(zip)).expect("it is an archive");
    let file = zip.by_name("x/run").expect("it is there");
    assert_eq!(file.unix_mode().map(|mode| mode & 0o777), Some(0o755));
}

#[test]
fn headers_say_what_is_sent() {
    let root = folder();
    write(root.path().join("Größe\"/a"), "a");
    let client = client(root.path(), Archives::new());
    let target = "/Gr%C3%B6%C3%9Fe%22/?archive=tar.gz";
    let response = client.get(target);
    assert_eq!(response.header("content-type"), Some("application/gzip"));
    assert_eq!(
        response.header("content-disposition"),
        Some("attachment; filename=\"Gr__e_.tar.gz\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%22.tar.gz")
    );
    assert_eq!(response.header("accept-ranges"), Some("none"));
    assert_eq!(response.header("content-length"), None);
    let mut ranged = request(target);
    let range = HeaderValue::from_static("bytes=0-9");
    ranged.headers_mut().insert("range", range);
    let ranged = client.send(&mut ranged);
    assert_eq!(ranged.status(), StatusCode::OK);
    let head = client.request(Method::HEAD, target);
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.header("content-type"), Some("application/gzip"));
    assert!(head.content.is_empty());
    let status = |target: &str| client.get(target).status();
    assert_eq!(status("/?archive=rar"), StatusCode::BAD_REQUEST);
    assert_eq!(status("/missing/?archive=zip"), StatusCode::NOT_FOUND);
    assert_eq!(status("/.git/?archive=zip"), StatusCode::NOT_FOUND);
    let redirect = client.get("/Gr%C3%B6%C3%9Fe%22?archive=zip");
    assert_eq!(
        redirect.header("location"),
        Some("./Gr%C3%B6%C3%9Fe%22/?archive=zip")
    );
}

#[test]
fn folder_beyond_a_limit_gets_413() {
    let root = folder();
    write(root.path().join("a/b/c"), "12345");
    for (archives, status) in [
        (
            Archives::new().max_entries(3).max_bytes(5).max_depth(2),
            200,
        ),
        (Archives::new().max_entries(2), 413),
        (Archives::new().max_bytes(4), 413),
        (Archives::new().max_depth(1), 413),
    ] {
        let client = client(root.path(), archives);
        for method in [Method::GET, Method::HEAD] {
            let response = client.request(method, "/?archive=tar");
            assert_eq!(response.status(), status);
        }
    }
}

#[test]
fn archives_beyond_the_number_get_503() {
    let root = folder();
    write(root.path().join("a"), "a");
    let files = ServeDir::new(root.path()).expect("it exists");
    let files = files.archives(Archives::new().concurrent(1));
    let mut request = request("/?archive=tar");
    let first = files.handle(&mut request);
    assert_eq!(first.status(), StatusCode::OK);
    let second = files.handle(&mut request);
    assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(second.headers().contains_key("retry-after"));
    drop(first);
    assert_eq!(files.handle(&mut request).status(), StatusCode::OK);
}

/// Opens the archive of `/`, and reads what comes before the content of the first file.
fn begin(root: &Path, format: &str) -> Body {
    let files = ServeDir::new(root)
        .expect("it exists")
        .archives(Archives::new());
    let mut request = request(&format!("/?archive={format}"));
    let mut body = std::mem::take(files.handle(&mut request).body_mut());
    // The headers of a file, and a part of its content.
    body.read_exact(&mut [0; 1024]).expect("the archive begins");
    body
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

#[test]
fn file_that_grows_keeps_its_first_size() {
    for format in ["tar", "zip"] {
        let root = folder();
        let path = root.path().join("log");
        let content = noise(300_000);
        write(&path, &content);
        let mut body = begin(root.path(), format);
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .expect("it exists");
        io::Write::write_all(&mut file, b"more").expect("it is writable");
        io::copy(&mut body, &mut io::sink()).expect("the archive is whole");
    }
}

#[test]
fn file_that_shrinks_aborts_the_archive() {
    for format in ["tar", "tar.gz", "zip"] {
        let root = folder();
        let path = root.path().join("log");
        write(&path, noise(300_000));
        let mut body = begin(root.path(), format);
        fs::write(&path, "").expect("it is writable");
        let error = io::copy(&mut body, &mut io::sink()).expect_err("the archive is not whole");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{format}");
    }
}

#[test]
fn files_that_vanish_are_left_out() {
    for format in ["tar", "zip"] {
        let root = folder();
        write(root.path().join("a"), noise(300_000));
        write(root.path().join("b/c"), "c");
        write(root.path().join("d"), "d");
        let mut body = begin(root.path(), format);
        fs::remove_dir_all(root.path().join("b")).expect("it can be removed");
        fs::remove_file(root.path().join("d")).expect("it can be removed");
        let rest = io::copy(&mut body, &mut io::sink()).expect("the archive is whole");
        assert!(rest > 250_000);
    }
}

#[test]
fn folder_that_grows_beyond_a_limit_aborts() {
    let root = folder();
    write(root.path().join("a"), noise(300_000));
    write(root.path().join("b/c"), "c");
    let archives = Archives::new().max_entries(3);
    let files = ServeDir::new(root.path())
        .expect("it exists")
        .archives(archives);
    let mut request = request("/?archive=tar");
    let mut body = std::mem::take(files.handle(&mut request).body_mut());
    body.read_exact(&mut [0; 1024]).expect("the archive begins");
    write(root.path().join("b/d"), "d");
    let error = io::copy(&mut body, &mut io::sink()).expect_err("the archive is not whole");
    assert!(error.to_string().contains("3 files and folders"), "{error}");
}

#[test]
fn sizes_beyond_32_bits_are_correct() {
    const SIZE: u64 = (4 << 30) + 5;
    let root = folder();
    let file = fs::File::create(root.path().join("sparse.zip")).expect("it can be created");
    file.set_len(SIZE)
        .expect("the file system has sparse files");
    let head = |format: &str| {
        let files = ServeDir::new(root.path())
            .expect("it exists")
            .archives(Archives::new());
        let mut request = request(&format!("/?archive={format}"));
        let mut body = std::mem::take(files.handle(&mut request).body_mut());
        let mut start = [0; 512];
        body.read_exact(&mut start).expect("the archive begins");
        start
    };
    let header = ::tar::Header::from_byte_slice(&head("tar")).clone();
    assert_eq!(header.size().ok(), Some(SIZE));
    let zip = head("zip");
    // The local header has an extra field of ZIP64, so that the sizes behind the content have 64 bits.
    assert!(zip[..128].windows(2).any(|two| two == [1, 0]));
    assert_eq!(&zip[4..6], &[45, 0]);
}
