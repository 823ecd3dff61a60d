//! A server's words made harmless: one line, nothing that moves the cursor, hides, or ends a comment.

/// So many characters of a text are kept.
const COMMENT_CHARS_MAX: usize = 100;

/// The beginning of a text on one line.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    let mut count = 0_usize;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        let word: String = word.chars().filter(|c| is_shown(*c)).collect();
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
            count = count.saturating_add(1);
        }
        for c in word.chars() {
            if count >= COMMENT_CHARS_MAX {
                line.push('…');
                return line;
            }
            line.push(c);
            count = count.saturating_add(1);
        }
    }
    line
}

/// Whether a character is seen, and only as itself: no marks that turn text round, no invisible letters.
pub(crate) fn is_shown(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_description_becomes_one_harmless_line() {
        let cases = [
            ("Runs a flow.", "Runs a flow."),
            ("one\ntools:\n  evil: {}", "one tools: evil: {}"),
            ("a\u{2028}b\u{85}c\r\nd\te", "a b c d e"),
            ("\u{1b}[31mred\u{7}", "[31mred"),
            ("x\u{202e}txt\u{200b}y\u{e0041}", "xtxty"),
            ("  ", ""),
        ];
        for (text, wanted) in cases {
            assert_eq!(one_line(text), wanted, "{text:?}");
        }
        let long = one_line(&"ä".repeat(500));
        assert_eq!(long.chars().count(), 101);
        assert!(long.ends_with('…'));
    }
}
