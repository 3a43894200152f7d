//! The rules of every pre-tokenizer, as data for [`super::split`].
//!
//! Above each stands what it says as a regular expression. Where llama.cpp's code does something else than the expression
//! in its source, the code is followed: `\p{Lu}`, `\p{Ll}` and their like are all `\p{L}` to it, less what a range of
//! ASCII says beside them.
//!
//! # Source
//! `llm_tokenizer_bpe` in llama.cpp's `src/llama-vocab.cpp`, and `unicode_regex_split` in its `src/unicode.cpp`

use super::categories::{LETTER, MARK, NUMBER, PUNCTUATION, SPACE, SYMBOL};
use super::split::{Part, Pass, Rule, RunEnd, Set, any, but, none_of, optional, run, some, times};
use Pass::{Rules, Threes, Trailing};

// Sets

const BLANK: Set = any(0, "  ");
const NEWLINES: Set = any(0, "\n\n\r\r");
const NEWLINES_AND_SLASH: Set = any(0, "\n\n\r\r//");
const DIGITS: Set = any(0, "09");
const WORD: Set = any(LETTER | MARK, "");
/// `[^\s\p{L}\p{N}]`
const SIGN: Set = none_of(SPACE | LETTER | NUMBER, "");
/// `[^\r\n\p{L}\p{N}]`
const BEFORE_WORD: Set = none_of(LETTER | NUMBER, "\n\n\r\r");
/// Chinese and Japanese: `[一-龥\u3040-ゟ゠-ヿ]`
const CJK: &str = "一龥\u{3040}ヿ";
/// What DeepSeek takes for Chinese: `[一-龥\u0800-一가-\ud7ff]`, which is far more.
const DEEPSEEK_CJK: Set = any(0, "一龥\u{800}一가\u{d7ff}");
/// Chinese characters as `unicode_cpt_is_han` counts them.
const HAN: &str = "一\u{9fff}㐀\u{4dbf}\u{20000}\u{2a6df}\u{2a700}\u{2ebef}\u{f900}\u{faff}\u{2f800}\u{2fa1f}";

// Rules that many share

const CONTRACTIONS: &[&str] = &["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];
/// `(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])`
const CONTRACTION: Rule = &[Part::OneOfAnyCase(CONTRACTIONS)];
const MAYBE_CONTRACTION: Part = Part::Repeat(CONTRACTION, 1);
/// `[^\r\n\p{L}\p{N}]?\p{L}+`
const LETTERS: Rule = &[optional(BEFORE_WORD), some(any(LETTER, ""))];
/// `[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+`
const LETTERS_AND_MARKS: Rule = &[optional(BEFORE_WORD), some(WORD)];
/// `[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+`
const LETTERS_AND_MARKS_NOT_AFTER_SIGNS: Rule =
    &[optional(none_of(LETTER | PUNCTUATION | SYMBOL, "\n\n\r\r")), some(WORD)];
/// ``[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+``
const ASCII_SIGN_AND_LETTERS: Rule = &[times(any(0, "!/:@[`{~"), 1, 1), some(any(0, "AZaz"))];
const NUMBER_EACH: Rule = &[times(any(NUMBER, ""), 1, 1)];
const NUMBERS_TO_3: Rule = &[times(any(NUMBER, ""), 1, 3)];
const NUMBERS: Rule = &[some(any(NUMBER, ""))];
/// ` ?[^\s\p{L}\p{N}]+`
const SIGNS: Rule = &[optional(BLANK), some(SIGN)];
/// ` ?[^\s\p{L}\p{N}]+[\r\n]*`
const SIGNS_AND_NEWLINES: Rule = &[optional(BLANK), some(SIGN), run(NEWLINES)];
/// ` ?[^\s\p{L}\p{N}]+[\r\n/]*`
const SIGNS_AND_NEWLINES_AND_SLASHES: Rule = &[optional(BLANK), some(SIGN), run(NEWLINES_AND_SLASH)];
/// ` ?[\p{P}\p{S}]+[\r\n]*`
const NAMED_SIGNS_AND_NEWLINES: Rule = &[optional(BLANK), some(any(PUNCTUATION | SYMBOL, "")), run(NEWLINES)];
/// `\s*[\r\n]+`, and `\s*[\r\n]`, which matches the same
const SPACES_TO_NEWLINE: Rule = &[run(any(SPACE, "")), some(NEWLINES)];
/// `\s+(?!\S)`: white space, less its last character where a word follows.
const SPACES_BEFORE_SPACE: Rule = &[some(any(SPACE, "")), NOT_BEFORE_WORD];
const NOT_BEFORE_WORD: Part = Part::NotBefore(none_of(SPACE, ""));
const SPACES: Rule = &[some(any(SPACE, ""))];
/// `\s{n}(?!\S)`
const fn spaces(min: u32, max: u32) -> [Part; 2] {
    [times(any(SPACE, ""), min, max), NOT_BEFORE_WORD]
}

// Passes that many share

const GPT2_RULES: Pass = Rules(&[
    &[Part::OneOf(CONTRACTIONS)],
    &[optional(BLANK), some(any(LETTER, ""))],
    &[optional(BLANK), some(any(NUMBER, ""))],
    SIGNS,
    SPACES_BEFORE_SPACE,
    SPACES,
]);
const EACH_NUMBER: Pass = Rules(&[NUMBER_EACH]);
const NUMBERS_BY_3: Pass = Rules(&[NUMBERS_TO_3]);
const DIGITS_BY_3: Pass = Rules(&[&[times(DIGITS, 3, 3)]]);
/// `[^\n]+|[\n]+`
const LINES: Pass = Rules(&[&[some(none_of(0, "\n\n"))], &[some(any(0, "\n\n"))]]);
const CHINESE_AND_JAPANESE: Pass = Rules(&[&[some(any(0, CJK))]]);
const EACH_NEWLINE: Pass = Rules(&[&[times(NEWLINES, 1, 1)]]);
/// ` ?[^(\s|.,!?…。，、।۔،)]+`
const BETWEEN_STOPS: Pass = Rules(&[&[optional(BLANK), some(none_of(SPACE, "((||..,,!!??……。。，，、、।।۔۔،،))"))]]);
const QWEN2_RULES: Pass =
    Rules(&[CONTRACTION, LETTERS, NUMBER_EACH, SIGNS_AND_NEWLINES, SPACES_TO_NEWLINE, SPACES_BEFORE_SPACE, SPACES]);

// The rows

/// llama.cpp's own rules for a file that names none: `[\p{P}\$\+<=>\^~\|]+`, GPT-2's, `\p{N}+`, `[0-9][0-9][0-9]`
pub(super) const DEFAULT: &[Pass] =
    &[Rules(&[&[some(any(PUNCTUATION, "$$++<>^^||~~"))]]), GPT2_RULES, Rules(&[NUMBERS]), DIGITS_BY_3];
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
pub(super) const GPT2: &[Pass] = &[GPT2_RULES];
/// `\p{N}`, then GPT-2's
pub(super) const STARCODER: &[Pass] = &[EACH_NUMBER, GPT2_RULES];
/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
pub(super) const LLAMA3: &[Pass] =
    &[Rules(&[CONTRACTION, LETTERS, NUMBERS_TO_3, SIGNS_AND_NEWLINES, SPACES_TO_NEWLINE, SPACES_BEFORE_SPACE, SPACES])];
/// As [`LLAMA3`], but each number character by itself.
pub(super) const QWEN2: &[Pass] = &[QWEN2_RULES];
/// As [`QWEN2`], but marks belong to the letters.
pub(super) const QWEN35: &[Pass] = &[Rules(&[
    CONTRACTION,
    LETTERS_AND_MARKS,
    NUMBER_EACH,
    &[optional(BLANK), some(none_of(SPACE | LETTER | MARK | NUMBER, "")), run(NEWLINES)],
    SPACES_TO_NEWLINE,
    SPACES_BEFORE_SPACE,
    SPACES,
])];
/// As [`QWEN2`], without the contractions.
pub(super) const UFAKZEKA: &[Pass] =
    &[Rules(&[LETTERS, NUMBER_EACH, SIGNS_AND_NEWLINES, SPACES_TO_NEWLINE, SPACES_BEFORE_SPACE, SPACES])];
/// As [`QWEN2`], but newlines are not joined to signs before them.
pub(super) const SEED_CODER: &[Pass] =
    &[Rules(&[CONTRACTION, LETTERS, NUMBER_EACH, SIGNS, SPACES_TO_NEWLINE, SPACES_BEFORE_SPACE, SPACES])];
/// `[^\n]+|[\n]+`, then [`QWEN2`]
pub(super) const LAGUNA: &[Pass] = &[LINES, QWEN2_RULES];
/// `\p{N}{1,3}`, then as [`LLAMA3`]
pub(super) const MINICPM5: &[Pass] = &[
    NUMBERS_BY_3,
    Rules(&[CONTRACTION, LETTERS, NUMBERS, SIGNS_AND_NEWLINES, SPACES_TO_NEWLINE, SPACES_BEFORE_SPACE, SPACES]),
];
/// As [`LLAMA3`], but white space falls into pieces of 512, 256, … 4, and then 2 or 1 characters.
pub(super) const JAIS2: &[Pass] = &[Rules(&[
    CONTRACTION,
    LETTERS,
    NUMBERS_TO_3,
    SIGNS_AND_NEWLINES,
    SPACES_TO_NEWLINE,
    &spaces(512, 512),
    &spaces(256, 256),
    &spaces(128, 128),
    &spaces(64, 64),
    &spaces(32, 32),
    &spaces(16, 16),
    &spaces(8, 8),
    &spaces(4, 4),
    &spaces(1, 2),
    &[times(any(SPACE, ""), 1, 1)],
])];
/// Numbers by three; Chinese and Japanese; then a sign and the ASCII letters behind it, words with the character
/// before them, signs, white space.
pub(super) const DEEPSEEK3: &[Pass] = &[
    NUMBERS_BY_3,
    CHINESE_AND_JAPANESE,
    Rules(&[
        ASCII_SIGN_AND_LETTERS,
        LETTERS_AND_MARKS_NOT_AFTER_SIGNS,
        NAMED_SIGNS_AND_NEWLINES,
        SPACES_TO_NEWLINE,
        SPACES_BEFORE_SPACE,
        SPACES,
    ]),
];
/// As [`DEEPSEEK3`], but each newline by itself, and in the end each number character too.
pub(super) const SPARK: &[Pass] = &[
    NUMBERS_BY_3,
    CHINESE_AND_JAPANESE,
    Rules(&[
        ASCII_SIGN_AND_LETTERS,
        LETTERS_AND_MARKS_NOT_AFTER_SIGNS,
        &[optional(BLANK), some(any(PUNCTUATION | SYMBOL, ""))],
        &[times(NEWLINES, 1, 1)],
        SPACES_BEFORE_SPACE,
        SPACES,
    ]),
    EACH_NUMBER,
];
/// As [`DEEPSEEK3`], but numbers by three from the right, and more scripts of Asia.
pub(super) const AFMOE: &[Pass] = &[
    Threes { digits: any(NUMBER, ""), at: RunEnd::End },
    Rules(&[&[some(any(0, AFMOE_SCRIPTS))]]),
    Rules(&[
        ASCII_SIGN_AND_LETTERS,
        LETTERS_AND_MARKS_NOT_AFTER_SIGNS,
        NAMED_SIGNS_AND_NEWLINES,
        SPACES_TO_NEWLINE,
        SPACES_BEFORE_SPACE,
        SPACES,
    ]),
];
const AFMOE_SCRIPTS: &str =
    "一鿿㐀䶿豈\u{faff}\u{3040}ゟ゠ヿ･ﾟ⼀\u{2fdf}เ\u{e7f}\u{e80}\u{eff}ក\u{17ff}က႟ꩠꩿꧠ\u{a9ff}가\u{d7af}ᄀᇿ";
/// `[\r\n]`, `\s?\p{L}+`, `\s?\p{P}+`, Chinese, `\p{N}`
pub(super) const DEEPSEEK_CODER: &[Pass] = &[
    EACH_NEWLINE,
    Rules(&[&[optional(any(SPACE, "")), some(any(LETTER, ""))]]),
    Rules(&[&[optional(any(SPACE, "")), some(any(PUNCTUATION, ""))]]),
    Rules(&[&[some(DEEPSEEK_CJK)]]),
    EACH_NUMBER,
];
/// `[\r\n]`, `\s?` and letters that have a case, `\s?[!-/:-~！-／：-～‘-‟\u3000-。]+`, `\s+$`, Chinese, `\p{N}+`
pub(super) const DEEPSEEK_LLM: &[Pass] = &[
    EACH_NEWLINE,
    Rules(&[&[optional(any(SPACE, "")), some(any(0, DEEPSEEK_LETTERS))]]),
    Rules(&[&[optional(any(SPACE, "")), some(any(0, "!/:~！／：～‘‟\u{3000}。"))]]),
    Trailing(any(SPACE, "")),
    Rules(&[&[some(DEEPSEEK_CJK)]]),
    Rules(&[NUMBERS]),
];
/// The letters with upper and lower case that DeepSeek's expression lists: not all that Unicode has.
const DEEPSEEK_LETTERS: &str = "\
    AZazµµÀÖØöøƺƼƿǄʓʕʯͰͳͶͶͷͷͻͽͿͿΆΆΈΊΌΌΎΡΣϵϷҁҊԯԱՖႠჅᎠᏵᏸᏽᲐᲺᲽᲿᴀᴫᵫᵷᵹᶚḀἕἘἝἠὅὈὍὐὗὙὙὛὛὝὝὟ\u{1f7d}ᾀᾴᾶᾼ\u{1fbe}\u{1fbe}\
    ῂῄῆῌῐ\u{1fd3}ῖ\u{1fdb}ῠῬῲῴῶῼℂℂℇℇℊℓℕℕℙℝℤℤ\u{2126}\u{2126}ℨℨ\u{212a}ℭℯℴℹℹℼℿⅅⅉⅎⅎↃↃↄↄⰀⱻⱾⳤⳫⳮⳲⳲⳳⳳꙀꙭꚀꚛꜢꝯꝱꞇꞋꞎꭰꮿﬀﬆ\
    ﬓﬗＡＺａｚ𐐀𐑏𐒰𐓓𐓘𐓻𐲀𐲲𐳀𐳲𑢠𑣟𞤀𞥃";
/// Scripts of Asia; then words of letters and marks with a contraction behind them, each number character.
pub(super) const YOUTU: &[Pass] = &[
    // [가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥\u3040-ゟ゠-ヿ]+
    Rules(&[
        &[some(any(0, "가힣ㄱㆎ"))],
        &[some(any(0, "！！……““””‘‘’’——：：；；，，、〿︰﹏"))],
        &[some(any(0, "ㄅㄯ"))],
        &[some(any(0, CJK))],
    ]),
    Rules(&[
        &[optional(BEFORE_WORD), some(WORD), MAYBE_CONTRACTION],
        NUMBER_EACH,
        SIGNS_AND_NEWLINES_AND_SLASHES,
        SPACES_TO_NEWLINE,
        SPACES_BEFORE_SPACE,
        SPACES,
    ]),
];
/// Numbers by three from the right; then words of letters and marks with a contraction behind them.
pub(super) const TINY_AYA: &[Pass] = &[
    Threes { digits: any(NUMBER, ""), at: RunEnd::End },
    Rules(&[
        &[optional(BEFORE_WORD), some(WORD), MAYBE_CONTRACTION],
        NUMBERS_TO_3,
        SIGNS_AND_NEWLINES_AND_SLASHES,
        SPACES_TO_NEWLINE,
        SPACES_BEFORE_SPACE,
        SPACES,
    ]),
];
/// ``[\p{P}\$\+<=>\^~\|`]+``, GPT-2's, `[0-9][0-9][0-9]`
pub(super) const FALCON: &[Pass] = &[Rules(&[&[some(any(PUNCTUATION, "$$++<>^^``||~~"))]]), GPT2_RULES, DIGITS_BY_3];
/// Everything between spaces and stops, with the space before it.
pub(super) const BLOOM: &[Pass] = &[BETWEEN_STOPS];
/// As [`BLOOM`], then `\p{N}`
pub(super) const VIKING: &[Pass] = &[BETWEEN_STOPS, EACH_NUMBER];
/// Letters that are no lower-case ASCII, as many as there are, then letters that are no upper-case ASCII; at least one.
/// `[^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))*((?=[\p{L}])([^A-Z]))+`, and the same with `+` and `*` exchanged
pub(super) const TEKKEN: &[Pass] = &[Rules(&[
    &[optional(BEFORE_WORD), run(NOT_LOWER), some(NOT_UPPER)],
    &[optional(BEFORE_WORD), some(NOT_LOWER), run(NOT_UPPER)],
    NUMBER_EACH,
    SIGNS_AND_NEWLINES_AND_SLASHES,
    SPACES_TO_NEWLINE,
    SPACES_BEFORE_SPACE,
    SPACES,
])];
/// As [`TEKKEN`], with a contraction behind words, and numbers by three.
pub(super) const GPT4O: &[Pass] = &[Rules(&[
    &[optional(BEFORE_WORD), run(NOT_LOWER), some(NOT_UPPER), MAYBE_CONTRACTION],
    &[optional(BEFORE_WORD), some(NOT_LOWER), run(NOT_UPPER), MAYBE_CONTRACTION],
    NUMBERS_TO_3,
    SIGNS_AND_NEWLINES_AND_SLASHES,
    SPACES_TO_NEWLINE,
    SPACES_BEFORE_SPACE,
    SPACES,
])];
const NOT_LOWER: Set = but(LETTER, "az");
const NOT_UPPER: Set = but(LETTER, "AZ");
/// Chinese characters; other letters, with the character before them and a contraction behind; numbers by three.
pub(super) const KIMI: &[Pass] = &[Rules(&[
    &[some(any(0, HAN))],
    &[optional(BEFORE_WORD), some(but(LETTER, HAN)), MAYBE_CONTRACTION],
    NUMBERS_TO_3,
    SIGNS_AND_NEWLINES,
    SPACES_TO_NEWLINE,
    SPACES_BEFORE_SPACE,
    SPACES,
])];
/// `<sentinel:[0-9]+>`, `IMGIMG[A-I]{1,4}Z`, `[\t\n]|    |  `, `\p{N}`, each punctuation mark, GPT-2's
pub(super) const CHAMELEON: &[Pass] = &[
    Rules(&[&[Part::OneOf(&["<sentinel:"]), some(DIGITS), Part::OneOf(&[">"])]]),
    Rules(&[&[Part::OneOf(&["IMGIMG"]), times(any(0, "AI"), 1, 4), Part::OneOf(&["Z"])]]),
    Rules(&[&[Part::OneOf(&["\t", "\n", "    ", "  "])]]),
    EACH_NUMBER,
    Rules(&[&[times(any(PUNCTUATION, "!/:@[`{~"), 1, 1)]]),
    GPT2_RULES,
];
/// `\p{N}+`, then `(?=(\d{3})+(?!\d))`; what is between numbers stays whole.
pub(super) const SUPERBPE: &[Pass] = &[Rules(&[NUMBERS]), Threes { digits: DIGITS, at: RunEnd::Start }];
/// `[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+`: words with the single spaces between them; else as
/// [`QWEN2`], but one newline or slash at most behind signs.
pub(super) const EXAONE_MOE: &[Pass] = &[Rules(&[
    CONTRACTION,
    &[
        optional(BEFORE_WORD),
        times(any(LETTER, ""), 1, 1),
        run(any(MARK, "")),
        Part::Repeat(&[optional(BLANK), times(any(LETTER, ""), 1, 1), run(any(MARK, ""))], u32::MAX),
    ],
    NUMBER_EACH,
    &[optional(BLANK), some(SIGN), optional(NEWLINES_AND_SLASH)],
    SPACES_TO_NEWLINE,
    SPACES_BEFORE_SPACE,
    SPACES,
])];
/// `[^\n]+|[\n]+`: lines, and the newlines between them.
pub(super) const WHOLE_LINES: &[Pass] = &[LINES];
