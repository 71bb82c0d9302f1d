//! What stories about edits share: who edits, and what.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tokenrouter::{
    app::{
        Editor,
        edit::{Author, Change, EditFailure, Edited, Guard, Input},
    },
    config::{
        Revision,
        edit::{Edit, Kind},
    },
};

/// A config with an echo, and the key of the world at its end.
pub const BASE: &str = r#"listen_addr = "127.0.0.1:0"
auto_detect_local_servers = false
default_provider = "echo"

[[providers]]
name = "echo"
provider_type = "echo"

# The one who tests.
[[incoming_tokens]]
id = "tester"
name = "Tester"
role = "admin"
key = "sk-test"
"#;

pub fn change(input: Input) -> Change {
    let by = Author { who: "tester".to_owned(), from: "127.0.0.1".to_owned() };
    Change { input, guard: Guard::None, dry_run: false, by }
}

pub fn text(text: &str) -> Change {
    change(Input::Text(text.to_owned()))
}

/// Adds the key of this name.
pub fn add(name: &str) -> Change {
    let values = json!({ "id": name, "role": "inferrer", "key": format!("sk-added-{name:0>16}") });
    let Value::Object(values) = values else { unreachable!() };
    change(Input::Edits(vec![Edit::Add { kind: Kind::Key, values }]))
}

pub fn set(path: &str, value: impl Into<Value>) -> Change {
    change(Input::Edits(vec![Edit::Set { path: path.to_owned(), value: value.into() }]))
}

pub fn remove(name: &str) -> Change {
    change(Input::Edits(vec![Edit::Remove { kind: Kind::Key, name: name.to_owned() }]))
}

pub fn guarded(change: Change, text: &str) -> Change {
    Change { guard: Guard::Revision(Revision::of(text).to_string()), ..change }
}

/// A directory with this config, and what edits it.
#[derive(Debug)]
pub struct Desk {
    pub dir: tempfile::TempDir,
    pub editor: Editor,
}

impl Desk {
    pub fn with(text: impl AsRef<[u8]>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("torod.toml"), text).unwrap();
        let editor = editor(dir.path());
        Self { dir, editor }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("torod.toml")
    }

    pub fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }

    pub fn edit(&self, change: &Change) -> Result<Edited, EditFailure> {
        self.editor.edit(change)
    }

    /// Files beside the config that are not its own.
    pub fn litter(&self) -> Vec<String> {
        litter(self.dir.path())
    }
}

/// What edits the config of this directory.
pub fn editor(dir: &Path) -> Editor {
    Editor::new(dir.join("torod.toml"), dir.join("state"))
}

/// Files that edits leave in this directory.
pub fn litter(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|it| it.unwrap().file_name());
    let names = names.map(|it| it.into_string().unwrap());
    names.filter(|it| it.starts_with(".torod")).collect()
}

/// The ids of a text's keys.
pub fn keys(text: &str) -> BTreeSet<String> {
    let ids = text.lines().filter_map(|it| it.trim().strip_prefix("id = \""));
    ids.map(|it| it.split('"').next().unwrap().to_owned()).collect()
}
