//! What holds for every file and every edit.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::{
    super::{tree::same, values},
    choices::{Dice, LISTS},
    generator::{File, file},
    model::{Case, case, names, pruned, there_and_back},
    *,
};
use crate::config::{Surroundings, resolve};

/// Cases of each law; a longer run multiplies them.
fn cases() -> ProptestConfig {
    let scale = std::env::var("TOROD_TEST_SCALE").ok().and_then(|it| it.parse::<f64>().ok());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let cases = (2560.0 * scale.unwrap_or(0.1)) as u32;
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 4096,
        ..ProptestConfig::default()
    }
}

fn rolls() -> impl Strategy<Value = Vec<u16>> {
    proptest::collection::vec(any::<u16>(), 0..500)
}

struct Nothing;

impl Surroundings for Nothing {
    fn env(&self, _: &str) -> Option<String> {
        None
    }
    fn file(&self, _: &str) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
    fn locate(&self, path: &str) -> std::path::PathBuf {
        path.into()
    }
}

fn comments(text: &str) -> Vec<&str> {
    let tag = |line| Some(&line[str::find(line, "# c")?..]);
    text.lines().filter_map(tag).collect()
}

/// The lines that must stand in the new text as they are, in their order, but for a comma.
fn untouched<'a>(file: &'a File, case: &Case) -> Vec<&'a str> {
    let text = file.text.trim_start_matches('\u{feff}');
    let touched = |owner: &str| {
        owner.starts_with(&case.touched) || case.touched.starts_with(owner) && !owner.is_empty()
    };
    let lines = text.lines().zip(&file.owners);
    lines.filter(|it| !touched(it.1) && !it.0.trim().is_empty()).map(|it| it.0).collect()
}

fn is_rename(edit: &Edit) -> bool {
    matches!(edit, Edit::Rename { .. })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn an_edit_does_to_the_text_what_it_says_and_no_more(rolls in rolls(), choices in rolls()) {
        let file = file(&mut Dice(rolls.iter()));
        let case = case(&file, &mut Dice(choices.iter()));
        let new = apply(&file.text, std::slice::from_ref(&case.edit)).map_err(|it| {
            TestCaseError::fail(format!("{it}: {:?} in\n{}", case.edit, file.text))
        })?;
        let shown = format!("{:?} in\n{}\ngave\n{new}", case.edit, file.text);

        let found = values(&new).unwrap();
        prop_assert!(same(&pruned(&found), &pruned(&case.wanted)), "values: {shown}\nnot {}", case.wanted);

        let bare = |line: &str| line.trim_end().replace(',', "");
        let mut left = new.trim_start_matches('\u{feff}').lines().map(bare);
        if !is_rename(&case.edit) {
            for line in untouched(&file, &case) {
                prop_assert!(left.any(|it| it == bare(line)), "lost `{line}`: {shown}");
            }
        }

        let (before, after) = (comments(&file.text), comments(&new));
        let may_go: BTreeSet<_> = file.text.lines().zip(&file.owners)
            .filter(|it| it.1.starts_with(&case.touched)).flat_map(|it| comments(it.0)).collect();
        let kept: Vec<_> = before.iter().filter(|it| after.contains(it)).copied().collect();
        prop_assert_eq!(&after, &kept, "order of comments: {}", shown);
        let removes = !matches!(case.edit, Edit::Add { .. } | Edit::Rename { .. } | Edit::Enable { .. } | Edit::Disable { .. });
        for gone in before.iter().filter(|it| !after.contains(it)) {
            prop_assert!(removes && may_go.contains(gone), "lost {gone}: {shown}");
        }
        if let (Edit::Remove { .. }, true) = (&case.edit, file.blocks.iter().any(|it| case.touched.starts_with(*it))) {
            for own in may_go {
                prop_assert!(!after.contains(&own), "kept {own}: {shown}");
            }
        }

        let crlf = file.text.contains("\r\n");
        prop_assert!(!crlf || !new.replace("\r\n", "").contains('\n'), "line ends: {shown}");
        prop_assert_eq!(file.text.starts_with('\u{feff}'), new.starts_with('\u{feff}'));
        // A file without a final line end stays one, unless it had nothing or ends otherwise now.
        let is_open = |text: &str| !text.ends_with('\n') && !text.trim_start_matches('\u{feff}').is_empty();
        let has_blank_end = file.text.trim_end().len() < file.text.len();
        prop_assert!(!is_open(&file.text) || has_blank_end || is_open(&new) || new.trim_start_matches('\u{feff}').trim().is_empty(), "final line end: {shown}");

        let plain = toml::to_string(&found).unwrap();
        let (edited, rebuilt) = (resolve(&new, &Nothing), resolve(&plain, &Nothing));
        prop_assert_eq!(format!("{:?}", edited.config), format!("{:?}", rebuilt.config), "{}", shown);

        let again = apply(&new, std::slice::from_ref(&case.edit));
        if let Edit::Change { .. } | Edit::Set { .. } | Edit::Enable { .. } | Edit::Disable { .. } = case.edit {
            prop_assert_eq!(again.as_ref(), Ok(&new), "twice: {}", shown);
        }
    }

    #[test]
    fn the_inverse_gives_the_first_text_back(rolls in rolls(), choices in rolls()) {
        let file = file(&mut Dice(rolls.iter()));
        let (there, back) = there_and_back(&file.text, &mut Dice(choices.iter()));
        let new = after(&file.text, std::slice::from_ref(&there)).unwrap();
        let old = after(&new, std::slice::from_ref(&back)).map_err(|it| {
            TestCaseError::fail(format!("{it}: {there} then {back} in\n{}\ngave\n{new}", file.text))
        })?;
        prop_assert_eq!(&old, &file.text, "{} then {} gave\n{}", there, back, new);
    }

    #[test]
    fn a_string_is_what_was_asked_for(
        old in "(\"a\"|'a'|\"\"\"a\"\"\"|'''\n?a''')",
        new in "(?s)(.|\n|\r\n|'|\"|\\\\|#){0,12}",
        crlf in any::<bool>(),
        fresh in any::<bool>(),
    ) {
        let text = format!("[tls]\ndomain = {old} # c\nmode = 'pem'\n");
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        let path = if fresh { "tls.email" } else { "tls.domain" };
        let edited = after(&text, &[set(path, new.as_str())]).unwrap();
        prop_assert_eq!(value(&edited, path), Ok(Some(json!(new))), "{}", edited);
        prop_assert!(edited.contains(" # c"), "{edited}");
        prop_assert!(!crlf || !edited.replace("\r\n", "").contains('\n'), "{edited:?}");
    }

    #[test]
    fn nothing_panics_and_what_is_written_parses(text in "(\\[?\\[(tls|providers|\"|'|x)\\]?\\]|[a-z=.\"'#{}\\[\\], \t\r\n]|name = \"a\"\n|providers|tls|'''|\"\"\"|# c\r?\n|\u{feff}|é){0,40}", choices in rolls()) {
        let mut dice = Dice(choices.iter());
        let case = case(&file(&mut Dice([].iter())), &mut dice);
        let mut edits = vec![case.edit];
        edits.push(edit(json!({ "op": "rename", "kind": "provider", "name": "a", "to": "b" })));
        edits.push(edit(json!({ "op": "remove", "kind": "provider", "name": "a" })));
        edits.push(edit(json!({ "op": "change", "kind": "provider", "name": "a", "values": { "headers": { "x": "y" }, "models": ["x"] } })));
        edits.push(edit(json!({ "op": "disable", "name": "a" })));
        for edit in edits {
            if let Ok(new) = apply(&text, std::slice::from_ref(&edit)) {
                prop_assert!(values(&new).is_ok(), "{edit:?} in\n{text}\ngave\n{new}");
            }
        }
        let _ = entries(&text, Kind::Provider);
        let _ = value(&text, "providers.a.headers");
    }

    #[test]
    fn an_etag_is_of_its_entry_alone(rolls in rolls(), choices in rolls()) {
        let file = file(&mut Dice(rolls.iter()));
        let case = case(&file, &mut Dice(choices.iter()));
        if is_rename(&case.edit) || names(&file.text, "incoming_tokens").iter().any(|it| it.starts_with("key-")) {
            return Ok(()); // others follow, or have other names
        }
        let new = apply(&file.text, std::slice::from_ref(&case.edit)).unwrap();
        for (list, _, _) in LISTS {
            let kind = Kind::of_list(list).unwrap();
            let (before, after) = (entries(&file.text, kind).unwrap(), entries(&new, kind).unwrap());
            for old in before {
                let touched = format!("{list}.{}", old.name);
                let Some(now) = after.iter().find(|it| it.name == old.name) else { continue };
                let equal = old.etag == now.etag;
                let parts = |text: &str, at| {
                    let doc = splice::parse(without_mark(text).1).unwrap();
                    layout::Layout::of(&doc).runs(&kind.entry(at)).len()
                };
                // What stood between its parts may have gone.
                let equal = equal || parts(&file.text, old.at) != parts(&new, now.at);
                prop_assert!(equal || case.touched == touched, "{touched}: {:?} in\n{}\ngave\n{new}", case.edit, file.text);
            }
        }
    }
}
