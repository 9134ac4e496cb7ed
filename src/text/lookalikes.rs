//! Characters that look like Latin letters to a reader, whatever they are to a machine.
//!
//! A choice out of the pairs of Unicode Technical Standard 39 (confusables): those that fonts draw
//! alike, and the alphabets that people dress words up with. What NFKC already maps (full width,
//! mathematical, circled) is not here.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Look-alikes by the letter they stand for. Upper and lower case are listed apart where they
/// look like different letters (Greek Η is an H, η an n).
const ALIKE: [(&str, &str); 37] = [
    ("a", "аΑαᴀɑɐΛᎪᗩꓮⱯ∀"),
    ("b", "вВΒβʙɓᏴᗷꓐ฿ḃ"),
    ("c", "сСϲᴄƈᏟᑕꓚ⊂ⅽ"),
    ("d", "ԁᴅɗđĐðᎠᗪꓓ∂Ð"),
    ("e", "еЕΕεєɛᴇǝᎬꓰℯ∈⋿℮"),
    ("f", "ꜰƒᖴꓝϜ"),
    ("g", "ɡɢցᏀꓖɠ"),
    ("h", "ħĦнНΗһհʜħᎻᕼꓧ"),
    ("i", "іІΙιɪıɩӏᎥꓲ"),
    ("j", "јЈᴊϳᎫᒍꓙ"),
    ("k", "кКΚκᴋƙᏦꓗ"),
    ("l", "łŁʟłⅼᏞᒪꓡɭ"),
    ("m", "мМΜᴍᎷᗰꓟ"),
    ("n", "Νηɴŋոռᑎꓠ∩"),
    ("o", "оОΟοσᴏøØօꓳΘӨө"),
    ("p", "рРΡρᴘᏢᑭꓑþ"),
    ("q", "ԛզ"),
    ("r", "ʀɹᎡᖇꓣ"),
    ("s", "ѕЅꜱʂᏚᔕꓢ"),
    ("t", "ŧŦтТΤτᴛʇᎢꓔ⊥"),
    ("u", "υսᴜᑌꓴ∪µμ"),
    ("v", "νѵᴠᏙᐯꓦ√"),
    ("w", "ωᴡԝɯᎳᗯꓪ"),
    ("x", "хХΧχᕽ᙭ꓫ×"),
    ("y", "уУΥγʏүᎽꓬ"),
    ("z", "ΖᴢᏃꓜƶ"),
    ("ss", "ßẞ"),
    ("ae", "æÆ"),
    ("oe", "œŒ"),
    ("'", "’‘ʼ`´′‛ʹ"),
    ("\"", "“”„«»‟″"),
    ("-", "‐‑‒–—―−﹘"),
    (".", "·•․∙●⋅。・"),
    ("a", "ª"),
    ("o", "º"),
    ("/", "⁄∕"),
    ("@", "＠"),
];

/// First and last character of alphabets in order, and the first Latin letter they stand for.
const ALPHABETS: [(char, char, char); 5] = [
    ('\u{1F150}', '\u{1F169}', 'a'), // negative circled
    ('\u{1F170}', '\u{1F189}', 'a'), // negative squared
    ('\u{1F1E6}', '\u{1F1FF}', 'a'), // regional indicators
    ('\u{1F130}', '\u{1F149}', 'a'), // squared
    ('\u{24D0}', '\u{24E9}', 'a'),   // circled
];

/// What a reader takes `c` for, where that is not `c` itself.
pub(super) fn look_alike(c: char) -> Option<&'static str> {
    if c.is_ascii() && !matches!(c, '`') {
        return None;
    }
    static TABLE: LazyLock<HashMap<char, &'static str>> = LazyLock::new(|| {
        let pairs = ALIKE.iter().flat_map(|(to, from)| from.chars().map(|c| (c, *to)));
        let alphabets = ALPHABETS.iter().flat_map(|&(first, last, a)| {
            (first..=last).zip(a as usize - 'a' as usize..).map(|(c, at)| (c, &LATIN[at..=at]))
        });
        pairs.chain(alphabets).collect()
    });
    TABLE.get(&c).copied()
}

const LATIN: &str = "abcdefghijklmnopqrstuvwxyz";
