//! Programs for lettre, over each transport.
//!
//! The cases are in `cases`, `errors` and `addresses`; each runs over every transport of `programs`.

mod addresses;
mod cases;
#[cfg(feature = "blocking")]
mod combinations;
mod errors;
mod generic;
mod programs;

macro_rules! suite {
    ($feature:literal, $name:ident, $program:ident: $($module:ident::$case:ident,)+) => {
        #[cfg(feature = $feature)]
        mod $name {
            $(#[test]
            fn $case() {
                crate::$module::$case::<crate::programs::$program>();
            })+
        }
    };
}

macro_rules! suites {
    ($($module:ident::$case:ident,)+) => {
        suite!("blocking", blocking, Blocking: $($module::$case,)+);
        suite!("tokio", tokio, Tokio: $($module::$case,)+);
        suite!("smol", smol, Smol: $($module::$case,)+);
    };
}

suites! {
    cases::a_message_with_an_attachment_arrives_as_formatted,
    cases::a_message_arrives_as_formatted_without_chunking,
    cases::a_bcc_field_that_is_kept_is_sent,
    cases::a_raw_message_with_bare_line_feeds_and_no_date_is_sent,
    cases::content_that_is_no_message_is_sent_on_request,
    cases::mail_options_add_parameters,
    cases::messages_share_a_connection,
    cases::a_url_begins_a_transport,
    cases::implicit_tls_is_the_relay,
    cases::the_connection_is_tested,
    errors::partial_acceptance_is_an_error_that_names_the_others,
    errors::a_message_that_none_accepts_for_now_is_transient,
    errors::a_message_that_is_rejected_for_good_is_permanent,
    errors::a_wrong_password_is_permanent_and_does_not_show,
    errors::a_closed_port_is_transient,
    errors::a_connection_lost_after_the_message_leaves_it_in_doubt,
    errors::a_silent_server_is_a_timeout,
    errors::a_server_without_starttls_is_an_error_of_tls,
    errors::a_server_that_does_not_speak_smtp_is_an_error_of_its_replies,
    errors::a_transport_that_is_shut_down_says_so,
    errors::content_that_is_no_message_is_an_error_of_the_client,
    errors::an_invalid_setting_is_an_error_before_a_message,
    addresses::a_missing_sender_is_the_null_sender,
    addresses::a_domain_that_is_not_ascii_is_sent_as_a_labels,
    addresses::a_local_part_that_is_not_ascii_needs_smtputf8,
    addresses::an_ipv6_address_gets_its_tag,
    addresses::an_address_outside_of_the_grammar_is_named,
}
