//! The state of a fleet as one page that needs nothing else.

use std::fmt::Write as _;

use super::Status;
use super::output::{cells, summary};
use crate::fleet::output::escaped;

const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem; }
table { border-collapse: collapse; margin: 1.5rem 0; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8885; vertical-align: top; }
tr.wrong td:first-child { border-left: 4px solid #cf222e; padding-left: .5rem; }
tr.good td:first-child { border-left: 4px solid #1a7f37; padding-left: .5rem; }
tr.held td:first-child { border-left: 4px solid #9a6700; padding-left: .5rem; }
progress { width: 12rem; }
";

/// The page. With `refresh`, browsers load it anew after so many seconds.
#[must_use]
pub fn html(status: &Status<'_>, refresh: Option<u64>) -> String {
    let mut page = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut page, status, refresh);
    page
}

fn write(page: &mut String, status: &Status<'_>, refresh: Option<u64>) -> std::fmt::Result {
    page.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    if let Some(seconds) = refresh {
        writeln!(page, "<meta http-equiv=\"refresh\" content=\"{seconds}\">")?;
    }
    let summary = summary(status);
    writeln!(
        page,
        "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Fleet: {summary}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>Fleet</h1>\n<p>{summary}</p>"
    )?;
    if !status.pools.is_empty() {
        page.push_str("<table>\n<tr><th>Pool<th>Done<th>Progress<th>Held</tr>\n");
        for pool in &status.pools {
            writeln!(
                page,
                "<tr><td>{}<td>{} of {}<td><progress value=\"{}\" max=\"{}\"></progress><td>{}</tr>",
                escaped(pool.name),
                pool.done,
                pool.nodes,
                pool.done,
                pool.nodes,
                escaped(pool.held.unwrap_or_default()),
            )?;
        }
        page.push_str("</table>\n");
    }
    page.push_str(
        "<table>\n<tr><th>Name<th>Status<th>Roles<th>Version<th>OS image<th>Kernel\
         <th>Container runtime<th>Wrong</tr>\n",
    );
    for row in &status.nodes {
        let class = match (row.problems.is_empty(), row.held) {
            (true, _) => "good",
            (false, true) => "held",
            (false, false) => "wrong",
        };
        write!(page, "<tr class=\"{class}\">")?;
        for cell in cells(row) {
            write!(page, "<td>{}", escaped(&cell))?;
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n</body>\n</html>\n");
    Ok(())
}
