use alloc::string::ToString;

use proptest::prelude::*;

use super::*;

fn time(text: &str) -> DateTime {
    text.parse().unwrap()
}

#[test]
fn a_time_is_parsed_in_any_zone_and_displayed_in_utc() {
    // With the Unix time that `date -u -d` prints.
    for (text, shown, unix) in [
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", 0),
        ("1969-12-31t23:59:59z", "1969-12-31T23:59:59Z", -1),
        ("2000-02-29T12:00:00Z", "2000-02-29T12:00:00Z", 951_825_600),
        (
            "2100-03-01T00:00:00Z",
            "2100-03-01T00:00:00Z",
            4_107_542_400,
        ),
        // The last day of a year that begins later than the mean.
        (
            "2096-12-31T23:59:59Z",
            "2096-12-31T23:59:59Z",
            4_007_836_799,
        ),
        (
            "2014-04-03T23:01:00.987654321-08:00",
            "2014-04-04T07:01:00Z",
            1_396_594_860,
        ),
        (
            "2025-01-01T00:30:00+01:00",
            "2024-12-31T23:30:00Z",
            1_735_687_800,
        ),
        (
            "2016-12-31T23:59:60Z",
            "2017-01-01T00:00:00Z",
            1_483_228_800,
        ),
        (
            "0000-01-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            -62_167_219_200,
        ),
        (
            "9999-12-31T23:59:59Z",
            "9999-12-31T23:59:59Z",
            253_402_300_799,
        ),
    ] {
        assert_eq!(time(text).to_string(), shown, "{text}");
        assert_eq!(time(text).unix(), unix, "{text}");
        assert_eq!(DateTime::from_unix(unix).unwrap(), time(text), "{text}");
    }
    assert!(time("2025-01-01T00:30:00+01:00") < time("2025-01-01T00:00:00Z"));
}

#[test]
fn invalid_dates_and_times_are_rejected_with_their_offset() {
    for (text, offset) in [
        ("", 0),
        ("196-01-01T00:00:00Z", 0),
        ("1970/01/01T00:00:00Z", 4),
        ("1970-13-01T00:00:00Z", 5),
        ("1970-00-01T00:00:00Z", 5),
        ("1970-02-29T00:00:00Z", 8),
        ("1900-02-29T00:00:00Z", 8),
        ("1970-04-31T00:00:00Z", 8),
        ("1970-01-01 00:00:00Z", 10),
        ("1970-01-01T24:00:00Z", 11),
        ("1970-01-01T00:60:00Z", 14),
        ("1970-01-01T00:00:61Z", 17),
        ("1970-01-01T00:00:00", 19),
        ("1970-01-01T00:00:00.Z", 20),
        ("1970-01-01T00:00:00+24:00", 20),
        ("1970-01-01T00:00:00+00:60", 23),
        ("1970-01-01T00:00:00Z ", 20),
        ("\u{ff11}970-01-01T00:00:00Z", 0),
        // In UTC the year is outside 0 to 9999.
        ("9999-12-31T23:59:60Z", 0),
        ("9999-12-31T23:59:59-00:01", 0),
        ("0000-01-01T00:00:00+00:01", 0),
    ] {
        assert_eq!(
            reason(text.parse::<DateTime>()),
            (offset, ParameterErrorKind::Value),
            "{text}"
        );
    }
    for unix in [i64::MIN, -62_167_219_201, 253_402_300_800, i64::MAX] {
        assert!(DateTime::from_unix(unix).is_err(), "{unix}");
    }
}

#[cfg(feature = "std")]
#[test]
fn a_system_time_converts() {
    use core::time::Duration;
    use std::time::UNIX_EPOCH;

    let moment = Duration::from_millis(1500);
    let unix = |time| DateTime::try_from(time).unwrap().unix();
    assert_eq!(unix(UNIX_EPOCH + moment), 1);
    assert_eq!(unix(UNIX_EPOCH - moment), -2);
    assert_eq!(unix(UNIX_EPOCH - moment * 2), -3);
    let far = UNIX_EPOCH + Duration::from_secs(253_402_300_800);
    assert!(DateTime::try_from(far).is_err());
}

proptest! {
    #[test]
    fn any_second_displayed_parses_to_itself(unix in -62_167_219_200_i64..=253_402_300_799) {
        let time = DateTime::from_unix(unix).unwrap();
        prop_assert_eq!(time.to_string().parse::<DateTime>().unwrap(), time);
    }

    #[test]
    fn a_later_time_is_displayed_as_a_greater_string(
        one in 0_i64..253_402_300_799,
        other in 0_i64..253_402_300_799,
    ) {
        let shown = |unix| DateTime::from_unix(unix).unwrap().to_string();
        prop_assert_eq!(one.cmp(&other), shown(one).cmp(&shown(other)));
    }

    #[test]
    fn a_zone_shifts_the_time_by_its_offset(
        unix in 0_i64..253_402_200_000,
        hours in 0_i64..24,
        minutes in 0_i64..60,
    ) {
        let local = DateTime::from_unix(unix).unwrap().to_string();
        let local = local.trim_end_matches('Z');
        let ahead: DateTime = format!("{local}+{hours:02}:{minutes:02}").parse().unwrap();
        prop_assert_eq!(ahead.unix(), unix - (hours * 60 + minutes) * 60);
        let behind = format!("{local}-{hours:02}:{minutes:02}").parse::<DateTime>().unwrap();
        prop_assert_eq!(behind.unix(), unix + (hours * 60 + minutes) * 60);
    }
}
