//! The real Traefik with the shipped files, in which addresses are replaced and nothing else.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Folder, Process, component, free_port, get};

/// Which of the shipped dynamic files is used.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Variant {
    Dynamic,
    Strict,
    Tls,
}

impl Variant {
    pub(crate) const ALL: [Self; 3] = [Self::Dynamic, Self::Strict, Self::Tls];

    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Dynamic => "dynamic.yml",
            Self::Strict => "strict.yml",
            Self::Tls => "tls.yml",
        }
    }
}

/// The text of a shipped file.
pub(crate) fn shipped(file: &str) -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../traefik-config/standalone").join(file);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read `{}`: {e}", path.display()))
}

/// A running Traefik.
pub(crate) struct Traefik {
    port: u16,
    process: Process,
}

impl Traefik {
    /// Starts it before the sidecar and the upstream on these ports, and waits until its routers answer.
    pub(crate) async fn start(
        variant: Variant,
        sidecar: u16,
        upstream: u16,
        folder: &Folder,
    ) -> Self {
        Self::start_edited(variant, sidecar, upstream, folder, |_, text| text).await
    }

    /// The same with files that were changed: `edit` gets each file's name and text.
    pub(crate) async fn start_edited(
        variant: Variant,
        sidecar: u16,
        upstream: u16,
        folder: &Folder,
        edit: impl Fn(&str, String) -> String,
    ) -> Self {
        let port = free_port();
        let install = replace(&shipped("traefik.yml"), "127.0.0.1:8080", port);
        let install =
            install.replace("filename: dynamic.yml", &format!("filename: {}", variant.file()));
        folder.write("traefik.yml", &edit("traefik.yml", install));
        let dynamic = replace(&shipped(variant.file()), "127.0.0.1:4180", sidecar);
        let dynamic = replace(&dynamic, "127.0.0.1:5000", upstream);
        folder.write(variant.file(), &edit(variant.file(), dynamic));
        let mut process = Process::start(
            "traefik",
            &component("TIERGATE_E2E_TRAEFIK"),
            ["--configFile=traefik.yml"],
            &[],
            folder,
        );
        process.wait_for(port).await;
        let mut traefik = Self { port, process };
        traefik.wait_for_routers().await;
        traefik
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The entry point opens before the routers are there; until then every answer is Traefik's 404.
    async fn wait_for_routers(&mut self) {
        for _ in 0..200 {
            self.process.expect_alive();
            if get(self.port, "/healthz", &[]).await.status != 404 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Traefik has no routers after 10 s; its log:\n{}", self.process.log());
    }
}

fn replace(text: &str, address: &str, port: u16) -> String {
    assert!(text.contains(address), "the shipped file no longer names `{address}`");
    text.replace(address, &format!("127.0.0.1:{port}"))
}
