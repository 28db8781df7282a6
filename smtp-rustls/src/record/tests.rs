use super::*;

#[test]
fn a_stream_is_cut_everywhere_but_between_records() {
    let stream = [
        &[22, 3, 3, 0, 2, 1, 2][..],
        &[23, 3, 3, 0, 0],
        &[23, 3, 3, 1, 4],
        &[0; 260],
    ]
    .concat();
    let between = [0, 7, 12, 277];
    for end in 0..=stream.len() {
        for middle in 0..=end {
            let mut records = RecordTracker::new();
            records.advance(&stream[..middle]);
            records.advance(&stream[middle..end]);
            assert_eq!(
                records.is_cut(),
                !between.contains(&end),
                "ends at {end}, split at {middle}"
            );
        }
    }
}

#[test]
fn a_record_of_the_greatest_length_is_followed_to_its_end() {
    let mut records = RecordTracker::new();
    records.advance(&[0x32, 0x32, 0x30, 0xff, 0xff]);
    records.advance(&vec![0; 0xfffe]);
    assert!(records.is_cut());
    records.advance(&[0]);
    assert!(!records.is_cut());
}
