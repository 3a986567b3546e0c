//! The URL of a database: what it may say, and how messages name what it means.

use sqlx::postgres::PgConnectOptions;

use crate::store::StoreError;

/// How to connect. A parameter that the driver does not know is refused by its name: the driver
/// would pass it over, and write it into the log with its value.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let refused = |remedy: &str| StoreError::address(url, remedy);
    // Without the slashes the driver takes all of it, a password too, for the database's name.
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        let scheme = url.split(':').next().unwrap_or_default();
        let shown = format!("{scheme}:...");
        return Err(StoreError::address(&shown, "write `postgres://USER@HOST/DATABASE`"));
    }
    let query = url.split_once('?').map_or("", |(_, query)| query);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, has_value) =
            pair.split_once('=').map_or((pair, false), |(name, _)| (name, true));
        if has_value && (PARAMETERS.contains(&name) || name.starts_with("options[")) {
            continue;
        }
        // What does not look like a name may be a part of a password.
        let plain = name.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '-'));
        let what = if has_value && plain { format!("`{name}`") } else { "something".to_owned() };
        let known = PARAMETERS.join("`, `");
        return Err(refused(&format!("{what} is no parameter of it; there are `{known}`")));
    }
    let options: PgConnectOptions = url.parse().map_err(|error| {
        // What the driver has to say may repeat a part of the URL, and with it a password.
        let _: sqlx::Error = error;
        refused("write `postgres://USER@HOST/DATABASE`")
    })?;
    Ok(options.application_name("tiergate"))
}

const PARAMETERS: [&str; 18] = [
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "ssl-mode",
    "ssl-root-cert",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "options",
    "application_name",
    "statement-cache-capacity",
];

/// The database and its host, as a message names them: never with a password.
pub(super) fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(folder) => format!("database `{database}` at `{}`", folder.display()),
        None => format!("database `{database}` at `{}:{}`", options.get_host(), options.get_port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_that_the_driver_would_pass_over_are_refused() {
        let error = |url: &str| options(url).expect_err("it is refused").to_string();
        let told = error("postgres://me@db/plans?pasword=T0pSecret&sslmode=require");
        assert!(told.contains("`pasword` is no parameter of it"), "{told}");
        assert!(!told.contains("T0pSecret"), "{told}");
        assert!(error("postgres://me@db/plans?sslmod=require").contains("`sslmode`"));
        let told = error("postgres://me@db/plans?a&T0pSecret@x");
        assert!(!told.contains("T0pSecret"), "{told}");
        let told = error("postgres://me@db/plans?password=correct&horse");
        assert!(!told.contains("horse") && !told.contains("correct"), "{told}");
        for url in ["postgres:me:T0pSecret@db/plans", "postgres:/me:T0pSecret@db/plans"] {
            let told = error(url);
            assert!(told.contains("postgres://USER@HOST") && !told.contains("T0pSecret"), "{told}");
        }
        assert!(options("postgres://me@db/plans?sslmode=require&host=/run").is_ok());
        assert!(options("postgres://me@db/plans?ssl-mode=require&application_name=x").is_ok());
        assert!(options("postgres://me@db/plans").is_ok());
    }
}
