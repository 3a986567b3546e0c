//! The left side of a route: `GET,POST /api/v1/exchanges/{id}`.

use http::Method;
use thiserror::Error;

use super::template::{Template, TemplateError};
use crate::proxy::forwarded::is_forbidden;

/// The methods and the path of a route.
#[derive(Clone, Debug)]
pub struct Line {
    /// Which methods, in the order in which they were written.
    pub methods: Vec<Method>,
    /// Which paths.
    pub template: Template,
}

/// Why a text is no route.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum LineError {
    /// Not two words.
    #[error("a route is written `METHODS /path`, as in `GET,POST /api/{{id}}`")]
    Form,
    /// A method that is not upper case.
    #[error("`{0}` is no method; methods are upper case and joined by commas: `GET,POST`")]
    Method(String),
    /// A method that is never routed.
    #[error("`{0}` is never routed")]
    Forbidden(Method),
    /// A method that stands twice.
    #[error("`{0}` stands twice")]
    Twice(Method),
    /// The path is no template.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

impl Line {
    /// Reads the left side of a route.
    ///
    /// # Errors
    ///
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, LineError> {
        let (methods, path) = text.split_once(' ').ok_or(LineError::Form)?;
        let mut parsed: Vec<Method> = Vec::new();
        for name in methods.split(',') {
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
                return Err(LineError::Method(name.to_owned()));
            }
            let method = Method::from_bytes(name.as_bytes())
                .map_err(|_| LineError::Method(name.to_owned()))?;
            if is_forbidden(&method) {
                return Err(LineError::Forbidden(method));
            }
            if parsed.contains(&method) {
                return Err(LineError::Twice(method));
            }
            parsed.push(method);
        }
        Ok(Self { methods: parsed, template: Template::parse(path.trim_start())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_path() {
        let line = Line::parse("POST,PUT,DELETE /server/{*rest}").expect("a route");
        assert_eq!(line.methods, [Method::POST, Method::PUT, Method::DELETE]);
        assert_eq!(line.template.as_str(), "/server/{*rest}");
        let aligned = Line::parse("GET    /a").expect("spaces may align the paths");
        assert_eq!(aligned.template.as_str(), "/a");
    }

    #[test]
    fn everything_else_is_refused() {
        let check = |text: &str, expected: LineError| {
            assert_eq!(Line::parse(text).map(|line| line.methods), Err(expected));
        };
        check("/path", LineError::Form);
        check("GET", LineError::Form);
        check("get /a", LineError::Method("get".to_owned()));
        check("GET, POST /a", LineError::Method(String::new()));
        check("* /a", LineError::Method("*".to_owned()));
        check(" /a", LineError::Method(String::new()));
        check("CONNECT /a", LineError::Forbidden(Method::CONNECT));
        check("GET,TRACE /a", LineError::Forbidden(Method::TRACE));
        check("GET,GET /a", LineError::Twice(Method::GET));
        check("GET a", LineError::Template(TemplateError::NotRooted));
    }
}
