//! Places for databases: a folder, and a PostgreSQL server of the tests' own.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use sqlx::{AnyConnection, Connection as _, Executor as _};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::store::Sql;

/// A folder that goes with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("scrim-store-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The address of a file in it.
    pub(crate) fn sqlite(&self, name: &str) -> String {
        format!("sqlite:{}", self.0.join(name).display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server for all tests of this process. It ends with the process: its shell waits on a pipe.
struct Server {
    port: u16,
    _child: Child,
}

/// Starts PostgreSQL as a user that is not root, which it refuses to run as; folder, programs,
/// port. Ends it when its own input does.
const START: &str = r#"
set -e
dir=$1 bin=$2 port=$3 as=()
if [ "$(id -u)" = 0 ]; then
    as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
    chown postgres "$dir"
fi
"${as[@]}" "$bin/initdb" -D "$dir/data" -U scrim --auth=trust --no-sync -E UTF8 >"$dir/log" 2>&1
"${as[@]}" "$bin/postgres" -D "$dir/data" -k "$dir" -p "$port" -c listen_addresses=127.0.0.1 \
    -c fsync=off -c max_connections=200 >>"$dir/log" 2>&1 &
read -r _ || true
kill -QUIT $! || true
wait || true
rm -rf "$dir"
"#;

/// The address of an empty database; `None`, said aloud, where PostgreSQL is not installed. Under
/// CI that is an error.
pub(crate) async fn postgres() -> Option<String> {
    static SERVER: OnceCell<Option<Server>> = OnceCell::const_new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let port = SERVER.get_or_init(start).await.as_ref()?.port;
    let name = format!("test_{}", NEXT.fetch_add(1, Relaxed));
    let mut connection = connect(port).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await.unwrap();
    Some(format!("postgres://scrim@127.0.0.1:{port}/{name}"))
}

async fn connect(port: u16) -> Result<AnyConnection, sqlx::Error> {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(&format!("postgres://scrim@127.0.0.1:{port}/postgres")).await
}

async fn start() -> Option<Server> {
    let Some(programs) = programs() else {
        assert!(std::env::var_os("CI").is_none(), "no PostgreSQL: scripts/setup postgres");
        eprintln!("PostgreSQL is not installed (scripts/setup postgres): its half is left out");
        return None;
    };
    let folder = std::env::temp_dir().join(format!("scrim-postgres-{}", Uuid::now_v7().simple()));
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let child = Command::new("bash")
        .args(["-c", START, "postgres"])
        .args([folder.as_path(), programs.as_path(), Path::new(&port.to_string())])
        .stdin(Stdio::piped())
        // Whoever reads the tests' output must not wait for the server too.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..600 {
        let Ok(mut connection) = connect(port).await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        Sql::new("select 1").rows(&mut connection).await.unwrap();
        return Some(Server { port, _child: child });
    }
    let mut log = String::new();
    let _ = std::fs::File::open(folder.join("log")).map(|mut file| file.read_to_string(&mut log));
    panic!("PostgreSQL does not answer:\n{log}");
}

/// The folder of PostgreSQL's programs: the newest that a distribution has put there, or `PATH`'s.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, bin)| bin.join("postgres").is_file())
        .collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = || std::env::split_paths(&path).find(|bin| bin.join("postgres").is_file());
    found.pop().map(|(_, bin)| bin).or_else(on_path)
}
