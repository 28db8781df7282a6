use super::*;

#[test]
fn the_first_byte_that_is_not_7bit_is_found() {
    let long = "x".repeat(LONGEST_LINE);
    for (text, at) in [
        ("", None),
        ("a", None),
        ("a\r\nb\r\n\r\n", None),
        ("a\r\nb\nc", Some(4)),
        ("\n", Some(0)),
        ("a\rb\r\n", Some(1)),
        ("a\r\r\n", Some(1)),
        ("a\r", Some(1)),
        ("a\0b", Some(1)),
        ("a\r\n\u{fc}", Some(3)),
        (&*long, None),
        (&*format!("{long}\r\n{long}"), None),
        (&*format!("{long}x\r\n"), Some(LONGEST_LINE)),
        (&*format!("\r\n{long}x"), Some(2 + LONGEST_LINE)),
    ] {
        assert_eq!(first_not_7bit(text.as_bytes()), at, "{text:?}");
    }
}

#[test]
fn text_stays_legible_unless_that_makes_it_longer() {
    use Encoding::{Base64, QuotedPrintable};
    for (body, is_text, encoding) in [
        (
            "Gr\u{fc}\u{df}e aus dem Norden, wo es regnet\r\n",
            true,
            QuotedPrintable,
        ),
        (
            "Gr\u{fc}\u{df}e aus dem Norden, wo es regnet\r\n",
            false,
            Base64,
        ),
        ("\u{4f8b}\u{3048}\u{30c6}\u{30b9}\u{30c8}", true, Base64),
        ("a line and a bare line end\nand \u{fc}", true, Base64),
        ("a line and another bare one\rand \u{fc}", true, Base64),
    ] {
        assert_eq!(
            Encoding::for_part(body.as_bytes(), is_text),
            encoding,
            "{body}"
        );
    }
}
