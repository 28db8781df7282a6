//! Every scenario in `tests/scenarios`, whole, by line and by byte.

mod common;

use common::scenario;
use smtp_test::Split;

#[test]
fn every_scenario_goes_as_written_however_the_bytes_are_cut() {
    let mut failed = Vec::new();
    for scenario in scenario::all() {
        // Shown if it panics.
        println!("{}", scenario.name);
        let (whole, sent) = scenario.run(Split::Whole, usize::MAX);
        if whole.0.trim_end() != scenario.expected {
            failed.push(format!(
                "{}: heard\n{}\nand not\n{}\n",
                scenario.name, whole.0, scenario.expected
            ));
            continue;
        }
        for split in Split::ALL {
            for write_at_most in [usize::MAX, 7, 1] {
                let again = scenario.run(split, write_at_most);
                assert_eq!(
                    again.0, whole,
                    "{}, {split:?}, {write_at_most} bytes a write",
                    scenario.name
                );
                assert_eq!(
                    again.1, sent,
                    "{}, {split:?}, {write_at_most} bytes a write",
                    scenario.name
                );
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
