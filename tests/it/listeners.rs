//! Listeners follow the config: new sockets first, then the old ones close.

use std::{
    net::{SocketAddr, TcpListener as StdListener},
    path::Path,
    time::Duration,
};

use tokenrouter::config::Address;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
};

use crate::{
    saves::{self, Kept, POLLED, WATCHED, live, models_as, status, text},
    world::{Ask, KEY, World, chat_body, scale, within},
};

const CHAT: &str = "/v1/chat/completions";

/// The numbered text with these addresses, each in quotes.
fn listening(number: usize, addresses: &str) -> String {
    text(number).replace("\"127.0.0.1:0\"", addresses)
}

async fn edit(world: &World, text: &str) {
    world.save(text);
    live(world.app(), text, WATCHED).await;
}

/// The open TCP addresses of this machine's address.
fn open_at(world: &World, ip: &str) -> Option<SocketAddr> {
    world.daemon.addresses().into_iter().find(|it| it.ip().to_string() == ip)
}

async fn is_closed(addr: SocketAddr) -> bool {
    TcpStream::connect(addr).await.is_err()
}

fn bind_problems(status: &serde_json::Value) -> usize {
    let all = status["problems"].as_array().unwrap();
    all.iter().filter(|it| it["code"] == "bind_failed" && it["severity"] == "error").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_moves_without_a_moment_of_silence() {
    let world = saves::over(&text(0), true).await;
    let old = world.addr;
    edit(&world, &listening(1, "\"127.0.0.2:0\"")).await;
    within(WATCHED, "the new one is open", || open_at(&world, "127.0.0.2").is_some()).await;
    let new = open_at(&world, "127.0.0.2").unwrap();
    assert_eq!(models_as(new, KEY).await.status, 200);
    within(WATCHED, "the old one is gone", || open_at(&world, "127.0.0.1").is_none()).await;
    assert!(is_closed(old).await);
    // And back again, with a list.
    edit(&world, &listening(2, r#"["127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0"]"#)).await;
    within(WATCHED, "all three are open", || world.daemon.addresses().len() == 3).await;
    assert!(world.daemon.addresses().contains(&new), "what stays wanted is not touched");
    for addr in world.daemon.addresses() {
        let reply = models_as(addr, KEY).await;
        assert_eq!((reply.status, reply.header("x-torod-generation")), (200, Some("3")), "{addr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_address_may_be_written_down_without_a_change() {
    let world = saves::over(&text(0), true).await;
    let mut kept = Kept::open(world.addr, KEY).await;
    edit(&world, &listening(1, &format!("\"{}\"", world.addr))).await;
    edit(&world, &text(2)).await;
    assert_eq!(world.daemon.addresses(), [world.addr]);
    assert_eq!(kept.ask("GET", "/v1/models", String::new()).await.unwrap().0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_on_an_address_that_closes_ends_whole() {
    let world = saves::over(&text(0), true).await;
    let mut stream = world.chat_stream("echo/words-40-tick-25ms").await;
    stream.until("data:").await;
    edit(&world, &listening(1, "\"127.0.0.2:0\"")).await;
    within(WATCHED, "the old one is gone", || open_at(&world, "127.0.0.1").is_none()).await;
    assert!(is_closed(world.addr).await, "nobody new comes in");
    assert_eq!(world.app().counters.in_flight(), 1, "who is in stays in");
    let rest = stream.rest().await;
    assert!(!rest.broken);
    assert_eq!(rest.events().last().map(String::as_str), Some("[DONE]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_closes_nothing_and_is_a_problem_until_it_is_free() {
    let world = saves::over(&text(0), true).await;
    let taken = StdListener::bind("127.0.0.1:0").unwrap();
    let wanted = taken.local_addr().unwrap();
    edit(&world, &listening(1, &format!("\"{wanted}\""))).await;
    within(WATCHED, "the problem is known", || !world.app().listeners().problems.is_empty()).await;
    let told = status(&world).await;
    assert_eq!(bind_problems(&told), 1, "{told}");
    assert!(told.to_string().contains(&wanted.to_string()), "it names the address: {told}");
    assert_eq!(told["generation"], 2, "the rest of the text is live");
    assert_eq!(world.daemon.addresses(), [world.addr], "the old one stays");
    assert_eq!(models_as(world.addr, &saves::key(1)).await.status, 200);
    assert_eq!(world.get("/readyz").await.status, 200);
    // A later edit of something else keeps the problem.
    edit(&world, &listening(2, &format!("\"{wanted}\""))).await;
    assert_eq!(bind_problems(&status(&world).await), 1);

    drop(taken);
    within(POLLED, "the port is taken over", || world.daemon.addresses() == [wanted]).await;
    assert!(is_closed(world.addr).await);
    let ask = Ask::new(wanted, "GET", "/admin/api/config/status");
    let told = ask.header("authorization", format!("Bearer {KEY}")).send().await.json();
    assert_eq!(bind_problems(&told), 0, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_taken_back_clears_its_problem() {
    let world = saves::over(&text(0), true).await;
    let taken = StdListener::bind("127.0.0.1:0").unwrap();
    let both = format!("[\"127.0.0.1:0\", \"{}\"]", taken.local_addr().unwrap());
    for turn in 0..3 {
        edit(&world, &listening(2 * turn + 1, &both)).await;
        let problems = || world.app().listeners().problems.len();
        within(WATCHED, "the problem is known", || problems() == 1).await;
        assert_eq!(world.daemon.addresses(), [world.addr]);
        edit(&world, &text(2 * turn + 2)).await;
        within(WATCHED, "the problem is gone", || problems() == 0).await;
        assert_eq!(world.daemon.addresses(), [world.addr]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_this_machine_does_not_have_closes_nothing() {
    let world = saves::over(&text(0), true).await;
    // An address for documentation: nobody has it.
    edit(&world, &listening(1, "\"192.0.2.1:0\"")).await;
    within(WATCHED, "the problem is known", || !world.app().listeners().problems.is_empty()).await;
    assert_eq!(world.daemon.addresses(), [world.addr]);
    assert_eq!(world.chat("echo/hello").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_port_widens_to_all_addresses_and_narrows_again() {
    let world = saves::over(&text(0), true).await;
    let port = world.addr.port();
    edit(&world, &listening(1, &format!("\"0.0.0.0:{port}\""))).await;
    let all: SocketAddr = format!("0.0.0.0:{port}").parse().unwrap();
    within(WATCHED, "it is wide", || world.daemon.addresses() == [all]).await;
    assert_eq!(models_as(([127, 0, 0, 2], port).into(), KEY).await.status, 200);
    edit(&world, &listening(2, &format!("\"{}\"", world.addr))).await;
    within(WATCHED, "it is narrow", || world.daemon.addresses() == [world.addr]).await;
    assert_eq!(models_as(world.addr, KEY).await.status, 200);
    assert!(is_closed(([127, 0, 0, 2], port).into()).await);
}

/// One request on a Unix socket, and all that comes back.
async fn over_unix(path: &Path, key: &str) -> String {
    let mut socket = UnixStream::connect(path).await.unwrap();
    let ask = format!(
        "GET /v1/models HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
    );
    socket.write_all(ask.as_bytes()).await.unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).await.unwrap();
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_comes_and_goes() {
    let world = saves::over(&text(0), true).await;
    let path = world.dir.path().join("torod.sock");
    let address = Address::Unix(path.clone());
    let is_open = || world.app().listeners().open.contains(&address);
    for turn in 0..3 {
        let both = format!("[\"127.0.0.1:0\", \"unix:{}\"]", path.display());
        edit(&world, &listening(2 * turn + 1, &both)).await;
        within(WATCHED, "the socket is open", is_open).await;
        assert!(over_unix(&path, KEY).await.starts_with("HTTP/1.1 200"));
        assert!(over_unix(&path, "sk-nobody").await.starts_with("HTTP/1.1 401"));
        edit(&world, &text(2 * turn + 2)).await;
        within(WATCHED, "the socket is gone", || !is_open() && !path.exists()).await;
        assert_eq!(world.daemon.addresses(), [world.addr]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_come_and_go_under_load_without_a_failed_request() {
    let world = saves::over(&text(0), true).await;
    let mut clients = Vec::new();
    let (end, ended) = tokio::sync::watch::channel(false);
    for _ in 0..8 {
        let (ended, mut kept) = (ended.clone(), Kept::open(world.addr, KEY).await);
        clients.push(tokio::spawn(async move {
            let mut calls = 0;
            while !*ended.borrow() {
                let reply = kept.ask("POST", CHAT, chat_body("echo/hello", false)).await.unwrap();
                assert_eq!(reply.0, 200);
                calls += 1;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            calls
        }));
    }
    for turn in 0..scale(50) {
        let more = listening(2 * turn + 1, r#"["127.0.0.1:0", "127.0.0.2:0"]"#);
        edit(&world, &more).await;
        within(WATCHED, "two are open", || world.daemon.addresses().len() == 2).await;
        edit(&world, &text(2 * turn + 2)).await;
        within(WATCHED, "one is open", || world.daemon.addresses() == [world.addr]).await;
    }
    end.send(true).unwrap();
    for client in clients {
        assert!(client.await.unwrap() > 20, "they called all the time");
    }
}
