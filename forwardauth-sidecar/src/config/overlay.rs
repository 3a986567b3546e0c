//! Variables of the environment that stand in for values of the file.
//!
//! `TIERGATE_GATEWAY__LISTEN` is `gateway.listen`: two underscores go one level down, a number is
//! an index into a list that is there (`TIERGATE_ISSUER__0__URL`). The value is read as TOML where
//! it is TOML, and as plain text otherwise. Variables without two underscores are none of ours:
//! Kubernetes sets `TIERGATE_PORT` and its like for a service of that name.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The variables that are looked at.
#[derive(Clone, Debug, Default)]
pub struct Environment(Vec<(String, String)>);

impl Environment {
    /// The environment of this process. A value that is not Unicode is taken as well as it can be,
    /// and then refused as what it is not; passing over it would leave the file's value in force.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the environment")]
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
            })
            .collect()
    }

    /// No variables at all.
    pub fn empty() -> Self {
        Self(Vec::new())
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let ours = |(name, _): &(String, String)| {
            name.strip_prefix(PREFIX).is_some_and(|rest| rest.contains("__"))
        };
        let mut variables: Vec<_> = variables.into_iter().filter(ours).collect();
        variables.sort();
        Self(variables)
    }
}

/// Which part of the virtual text behind the file belongs to which variable.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) name: String,
    pub(super) span: Range<usize>,
}

/// A variable that cannot be laid over the file.
#[derive(Debug)]
pub(super) struct Misfit {
    pub(super) span: Range<usize>,
    pub(super) message: String,
}

/// The virtual spans of the variables, behind a text of `length` bytes.
pub(super) fn origins(environment: &Environment, length: usize) -> Vec<Origin> {
    let mut start = length + 1;
    let mut origins = Vec::new();
    for (name, value) in &environment.0 {
        let end = start + value.len() + 1;
        origins.push(Origin { name: name.clone(), span: start..end });
        start = end;
    }
    origins
}

/// Lays the variables over a parsed file. `origins` are those of [`origins`].
pub(super) fn lay_over<'a>(
    table: &mut DeTable<'a>,
    environment: &'a Environment,
    origins: &[Origin],
) -> Result<(), Misfit> {
    for ((name, value), origin) in environment.0.iter().zip(origins) {
        let path = name.strip_prefix(PREFIX).unwrap_or_default().to_ascii_lowercase();
        let mut value = match DeValue::parse(value) {
            Ok(value) => value.into_inner(),
            Err(_) => DeValue::String(value.as_str().into()),
        };
        move_spans(&mut value, &origin.span);
        let keys: Vec<_> = path.split("__").collect();
        set(table, &keys, value, &origin.span)
            .map_err(|message| Misfit { span: origin.span.clone(), message })?;
    }
    Ok(())
}

fn set<'a>(
    table: &mut DeTable<'a>,
    keys: &[&str],
    value: DeValue<'a>,
    span: &Range<usize>,
) -> Result<(), String> {
    let Some((&key, rest)) = keys.split_first().filter(|(key, _)| !key.is_empty()) else {
        return Err("the name has an empty part; write `TIERGATE_SECTION__KEY`".to_owned());
    };
    let spanned_key = Spanned::new(span.clone(), key.to_owned().into());
    if rest.is_empty() {
        // A key's span is part of the map entry, and an old key would keep its own.
        table.remove(key);
        table.insert(spanned_key, Spanned::new(span.clone(), value));
        return Ok(());
    }
    let child = table
        .entry(spanned_key)
        .or_insert_with(|| Spanned::new(span.clone(), DeValue::Table(DeTable::new())));
    set_in(child, key, rest, value, span)
}

fn set_in<'a>(
    node: &mut Spanned<DeValue<'a>>,
    key: &str,
    rest: &[&str],
    value: DeValue<'a>,
    span: &Range<usize>,
) -> Result<(), String> {
    match node.get_mut() {
        DeValue::Table(table) => set(table, rest, value, span),
        DeValue::Array(array) => {
            let length = array.len();
            let element = rest[0].parse::<usize>().ok().and_then(|index| array.get_mut(index));
            match (element, rest.len()) {
                (Some(element), 1) => {
                    *element = Spanned::new(span.clone(), value);
                    Ok(())
                }
                (Some(element), _) => set_in(element, rest[0], &rest[1..], value, span),
                (None, _) => Err(format!(
                    "`{key}` is a list of {length}, and `{}` is none of its indices; they count \
                     from 0",
                    rest[0]
                )),
            }
        }
        _ => Err(format!("`{key}` is neither a section nor a list")),
    }
}

/// Gives every part of a variable's value the variable's span.
fn move_spans(value: &mut DeValue<'_>, span: &Range<usize>) {
    fn moved<'a>(mut inner: Spanned<DeValue<'a>>, span: &Range<usize>) -> Spanned<DeValue<'a>> {
        move_spans(inner.get_mut(), span);
        Spanned::new(span.clone(), inner.into_inner())
    }
    match value {
        DeValue::Table(table) => {
            *table = std::mem::take(table)
                .into_iter()
                .map(|(key, inner)| {
                    (Spanned::new(span.clone(), key.into_inner()), moved(inner, span))
                })
                .collect();
        }
        DeValue::Array(array) => {
            for inner in array.iter_mut() {
                let taken = std::mem::replace(inner, Spanned::new(0..0, DeValue::Boolean(false)));
                *inner = moved(taken, span);
            }
        }
        _ => {}
    }
}

/// Every variable of ours begins with it.
const PREFIX: &str = "TIERGATE_";
