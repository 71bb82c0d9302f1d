//! What a model costs, in integers: pico-dollars per token are micro-dollars per million tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::{
    Usage, Usd,
    money::{scaled, scaled_number},
};

/// An amount in pico-dollars that is written in dollars per 10^`EACH` things.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount<const EACH: i32>(pub u64);

/// Pico-dollars per token, written as USD per 1M tokens.
pub type Rate = Amount<6>;

/// Pico-dollars per request or image, written as USD.
pub type Fee = Amount<0>;

/// A pico-dollar is 10^-12 dollars.
const PICO: i32 = 12;

impl<const EACH: i32> Amount<EACH> {
    /// As a decimal in dollars for 10^`each` things; what is finer than a pico-dollar is rounded.
    pub fn parse(text: &str, each: i32) -> Option<Self> {
        scaled(text, PICO - each).map(Self)
    }

    pub fn of(number: f64, each: i32) -> Option<Self> {
        scaled_number(number, PICO - each).map(Self)
    }
}

impl<const EACH: i32> Serialize for Amount<EACH> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        #[expect(clippy::cast_precision_loss, reason = "prices have few digits")]
        out.serialize_f64(self.0 as f64 / 10_f64.powi(PICO - EACH))
    }
}

impl<'de, const EACH: i32> Deserialize<'de> for Amount<EACH> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(from)?;
        Self::of(number, EACH).ok_or_else(|| serde::de::Error::custom("not an amount of money"))
    }
}

/// What a token of each class costs. A class without a rate of its own costs what [`Price::cost`]
/// says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Rates {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub input_per_1m: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub output_per_1m: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub cache_read_per_1m: Option<Rate>,
    /// What is kept for 5 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub cache_write_per_1m: Option<Rate>,
    /// What is kept for an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub cache_write_1h_per_1m: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub reasoning_per_1m: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub audio_input_per_1m: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub audio_output_per_1m: Option<Rate>,
}

impl Rates {
    fn all(&self) -> impl Iterator<Item = Rate> {
        [
            self.input_per_1m,
            self.output_per_1m,
            self.cache_read_per_1m,
            self.cache_write_per_1m,
            self.cache_write_1h_per_1m,
            self.reasoning_per_1m,
            self.audio_input_per_1m,
            self.audio_output_per_1m,
        ]
        .into_iter()
        .flatten()
    }
}

/// Other rates for requests with long prompts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tier {
    /// They hold for the whole request when its prompt has more tokens than this.
    pub above_tokens: u64,
    #[serde(flatten)]
    pub rates: Rates,
}

/// What a model costs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Price {
    #[serde(flatten)]
    pub rates: Rates,
    /// USD for each request, whatever its tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub per_request: Option<Fee>,
    /// USD for each image. It is shown and not booked: providers count images as tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub per_image: Option<Fee>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
}

/// Rates outside of this are most often a mistake about the unit: 0.001 to 1,000 USD per 1M.
const SANE: std::ops::RangeInclusive<u64> = 1_000..=1_000_000_000;

impl Price {
    /// One that costs nothing.
    pub fn free() -> Self {
        let zero = Some(Amount(0));
        let rates = Rates { input_per_1m: zero, output_per_1m: zero, ..Rates::default() };
        Self { rates, ..Self::default() }
    }

    /// Whether it says anything.
    pub fn is_known(&self) -> bool {
        self.rates.all().next().is_some() || self.per_request.is_some()
    }

    pub fn is_free(&self) -> bool {
        let tiers = self.tiers.iter().flat_map(|it| it.rates.all());
        let fee = self.per_request.is_none_or(|it| it.0 == 0);
        self.is_known() && fee && self.rates.all().chain(tiers).all(|it| it.0 == 0)
    }

    /// Whether a rate is so low or so high that its unit is in doubt.
    pub fn is_suspicious(&self) -> bool {
        let tiers = self.tiers.iter().flat_map(|it| it.rates.all());
        self.rates.all().chain(tiers).any(|it| it.0 != 0 && !SANE.contains(&it.0))
    }

    /// What these tokens cost, exact: rates are whole pico-dollars per token, so nothing is rounded
    /// here. Without a rate of its own, what a cache read or wrote and audio cost as input,
    /// reasoning and audio as output; one hour in a cache as 5 minutes. None when tokens are of a
    /// class whose rate is not known even so.
    pub fn cost(&self, usage: &Usage) -> Option<Usd> {
        let prompt = usage.prompt();
        let tier = self.tiers.iter().filter(|it| prompt > it.above_tokens);
        let tier = tier.max_by_key(|it| it.above_tokens).map(|it| &it.rates);
        let rate = |ways: &[fn(&Rates) -> Option<Rate>]| {
            ways.iter().find_map(|of| tier.and_then(of).or_else(|| of(&self.rates)))
        };
        let (input, output) = (|it: &Rates| it.input_per_1m, |it: &Rates| it.output_per_1m);
        let written = |it: &Rates| it.cache_write_per_1m;
        let classes = [
            (usage.input, rate(&[input])),
            (usage.cache_read, rate(&[|it| it.cache_read_per_1m, input])),
            (usage.cache_write_5m, rate(&[written, input])),
            (usage.cache_write_1h, rate(&[|it| it.cache_write_1h_per_1m, written, input])),
            (usage.audio_input, rate(&[|it| it.audio_input_per_1m, input])),
            (usage.output, rate(&[output])),
            (usage.reasoning, rate(&[|it| it.reasoning_per_1m, output])),
            (usage.audio_output, rate(&[|it| it.audio_output_per_1m, output])),
        ];
        if !self.is_known() {
            return None;
        }
        let fee = u128::from(self.per_request.unwrap_or_default().0);
        let sum =
            classes.into_iter().filter(|it| it.0 > 0).try_fold(fee, |sum, (tokens, rate)| {
                sum.checked_add(u128::from(tokens).checked_mul(u128::from(rate?.0))?)
            })?;
        u64::try_from(sum).ok().map(Usd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(json: &str) -> Price {
        serde_json::from_str(json).unwrap()
    }

    const ALL: Usage = Usage {
        input: 1,
        cache_read: 10,
        cache_write_5m: 100,
        cache_write_1h: 1_000,
        audio_input: 10_000,
        output: 100_000,
        reasoning: 1_000_000,
        audio_output: 10_000_000,
    };

    #[test]
    fn each_class_costs_its_own_rate_or_the_next_best() {
        let whole = r#"{"input_per_1m":0.000001,"output_per_1m":0.000006,"cache_read_per_1m":0.000002,
            "cache_write_per_1m":0.000003,"cache_write_1h_per_1m":0.000004,"reasoning_per_1m":0.000007,
            "audio_input_per_1m":0.000005,"audio_output_per_1m":0.000008}"#;
        for (json, wanted) in [
            (whole, Some(87_654_321)),
            (r#"{"input_per_1m":0.000001,"output_per_1m":0.000002}"#, Some(22_211_111)),
            (
                r#"{"input_per_1m":0.000001,"output_per_1m":0.000002,"cache_write_per_1m":0.000003}"#,
                Some(22_213_311),
            ),
            (r#"{"input_per_1m":0,"output_per_1m":0,"per_request":0.005}"#, Some(5_000_000_000)),
            // Unknown is never 0.
            (r#"{"input_per_1m":1}"#, None),
            (r#"{"output_per_1m":1}"#, None),
            ("{}", None),
        ] {
            assert_eq!(price(json).cost(&ALL), wanted.map(Usd), "{json}");
        }
        assert_eq!(price("{}").cost(&Usage::default()), None, "no price is not free");
        let one = Usage { input: 7, ..Usage::default() };
        assert_eq!(price(r#"{"input_per_1m":0.1}"#).cost(&one), Some(Usd(700_000)));
        let most = Usage { input: u64::MAX, ..Usage::default() };
        assert_eq!(price(r#"{"input_per_1m":100}"#).cost(&most), None);
    }

    #[test]
    fn a_long_prompt_has_the_rates_of_its_tier() {
        let price = price(
            r#"{"input_per_1m":1,"output_per_1m":10,"cache_read_per_1m":0.5,"tiers":[
            {"above_tokens":200,"input_per_1m":2,"output_per_1m":20},
            {"above_tokens":100,"input_per_1m":1.5}]}"#,
        );
        for (input, cache_read, wanted) in [
            (100, 0, 110_000_000),
            (101, 0, 161_500_000),
            (50, 51, 75_000_000 + 25_500_000 + 10_000_000),
            (200, 0, 310_000_000),
            (201, 0, 422_000_000),
        ] {
            let usage = Usage { input, cache_read, output: 1, ..Usage::default() };
            assert_eq!(price.cost(&usage), Some(Usd(wanted)), "{input} {cache_read}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for json in [
            r#"{"input_per_1m":0.1,"output_per_1m":0.3}"#,
            r#"{"input_per_1m":123.456789,"per_request":0.0123,"tiers":[{"above_tokens":5,"input_per_1m":0.07}]}"#,
        ] {
            let text = serde_json::to_string(&price(json)).unwrap();
            assert_eq!(text, json);
        }
        assert!(serde_json::from_str::<Price>(r#"{"input_per_1m":-1}"#).is_err());
    }

    #[test]
    fn a_wrong_unit_is_suspicious() {
        for (json, suspicious, free) in [
            (r#"{"input_per_1m":0.001,"output_per_1m":1000}"#, false, false),
            (r#"{"input_per_1m":0.0009}"#, true, false),
            (r#"{"input_per_1m":1,"output_per_1m":1000.1}"#, true, false),
            (r#"{"input_per_1m":0,"output_per_1m":0}"#, false, true),
            (r#"{"input_per_1m":0,"per_request":0.1}"#, false, false),
            ("{}", false, false),
        ] {
            assert_eq!(
                (price(json).is_suspicious(), price(json).is_free()),
                (suspicious, free),
                "{json}"
            );
        }
    }
}
