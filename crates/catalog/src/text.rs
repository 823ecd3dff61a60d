//! Words of names and of sentences.

/// So many bytes of a description are read for its words. Hidden text is looked for in all of it.
const READ_BYTES_MAX: usize = 16 * 1024;

/// The words of an identifier: `linear_addIssueLabel` is linear, add, issue, label.
#[must_use]
pub fn words_of_name(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let letters: Vec<char> = name.chars().take(512).collect();
    for (index, &letter) in letters.iter().enumerate() {
        if !letter.is_alphanumeric() {
            push(&mut words, &mut word);
            continue;
        }
        let before = index.checked_sub(1).and_then(|index| letters.get(index));
        let after = letters.get(index.saturating_add(1));
        let is_hump = letter.is_uppercase()
            && (before.is_some_and(|before| before.is_lowercase() || before.is_ascii_digit())
                || before.is_some_and(|before| before.is_uppercase())
                    && after.is_some_and(|after| after.is_lowercase()));
        if is_hump {
            push(&mut words, &mut word);
        }
        word.extend(letter.to_lowercase());
    }
    push(&mut words, &mut word);
    words
}

fn push(words: &mut Vec<String>, word: &mut String) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

/// A text as phrases are looked for in it: words in lower case, one space between, and one at either end. Sentences
/// end in ` . `.
pub(crate) fn flat(text: &str) -> String {
    let mut out = String::from(" ");
    let mut has_gap = true;
    let mut read = 0_usize;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        read = read.saturating_add(letter.len_utf8());
        if read > READ_BYTES_MAX {
            break;
        }
        if letter.is_alphanumeric()
            || letter == '\'' && !has_gap && letters.peek().is_some_and(|next| next.is_alphanumeric())
        {
            out.extend(letter.to_lowercase());
            has_gap = false;
        } else if matches!(letter, '.' | '!' | '?' | '\n' | ';' | ':') {
            if !has_gap {
                out.push(' ');
            }
            out.push_str(". ");
            has_gap = true;
        } else if !has_gap {
            out.push(' ');
            has_gap = true;
        }
    }
    if !has_gap {
        out.push(' ');
    }
    out
}

/// A word without the endings that nouns and verbs take, in the forms that it may have without them.
pub(crate) fn stems(word: &str) -> impl Iterator<Item = String> {
    let mut forms = vec![word.to_owned()];
    let cut = |ending: &str| word.strip_suffix(ending).filter(|rest| rest.len() >= 2);
    if let Some(rest) = cut("ies") {
        forms.push(format!("{rest}y"));
    }
    if let Some(rest) = cut("es") {
        forms.push(rest.to_owned());
    }
    if let Some(rest) = cut("s").filter(|rest| !rest.ends_with('s')) {
        forms.push(rest.to_owned());
    }
    for ending in ["ing", "ed"] {
        if let Some(rest) = cut(ending).filter(|rest| rest.len() >= 3) {
            forms.push(rest.to_owned());
            forms.push(format!("{rest}e"));
            let mut letters = rest.chars().rev();
            if let (Some(last), Some(before)) = (letters.next(), letters.next())
                && last == before
            {
                forms.push(
                    rest.chars()
                        .take(rest.chars().count().saturating_sub(1))
                        .collect(),
                );
            }
        }
    }
    forms.into_iter()
}

/// A noun without its plural.
pub(crate) fn singular(word: &str) -> String {
    if let Some(rest) = word.strip_suffix("ies").filter(|rest| rest.len() > 1) {
        return format!("{rest}y");
    }
    for (ending, keeps) in [("sses", "ss"), ("xes", "x"), ("ches", "ch")] {
        if let Some(rest) = word.strip_suffix(ending) {
            return format!("{rest}{keeps}");
        }
    }
    match word.strip_suffix('s') {
        Some(rest) if rest.len() > 2 && !rest.ends_with(['s', 'u', 'i']) => rest.to_owned(),
        _ => word.to_owned(),
    }
}

/// The beginning of a text, for a quotation.
pub(crate) fn beginning(text: &str, chars_max: usize) -> String {
    let mut out: String = text.chars().take(chars_max).collect();
    if text.chars().nth(chars_max).is_some() {
        out.push('…');
    }
    out
}
