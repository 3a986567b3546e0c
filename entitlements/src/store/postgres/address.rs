//! The URL of a database: what it may say, and how messages name what it means.

use sqlx::postgres::PgConnectOptions;

use crate::store::StoreError;

/// How to connect. A parameter that the driver does not know is refused by its name: the driver
/// would pass it over, and write it into the log with its value.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let refused = |remedy: &str| StoreError::address(url, remedy);
    let query = url.split_once('?').map_or("", |(_, query)| query);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let name = pair.split('=').next().unwrap_or_default();
        if PARAMETERS.contains(&name) {
            continue;
        }
        // What does not look like a name may be a part of a password.
        let plain = name.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '-'));
        let what = if plain { format!("`{name}`") } else { "something".to_owned() };
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

const PARAMETERS: [&str; 11] = [
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
    "options",
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
        assert!(options("postgres://me@db/plans?sslmode=require&host=/run").is_ok());
        assert!(options("postgres://me@db/plans").is_ok());
    }
}
