//! `tiergate explain`: each step of a decision, with what went into it and what would make it pass.

use std::{io::Write, process::ExitCode, time::Duration};

use auth_core::gate::{Decision, Denial, Explanation, Outcome as StepOutcome, Requirement, Step};
use http::{HeaderMap, HeaderValue};
use serde_json::{Value as Json, json};
use url::Url;

use super::{
    CliError, Outcome,
    question::{Question, QuestionArgs, outcome, verdict},
    table::visible,
};
use crate::{
    config::Config,
    proxy::{ForwardedRequest, profile::Profile},
    route::Selection,
};

/// Tells how a decision comes about. Takes a token and a request, or the id of a recent denial,
/// which the response carried in `X-Decision-Id`.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    question: QuestionArgs,
    /// The method of the request.
    #[arg(long, value_name = "METHOD", default_value = "GET", requires = "url")]
    method: String,
    /// The URL of the request, as the browser or agent sees it; it selects the route.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Asks about the CORS preflight that a browser sends before a request with this method.
    #[arg(long, requires = "url")]
    preflight: bool,
}

/// Runs the command.
///
/// # Errors
///
/// [`CliError`] for a wrong command line, configuration or file, and when the gateway that made a
/// decision cannot be asked.
pub async fn run(args: ExplainArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    if let Some(id) = args.question.decision_id() {
        return recent(&args, id, out).await;
    }
    let question = args.question.prepare(args.url.is_some()).await?;
    let (mut steps, route) = match &args.url {
        None => (Vec::new(), Ok(question.need.clone())),
        Some(url) => {
            if args.question.asks() {
                let message = "`--url` brings the route's own requirement; leave out `--feature`, \
                               `--scope` and `--role`";
                return Err(CliError::usage(message));
            }
            route(&question.config, &args.method, url, args.preflight)?
        }
    };
    let story = match route {
        Ok(need) => question.ask(&need).await,
        Err(denial) => refused(denial),
    };
    steps.extend(story.steps.iter().cloned());
    if args.question.json {
        let mut facts = question.facts(&story);
        facts.push(("steps", steps.iter().map(step_json).collect()));
        let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        writeln!(out, "{:#}", Json::Object(facts))?;
    } else {
        for step in &steps {
            print_step(step, out)?;
        }
        print_verdict(&question, &story, out)?;
        if let Some(note) = &question.note {
            writeln!(out, "  note: {note}")?;
        }
    }
    Ok(outcome(&story.decision).into())
}

fn refused(denial: Denial) -> Explanation {
    Explanation { steps: Vec::new(), decision: denial.into(), inspection: None, tenant: None }
}

/// The request as the gateway would read it, and the route that it selects.
fn route(
    config: &Config,
    method: &str,
    url: &str,
    preflight: bool,
) -> Result<(Vec<Step>, Result<Requirement, Denial>), CliError> {
    let profile = config.gateway.proxy;
    let headers = headers(profile, method, url, preflight)?;
    let request = Step::new("request", StepOutcome::Pass).input("method", method).input("url", url);
    let request = if preflight { request.input("preflight", "yes") } else { request };
    let forwarded = match ForwardedRequest::parse(profile, &headers) {
        Ok(forwarded) => forwarded,
        Err(error) => {
            let denial = Denial::new(error.reason(), error.to_string());
            let step = failed(request, &denial);
            return Ok((vec![step], Err(denial)));
        }
    };
    let request =
        request.input("host", forwarded.host.to_string()).input("path", forwarded.path.to_string());
    let step = Step::new("route", StepOutcome::Pass);
    match config.routes.select(&forwarded) {
        Ok(Selection::Route(route)) => {
            let need = route.requirement();
            let mut step = step.input("route", route.name().to_string());
            step = step.input("access", need.access().as_str());
            if !need.asked_scopes().is_empty() {
                step = step.input("scopes", need.asked_scopes().join(" "));
            }
            if !need.asked_roles().is_empty() {
                step = step.input("roles", format!("any of {}", need.asked_roles().join(" ")));
            }
            for feature in need.asked_features() {
                step = step.input("feature", feature.to_string());
            }
            Ok((vec![request, step], Ok(need.clone())))
        }
        Ok(Selection::Preflight(route)) => {
            let step = step.input("route", route.name().to_string());
            Ok((vec![request, step.input("access", "preflight")], Ok(Requirement::public())))
        }
        Err(none) => {
            let denial = Denial::new(none.reason(), none.to_string());
            let step = failed(step, &denial);
            Ok((vec![request, step], Err(denial)))
        }
    }
}

fn failed(mut step: Step, denial: &Denial) -> Step {
    step.outcome = StepOutcome::Fail;
    step.input("reason", denial.reason.code())
        .input("detail", denial.detail.clone())
        .remedy(denial.reason.remedy())
}

/// What the proxy would send for what a browser makes of the URL: dot segments are gone, and what
/// is beyond ASCII is escaped.
fn headers(
    profile: Profile,
    method: &str,
    url: &str,
    preflight: bool,
) -> Result<HeaderMap, CliError> {
    let no_url = |why: &str| {
        CliError::usage(format!("`--url`: `{url}` is no URL ({why}); write `https://host/path`"))
    };
    let parsed = Url::parse(url).map_err(|error| no_url(&error.to_string()))?;
    let host = parsed.host_str().ok_or_else(|| no_url("it names no host"))?;
    let host = parsed.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut target = profile.clean(parsed.path()).into_owned();
    if let Some(query) = parsed.query() {
        target.push('?');
        target.push_str(query);
    }
    let mut headers = HeaderMap::new();
    let mut sent = vec![
        (profile.method_header(), if preflight { "OPTIONS" } else { method }),
        ("x-forwarded-proto", parsed.scheme()),
        ("x-forwarded-host", &host),
        (profile.uri_header(), &target),
    ];
    if preflight {
        sent.push(("origin", "null"));
        sent.push(("access-control-request-method", method));
    }
    for (name, value) in sent {
        let value = HeaderValue::from_str(value).map_err(|_| {
            CliError::usage(format!("`{}` holds a control character", value.escape_debug()))
        })?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn step_json(step: &Step) -> Json {
    // A step may have an input twice: a list keeps both, an object would lose one.
    let inputs: Vec<_> = step.inputs.iter().map(|(n, v)| json!({"name": n, "value": v})).collect();
    json!({
        "step": step.name, "outcome": step.outcome.as_str(), "inputs": inputs, "remedy": step.remedy,
    })
}

fn print_step(step: &Step, out: &mut dyn Write) -> Result<(), CliError> {
    writeln!(out, "{:<4}  {}", step.outcome.as_str(), step.name)?;
    for (name, value) in &step.inputs {
        writeln!(out, "      {name:<30} {}{}", visible(value), date(name, value))?;
    }
    if let Some(remedy) = &step.remedy {
        writeln!(out, "      {:<30} {remedy}", "to pass")?;
    }
    Ok(())
}

/// The date behind a time claim, for whom seconds since 1970 say nothing.
fn date(name: &str, value: &str) -> String {
    let is_time = ["iat", "nbf", "exp"].iter().any(|claim| name.split(' ').next() == Some(claim));
    match value.parse() {
        Ok(seconds) if is_time => {
            let at = std::time::SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
            at.map_or_else(String::new, |at| format!(" ({})", entitlements::format_time(at)))
        }
        _ => String::new(),
    }
}

fn print_verdict(
    question: &Question,
    story: &Explanation,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    writeln!(out)?;
    match &story.decision {
        Decision::Allow(allowed) => {
            let whom = allowed.entitlements.as_ref().map_or_else(String::new, |set| {
                format!(": tenant `{}`, tier `{}`", set.tenant(), set.tier().unwrap_or("none"))
            });
            writeln!(out, "allow{whom}")?;
        }
        Decision::Deny(denial) => {
            writeln!(out, "{}: {}", verdict(&story.decision), denial.reason.code())?;
            for text in [Some(&denial.detail), denial.cause.as_ref()].into_iter().flatten() {
                if !text.is_empty() {
                    writeln!(out, "  {}", visible(text))?;
                }
            }
            let offers = denial.not_entitled.as_ref().map_or(&[][..], |n| &n.unlocked_by);
            if !offers.is_empty() {
                writeln!(out, "  unlocked by {}", offers.join(", "))?;
            }
        }
    }
    if let Some(at) = question.moment() {
        let at = entitlements::format_time(at);
        writeln!(out, "  as of {at}; the tenant's status and mapping are those of now")?;
    }
    Ok(())
}

/// A recent denial of the running gateway.
async fn recent(
    args: &ExplainArgs,
    id: uuid::Uuid,
    out: &mut dyn Write,
) -> Result<ExitCode, CliError> {
    let config = args.question.read_config()?;
    let address = config.admin.listen;
    let (status, body) = super::admin::get(address, &format!("/decisions/{id}")).await?;
    if status == http::StatusCode::NOT_FOUND {
        let message = "the gateway does not remember this decision: it was allowed, made by \
                       another replica or before a restart, or too long ago; the log has every \
                       refusal under its id, and what passed at level `debug`";
        writeln!(out, "unknown: {message}")?;
        return Ok(Outcome::Unknown.into());
    }
    if args.question.json {
        writeln!(out, "{body:#}")?;
        return Ok(Outcome::Yes.into());
    }
    for name in RECORD {
        let text = match &body[name] {
            Json::Null => continue,
            Json::String(text) => text.clone(),
            Json::Array(items) => {
                items.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        };
        writeln!(out, "{name:<28} {}", visible(&text))?;
    }
    Ok(Outcome::Yes.into())
}

/// What is known of a recent denial, in an order for people.
const RECORD: [&str; 21] = [
    "id",
    "at",
    "reason",
    "title",
    "detail",
    "cause",
    "remedy",
    "method",
    "url",
    "route",
    "issuer",
    "organization",
    "tenant",
    "client_id",
    "subject_hash",
    "feature",
    "required",
    "current",
    "unlocked_by",
    "missing_scopes",
    "peer",
];

#[cfg(test)]
mod tests {
    use super::RECORD;
    use crate::telemetry::recent::Record;

    #[test]
    fn every_fact_of_a_denial_is_told() {
        let some = || Some("x".to_owned());
        let mut record = Record::default();
        (record.method, record.url, record.route) = (some(), some(), some());
        (record.issuer, record.organization, record.tenant) = (some(), some(), some());
        (record.client_id, record.subject_hash, record.cause) = (some(), some(), some());
        (record.feature, record.required, record.current) = (some(), some(), some());
        record.unlocked_by.push("x".to_owned());
        record.missing_scopes.push("x".to_owned());
        let told = serde_json::json!(record);
        let mut names: Vec<_> = told.as_object().expect("an object").keys().collect();
        let mut listed = RECORD.to_vec();
        names.sort();
        listed.sort_unstable();
        assert_eq!(names, listed);
    }
}
