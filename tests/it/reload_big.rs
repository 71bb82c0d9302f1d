//! Configs that are large, and files that are too large for one.

use std::{fmt::Write as _, fs, time::Duration};

use tokio::time::Instant;

use crate::{
    client::PATIENCE,
    process::Torod,
    saves::{WATCHED, key, models_as, replace, text},
    world::within,
};

/// A team of any size is served, on a busy machine and without optimisations too.
const SOON: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_keys_are_live_within_two_seconds() {
    let torod = Torod::start(&text(0), &[]).await;
    let mut large = text(0);
    for number in 1..=5000 {
        let _ = write!(
            large,
            "\n[[incoming_tokens]]\nid = \"team-{number}\"\nname = \"Somebody\" # of the team\n\
             role = \"inferrer\"\nkey = \"{}\"\n",
            key(number)
        );
    }
    let begin = Instant::now();
    replace(&torod.dir.path().join("torod.toml"), large);
    while models_as(torod.addr, &key(5000)).await.status != 200 {
        assert!(begin.elapsed() < PATIENCE, "it is never live: {}", torod.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    for number in [0, 1, 2500] {
        assert_eq!(models_as(torod.addr, &key(number)).await.status, 200, "{number}");
    }
    assert_eq!(models_as(torod.addr, &key(5001)).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_too_large_is_refused_unread() {
    let torod = Torod::start(&text(0), &[]).await;
    let path = torod.dir.path().join("torod.toml");
    let huge = torod.dir.path().join("huge");
    // Without a byte on the disk.
    fs::File::create(&huge).unwrap().set_len(1 << 30).unwrap();
    fs::rename(huge, &path).unwrap();
    let refused = || torod.said().contains("config not applied");
    within(PATIENCE, "it is refused", refused).await;
    assert!(torod.said().contains("larger than"), "{}", torod.said());
    // Two readings of what a config may be, and what torod itself needs.
    assert!(torod.peak() < 150, "{} MB", torod.peak());
    assert_eq!(models_as(torod.addr, &key(0)).await.status, 200, "the last good one serves");
    replace(&path, text(1));
    let begin = Instant::now();
    while models_as(torod.addr, &key(1)).await.status != 200 {
        assert!(begin.elapsed() < WATCHED, "{}", torod.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
