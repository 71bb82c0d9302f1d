//! Choices, and entries to choose from.

use serde_json::{Value, json};

/// Choices, one after the other; when they run out, the first of each.
pub(super) struct Dice<'a>(pub(super) std::slice::Iter<'a, u16>);

impl Dice<'_> {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0.next().map_or(0, |it| usize::from(*it) % limit)
    }

    /// Once in so many times.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    pub(super) fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, at - self.below(at + 1));
        }
    }
}

pub(super) const LISTS: [(&str, &str, &str); 4] = [
    ("providers", "name", "provider"),
    ("incoming_tokens", "id", "key"),
    ("models", "name", "model"),
    ("prices", "model", "price"),
];

/// Entries of a list: the keys of each in any order.
pub(super) fn entries(list: &str, dice: &mut Dice<'_>) -> Vec<Vec<(&'static str, Value)>> {
    let count = dice.below(4);
    let mut made = Vec::new();
    for name in ["a", "b", "c d"].into_iter().take(count) {
        let (key, optional) = match list {
            "providers" => (
                "name",
                vec![
                    ("provider_type", json!("openai-compatible")),
                    ("base_url", json!("http://x/v1")),
                    ("api_key", json!("secret-a")),
                    ("enabled", json!(true)),
                    ("timeout_seconds", json!(10)),
                    ("headers", json!({ "x-a": "b", "x-c": "d" })),
                ],
            ),
            "incoming_tokens" => (
                "id",
                vec![
                    (
                        "name",
                        dice.of(&[
                            json!("Alice"),
                            json!("A, # [b] = {"),
                            json!("\n# a\n[b]\n\n# b\n"),
                        ]),
                    ),
                    ("parent_id", json!("a")),
                    ("role", json!("admin")),
                    ("expires_at", json!("2027-01-01T00:00:00Z")),
                    ("models", json!(["a/*", "b/x", "a"])),
                    ("quota", json!({ "requests": { "limit": 5 }, "usd": { "limit": 1.5 } })),
                ],
            ),
            "models" => (
                "name",
                vec![
                    ("targets", json!(["a/x", { "model": "b/y", "weight": 2 }, "a/z"])),
                    ("strategy", json!("failover")),
                ],
            ),
            _ => ("model", vec![("input", json!(1.25)), ("output", json!(10.0))]),
        };
        let name = if list == "providers" { name.replace(' ', "") } else { name.to_owned() };
        let mut pairs: Vec<_> = optional.into_iter().filter(|_| dice.once_in(2)).collect();
        if list != "incoming_tokens" || !dice.once_in(8) {
            pairs.push((key, json!(name)));
        }
        if list == "incoming_tokens" {
            pairs.push(("key", json!(format!("0123456789abcdef-{name}"))));
        }
        pairs.reverse();
        if dice.once_in(3) {
            dice.shuffle(&mut pairs);
        }
        made.push(pairs);
    }
    made
}
