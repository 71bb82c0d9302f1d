//! The echo's answer to `/responses`, whole and as events.

use serde_json::{Value, json};

use super::{CREATED, Turn};

impl Turn<'_> {
    pub(super) fn response(&self) -> Vec<String> {
        let (input, output) = self.counts();
        let usage = json!({
            "input_tokens": input, "input_tokens_details": { "cached_tokens": 0 },
            "output_tokens": output, "output_tokens_details": { "reasoning_tokens": 0 },
            "total_tokens": input + output,
        });
        let done = self.item("completed", Some(&self.answer().concat()));
        let completed = self.object_of("completed", &json!([done]), &usage);
        if !self.stream {
            return vec![completed.to_string()];
        }
        let started = self.object_of("in_progress", &json!([]), &Value::Null);
        let empty = self.item("in_progress", None);
        let mut events = vec![
            json!({ "type": "response.created", "response": started }),
            json!({ "type": "response.in_progress", "response": started }),
            json!({ "type": "response.output_item.added", "output_index": 0, "item": empty }),
        ];
        events.extend(self.inner_events());
        events
            .push(json!({ "type": "response.output_item.done", "output_index": 0, "item": done }));
        events.push(json!({ "type": "response.completed", "response": completed }));
        let numbered = events.into_iter().enumerate().map(|(at, mut event)| {
            event["sequence_number"] = at.into();
            let kind = event["type"].as_str().unwrap_or_default();
            format!("event: {kind}\ndata: {event}\n\n")
        });
        numbered.collect()
    }

    /// What comes between the item's first event and its last.
    fn inner_events(&self) -> Vec<Value> {
        let place = |mut it: Value| {
            it["item_id"] = self.item_id().into();
            it["output_index"] = 0.into();
            if self.tool.is_none() {
                it["content_index"] = 0.into();
            }
            it
        };
        let kind = |name: &str| format!("response.{name}");
        if let Some(name) = &self.tool {
            let arguments = kind("function_call_arguments");
            return vec![
                place(json!({ "type": format!("{arguments}.delta"), "delta": "{}" })),
                place(
                    json!({ "type": format!("{arguments}.done"), "name": name, "arguments": "{}" }),
                ),
            ];
        }
        let text = self.answer().concat();
        let delta = |it: &String| {
            place(json!({ "type": kind("output_text.delta"), "delta": it, "logprobs": [] }))
        };
        let mut events =
            vec![place(json!({ "type": kind("content_part.added"), "part": part("") }))];
        events.extend(self.answer().iter().map(delta));
        events
            .push(place(json!({ "type": kind("output_text.done"), "text": text, "logprobs": [] })));
        events.push(place(json!({ "type": kind("content_part.done"), "part": part(&text) })));
        events
    }

    fn item_id(&self) -> String {
        format!("msg_{}", self.id)
    }

    fn item(&self, status: &str, text: Option<&str>) -> Value {
        match &self.tool {
            Some(name) => json!({
                "type": "function_call", "id": self.item_id(), "call_id": "call_echo",
                "status": status, "name": name, "arguments": text.map_or("", |_| "{}"),
            }),
            None => json!({
                "type": "message", "id": self.item_id(), "role": "assistant", "status": status,
                "content": text.map(part).into_iter().collect::<Vec<_>>(),
            }),
        }
    }

    fn object_of(&self, status: &str, output: &Value, usage: &Value) -> Value {
        json!({
            "id": format!("resp_{}", self.id), "object": "response", "created_at": CREATED,
            "status": status, "error": null, "incomplete_details": null, "instructions": null,
            "metadata": {}, "model": self.model, "output": output, "parallel_tool_calls": true,
            "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0, "usage": usage,
        })
    }
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}
