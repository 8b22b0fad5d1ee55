//! Tests of fetching: every way in which a file can be wrong, and that the folder stays as it was.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// SHA-256 of "hello".
const HELLO_SUM: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const HELLO: Expected = Expected { name: "hello", bytes: 5, sha256: Checksum::Content(HELLO_SUM) };

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn unpack_bytes(content: &[u8]) -> Result<Vec<u8>, String> {
    let folder = tempfile::tempdir().unwrap();
    unpack(content, "there", &HELLO, folder.path()).map_err(|e| e.to_string())?;
    Ok(fs::read(folder.path().join("hello")).unwrap())
}

#[test]
fn takes_plain_and_gzip() {
    assert_eq!(unpack_bytes(b"hello"), Ok(b"hello".to_vec()));
    assert_eq!(unpack_bytes(&gzip(b"hello")), Ok(b"hello".to_vec()));
}

#[test]
fn refuses_what_is_not_the_published_content() {
    let packed = gzip(b"hello");
    for (content, problem) in [
        (&b"hell"[..], "ends after 4 of 5 bytes"),
        (b"", "ends after 0 of 5 bytes"),
        (b"hello!", "longer than the 5 bytes"),
        (&gzip(&[0; 1 << 20]), "longer than the 5 bytes"),
        (b"hallo", "SHA-256"),
        (&packed[..packed.len() - 6], "breaks off after"),
    ] {
        let message = unpack_bytes(content).unwrap_err();
        assert!(message.contains(problem) && message.starts_with("there: "), "{message}");
    }
}

/// Where only the checksum of the .gz file is known, another file of the same content is refused.
#[test]
fn takes_a_packed_file_by_its_checksum() {
    let (packed, folder) = (gzip(b"hello"), tempfile::tempdir().unwrap());
    let sum: &'static str = digest(&packed).leak();
    let expected = Expected { sha256: Checksum::Packed(sum), ..HELLO };
    let take = |content: &[u8]| unpack(content, "there", &expected, folder.path()).map_err(|e| e.to_string());
    take(&packed).unwrap();
    assert_eq!(fs::read(folder.path().join("hello")).unwrap(), b"hello");
    for other in [b"hello".to_vec(), [&packed[..], b"x"].concat(), [&packed[..], &gzip(b"")].concat()] {
        let message = take(&other).unwrap_err();
        assert!(message.starts_with("there: "), "{message}");
    }
}

fn write_hello(folder: &Path) -> Result<(), DataError> {
    unpack(&b"hello"[..], "there", &HELLO, folder)
}

#[test]
fn a_failed_fetch_leaves_the_place_as_it_was() {
    let cache = tempfile::tempdir().unwrap();
    let (datasets, target) = (cache.path().join("datasets"), cache.path().join("datasets/d"));
    fs::create_dir_all(datasets.join(".d.fetch-killed/new")).unwrap();
    install("d", cache.path(), |_| false, |new, _| unpack(&b"hallo"[..], "there", &HELLO, new)).unwrap_err();
    assert!(!target.exists());

    install("d", cache.path(), |_| false, |new, _| write_hello(new)).unwrap();
    install("d", cache.path(), |_| false, |new, _| unpack(&b"hel"[..], "there", &HELLO, new)).unwrap_err();
    assert_eq!(fs::read(target.join("hello")).unwrap(), b"hello");
    // A second success replaces the folder; nothing temporary stays, nor what a killed process left.
    install("d", cache.path(), |_| false, |new, _| write_hello(new)).unwrap();
    let mut left: Vec<_> = fs::read_dir(&datasets).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".d.lock", "d"]);
}

#[test]
fn of_two_at_once_one_fetches() {
    let (cache, fetches) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
    let fetch = || {
        let done = |target: &Path| target.join("hello").exists();
        install("d", cache.path(), done, |new, _| {
            fetches.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(50));
            write_hello(new)
        })
    };
    std::thread::scope(|scope| {
        let both = [scope.spawn(fetch), scope.spawn(fetch)];
        both.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
    });
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
}

/// Serves `answer` once on a local port.
fn serve(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hello.gz", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(&answer).unwrap();
    });
    address
}

#[test]
fn http_in_earnest() {
    let answer = |status: &str, length: usize, body: &[u8]| {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        serve([head.as_bytes(), body].concat())
    };
    let folder = tempfile::tempdir().unwrap();
    let packed = gzip(b"hello");
    let fetch = |address: String| -> Result<(), String> {
        unpack(http(&address)?, &address, &HELLO, folder.path()).map_err(|e| e.to_string())
    };
    fetch(answer("200 OK", packed.len(), &packed)).unwrap();
    assert!(fetch(answer("200 OK", 5, b"hel")).is_err(), "a body cut off");
    assert!(fetch(answer("404 Not Found", 0, b"")).unwrap_err().contains("404"));
    assert!(fetch("http://127.0.0.1:1/closed".into()).is_err());
}

/// The folder that was there lay in the temporary one between two renames; a process killed then lost it at the next fetch.
#[test]
fn a_kill_between_the_two_renames_loses_nothing() {
    let cache = tempfile::tempdir().unwrap();
    let left = cache.path().join("datasets/.d.fetch-killed");
    fs::create_dir_all(left.join("old")).unwrap();
    write_hello(&left.join("old")).unwrap();
    install("d", cache.path(), |_| false, |new, _| unpack(&b"hel"[..], "there", &HELLO, new)).unwrap_err();
    assert_eq!(fs::read(cache.path().join("datasets/d/hello")).unwrap(), b"hello");
    assert!(!left.exists());
}
