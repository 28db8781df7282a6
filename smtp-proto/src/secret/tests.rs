use alloc::format;

use super::*;

#[test]
fn v37_debug_shows_neither_the_bytes_nor_their_number() {
    let shown = format!("{0:?} {0:#?}", Secret::from("canary"));
    assert_eq!(shown, "Secret(..) Secret(..)");
}

#[test]
fn a_secret_keeps_the_bytes_it_was_created_from() {
    assert_eq!(Secret::from("a\u{e9}").expose(), b"a\xC3\xA9");
    assert_eq!(Secret::from(String::from("abc")).expose(), b"abc");
    assert_eq!(Secret::from(alloc::vec![0, 255]).expose(), [0, 255]);
    assert_eq!(Secret::concat(&[b"a", b"", b"bc"]).expose(), b"abc");
    assert!(Secret::default().expose().is_empty());
}

#[test]
fn a_taken_over_vector_is_not_copied() {
    let bytes = b"hunter2".to_vec();
    let address = bytes.as_ptr();
    assert_eq!(Secret::from(bytes).expose().as_ptr(), address);
}
