//! A page of HTML to print: no script, nothing from elsewhere.

/// For A4. The foot is left so wide that on US Letter the same fits on a page, at the same size.
const STYLE: &str = "\
@page { size: A4; margin: 14mm 14mm 32mm; @bottom-right { font: 8pt sans-serif; content: counter(page) \"/\" counter(pages); } }
body { font: 10pt/1.35 sans-serif; color: #000; background: #fff; max-width: 182mm; margin: 0 auto; }
h1 { font-size: 15pt; margin: 0 0 3mm; }
h2 { font-size: 11pt; margin: 4mm 0 1mm; }
h2, h2 + p { break-after: avoid; }
p, dl, pre, ol { margin: 0 0 2mm; break-inside: avoid; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 4mm; }
dd { margin: 0; font-family: monospace; overflow-wrap: anywhere; }
pre { font: 9pt/1.35 monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
.codes { display: flex; flex-wrap: wrap; gap: 2mm 4mm; margin: 0 0 3mm; }
figure { margin: 0; width: 56mm; text-align: center; break-inside: avoid; }
svg { display: block; width: 56mm; height: 56mm; }
ol { columns: 2; font: 18pt/1.6 monospace; border: 1px solid #000; padding: 4mm; list-style-position: inside; }";

/// The whole page around `body`, which is HTML already.
pub(super) fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

/// An element with a text.
pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>\n", escape(text))
}

/// Names and what they are.
pub(super) fn facts(facts: &[(&str, String)]) -> String {
    let rows: String = facts
        .iter()
        .map(|(name, value)| element("dt", name) + &element("dd", value))
        .collect();
    format!("<dl>\n{rows}</dl>\n")
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
    }
    out
}
