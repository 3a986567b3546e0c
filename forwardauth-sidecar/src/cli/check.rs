//! `tiergate check`: what a token may do, in one table or one JSON object.

use std::{io::Write, process::ExitCode};

use serde_json::Value as Json;

use super::{
    CliError,
    question::{QuestionArgs, outcome},
    table::visible,
};

/// Answers what a token may do. Exit code 0: yes; 1: no; 2: usage or configuration; 3: cannot know.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    #[command(flatten)]
    question: QuestionArgs,
}

/// Runs the command.
///
/// # Errors
///
/// [`CliError`] for a wrong command line, configuration or file.
pub async fn run(args: CheckArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let question = args.question.prepare(false).await?;
    let story = question.ask(&question.need).await;
    let facts = question.facts(&story);
    if args.question.json {
        let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        writeln!(out, "{:#}", Json::Object(facts))?;
        return Ok(outcome(&story.decision).into());
    }
    for (name, value) in &facts {
        match value {
            Json::Null => {}
            Json::String(text) if text.is_empty() => {}
            Json::Object(features) if features.is_empty() => {}
            Json::Array(items) if items.is_empty() => {}
            Json::Object(features) => {
                for feature in question.config.catalog.features() {
                    let name = feature.key().as_str();
                    if let Some(value) = features.get(name) {
                        row(out, &format!("  {name}"), &plain(value))?;
                    }
                }
            }
            value => row(out, name, &plain(value))?,
        }
    }
    if question.moment().is_some() {
        let what = "times and license as of `at`; tenant status and mapping are those of now";
        row(out, "note", what)?;
    }
    Ok(outcome(&story.decision).into())
}

fn row(out: &mut dyn Write, name: &str, value: &str) -> Result<(), CliError> {
    Ok(writeln!(out, "{name:<28} {}", visible(value))?)
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Bool(on) => if *on { "yes" } else { "no" }.to_owned(),
        Json::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
