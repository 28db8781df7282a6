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
