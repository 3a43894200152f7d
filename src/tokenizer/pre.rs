//! Pre-tokenizers: how a text falls into words before its bytes are merged.
//!
//! llama.cpp names each way of splitting in `tokenizer.ggml.pre` and defines it by one or more regular expressions.
//! Here each is a row of [`PRE_TOKENIZERS`], and what its expressions say is data: a [`Pre`] is a list of passes, a
//! pass a list of rules in order of preference, a rule a sequence of [`Part`]s. [`super::split`] runs them.
//!
//! # Source
//! `llm_tokenizer_bpe` and `llama_vocab::impl::load` in llama.cpp's `src/llama-vocab.cpp`, `src/unicode.cpp`

use super::categories::{LETTER, MARK, NUMBER, PUNCTUATION, SPACE, SYMBOL};
use super::split::{Part, Pass, Rule, Set, any, none_of, optional, run, some, times};

/// One row of [`PRE_TOKENIZERS`]: a way of splitting, and what else llama.cpp ties to its names.
#[derive(Debug)]
pub(super) struct Pre {
    /// What `tokenizer.ggml.pre` may say to mean this row.
    pub(super) names: &'static [&'static str],
    /// How it splits.
    pub(super) passes: &'static [Pass],
    /// Whether a word that is itself in the vocabulary is taken whole, whatever the merges would make of it.
    pub(super) ignore_merges: bool,
    /// Whether BOS is put first where the file does not say.
    pub(super) add_bos: bool,
}

const CONTRACTIONS: &[&str] = &["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];
const BLANK: Set = any(0).and(&[(' ', ' ')]);
const NEWLINES: Set = any(0).and(&[('\n', '\n'), ('\r', '\r')]);
const ASCII_SIGNS: &[(char, char)] = &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')];
const DIGIT: Set = any(0).and(&[('0', '9')]);

/// `\s+(?!\S)`: white space, less its last character where a word follows.
const SPACES_BEFORE_SPACE: Rule = &[some(any(SPACE)), Part::NotBefore(none_of(SPACE))];
/// ` ?[^\s\p{L}\p{N}]+`
const SIGNS: Rule = &[optional(BLANK), some(none_of(SPACE | LETTER | NUMBER))];
/// ` ?[^\s\p{L}\p{N}]+[\r\n]*`
const SIGNS_AND_NEWLINES: Rule = &[optional(BLANK), some(none_of(SPACE | LETTER | NUMBER)), run(NEWLINES)];
/// `[^\r\n\p{L}\p{N}]?\p{L}+`
const LETTERS_AFTER_ONE_SIGN: Rule =
    &[optional(none_of(LETTER | NUMBER).and(&[('\n', '\n'), ('\r', '\r')])), some(any(LETTER))];
/// `\s*[\r\n]+`
const SPACES_TO_NEWLINE: Rule = &[run(any(SPACE)), some(NEWLINES)];

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, the splitting of GPT-2.
const GPT2: Pass = &[
    &[Part::OneOf(CONTRACTIONS)],
    &[optional(BLANK), some(any(LETTER))],
    &[optional(BLANK), some(any(NUMBER))],
    SIGNS,
    SPACES_BEFORE_SPACE,
    &[some(any(SPACE))],
];

/// `\p{N}`, each number character by itself.
const EACH_NUMBER: Pass = &[&[times(any(NUMBER), 1, 1)]];

/// The splitting of Llama 3; `{1,3}` is the one thing in which its relatives differ.
const LLAMA3: Pass = &[
    &[Part::OneOfAnyCase(CONTRACTIONS)],
    LETTERS_AFTER_ONE_SIGN,
    &[times(any(NUMBER), 1, 3)],
    SIGNS_AND_NEWLINES,
    SPACES_TO_NEWLINE,
    SPACES_BEFORE_SPACE,
    &[some(any(SPACE))],
];

/// As [`LLAMA3`], but each number character by itself.
const QWEN2: Pass = &[
    &[Part::OneOfAnyCase(CONTRACTIONS)],
    LETTERS_AFTER_ONE_SIGN,
    &[times(any(NUMBER), 1, 1)],
    SIGNS_AND_NEWLINES,
    SPACES_TO_NEWLINE,
    SPACES_BEFORE_SPACE,
    &[some(any(SPACE))],
];

/// As [`QWEN2`], but marks belong to the letters.
const QWEN35: Pass = &[
    &[Part::OneOfAnyCase(CONTRACTIONS)],
    &[optional(none_of(LETTER | NUMBER).and(&[('\n', '\n'), ('\r', '\r')])), some(any(LETTER | MARK))],
    &[times(any(NUMBER), 1, 1)],
    &[optional(BLANK), some(none_of(SPACE | LETTER | MARK | NUMBER)), run(NEWLINES)],
    SPACES_TO_NEWLINE,
    SPACES_BEFORE_SPACE,
    &[some(any(SPACE))],
];

/// The last pass of DeepSeek V3, after numbers and Chinese and Japanese have been cut out.
const DEEPSEEK3: Pass = &[
    // [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+
    &[times(any(0).and(ASCII_SIGNS), 1, 1), some(any(0).and(&[('A', 'Z'), ('a', 'z')]))],
    // [^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+
    &[optional(none_of(LETTER | PUNCTUATION | SYMBOL).and(&[('\n', '\n'), ('\r', '\r')])), some(any(LETTER | MARK))],
    &[optional(BLANK), some(any(PUNCTUATION | SYMBOL)), run(NEWLINES)],
    SPACES_TO_NEWLINE,
    SPACES_BEFORE_SPACE,
    &[some(any(SPACE))],
];

const fn splits(names: &'static [&'static str], passes: &'static [Pass]) -> Pre {
    Pre { names, passes, ignore_merges: false, add_bos: false }
}

/// Every pre-tokenizer that this engine knows. The first row is llama.cpp's default, also for files without the key.
pub(super) static PRE_TOKENIZERS: &[Pre] = &[
    splits(
        &["default"],
        &[
            // [\p{P}\$\+<=>\^~\|]+
            &[&[some(any(PUNCTUATION).and(&[('$', '$'), ('+', '+'), ('<', '>'), ('^', '^'), ('|', '|'), ('~', '~')]))]],
            GPT2,
            &[&[some(any(NUMBER))]],
            &[&[times(DIGIT, 3, 3)]],
        ],
    ),
    splits(&["gpt-2", "phi-2", "mpt", "olmo", "jais", "gigachat", "a.x-4.0", "mellum", "exaone4"], &[GPT2]),
    splits(&["starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b"], &[EACH_NUMBER, GPT2]),
    Pre {
        ignore_merges: true,
        add_bos: true,
        ..splits(&["llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "lfm2"], &[LLAMA3])
    },
    splits(&["dbrx", "smaug-bpe"], &[LLAMA3]),
    splits(&["qwen2", "deepseek-r1-qwen", "megrez", "stablelm2"], &[QWEN2]),
    splits(&["qwen35"], &[QWEN35]),
    splits(
        &["deepseek-v3"],
        &[&[&[times(any(NUMBER), 1, 3)]], &[&[some(any(0).and(&[('一', '龥'), ('\u{3040}', 'ヿ')]))]], DEEPSEEK3],
    ),
    splits(
        &["falcon"],
        &[
            // [\p{P}\$\+<=>\^~\|`]+
            &[&[some(any(PUNCTUATION).and(&[
                ('$', '$'),
                ('+', '+'),
                ('<', '>'),
                ('^', '^'),
                ('`', '`'),
                ('|', '|'),
                ('~', '~'),
            ]))]],
            GPT2,
            &[&[times(DIGIT, 3, 3)]],
        ],
    ),
];

/// The row that a file means by this name.
pub(super) fn find(name: &str) -> Option<&'static Pre> {
    PRE_TOKENIZERS.iter().find(|pre| pre.names.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::super::split::Splitter;
    use super::*;

    fn words<'t>(pre: &str, text: &'t str) -> Vec<&'t str> {
        let mut words = Vec::new();
        Splitter::new(find(pre).unwrap().passes).split(text, &mut |word| words.push(word));
        assert_eq!(words.concat(), text);
        words
    }

    #[test]
    fn gpt2_splits_as_its_expression_says() {
        let gpt2 = |text| words("gpt-2", text);
        assert_eq!(gpt2(""), [""; 0]);
        assert_eq!(gpt2("Hello, y'all! We've 33x"), ["Hello", ",", " y", "'", "all", "!", " We", "'ve", " 33", "x"]);
        assert_eq!(gpt2("a  b\n\n c \n"), ["a", " ", " b", "\n\n", " c", " \n"]);
        assert_eq!(gpt2("\t\tx"), ["\t", "\t", "x"]);
        assert_eq!(gpt2("' era 'S"), ["'", " era", " '", "S"]);
        assert_eq!(gpt2("e\u{301}t\u{e9}½"), ["e", "\u{301}", "té", "½"]);
        assert_eq!(gpt2("a\u{a0}b\u{2003}\u{2003}c"), ["a", "\u{a0}", "b", "\u{2003}", "\u{2003}", "c"]);
        assert_eq!(gpt2("🚀🚀 !? ="), ["🚀🚀", " !?", " ="]);
    }

    #[test]
    fn the_default_takes_four_passes() {
        let default = |text| words("default", text);
        assert_eq!(default("it's 1234567!"), ["it", "'", "s", " ", "123", "456", "7", "!"]);
        assert_eq!(default("a+b`c $5"), ["a", "+", "b", "`", "c", " ", "$", "5"]);
        assert_eq!(default("٣٣٣٣"), ["٣٣٣٣"]);
    }

    #[test]
    fn llama3_and_qwen2_differ_in_numbers() {
        let text = "I'LL pay $1234.\n\n  ok  \n x";
        assert_eq!(words("llama-bpe", text), ["I", "'LL", " pay", " $", "123", "4", ".\n\n", " ", " ok", "  \n", " x"]);
        assert_eq!(
            words("qwen2", text),
            ["I", "'LL", " pay", " $", "1", "2", "3", "4", ".\n\n", " ", " ok", "  \n", " x"]
        );
        assert_eq!(words("smollm", " 12ab"), [" ", "1", "2", "ab"]);
    }

    #[test]
    fn long_texts_take_linear_time() {
        // A quadratic splitter would need hours for these.
        for unit in [" ", "\n", "a", "1", "!", "'", "\u{301}", " \n", "a ", "漢"] {
            let text = unit.repeat(200_000);
            for pre in PRE_TOKENIZERS {
                let mut bytes = 0;
                Splitter::new(pre.passes).split(&text, &mut |word| bytes += word.len());
                assert_eq!(bytes, text.len(), "{unit:?} {:?}", pre.names);
            }
        }
    }

    #[test]
    fn every_name_is_there_once() {
        let mut names: Vec<_> = PRE_TOKENIZERS.iter().flat_map(|pre| pre.names).collect();
        let n = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), n);
    }
}
