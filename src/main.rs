//! Parse the command line, run, and tell the truth in the exit code.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use jiff::Timestamp;
use scrim::app::App;
use scrim::ask::{Question, ask};
use scrim::cli::{self, Cli, Command};
use scrim::config::{Level, Log};
use scrim::nvidia;
use scrim::runtime::Signals;
use scrim::telemetry;
use scrim::{bench, load};

/// How long threads may take that nobody waits for any more.
const GRACE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    keep_to_ourselves();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("scrim: cannot start its threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(run(&Cli::parse()));
    // Everything was stopped and named by then; what still hangs in foreign code must not hold us.
    runtime.shutdown_timeout(GRACE);
    ended.unwrap_or_else(|error| {
        eprintln!("scrim: {error:#}");
        ExitCode::FAILURE
    })
}

/// ONNX Runtime tells its maker what it is used for, from the moment it is made ready, unless the
/// environment says no before.
#[expect(unsafe_code, reason = "before anything else there is one thread")]
fn keep_to_ourselves() {
    // SAFETY: no other thread runs yet that could read or write the environment.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}

async fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    match cli.command() {
        Command::Serve => {
            let config = cli.load(&cli::environment())?;
            telemetry::init(&config.log)?;
            let signals = Signals::install()?;
            // Each holds the whole server.
            let app = Box::pin(App::assemble(config)).await?;
            Box::pin(app.run(signals)).await?;
        }
        Command::CheckConfig => print!("{}", cli::print(&cli.load(&cli::environment())?)?),
        Command::CheckGpu => return Ok(nvidia::check(&cli.load(&cli::environment())?).into()),
        Command::Health { live } => {
            let config = cli.load(&cli::environment())?;
            let question = if live { Question::Live } else { Question::Ready };
            println!("{}", ask(&config.http, question).await?);
        }
        Command::Token(token) => {
            let config = cli.load(&cli::environment())?;
            println!("{}", cli::token(&config, &token, Timestamp::now())?);
        }
        Command::Key { command } => {
            let config = cli.load(&cli::environment())?;
            print!("{}", cli::keys(&config, &command).await?);
        }
        Command::Bench(options) => {
            let config = cli.load(&cli::environment())?;
            telemetry::init(&Log { level: Level::Error, ..Log::default() })?;
            return Ok(bench::run(&options, &config).await.into());
        }
        Command::Load(options) => {
            telemetry::init(&Log { level: Level::Error, ..Log::default() })?;
            return Ok(load::run(&options, cli.dev, Signals::install()?).await.into());
        }
    }
    Ok(ExitCode::SUCCESS)
}
