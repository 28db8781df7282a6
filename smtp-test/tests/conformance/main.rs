//! Adapters that are broken in one way each, and the script that catches each of them.

mod adapter;

use adapter::{Defect, Loop};
use smtp_test::conformance::Kit;

#[test]
fn an_adapter_without_a_defect_passes() {
    let report = Kit::new().run(Loop(None));
    println!("{report}");
    report.assert();
}
