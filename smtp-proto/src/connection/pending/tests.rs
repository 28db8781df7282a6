use alloc::vec::Vec;

use super::*;

#[test]
fn a_full_window_is_not_filled_up_again_before_half_of_it_is_free() {
    let mut pipeline = PendingReplies::new();
    pipeline.set_level(Pipelining::Envelope);
    pipeline.set_window(Window::HALF_DUPLEX.with_bytes(1000).with_replies(8));
    let mut end = 0;
    let mut fill = |pipeline: &mut PendingReplies| {
        let mut pushed = 0;
        while pipeline.admits(Stage::Rcpt) && pipeline.has_room(10) {
            end += 10;
            pushed += 1;
            pipeline.push(PendingReply {
                stage: Stage::Rcpt,
                rcpt: Some(0),
                end,
                bytes: 10,
                replies: 1,
                content: 0,
            });
        }
        pushed
    };
    assert_eq!(fill(&mut pipeline), 8);
    for more in [0, 0, 0, 0, 5, 0] {
        pipeline.replied(u64::MAX).unwrap();
        assert_eq!(fill(&mut pipeline), more);
    }
}

fn due(end: u64, bytes: usize, content: u64, replies: usize) -> PendingReply {
    PendingReply {
        stage: Stage::LastChunk,
        rcpt: None,
        end,
        bytes,
        content,
        replies,
    }
}

#[test]
fn a_further_reply_to_the_same_command_takes_no_room_for_the_command_again() {
    let mut pending = PendingReplies::new();
    pending.push(due(100, 20, 60, 3));
    let mut left = Vec::new();
    while let Some(answered) = pending.replied(100) {
        left.push((pending.bytes, pending.content(), pending.replies));
        if left.len() < 4 {
            pending.expect_again(answered);
            left.push((pending.bytes, pending.content(), pending.replies));
        }
    }
    // One reply fewer each time, and at least one as long as one is expected.
    assert_eq!(left, [0, 2, 0, 1, 0].map(|replies| (0, 0, replies)));
    assert!(pending.is_empty());
}

#[test]
fn a_position_is_within_content_after_its_command_and_before_its_end() {
    let mut pending = PendingReplies::new();
    // A command of 10 bytes, two of 5 with 20 bytes of content each, and a command of 10.
    pending.push(due(10, 10, 0, 1));
    pending.push(due(35, 5, 20, 1));
    pending.push(due(60, 5, 20, 1));
    pending.push(due(70, 10, 0, 1));
    for sent in 0..=80 {
        let within = (16..35).contains(&sent) || (41..60).contains(&sent);
        assert_eq!(pending.is_in_content(sent), within, "{sent}");
    }
}

#[test]
fn room_is_reserved_up_to_the_window_and_released_when_idle() {
    let mut pending = PendingReplies::new();
    pending.set_window(Window::HALF_DUPLEX.with_replies(100));
    pending.reserve(50);
    assert!((50..100).contains(&pending.items.capacity()));
    pending.reserve(usize::MAX);
    assert!((100..200).contains(&pending.items.capacity()));
    pending.release();
    assert!(pending.items.capacity() <= KEPT);
}
