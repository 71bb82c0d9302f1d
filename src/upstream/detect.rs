//! Model servers on this machine, verified by what they are: a port alone proves nothing, and
//! neither torod itself nor another torod is one.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use http::{Method, Request};
use serde_json::Value;

use super::{Upstream, client::Pieces};
use crate::{
    catalog::{Preset, Provider, preset},
    llm::Protocol,
};

const LIMIT: Duration = Duration::from_millis(1200);
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Where llama.cpp and vLLM are looked for, beside the ports that running processes name.
const PORTS: [u16; 7] = [7050, 8080, 8081, 8082, 8083, 8000, 1337];

/// Looks for all servers at once; `own` are the addresses that this torod listens on.
pub async fn detect(upstream: &Upstream, own: &[SocketAddr]) -> Vec<Arc<Provider>> {
    let named = tokio::task::spawn_blocking(ports_of_processes).await.unwrap_or_default();
    let is_own = |port: u16| own.iter().any(|it| it.port() == port);
    let ports: BTreeSet<u16> = PORTS.into_iter().chain(named).filter(|it| !is_own(*it)).collect();
    let (ollama, lmstudio, others) = tokio::join!(
        ollama(upstream),
        lmstudio(upstream),
        join_all(ports.into_iter().map(|it| other(upstream, it))),
    );
    let known = [ollama, lmstudio].into_iter().filter(|it| {
        it.as_ref().is_some_and(|it| {
            it.base_url.as_ref().and_then(url::Url::port).is_none_or(|it| !is_own(it))
        })
    });
    known.chain(others).flatten().map(Arc::new).collect()
}

/// A JSON answer of a server that is not a torod.
async fn ask(upstream: &Upstream, port: u16, path: &str) -> Option<Value> {
    let mut request = Request::new(Pieces::default());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = format!("http://127.0.0.1:{port}{path}").parse().ok()?;
    let mut reply = upstream.send(request, LIMIT).await.ok()?;
    if !reply.status.is_success() || reply.headers.contains_key("x-torod-generation") {
        return None;
    }
    let (bytes, whole) = reply.body.read(MAX_BYTES, LIMIT).await.ok()?;
    serde_json::from_slice(&bytes).ok().filter(|_| whole)
}

async fn ollama(upstream: &Upstream) -> Option<Provider> {
    ask(upstream, 11434, "/api/tags").await?["models"].as_array()?;
    provider("ollama", preset::preset("ollama")?, 11434)
}

async fn lmstudio(upstream: &Upstream) -> Option<Provider> {
    // LM Studio answers Ollama's path too, but not with Ollama's models.
    if ask(upstream, 1234, "/api/tags").await.is_some_and(|it| it["models"].is_array()) {
        return None;
    }
    let list = ask(upstream, 1234, "/api/v0/models").await?;
    (list["data"].is_array() || list.is_array()).then_some(())?;
    provider("lmstudio", preset::preset("lmstudio")?, 1234)
}

/// llama.cpp tells its properties; vLLM says that it owns its models.
async fn other(upstream: &Upstream, port: u16) -> Option<Provider> {
    let generic = preset::preset("openai-compatible")?;
    if let Some(props) = ask(upstream, port, "/props").await
        && ["default_generation_settings", "model_path", "total_slots"]
            .iter()
            .any(|it| props.get(it).is_some())
    {
        return provider(&format!("llama-cpp-local-{port}"), generic, port);
    }
    let list = ask(upstream, port, "/v1/models").await?;
    list["data"].as_array()?.iter().any(|it| it["owned_by"] == "vllm").then_some(())?;
    provider(&format!("vllm-local-{port}"), generic, port)
}

fn provider(name: &str, preset: &'static Preset, port: u16) -> Option<Provider> {
    let base_url = format!("http://127.0.0.1:{port}/v1").parse().ok()?;
    Some(Provider {
        protocols: vec![Protocol::Chat, Protocol::Responses],
        // A local model may have to be loaded first.
        first_byte: Duration::from_mins(5),
        include_usage: true,
        ..Provider::found(name, preset, base_url)
    })
}

/// Ports that processes of llama.cpp were started with, where the system shows command lines.
fn ports_of_processes() -> Vec<u16> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    processes
        .flatten()
        .filter(|it| it.file_name().to_string_lossy().bytes().all(|it| it.is_ascii_digit()))
        .filter_map(|it| std::fs::read(it.path().join("cmdline")).ok())
        .filter_map(|it| port_in(&String::from_utf8_lossy(&it)))
        .collect()
}

/// The port in a command line whose arguments end in NUL.
fn port_in(command: &str) -> Option<u16> {
    let mut arguments = command.split('\0');
    let is_llama = |it: &str| {
        ["llama-server", "llama_cpp", "llama-cpp", "xllamacpp"].iter().any(|name| it.contains(name))
    };
    if !command.split('\0').take(4).any(is_llama) {
        return None;
    }
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix("--port").or_else(|| argument.strip_prefix("-p")) {
            Some("") => return arguments.next()?.parse().ok(),
            Some(rest) => {
                if let Some(port) = rest.strip_prefix('=').and_then(|it| it.parse().ok()) {
                    return Some(port);
                }
            }
            None => {}
        }
    }
    Some(8080)
}

/// The address that containers on this machine come from, when it has a name.
pub async fn docker_host() -> Option<IpAddr> {
    let found =
        tokio::time::timeout(LIMIT, tokio::net::lookup_host("host.docker.internal:0")).await;
    let address = found.ok()?.ok()?.next()?.ip();
    // A resolver that answers every name proves nothing.
    (address != IpAddr::V4(Ipv4Addr::UNSPECIFIED)).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_names_its_port() {
        for (command, wanted) in [
            ("/usr/bin/llama-server\0-m\0x.gguf\0--port\08081\0", Some(8081)),
            ("llama-server\0--port=9000\0", Some(9000)),
            ("python\0-m\0llama_cpp.server\0", Some(8080)),
            ("vim\0llama.txt\0--port\x001\0", None),
            ("", None),
        ] {
            assert_eq!(port_in(command), wanted, "{command:?}");
        }
    }
}
