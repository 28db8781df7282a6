use core::{fmt, str::FromStr};

use super::{ParameterError, ParameterErrorKind};

/// A point in time by the calendar, to the second, in UTC (RFC 3339, section 5.6).
///
/// It is parsed in any time zone and displayed in UTC; a fraction of a second is dropped.
///
/// ```
/// use smtp_proto::parameter::DateTime;
///
/// let time: DateTime = "1996-12-19T16:39:57-08:00".parse()?;
/// assert_eq!(time.to_string(), "1996-12-20T00:39:57Z");
/// assert_eq!(time, DateTime::from_unix(851_042_397)?);
/// # Ok::<(), smtp_proto::parameter::ParameterError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime {
    /// Since 1970-01-01T00:00:00Z, without leap seconds; of the years 0 to 9999.
    seconds: i64,
}

impl DateTime {
    /// A Unix time: seconds since the beginning of 1970 in UTC.
    ///
    /// # Errors
    /// If that is outside the years 0 to 9999.
    pub fn from_unix(seconds: i64) -> Result<Self, ParameterError> {
        if (FIRST..=LAST).contains(&seconds) {
            Ok(Self { seconds })
        } else {
            Err(ParameterError::new(0, ParameterErrorKind::Value))
        }
    }

    /// The Unix time: seconds since the beginning of 1970 in UTC.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.seconds
    }
}

#[cfg(feature = "std")]
impl TryFrom<std::time::SystemTime> for DateTime {
    type Error = ParameterError;

    fn try_from(time: std::time::SystemTime) -> Result<Self, ParameterError> {
        let whole = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        Self::from_unix(match time.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => whole(after.as_secs()),
            // The fraction is left out towards the past.
            Err(before) => {
                let before = before.duration();
                let begun = u64::from(before.subsec_nanos() > 0);
                whole(before.as_secs().saturating_add(begun)).saturating_neg()
            }
        })
    }
}

/// ```abnf
/// date-time    = full-date "T" full-time
/// full-date    = 4DIGIT "-" 2DIGIT "-" 2DIGIT
/// full-time    = 2DIGIT ":" 2DIGIT ":" 2DIGIT [time-secfrac] time-offset
/// time-secfrac = "." 1*DIGIT
/// time-offset  = "Z" / ("+" / "-") 2DIGIT ":" 2DIGIT
/// ```
impl FromStr for DateTime {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let mut reader = Reader { text, offset: 0 };
        let year = reader.number(4, 0, 9999)?;
        reader.one_of("-")?;
        let month = reader.number(2, 1, 12)?;
        reader.one_of("-")?;
        let day = reader.number(2, 1, days_of_month(year, month))?;
        reader.one_of("Tt")?;
        let hour = reader.number(2, 0, 23)?;
        reader.one_of(":")?;
        let minute = reader.number(2, 0, 59)?;
        reader.one_of(":")?;
        // A leap second is the first of the next minute, as Unix has it.
        let second = reader.number(2, 0, 60)?;
        reader.fraction()?;
        let sign = match reader.one_of("Zz+-")? {
            b'+' => -1,
            b'-' => 1,
            _ => 0,
        };
        let (mut hours, mut minutes) = (0, 0);
        if sign != 0 {
            hours = reader.number(2, 0, 23)?;
            reader.one_of(":")?;
            minutes = reader.number(2, 0, 59)?;
        }
        reader.end()?;
        #[expect(
            clippy::arithmetic_side_effects,
            reason = "each number has been read within its bounds"
        )]
        let seconds = ((days_before(year, month) + day - 1) * 24 + hour + sign * hours) * 3600
            + (minute + sign * minutes) * 60
            + second;
        Self::from_unix(seconds)
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, of_day) = (self.seconds.div_euclid(DAY), self.seconds.rem_euclid(DAY));
        let (year, month, day) = calendar(days);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60
        )
    }
}

/// Text with the offset of the next character.
struct Reader<'a> {
    text: &'a str,
    offset: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &[u8] {
        self.text.as_bytes().get(self.offset..).unwrap_or_default()
    }

    fn fault<T>(&self) -> Result<T, ParameterError> {
        Err(ParameterError::new(self.offset, ParameterErrorKind::Value))
    }

    /// A number of exactly this many digits, within bounds.
    fn number(&mut self, digits: usize, least: i64, most: i64) -> Result<i64, ParameterError> {
        let Some(found) =
            (self.rest().get(..digits)).filter(|found| found.iter().all(u8::is_ascii_digit))
        else {
            return self.fault();
        };
        let number = found.iter().fold(0_i64, |number, digit| {
            number
                .saturating_mul(10)
                .saturating_add(i64::from(digit & 0x0f))
        });
        if !(least..=most).contains(&number) {
            return self.fault();
        }
        self.offset = self.offset.saturating_add(digits);
        Ok(number)
    }

    /// One of these characters.
    fn one_of(&mut self, characters: &str) -> Result<u8, ParameterError> {
        match self.rest().first() {
            Some(&byte) if characters.as_bytes().contains(&byte) => {
                self.offset = self.offset.saturating_add(1);
                Ok(byte)
            }
            _ => self.fault(),
        }
    }

    /// Skips a fraction of a second, if there is one.
    fn fraction(&mut self) -> Result<(), ParameterError> {
        let [b'.', rest @ ..] = self.rest() else {
            return Ok(());
        };
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.offset = self.offset.saturating_add(1).saturating_add(digits);
        if (1..=FRACTION_MAX).contains(&digits) {
            Ok(())
        } else {
            self.fault()
        }
    }

    fn end(&self) -> Result<(), ParameterError> {
        if self.rest().is_empty() {
            Ok(())
        } else {
            self.fault()
        }
    }
}

/// Days from the beginning of 1970 to that of a month.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "of the years 0 to 9999, or the one after, and the months 1 to 12"
)]
fn days_before(year: i64, month: i64) -> i64 {
    // March is the first month of such a year, so that the odd day is its last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 31, 30, 31, 30, 31 days, again and again.
    let of_year = (month * 153 + 2) / 5;
    year * 365 + leap_days + of_year - MARCH_OF_YEAR_0
}

fn days_of_month(year: i64, month: i64) -> i64 {
    let (next_year, next) = if month < 12 {
        (year, month.saturating_add(1))
    } else {
        (year.saturating_add(1), 1)
    };
    days_before(next_year, next).saturating_sub(days_before(year, month))
}

/// Year, month and day of a day counted from the beginning of 1970.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "of the days between the years 0 and 9999"
)]
fn calendar(days: i64) -> (i64, i64, i64) {
    // At most one too late, the mean year being what it is.
    let mut year = 1970 + (days * 400).div_euclid(DAYS_OF_400_YEARS);
    while days_before(year, 1) > days {
        year -= 1;
    }
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    let mut month = 12;
    while days_before(year, month) > days {
        month -= 1;
    }
    (year, month, days - days_before(year, month) + 1)
}

/// More digits of a fraction than any clock has.
const FRACTION_MAX: usize = 20;
const DAY: i64 = 86_400;
const DAYS_OF_400_YEARS: i64 = 146_097;
/// Days from the first of March of the year 0 to the beginning of 1970.
const MARCH_OF_YEAR_0: i64 = 719_468;
/// 0000-01-01T00:00:00Z.
const FIRST: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z.
const LAST: i64 = 253_402_300_799;
