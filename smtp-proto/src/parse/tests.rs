use alloc::vec::Vec;

use super::*;

fn value<T>(result: IResult<&[u8], T>) -> Option<T> {
    result.ok().map(|(_, value)| value)
}

#[test]
fn a_line_ends_at_its_line_feed_and_an_unfinished_one_is_incomplete() {
    assert_eq!(
        line(b"250 a\r\nrest"),
        Ok((&b"rest"[..], &b"250 a\r\n"[..]))
    );
    assert_eq!(line(b"a\n"), Ok((&b""[..], &b"a\n"[..])));
    assert_eq!(line(b"\n"), Ok((&b""[..], &b"\n"[..])));
    for unfinished in [&b""[..], b"2", b"250 a", b"250 a\r"] {
        assert_eq!(line(unfinished), Err(Err::Incomplete(Needed::Unknown)));
    }
}

#[test]
fn a_nul_before_the_line_end_is_an_error_at_its_offset() {
    let Err(Err::Error(error)) = line(b"250 a\0b\r\n") else {
        panic!("a NUL was taken");
    };
    assert_eq!(error.input, b"\0b\r\n");
    assert!(line(b"250 a\r\n\0").is_ok());
}

#[test]
fn a_reply_line_has_a_code_a_separator_and_text() {
    let rows: [(&[u8], u16, bool, &[u8]); 13] = [
        (b"250 ok\r\n", 250, true, b"ok"),
        (b"250-ok\r\n", 250, false, b"ok"),
        (b"250 ok\n", 250, true, b"ok"),
        (b"250\r\n", 250, true, b""),
        (b"250\n", 250, true, b""),
        (b"250 \r\n", 250, true, b""),
        (b"250 \n", 250, true, b""),
        (b"250-\r\n", 250, false, b""),
        (b"250-\n", 250, false, b""),
        (b"571  two blanks \r\n", 571, true, b" two blanks "),
        (b"250 a\rb\r\r\n", 250, true, b"a\rb\r"),
        (b"999--\xff\r\n", 999, false, b"-\xff"),
        (b"000 \n", 0, true, b""),
    ];
    for (input, code, last, text) in rows {
        // The text may be cut off, but not the line end.
        for line in [input, input.get(..5).unwrap_or(input)] {
            let found = value(reply_line(line));
            assert_eq!(found, Some((code, last)), "{}", input.escape_ascii());
        }
        assert_eq!(super::text(input), text, "{}", input.escape_ascii());
    }
}

#[test]
fn an_invalid_reply_line_is_rejected() {
    let rows: [&[u8]; 13] = [
        b"",
        b"\n",
        b"\r\n",
        b"25\r\n",
        b"2\n",
        b"25 a\r\n",
        b"2500\r\n",
        b"250x\r\n",
        b"250\t\r\n",
        b"25x a\r\n",
        b" 250 a\r\n",
        b"+250 a\r\n",
        b"250\r\r\n",
    ];
    for input in rows {
        assert_eq!(value(reply_line(input)), None, "{}", input.escape_ascii());
    }
}

#[test]
fn a_status_code_has_numbers_of_one_to_three_digits_and_a_blank_after() {
    type Row<'a> = (&'a [u8], Option<(u8, u16, u16)>);
    let rows: [Row<'_>; 21] = [
        (b"2.1.0 Ok", Some((2, 1, 0))),
        (b"5.7.509 a", Some((5, 7, 509))),
        (b"4.999.999", Some((4, 999, 999))),
        (b"2.0.0\ttab", Some((2, 0, 0))),
        (b"2.0.0  two", Some((2, 0, 0))),
        (b"", None),
        (b"2", None),
        (b"2.", None),
        (b"2.1", None),
        (b"2.1.", None),
        (b"2..0 a", None),
        (b"2.1.0x", None),
        (b"2.1.0.0 a", None),
        (b"2.1.1000 a", None),
        (b"2.1000.1 a", None),
        (b"2.01.0 a", None),
        (b"2.1.00 a", None),
        (b"3.1.0 a", None),
        (b"1.1.0 a", None),
        (b" 2.1.0 a", None),
        (b"25.1.0 a", None),
    ];
    for (text, expected) in rows {
        assert_eq!(
            value(status_code(text)),
            expected,
            "{}",
            text.escape_ascii()
        );
    }
}

#[test]
fn an_ehlo_line_has_a_keyword_and_parameters() {
    type Row<'a> = (&'a [u8], Option<(&'a [u8], &'a [u8])>);
    let rows: [Row<'_>; 22] = [
        (b"SIZE 100", Some((b"SIZE", b"100"))),
        (b"PIPELINING", Some((b"PIPELINING", b""))),
        (b"8bitmime", Some((b"8bitmime", b""))),
        (b"X-2 a b", Some((b"X-2", b"a b"))),
        (b"  SIZE \t 100 \t", Some((b"SIZE", b"100"))),
        (b"SIZE\t100", Some((b"SIZE", b"100"))),
        (b"DSN  ", Some((b"DSN", b""))),
        (b"STARTTLS\r", Some((b"STARTTLS", b""))),
        (b"SIZE 100\r", Some((b"SIZE", b"100"))),
        (b"AUTH=PLAIN LOGIN", Some((b"AUTH", b"PLAIN LOGIN"))),
        (b"auth= PLAIN", Some((b"auth", b"PLAIN"))),
        (b"AUTH PLAIN", Some((b"AUTH", b"PLAIN"))),
        (b"X \xff\x01", Some((b"X", b"\xff\x01"))),
        (b"", None),
        (b" \t ", None),
        (b"-X", None),
        (b"SIZE=100", None),
        (b"SIZE\r100", None),
        (b"X_Y", None),
        (b"X, Y", None),
        (b"\xc3\xa9", None),
        (b"=PLAIN", None),
    ];
    for (text, expected) in rows {
        for line_end in [&b"\r\n"[..], b"\n"] {
            let input = [text, line_end, b"250 NEXT\r\n"].concat();
            let expected =
                expected.map(|(keyword, params)| (&b"250 NEXT\r\n"[..], keyword, params));
            // The result does not depend on whether the keyword is known.
            let is_keyword = |word: &[u8]| expected.is_some_and(|(_, keyword, _)| keyword == word);
            for known in [
                &(|_: &[u8]| None) as &dyn Fn(&[u8]) -> Option<()>,
                &|word| is_keyword(word).then_some(()),
            ] {
                let read = ehlo_line(&input, known).ok();
                let read = read.map(|(rest, (_, line))| (rest, line.keyword, line.params));
                assert_eq!(read, expected, "{}", input.escape_ascii());
            }
        }
    }
}

#[test]
fn parameters_are_separated_by_blanks() {
    let params: Vec<&[u8]> = ehlo_params(b"a  b=c\t\xff \t").collect();
    assert_eq!(params, [&b"a"[..], b"b=c", b"\xff"]);
    assert_eq!(ehlo_params(b" ").count(), 0);
}

#[test]
fn a_mechanism_has_one_to_twenty_bytes_of_its_alphabet() {
    assert_eq!(
        value(sasl_mech(b"SCRAM-SHA-256-PLUS")),
        Some(&b"SCRAM-SHA-256-PLUS"[..])
    );
    assert_eq!(value(sasl_mech(b"x_2")), Some(&b"x_2"[..]));
    assert_eq!(
        value(sasl_mech(b"ABCDEFGHIJKLMNOPQRST")),
        Some(&b"ABCDEFGHIJKLMNOPQRST"[..])
    );
    for rejected in [
        &b""[..],
        b"ABCDEFGHIJKLMNOPQRSTU",
        b"PLAIN,LOGIN",
        b"PLAIN ",
        b"\xff",
    ] {
        assert_eq!(
            value(sasl_mech(rejected)),
            None,
            "{}",
            rejected.escape_ascii()
        );
    }
}

#[test]
fn a_number_too_large_differs_from_an_invalid_number() {
    assert_eq!(value(size_param(b"0")), Some(Some(0)));
    assert_eq!(value(size_param(b"0035882577")), Some(Some(35_882_577)));
    assert_eq!(
        value(size_param(b"18446744073709551615")),
        Some(Some(u64::MAX))
    );
    assert_eq!(value(size_param(b"18446744073709551616")), Some(None));
    assert_eq!(
        value(size_param(b"99999999999999999999999999999999")),
        Some(None)
    );
    for rejected in [&b""[..], b"abc", b"-1", b"+1", b"1 ", b"0x10", b"1M"] {
        assert_eq!(
            value(size_param(rejected)),
            None,
            "{}",
            rejected.escape_ascii()
        );
    }
}

#[test]
fn a_limit_has_a_name_and_an_optional_value() {
    assert_eq!(
        value(limit_name_value(b"RCPTMAX=20")),
        Some(("RCPTMAX", Some(&b"20"[..])))
    );
    assert_eq!(value(limit_name_value(b"X-Y_2")), Some(("X-Y_2", None)));
    for rejected in [&b""[..], b"=1", b"A=", b"A=1;", b"A;B", b"A=\xff"] {
        assert_eq!(
            value(limit_name_value(rejected)),
            None,
            "{}",
            rejected.escape_ascii()
        );
    }
}

#[test]
fn the_name_of_the_server_is_the_first_word() {
    for (text, name) in [
        (
            &b"mx.example.com Hello [192.0.2.1]"[..],
            &b"mx.example.com"[..],
        ),
        (b"  mx\thello", b"mx"),
        (b"", b""),
        (b"PIPELINING", b"PIPELINING"),
    ] {
        assert_eq!(value(ehlo_name(text)), Some(name));
    }
}
