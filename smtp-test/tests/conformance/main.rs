//! Adapters that are broken in one way each, and the script that catches each of them.

mod adapter;

use std::time::Duration;

use adapter::{Defect, Loop};
use smtp_test::conformance::Kit;

#[test]
fn an_adapter_without_a_defect_passes() {
    Kit::new().check(Loop(None));
}

/// Asserts that a script catches the defect, and that its report has this text.
#[track_caller]
fn catches(defect: Defect, script: &str, text: &str) {
    let report = kit().only(script).run(Loop(Some(defect)));
    assert!(
        report.failed().contains(&script),
        "{script} misses {defect:?}"
    );
    assert!(report.to_string().contains(text), "{report}");
    // The script passes without the defect.
    kit().only(script).check(Loop(None));
}

/// With less patience, since some of the adapters hang.
fn kit() -> Kit {
    Kit::new().patience(Duration::from_secs(2))
}

#[test]
fn survey() {
    use Defect::*;
    for defect in [
        AcknowledgesTooMuch,
        AcknowledgesTooLittle,
        AcknowledgesLate,
        LosesDroppedOutput,
        RepeatsDroppedOutput,
        NeverFlushes,
        IgnoresTimeLimits,
        SkipsLastRead,
        TimesOutEarly,
        SwallowsEof,
        SwallowsReadError,
        SwallowsWriteError,
        TakesWriteErrorForEof,
        BlocksWhileWriting,
        TurnsBackTime,
        RepeatsInput,
        LosesInput,
        SwapsInput,
        NeverCloses,
        ClosesTooSoon,
        ClosesAtOnce,
        LoopsBusily,
        AsksSeldom,
    ] {
        if std::env::var("DEFECT").is_ok_and(|name| name != format!("{defect:?}")) {
            continue;
        }
        let report = Kit::new()
            .patience(Duration::from_millis(1200))
            .threads(40)
            .run(Loop(Some(defect)));
        println!(
            "=== {defect:?} {:?}: {} of {}",
            report.time(),
            report.failed().len(),
            report.scripts().len()
        );
        for script in report.scripts().iter().filter(|s| !s.has_passed()).take(40) {
            println!(
                "{}: {}",
                script.name(),
                script.faults().join(" / ").replace('\n', " ")
            );
        }
    }
}
