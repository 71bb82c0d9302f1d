//! Money in integer pico-dollars: a price per million tokens times tokens is exact.

use serde::{Deserialize, Serialize};

/// United States dollars in units of 10^-12.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Hash,
)]
pub struct Usd(pub u64);

/// Dollars as an exact decimal: `0.000022`.
impl std::fmt::Display for Usd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const DOLLAR: u64 = 1_000_000_000_000;
        let part = format!("{:012}", self.0 % DOLLAR);
        match part.trim_end_matches('0') {
            "" => write!(f, "{}", self.0 / DOLLAR),
            part => write!(f, "{}.{part}", self.0 / DOLLAR),
        }
    }
}

/// A decimal number, also one with an exponent, times 10^`shift`. What is finer than 1 is rounded,
/// a half up. None for what is negative, no number, or too large. No float is on the way.
pub fn scaled(text: &str, shift: i32) -> Option<u64> {
    let (mantissa, exponent) = match text.trim().split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text.trim(), 0),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{part}");
    if digits.is_empty() || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    let number: u128 = digits.parse().ok()?;
    let power = shift.checked_add(exponent)?.checked_sub(i32::try_from(part.len()).ok()?)?;
    let factor = 10_u128.checked_pow(power.unsigned_abs());
    let number = match (power, factor) {
        (0.., factor) => number.checked_mul(factor?)?,
        (_, Some(divisor)) => number.checked_add(divisor / 2)? / divisor,
        (_, None) => 0,
    };
    u64::try_from(number).ok()
}

/// The same for a number that JSON or TOML has read already: the shortest decimal that reads as it
/// is the one that was written, as long as that had at most 15 digits.
pub fn scaled_number(number: f64, shift: i32) -> Option<u64> {
    scaled(&number.to_string(), shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_shown_to_the_last_digit() {
        for (pico, wanted) in [
            (0, "0"),
            (1, "0.000000000001"),
            (22_000_000, "0.000022"),
            (1_500_000_000_000, "1.5"),
            (2_000_000_000_000, "2"),
        ] {
            assert_eq!(Usd(pico).to_string(), wanted);
        }
    }

    #[test]
    fn decimals_are_read_to_the_last_digit() {
        for (text, shift, wanted) in [
            ("0.35", 6, Some(350_000)),
            ("3e-06", 12, Some(3_000_000)),
            ("1.25E-06", 12, Some(1_250_000)),
            ("0.00000035", 12, Some(350_000)),
            ("0", 6, Some(0)),
            ("0.000", 6, Some(0)),
            (" 2.5 ", 6, Some(2_500_000)),
            (".5", 1, Some(5)),
            ("5.", 0, Some(5)),
            ("0.0000005", 6, Some(1)),
            ("0.00000049", 6, Some(0)),
            ("1e-400", 6, Some(0)),
            ("-1", 6, None),
            ("", 6, None),
            (".", 6, None),
            ("free", 6, None),
            ("1e99", 6, None),
            ("1.2.3", 6, None),
            ("NaN", 6, None),
        ] {
            assert_eq!(scaled(text, shift), wanted, "{text}");
        }
        for (number, wanted) in
            [(0.1, 100_000), (0.3, 300_000), (0.000_001, 1), (123.456, 123_456_000)]
        {
            assert_eq!(scaled_number(number, 6), Some(wanted), "{number}");
        }
        assert_eq!(scaled_number(f64::NAN, 6), None);
        assert_eq!(scaled_number(f64::INFINITY, 6), None);
    }
}
