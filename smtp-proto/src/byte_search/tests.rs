use super::*;

#[test]
fn each_matching_byte_is_found_at_every_position() {
    for byte in 0..=255 {
        for place in 0..3 * WORD {
            for filler in [b'x', 127, 14] {
                let mut bytes = [filler; 3 * WORD];
                bytes[place] = byte;
                for bytes in [&bytes[..], &bytes[..=place]] {
                    let found = |matters: bool| matters.then_some(place);
                    assert_eq!(find::<14, true>(bytes), found(byte < 14));
                    assert_eq!(find::<14, false>(bytes), found(!(14..128).contains(&byte)));
                }
            }
        }
    }
}

#[test]
fn the_first_of_several_is_found() {
    let bytes = [14, 127, 255, 128, 0, 13, 255, 0].repeat(4);
    for len in 6..bytes.len() {
        let bytes = &bytes[..len];
        assert_eq!(
            (find::<14, false>(bytes), find::<14, true>(bytes)),
            (Some(2), Some(4))
        );
    }
    assert_eq!(
        (find::<14, false>(&[]), find::<14, true>(&[])),
        (None, None)
    );
}
