//! Adapters that are broken in one way each, and the script that catches each of them.

mod adapter;

use std::time::Duration;

use adapter::{Loop, Manner};
use smtp_test::conformance::Kit;

#[test]
fn an_adapter_that_polls_passes() {
    kit().check(Loop(Manner::Polls));
}

#[test]
fn an_adapter_whose_operations_own_their_bytes_passes() {
    kit().check(Loop(Manner::Submits));
}

macro_rules! catches {
    ($($test:ident: $manner:ident, $script:literal, $text:literal;)+) => {$(
        #[test]
        fn $test() {
            catch(Manner::$manner, $script, $text);
        }
    )+};
}

catches! {
    acknowledging_too_much_is_caught:
        AcknowledgesTooMuch, "a large message against a small window", "the server received";
    acknowledging_too_little_is_caught:
        AcknowledgesTooLittle, "greeting to QUIT", "sent twice";
    acknowledging_after_the_reply_is_caught:
        AcknowledgesLate, "greeting to QUIT", "before the bytes that it answers were acknowledged";
    losing_the_output_of_a_dropped_future_is_caught:
        LosesDroppedOutput, "a drop at every await", "bytes of output were acknowledged, and the server received 0;";
    repeating_the_output_of_a_dropped_future_is_caught:
        RepeatsDroppedOutput, "a drop at every await", "sent twice";
    never_completing_an_operation_is_caught:
        NeverCompletes, "greeting to QUIT", "submitted before the last one completed";
    never_flushing_is_caught:
        NeverFlushes, "greeting to QUIT", "it hangs";
    ignoring_time_limits_is_caught:
        IgnoresTimeLimits, "greeting to QUIT", "it hangs";
    waiting_without_a_limit_is_caught:
        WaitsWithoutLimit, "no greeting", "it hangs";
    skipping_the_last_read_is_caught:
        SkipsLastRead, "a reply that was there in time", "without a last read";
    timing_out_early_is_caught:
        TimesOutEarly, "greeting to QUIT", "time runs ahead of the clock";
    swallowing_eof_is_caught:
        SwallowsEof, "EOF in place of the final reply", "it hangs";
    swallowing_a_read_error_is_caught:
        SwallowsReadError, "a reset at every byte", "something else";
    swallowing_a_write_error_is_caught:
        SwallowsWriteError, "writing fails", "something else";
    taking_a_write_error_for_eof_is_caught:
        TakesWriteErrorForEof, "writing fails", "EOF, although";
    blocking_while_writing_is_caught:
        BlocksWhileWriting, "long replies against a small window", "it hangs";
    turning_back_time_is_caught:
        TurnsBackTime, "greeting to QUIT", "time runs backwards";
    passing_input_twice_is_caught:
        RepeatsInput, "greeting to QUIT", "input that is not what the server wrote";
    losing_input_is_caught:
        LosesInput, "greeting to QUIT", "it hangs";
    swapping_input_is_caught:
        SwapsInput, "greeting to QUIT", "input that is not what the server wrote";
    never_closing_is_caught:
        NeverCloses, "QUIT alone", "the socket was not closed";
    closing_before_the_last_output_is_caught:
        ClosesTooSoon, "QUIT alone, in TLS", "TLS ended without close_notify";
    closing_before_quit_is_caught:
        ClosesAtOnce, "QUIT alone", "QUIT";
    looping_busily_is_caught:
        LoopsBusily, "no greeting", "a busy loop";
    asking_seldom_is_caught:
        AsksSeldom, "a streamed message", "it hangs";
}

/// Asserts that a script catches what is wrong, and that its report says so.
#[track_caller]
fn catch(manner: Manner, script: &str, text: &str) {
    let report = kit().only(script).run(Loop(manner));
    let found = report.scripts().iter().find(|each| each.name() == script);
    let found = found.expect("the kit has the script").to_string();
    assert!(found.contains(text), "{manner:?}: {found}");
}

/// With less patience, since some of the adapters hang.
fn kit() -> Kit {
    Kit::new().patience(Duration::from_secs(3))
}
