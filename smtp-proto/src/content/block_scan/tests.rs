use alloc::vec;

use super::*;

#[test]
fn a_block_is_checked_at_every_position() {
    const BLOCK: usize = 896;
    let sound = |bytes: &[u8]| {
        let dots = |dot: bool| {
            assert_eq!(dot, count_dots::<BLOCK>(bytes) > 0);
            count_dots::<BLOCK>(bytes)
        };
        (
            find_sound::<true, BLOCK>(bytes).map(dots),
            find_sound::<false, BLOCK>(bytes).map(dots),
        )
    };
    let none = (None, None);
    for at in 0..BLOCK {
        let last = if at == BLOCK - 1 { Some(0) } else { None };
        for (text, expected) in [
            (&b"\r\nx"[..], (Some(0), Some(0))),
            (b".\r\n", (Some(0), Some(0))),
            (b"\r\n.", (Some(1), Some(1))),
            (b"x\0x", (last, last)),
            (b"\rx\n", none),
            (b"\rx.", none),
            (b"x\nx", none),
            (b"x\n.", none),
            (b"\xe9xx", (Some(0), None)),
        ] {
            let mut bytes = vec![b'x'; BLOCK + 2];
            bytes[at..at + 3].copy_from_slice(text);
            assert_eq!(sound(&bytes), expected, "{text:?} at {at}");
            assert_eq!(sound(&bytes[..BLOCK + 1]), none);
        }
    }
    let dots = b"\r\n.".repeat(BLOCK / 3 + 2);
    assert_eq!(sound(&dots), (Some(299), Some(299)));
}
