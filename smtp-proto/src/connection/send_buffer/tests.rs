use alloc::vec;

use proptest::prelude::*;

#[cfg(feature = "std")]
use super::transmit::FEW;
use super::transmit::{CONTENT, SLICES};
use super::*;

fn bytes(transmit: &Transmit<'_>) -> Vec<u8> {
    let bytes = transmit.iter().collect::<Vec<_>>().concat();
    assert_eq!(transmit.len(), bytes.len(), "{transmit:?}");
    bytes
}

#[test]
fn commands_and_pieces_leave_in_the_order_they_came() {
    let mut send_buffer = SendBuffer::default();
    send_buffer.control().extend(b"DATA\r\n");
    send_buffer.push(Bytes::from_static(b"body"));
    send_buffer.push(Bytes::from_static(b"\r\n.\r\n"));
    send_buffer.control().extend(b"MAIL FROM:<>\r\n");
    send_buffer.control().extend(b"QUIT\r\n");
    let transmit = send_buffer.transmit();
    assert!(transmit.iter().eq([
        &b"DATA\r\n"[..],
        b"body",
        b"\r\n.\r\n",
        b"MAIL FROM:<>\r\nQUIT\r\n"
    ]));
    assert_eq!(
        (transmit.len(), send_buffer.sent(), send_buffer.queued()),
        (35, 0, 35)
    );
}

#[test]
fn a_transmit_stands_until_it_is_acknowledged() {
    let mut send_buffer = SendBuffer::default();
    send_buffer.control().extend(b"NOOP\r\n");
    assert_eq!(
        bytes(&send_buffer.transmit()),
        bytes(&send_buffer.transmit())
    );
    send_buffer.advance(0);
    assert_eq!(bytes(&send_buffer.transmit()), b"NOOP\r\n");
    send_buffer.advance(4);
    assert_eq!(bytes(&send_buffer.transmit()), b"\r\n");
    send_buffer.advance(2);
    assert!(send_buffer.is_empty() && send_buffer.transmit().is_empty());
    assert_eq!((send_buffer.sent(), send_buffer.queued()), (6, 6));
}

#[test]
fn a_transmit_ends_after_64_slices_and_after_64_kib_of_content() {
    let mut send_buffer = SendBuffer::default();
    for _ in 0..100 {
        send_buffer.control().push(b'c');
        send_buffer.push(Bytes::from_static(b"b"));
    }
    assert_eq!(send_buffer.transmit().iter().count(), SLICES);
    assert_eq!(send_buffer.transmit().len(), SLICES);
    send_buffer.clear();
    send_buffer.control().extend(vec![b'c'; 2 * CONTENT]);
    send_buffer.push(vec![b'b'; CONTENT - 1].into());
    send_buffer.push(vec![b'b'; CONTENT].into());
    send_buffer.control().push(b'c');
    let lens: Vec<usize> = send_buffer.transmit().iter().map(<[u8]>::len).collect();
    assert_eq!(lens, [2 * CONTENT, CONTENT - 1, 1]);
    assert_eq!(send_buffer.transmit().len(), lens.iter().sum::<usize>());
}

#[test]
fn a_piece_is_not_copied() {
    let mut send_buffer = SendBuffer::default();
    let body = Bytes::from(vec![b'b'; 100]);
    send_buffer.push(body.clone());
    send_buffer.advance(10);
    assert!(
        send_buffer
            .transmit()
            .iter()
            .all(|slice| slice.as_ptr_range() == body[10..].as_ptr_range())
    );
}

#[test]
fn a_drained_buffer_keeps_at_most_512_bytes() {
    let mut send_buffer = SendBuffer::default();
    for _ in 0..1000 {
        send_buffer.control().extend([b'c'; 100]);
        send_buffer.push(Bytes::from_static(b"body"));
    }
    send_buffer.advance(send_buffer.len());
    assert!(
        send_buffer.control.bytes.capacity() + send_buffer.pieces.capacity() * size_of::<Piece>()
            <= 512
    );
}

#[test]
fn a_buffer_that_is_never_empty_does_not_grow() {
    let mut send_buffer = SendBuffer::default();
    send_buffer.control().push(b'c');
    for _ in 0..10_000 {
        send_buffer.control().extend([b'c'; 100]);
        send_buffer.advance(100);
    }
    assert!(send_buffer.control.bytes.capacity() < 4 * KEPT_CONTROL);
    assert_eq!((send_buffer.len(), send_buffer.sent()), (1, 1_000_000));
}

#[test]
fn a_secret_is_wiped_as_it_is_sent_and_moves_without_a_trace() {
    let mut send_buffer = SendBuffer::default();
    send_buffer.control().extend(b"NOOP\r\n");
    send_buffer
        .secret_control()
        .extend(b"AUTH PLAIN c2VjcmV0\r\n");
    let capacity = send_buffer.control.bytes.capacity();
    assert!(capacity >= SECRET_LINE);
    send_buffer.advance(20);
    assert_eq!(
        send_buffer.control.bytes,
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0jcmV0\r\n"
    );
    assert_eq!(widen(&mut send_buffer.control.bytes), [0; 27]);
    // Another line has room in advance, however often.
    send_buffer.control().extend([b'c'; SECRET_LINE]);
    send_buffer.control().extend([b'c'; SECRET_LINE]);
    assert_eq!(bytes(&send_buffer.transmit()).len(), 7 + 2 * SECRET_LINE);
    send_buffer.advance(send_buffer.len());
    assert!(!send_buffer.control.secret && send_buffer.control.bytes.capacity() <= KEPT_CONTROL);
}

#[test]
fn clearing_takes_what_is_not_sent_and_keeps_the_position() {
    let mut send_buffer = SendBuffer::default();
    send_buffer.control().extend(b"RSET\r\n");
    send_buffer.advance(2);
    send_buffer.clear();
    assert_eq!(
        (send_buffer.len(), send_buffer.sent(), send_buffer.queued()),
        (0, 2, 2)
    );
}

#[test]
#[cfg(feature = "std")]
fn slices_for_a_vectored_write_are_those_of_the_transmit_however_many() {
    for count in [0, 1, FEW, FEW + 1, SLICES, SLICES + 1] {
        let mut send_buffer = SendBuffer::default();
        for _ in 0..count {
            send_buffer.push(Bytes::from_static(b"body"));
        }
        let transmit = send_buffer.transmit();
        transmit.with_io_slices(|slices| {
            assert_eq!(slices.len(), count.min(SLICES));
            assert!(slices.iter().map(|slice| &**slice).eq(transmit.iter()));
        });
    }
}

#[test]
fn neither_prints_what_is_sent() {
    let mut send_buffer = SendBuffer::default();
    send_buffer.control().extend(b"AUTH PLAIN c2VjcmV0\r\n");
    let printed = alloc::format!("{send_buffer:?} {:?}", send_buffer.transmit());
    assert_eq!(
        printed,
        "SendBuffer { sent: 0, len: 21, .. } Transmit { slices: 1, len: 21 }"
    );
}

proptest! {
    #[test]
    fn what_is_sent_is_what_was_queued(
        steps in prop::collection::vec((0_u8..3, 0_usize..2000), 0..60),
    ) {
        let mut send_buffer = SendBuffer::default();
        let (mut queued, mut sent) = (Vec::new(), Vec::new());
        let mut next = (0_u8..251).cycle();
        for (step, n) in steps {
            match step {
                0 => {
                    let bytes: Vec<u8> = next.by_ref().take(n).collect();
                    queued.extend(&bytes);
                    send_buffer.control().extend(bytes);
                }
                1 => {
                    let bytes: Vec<u8> = next.by_ref().take(n).collect();
                    queued.extend(&bytes);
                    send_buffer.push(bytes.into());
                }
                _ => {
                    let mut offered = bytes(&send_buffer.transmit());
                    offered.truncate(n);
                    send_buffer.advance(offered.len());
                    sent.extend(offered);
                }
            }
            prop_assert_eq!(usize::try_from(send_buffer.sent()), Ok(sent.len()));
            prop_assert_eq!(usize::try_from(send_buffer.queued()), Ok(queued.len()));
            prop_assert_eq!(send_buffer.is_empty(), queued.len() == sent.len());
        }
        while !send_buffer.is_empty() {
            let offered = bytes(&send_buffer.transmit());
            send_buffer.advance(offered.len());
            sent.extend(offered);
        }
        prop_assert_eq!(sent, queued);
    }
}
