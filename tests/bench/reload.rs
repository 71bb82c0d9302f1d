//! How soon an edit of the file is live: from the end of the write to the first reply that shows it.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::time::sleep;

use crate::load::{self, KEY, Sender};
use crate::paths::TorodFile;

const EDITS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(5);
const GENERATION: &str = "x-torod-generation";

/// One key more at a time, written in place and by rename in turn; nanoseconds, sorted.
pub(crate) async fn measure(addr: SocketAddr, file: &TorodFile) -> anyhow::Result<Vec<u64>> {
    let mut sender = load::connect(addr).await?;
    let mut spans = Vec::with_capacity(EDITS);
    for n in 1..=EDITS {
        let before = generation(&mut sender).await?;
        write(file, n)?;
        let written = Instant::now();
        while generation(&mut sender).await? == before {
            ensure!(written.elapsed() < PATIENCE, "edit {n} was not live after {PATIENCE:?}");
            sleep(Duration::from_millis(1)).await;
        }
        spans.push(u64::try_from(written.elapsed().as_nanos())?);
        let added = load::look(&mut sender, "/v1/models", &TorodFile::added_key(n)).await?;
        ensure!(added.status().is_success(), "the key of edit {n} got {}", added.status());
    }
    spans.sort_unstable();
    Ok(spans)
}

fn write(file: &TorodFile, added: usize) -> anyhow::Result<()> {
    if added.is_multiple_of(2) {
        fs::write(&file.path, file.text(added))?;
    } else {
        let beside = file.path.with_extension("new");
        fs::write(&beside, file.text(added))?;
        fs::rename(&beside, &file.path)?;
    }
    Ok(())
}

async fn generation(sender: &mut Sender) -> anyhow::Result<String> {
    let response = load::look(sender, "/v1/models", KEY).await?;
    ensure!(response.status().is_success(), "`/v1/models` answered {}", response.status());
    let value = response.headers().get(GENERATION).with_context(|| format!("no `{GENERATION}`"))?;
    Ok(value.to_str()?.to_owned())
}
