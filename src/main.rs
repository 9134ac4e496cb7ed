//! Parse the command line, run, and tell the truth in the exit code.

use clap::Parser as _;
use scrim::app::App;
use scrim::cli::{self, Cli, Command};
use scrim::runtime::Signals;
use scrim::telemetry;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let config = cli.load(&cli::environment())?;
    if cli.command() == Command::CheckConfig {
        print!("{}", cli::print(&config)?);
        return Ok(());
    }
    telemetry::init(&config.log)?;
    let signals = Signals::install()?;
    App::assemble(config).await?.run(signals).await
}
