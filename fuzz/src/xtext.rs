//! Any bytes encoded as xtext or as an address are decoded by the server's parser to the same, and
//! the core accepts exactly what that parser accepts.

use smtp_proto::Parameter;
use smtp_proto::dsn::OriginalRecipient;
use smtp_proto::parameter::{ParameterError, ParameterErrorKind, Value};
use smtp_test::xtext::{decode, decode_address};

/// Bytes to be encoded, and the same bytes as an encoded value.
pub fn xtext(input: &[u8]) {
    let input = &input[..input.len().min(2000)];
    check_bytes(input);
    let text = String::from_utf8_lossy(input);
    check_address(&text);
    check_encoded(&text);
}

fn check_bytes(bytes: &[u8]) {
    let plain = |byte: &&u8| byte.is_ascii_graphic() && !matches!(byte, b'+' | b'=');
    let itself = bytes.iter().filter(plain).count();
    let len = itself + 3 * (bytes.len() - itself);
    match Value::xtext(bytes) {
        Ok(value) => {
            assert_eq!(decode(value.as_str()).as_deref(), Some(bytes));
            assert_eq!(value.as_str().len(), len);
            assert!(len <= 1024);
        }
        Err(error) => {
            let expected = match len {
                0 => ParameterErrorKind::Empty,
                _ => ParameterErrorKind::TooLong,
            };
            assert_eq!(error.kind(), expected);
            assert!(len == 0 || len > 1024);
        }
    }
}

fn check_address(text: &str) {
    let printable = !text.is_empty() && text.chars().all(|c| matches!(c, ' '..='~'));
    let shows = !text.is_empty() && text.chars().all(is_shown);
    let long = |result: &Result<OriginalRecipient, ParameterError>| {
        result
            .as_ref()
            .is_err_and(|error| error.kind() == ParameterErrorKind::TooLong)
    };
    let plain = OriginalRecipient::new("rfc822", text);
    assert_eq!(plain.is_ok() || long(&plain), printable, "{text:?}");
    if let Ok(original) = &plain {
        let encoded = original.as_str().strip_prefix("rfc822;").unwrap();
        assert_eq!(decode(encoded).as_deref(), Some(text.as_bytes()));
    }
    for (original, is_ascii) in [
        (OriginalRecipient::utf8(text), true),
        (OriginalRecipient::unitext(text), text.is_ascii()),
    ] {
        assert_eq!(original.is_ok() || long(&original), shows, "{text:?}");
        if let Ok(original) = original {
            let encoded = original.as_str().strip_prefix("utf-8;").unwrap();
            assert_eq!(decode_address(encoded).as_deref(), Some(text));
            assert_eq!(encoded.is_ascii(), is_ascii);
            assert!(original.as_str().len() <= 494);
            let shown = OriginalRecipient::from_value(original.as_str());
            assert_eq!(shown.as_ref(), Ok(&original));
        }
    }
    let id = Parameter::envelope_id(text);
    if let Ok(id) = &id {
        let value = id.value().unwrap().as_str();
        assert_eq!(decode(value).as_deref(), Some(text.as_bytes()));
        assert!(value.len() <= 94);
    }
    assert!(id.is_err() || printable);
}

fn check_encoded(text: &str) {
    let sound = |decoded: Option<String>| {
        decoded.is_some_and(|decoded| !decoded.is_empty() && decoded.chars().all(is_shown))
    };
    let wide = format!("utf-8;{text}");
    if wide.len() <= 494 {
        let expected = sound(decode_address(text));
        assert_eq!(
            OriginalRecipient::from_value(&wide).is_ok(),
            expected,
            "{wide:?}"
        );
    }
    let plain = format!("rfc822;{text}");
    if plain.len() <= 494 {
        let decoded = decode(text).and_then(|bytes| String::from_utf8(bytes).ok());
        let expected = sound(decoded.filter(|decoded| decoded.is_ascii()));
        assert_eq!(
            OriginalRecipient::from_value(&plain).is_ok(),
            expected,
            "{plain:?}"
        );
    }
}

/// The characters that an address may show: no controls, and none that ends a line or a paragraph.
fn is_shown(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')
}
