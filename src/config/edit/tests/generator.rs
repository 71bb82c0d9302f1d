//! Files as people write them: every form, comments in odd places, all line ends. Each line knows
//! whose it is.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::choices::{Dice, LISTS, entries};

/// A file, and for each of its lines the dotted path of what it belongs to.
pub(super) struct File {
    pub(super) text: String,
    pub(super) owners: Vec<String>,
    /// Lists with a header for each entry.
    pub(super) blocks: Vec<&'static str>,
}

/// Lines that stay together, and to whom each belongs.
type Chunk = Vec<(String, String)>;

struct Writer<'d, 'r> {
    dice: &'d mut Dice<'r>,
    comments: usize,
    equals: &'static str,
    literal: bool,
    /// All `=` of lines stand in this column.
    column: usize,
}

/// A file, from choices.
pub(super) fn file(dice: &mut Dice<'_>) -> File {
    let equals = dice.of(&[" = ", "=", "  = ", " =  "]);
    let literal = dice.once_in(3);
    let column = dice.of(&[0, 0, 18]);
    let mut writer = Writer { dice, comments: 0, equals, literal, column };
    let (mut lines, mut sections) = (Vec::new(), Vec::new());
    if writer.dice.once_in(4) {
        lines.push(("#:schema ./torod.schema.json".to_owned(), String::new()));
    }
    let mut inline = Vec::new();
    let mut blocks = Vec::new();
    for (list, _, _) in LISTS {
        let entries = entries(list, writer.dice);
        match writer.dice.below(6) {
            0..3 => {
                blocks.push(list);
                let chunks = entries.iter().enumerate();
                let chunks = chunks.flat_map(|it| writer.block(list, it.0, it.1)).collect();
                sections.push(chunks);
            }
            3 => inline.push(writer.inline_list(list, &entries)),
            4 => inline.push(writer.list_of_lines(list, &entries)),
            _ => {}
        }
    }
    let settings = writer.settings();
    let mut root = writer.root();
    match writer.dice.below(4) {
        0 if !settings.is_empty() => sections.push(vec![writer.section("tls", &settings)]),
        1 => {
            root.extend(settings.iter().map(|it| writer.pair("", &format!("tls.{}", it.0), &it.1)));
        }
        2 => root.push(writer.pair("", "tls", &Value::Object(settings.into_iter().collect()))),
        _ => {}
    }
    if writer.dice.once_in(3) {
        let logs = [("level".to_owned(), json!("warn"))];
        sections.push(vec![writer.section("logs", &logs)]);
    }
    root.extend(inline);
    writer.dice.shuffle(&mut root);
    for chunk in root {
        writer.space(&mut lines, true);
        lines.extend(chunk);
    }
    writer.interleave(sections, &mut lines);
    writer.finish(lines, blocks)
}

impl Writer<'_, '_> {
    fn comment(&mut self) -> String {
        self.comments += 1;
        format!("# c{} = \"[x]\"", self.comments)
    }

    fn trailing(&mut self) -> String {
        if self.dice.once_in(4) { format!(" {}", self.comment()) } else { String::new() }
    }

    /// What stands before a line or a chunk and belongs to nobody.
    fn space(&mut self, lines: &mut Chunk, glued: bool) {
        let mut push = |text: String| lines.push((text, String::new()));
        match self.dice.below(7) {
            4 => push(String::new()),
            5 if glued => push(self.comment()),
            5 => push(" \t".to_owned()),
            6 => {
                let comment = self.comment();
                [String::new(), comment, String::new()].into_iter().for_each(push);
            }
            _ => {}
        }
    }

    fn string(&mut self, text: &str) -> String {
        if self.literal { format!("'{text}'") } else { format!("\"{text}\"") }
    }

    fn value(&mut self, value: &Value) -> String {
        match value {
            Value::String(it) if it.starts_with("20") => it.clone(),
            Value::String(it) if it.contains('\n') => format!("{it:?}"),
            Value::String(it) => self.string(it),
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(|it| self.value(it)).collect();
                let comma = if self.dice.once_in(4) && !items.is_empty() { ", " } else { "" };
                format!("[{}{comma}]", items.join(", "))
            }
            Value::Object(map) => {
                let equals = self.equals;
                let pairs = map.iter().map(|(key, it)| format!("{key}{equals}{}", self.value(it)));
                let pairs = pairs.collect::<Vec<_>>().join(", ");
                if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {pairs} }}") }
            }
            other => other.to_string(),
        }
    }

    /// A key and its value, on one line or, for lists, on several.
    fn pair(&mut self, owner: &str, key: &str, value: &Value) -> Chunk {
        let full = if owner.is_empty() { key.to_owned() } else { format!("{owner}.{key}") };
        let spelled = if self.dice.once_in(9) && !key.contains('.') {
            format!("\"{key}\"")
        } else {
            key.to_owned()
        };
        let spelled = format!("{spelled:0$}", self.column);
        let equals = self.equals;
        if let Value::String(text) = value
            && text.contains('\n')
        {
            let text = format!("{spelled}{equals}\"\"\"{text}\"\"\"{}", self.trailing());
            return text.split('\n').map(|it| (it.to_owned(), full.clone())).collect();
        }
        if let Value::Object(map) = value
            && self.dice.once_in(4)
        {
            let mut lines = vec![(format!("{spelled}{equals}{{{}", self.trailing()), full.clone())];
            for (at, (key, it)) in map.iter().enumerate() {
                if self.dice.once_in(5) {
                    lines.push((format!("  {}", self.comment()), full.clone()));
                }
                let comma = if at + 1 < map.len() || self.dice.once_in(2) { "," } else { "" };
                let line = format!("  {key}{equals}{}{comma}{}", self.value(it), self.trailing());
                lines.push((line, format!("{full}.{key}")));
            }
            lines.push((format!("}}{}", self.trailing()), full));
            return lines;
        }
        if let Value::Array(items) = value
            && !items.is_empty()
            && self.dice.once_in(3)
        {
            let mut lines = vec![format!("{spelled}{equals}[{}", self.trailing())];
            for (at, it) in items.iter().enumerate() {
                if self.dice.once_in(5) {
                    lines.push(format!("  {}", self.comment()));
                }
                let comma = if at + 1 < items.len() || self.dice.once_in(2) { "," } else { "" };
                lines.push(format!("  {}{comma}{}", self.value(it), self.trailing()));
            }
            lines.push(format!("]{}", self.trailing()));
            return lines.into_iter().map(|it| (it, full.clone())).collect();
        }
        let line = format!("{spelled}{equals}{}{}", self.value(value), self.trailing());
        vec![(line, full)]
    }

    fn section(&mut self, name: &str, pairs: &[(String, Value)]) -> Chunk {
        let mut lines = vec![(format!("[{name}]{}", self.trailing()), name.to_owned())];
        for (key, value) in pairs {
            lines.extend(self.pair(name, key, value));
        }
        lines
    }

    fn root(&mut self) -> Vec<Chunk> {
        let pairs = [
            (
                "listen_addr",
                self.dice.of(&[json!("127.0.0.1:0"), json!(["127.0.0.1:0", "127.0.0.1:1"])]),
            ),
            ("default_provider", json!("a")),
            ("managed", json!(true)),
            ("shutdown_seconds", json!(30)),
        ];
        let mut chunks = Vec::new();
        for (key, value) in pairs {
            if self.dice.once_in(2) {
                chunks.push(self.pair("", key, &value));
            }
        }
        chunks
    }

    fn settings(&mut self) -> Vec<(String, Value)> {
        let mut pairs =
            vec![("mode", json!("pem")), ("email", json!("x@y")), ("domains", json!(["a", "b"]))];
        pairs.truncate(self.dice.below(4));
        self.dice.shuffle(&mut pairs);
        pairs.into_iter().map(|it| (it.0.to_owned(), it.1)).collect()
    }

    fn owner(list: &str, at: usize, pairs: &[(&str, Value)]) -> String {
        let key = LISTS.iter().find(|it| it.0 == list).unwrap().1;
        let name = pairs.iter().find(|it| it.0 == key).and_then(|it| it.1.as_str());
        name.map_or_else(|| format!("{list}.key-{}", at + 1), |it| format!("{list}.{it}"))
    }

    /// An entry with a header, its tables in one of their forms.
    fn block(&mut self, list: &str, at: usize, pairs: &[(&str, Value)]) -> Vec<Chunk> {
        let owner = Self::owner(list, at, pairs);
        let own = |text: String| (text, owner.clone());
        let mut lines = Vec::new();
        for _ in 0..self.dice.below(3) {
            lines.push(own(self.comment()));
        }
        let header = self.dice.of(&[
            format!("[[{list}]]"),
            format!("[[ {list} ]]"),
            format!("[[\"{list}\"]]"),
        ]);
        lines.push(own(format!("{header}{}", self.trailing())));
        let mut tables = Vec::new();
        for (key, value) in pairs {
            let form = self.dice.below(3);
            if let (Value::Object(map), 1) = (value, form) {
                tables.push((key, map));
                continue;
            }
            match self.dice.below(6) {
                4 => lines.push(own(self.comment())),
                5 => lines.push(own(String::new())),
                _ => {}
            }
            match (value, form) {
                (Value::Object(map), 0) => {
                    for (inner, value) in map {
                        lines.extend(self.pair(&owner, &format!("{key}.{inner}"), value));
                    }
                }
                _ => lines.extend(self.pair(&owner, key, value)),
            }
        }
        if self.dice.once_in(4) {
            lines.extend([own(self.comment()), (String::new(), String::new())]);
        }
        let mut chunks = vec![lines];
        for (key, map) in tables {
            let mut lines = Vec::new();
            if self.dice.once_in(2) {
                lines.extend([own(String::new()), own(self.comment())]);
            }
            let pairs: Vec<_> = map.iter().map(|it| (it.0.clone(), it.1.clone())).collect();
            let section = self.section(&format!("{list}.{key}"), &pairs);
            lines.extend(
                section
                    .into_iter()
                    .map(|(text, of)| (text, format!("{owner}{}", &of[list.len()..]))),
            );
            chunks.push(lines);
        }
        chunks
    }

    fn inline_table(&mut self, pairs: &[(&str, Value)]) -> String {
        let pairs: serde_json::Map<_, _> =
            pairs.iter().map(|it| (it.0.to_owned(), it.1.clone())).collect();
        self.value(&Value::Object(pairs))
    }

    fn inline_list(&mut self, list: &str, entries: &[Vec<(&str, Value)>]) -> Chunk {
        let entries: Vec<_> = entries.iter().map(|it| self.inline_table(it)).collect();
        let comma = if self.dice.once_in(3) && !entries.is_empty() { "," } else { "" };
        let equals = self.equals;
        let line = format!("{list}{equals}[{}{comma}]{}", entries.join(", "), self.trailing());
        vec![(line, list.to_owned())]
    }

    fn list_of_lines(&mut self, list: &str, entries: &[Vec<(&str, Value)>]) -> Chunk {
        let own = |text: String| (text, list.to_owned());
        let equals = self.equals;
        let mut lines = vec![own(format!("{list}{equals}[{}", self.trailing()))];
        for (at, pairs) in entries.iter().enumerate() {
            let owner = Self::owner(list, at, pairs);
            match self.dice.below(4) {
                2 => lines.push((format!("\t{}", self.comment()), owner.clone())),
                3 => {
                    lines.extend([own(format!("\t{}", self.comment())), own(String::new())]);
                }
                _ => {}
            }
            let comma = if at + 1 < entries.len() || self.dice.once_in(2) { "," } else { "" };
            lines
                .push((format!("\t{}{comma}{}", self.inline_table(pairs), self.trailing()), owner));
        }
        if self.dice.once_in(4) {
            lines.extend([own(String::new()), own(format!("\t{}", self.comment()))]);
        }
        lines.push(own(format!("]{}", self.trailing())));
        lines
    }

    /// Chunks of all lists in any order that keeps each list's own.
    fn interleave(&mut self, mut lists: Vec<Vec<Chunk>>, lines: &mut Chunk) {
        for list in &mut lists {
            list.reverse();
        }
        while lists.iter().any(|it| !it.is_empty()) {
            lists.retain(|it| !it.is_empty());
            let at = self.dice.below(lists.len());
            let Some(chunk) = lists[at].pop() else { continue };
            if self.dice.once_in(2) {
                lines.push((String::new(), String::new()));
            }
            // Between an entry and its table, all is the entry's.
            let entry =
                |it: &(String, String)| it.1.split('.').take(2).collect::<Vec<_>>().join(".");
            let of_last = lines.iter().rev().find(|it| !it.1.is_empty()).map(entry);
            let between = of_last
                .filter(|it| it.contains('.') && chunk.first().map(entry) == Some(it.clone()));
            let from = lines.len();
            self.space(lines, false);
            for line in &mut lines[from..] {
                line.1 = between.clone().unwrap_or_default();
            }
            lines.extend(chunk);
        }
        self.space(lines, false);
    }

    fn finish(&mut self, lines: Chunk, blocks: Vec<&'static str>) -> File {
        let ending = if self.dice.once_in(3) { "\r\n" } else { "\n" };
        let mut text = if self.dice.once_in(6) { "\u{feff}" } else { "" }.to_owned();
        let mut owners = Vec::new();
        for (line, owner) in lines {
            write!(text, "{line}{ending}").unwrap();
            owners.push(owner);
        }
        if self.dice.once_in(3) && text.ends_with(ending) {
            text.truncate(text.len() - ending.len());
        }
        File { text, owners, blocks }
    }
}
