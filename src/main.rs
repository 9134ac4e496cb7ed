//! Parse the command line, run, and tell the truth in the exit code.

use std::process::ExitCode;

use clap::Parser as _;
use scrim::app::App;
use scrim::cli::{self, Cli, Command};
use scrim::runtime::Signals;
use scrim::telemetry;

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scrim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> anyhow::Result<()> {
    let config = cli.load(&cli::environment())?;
    if cli.command() == Command::CheckConfig {
        print!("{}", cli::print(&config)?);
        return Ok(());
    }
    telemetry::init(&config.log)?;
    let signals = Signals::install()?;
    App::assemble(config).await?.run(signals).await
}
