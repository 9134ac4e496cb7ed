//! Pages of a list, newest first: how many, and where the last one ended.

use axum::http::{HeaderMap, HeaderValue, header};

use super::error::Problem;

/// Rows on a page when the caller does not say.
pub(super) const PAGE: u64 = 50;

/// Most rows on a page.
pub(super) const PAGE_MAX: u64 = 200;

/// How many rows the caller gets.
pub(super) fn limit(asked: Option<u64>, most: u64) -> Result<u64, Problem> {
    let limit = asked.unwrap_or(PAGE);
    if (1..=most).contains(&limit) {
        Ok(limit)
    } else {
        Err(Problem::invalid(&[format!("limit must be from 1 to {most}")]))
    }
}

/// Cuts a list that was read with one row more than wanted; what to go on from, if there is more.
pub(super) fn cut<T, C>(rows: &mut Vec<T>, limit: u64, cursor: impl Fn(&T) -> C) -> Option<C> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| more).map(cursor)
}

/// Whether the caller wants CSV: `format=csv`, or `Accept: text/csv`.
pub(super) fn wants_csv(format: Option<Format>, headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    match format {
        Some(format) => format == Format::Csv,
        None => accept.is_some_and(|accept| accept.contains("text/csv")),
    }
}

/// The shape of a list.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[schemars(rename = "ListFormat")]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// An object with the rows and the next page's cursor.
    Json,
    /// RFC 4180, with a line of names; the next page's cursor in `X-Next-Cursor`.
    Csv,
}

/// The content type of CSV.
pub(super) const CSV: HeaderValue =
    HeaderValue::from_static("text/csv; charset=utf-8; header=present");

/// One line of CSV.
pub(super) fn csv_line(out: &mut String, fields: &[&str]) {
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        // A spreadsheet takes what begins so for a formula.
        let formula =
            field.starts_with(['=', '+', '-', '@', '\t', '\r']) && field.parse::<f64>().is_err();
        let quoted = formula || field.contains(['"', ',', '\n', '\r']);
        if !quoted {
            out.push_str(field);
            continue;
        }
        out.push('"');
        if formula {
            out.push('\'');
        }
        out.push_str(&field.replace('"', "\"\""));
        out.push('"');
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_quoted_where_it_must_be_and_runs_no_formula() {
        let mut out = String::new();
        csv_line(&mut out, &["a", "b,c", "say \"hi\"", "=1+1", "-2.5", "@x\ny", ""]);
        assert_eq!(out, "a,\"b,c\",\"say \"\"hi\"\"\",\"'=1+1\",-2.5,\"'@x\ny\",\r\n");
    }

    #[test]
    fn a_page_ends_where_the_next_one_begins() {
        let mut rows = vec![30, 20, 10];
        assert_eq!(cut(&mut rows, 2, |row| *row), Some(20));
        assert_eq!(rows, [30, 20]);
        let mut rows = vec![30, 20, 10];
        assert_eq!(cut(&mut rows, 3, |row| *row), None);
    }
}
