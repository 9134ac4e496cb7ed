//! Starts and ends a livekit-server.

use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use scrim::livekit::{self, Credentials};

/// How long a server may take to answer after its start.
const START: Duration = Duration::from_secs(20);

/// A server on loopback.
pub struct Server {
    config: String,
    port: u16,
    child: Child,
}

impl Server {
    /// Starts one on free ports and waits until it answers.
    pub async fn start() -> Self {
        let [port, tcp, udp] = [tcp_port(), tcp_port(), udp_port()];
        let config = format!(
            "port: {port}\nbind_addresses: ['127.0.0.1']\nlogging: {{level: warn}}\n\
             rtc: {{tcp_port: {tcp}, udp_port: {udp}, use_external_ip: false, \
             node_ip: 127.0.0.1, enable_loopback_candidate: true, interfaces: {{includes: [lo]}}}}\n\
             keys: {{devkey: devsecret-devsecret-devsecret-32ch}}\n\
             room: {{enabled_codecs: [{{mime: audio/opus}}, {{mime: video/vp8}}, {{mime: video/h264}}]}}\n"
        );
        let server = Self { child: spawn(&config), config, port };
        server.wait().await;
        server
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server ends");
    }

    /// Starts it again, on the same ports, and waits until it answers.
    pub async fn restart(&mut self) {
        self.child = spawn(&self.config);
        self.wait().await;
    }

    /// How to reach it.
    pub fn credentials(&self) -> Credentials {
        Credentials {
            url: format!("ws://127.0.0.1:{}", self.port),
            api_key: "devkey".into(),
            api_secret: "devsecret-devsecret-devsecret-32ch".into(),
        }
    }

    /// Where it listens for signalling.
    pub fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    async fn wait(&self) {
        let start = Instant::now();
        let credentials = self.credentials();
        while let Err(error) = livekit::check(&credentials).await {
            assert!(start.elapsed() < START, "livekit-server does not answer: {error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(config: &str) -> Child {
    let program = find();
    Command::new(&program)
        .args(["--config-body", config])
        .stdout(Stdio::null())
        .stderr(if std::env::var_os("SCRIM_LIVEKIT_LOG").is_some() {
            Stdio::inherit()
        } else {
            Stdio::null()
        })
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()))
}

/// Where the server program is: named by `SCRIM_LIVEKIT_SERVER`, fetched by the scripts, or on
/// the `PATH`.
fn find() -> PathBuf {
    if let Some(named) = std::env::var_os("SCRIM_LIVEKIT_SERVER") {
        return named.into();
    }
    let fetched =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.scrim/tools/livekit-server"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("livekit-server"));
    std::iter::once(fetched).chain(on_path).find(|program| program.is_file()).expect(
        "no livekit-server: name one in SCRIM_LIVEKIT_SERVER, put it on the PATH, or into \
         .scrim/tools/",
    )
}

fn tcp_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free TCP port");
    listener.local_addr().expect("a bound address").port()
}

fn udp_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free UDP port");
    socket.local_addr().expect("a bound address").port()
}
