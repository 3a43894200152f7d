//! Pre-tokenizers: how a text falls into words before they are merged.
//!
//! llama.cpp names each way of splitting in `tokenizer.ggml.pre` and defines it by one or more regular expressions.
//! Here each is a row of [`PRE_TOKENIZERS`], and what its expressions say is data in [`super::rules`]: a list of passes,
//! a pass a list of rules in order of preference, a rule a sequence of parts. [`super::split`] runs them.
//!
//! The rows hold every name that llama.cpp knows, but for those of encoders: `jina-v1-en`, `jina-v2-*`, `jina-v5-nano`,
//! `jina-es`, `jina-de`, `roberta-bpe`, `modern-bert`, `granite-embed-multi-*` and `whitespace`. It takes the Unicode
//! categories from version 15.1; a character that came later is here what it is, and has no category there.
//!
//! # Source
//! `llama_vocab::impl::load` in llama.cpp's `src/llama-vocab.cpp`

use super::rules::*;
use super::split::Pass;

/// One row of [`PRE_TOKENIZERS`]: a way of splitting, and what else llama.cpp ties to its names.
#[derive(Debug)]
pub(super) struct Pre {
    /// What `tokenizer.ggml.pre` may say to mean this row.
    pub(super) names: &'static [&'static str],
    /// How it splits.
    pub(super) passes: &'static [Pass],
    /// Which words are taken whole where they are in the vocabulary, whatever the merges would make of them.
    pub(super) whole: Whole,
    /// Whether BOS is put first where the file does not say.
    pub(super) add_bos: bool,
    /// Whether the vocabulary spells characters, with `▁` for a space and `<0x0A>` for a byte, in place of bytes.
    pub(super) spells_chars: bool,
}

/// Words that are not merged where they are a token as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    None,
    /// Words of newlines alone.
    Newlines,
    /// All: `ignore_merges`.
    All,
}

const fn splits(names: &'static [&'static str], passes: &'static [Pass]) -> Pre {
    Pre { names, passes, whole: Whole::None, add_bos: false, spells_chars: false }
}

const fn splits_or_whole(names: &'static [&'static str], passes: &'static [Pass]) -> Pre {
    Pre { whole: Whole::All, ..splits(names, passes) }
}

/// Every pre-tokenizer that this engine knows. The first row is llama.cpp's default, also for files without the key.
pub(super) static PRE_TOKENIZERS: &[Pre] = &[
    splits(&["default"], DEFAULT),
    splits(
        &[
            "gpt-2",
            "phi-2",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "exaone4",
        ],
        GPT2,
    ),
    splits(&["starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"], STARCODER),
    Pre {
        add_bos: true,
        ..splits_or_whole(
            &["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"],
            LLAMA3,
        )
    },
    splits_or_whole(&["glm4", "glm5"], LLAMA3),
    splits(&["dbrx", "smaug-bpe", "chatglm-bpe"], LLAMA3),
    splits(
        &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "megrez",
            "stablelm2",
            "hunyuan",
            "solar-open",
            "grok-2",
            "bailingmoe",
            "bailingmoe2",
            "llada-moe",
        ],
        QWEN2,
    ),
    splits(&["qwen35"], QWEN35),
    splits(&["ufakzeka"], UFAKZEKA),
    splits(&["seed-coder"], SEED_CODER),
    splits(&["laguna"], LAGUNA),
    splits_or_whole(&["minicpm5"], MINICPM5),
    splits(&["jais-2"], JAIS2),
    splits(&["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"], DEEPSEEK3),
    splits(&["spark2_5"], SPARK),
    splits(&["afmoe"], AFMOE),
    splits(&["deepseek-coder"], DEEPSEEK_CODER),
    splits(&["deepseek-llm"], DEEPSEEK_LLM),
    splits_or_whole(&["youtu"], YOUTU),
    splits(&["tiny_aya", "cohere2moe"], TINY_AYA),
    splits(&["falcon"], FALCON),
    splits(&["bloom", "poro-chat", "gpt3-finnish"], BLOOM),
    splits(&["viking"], VIKING),
    Pre { add_bos: true, ..splits_or_whole(&["tekken"], TEKKEN) },
    splits(&["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"], GPT4O),
    splits(&["kimi-k2"], KIMI),
    Pre { add_bos: true, ..splits(&["chameleon"], CHAMELEON) },
    splits(&["superbpe"], SUPERBPE),
    splits(&["exaone-moe"], EXAONE_MOE),
    Pre { add_bos: true, whole: Whole::Newlines, spells_chars: true, ..splits(&["gemma4"], WHOLE_LINES) },
    Pre { spells_chars: true, ..splits(&["sarvam-moe"], WHOLE_LINES) },
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
        // A quadratic splitter would need an hour for these.
        for unit in [" ", "\n", "a", "1", "!", "'", "\u{301}", " \n", "a ", "漢"] {
            let text = unit.repeat(50_000);
            for pre in PRE_TOKENIZERS {
                let mut bytes = 0;
                Splitter::new(pre.passes).split(&text, &mut |word| bytes += word.len());
                assert_eq!(bytes, text.len(), "{unit:?} {:?}", pre.names);
            }
        }
        // One that reads white space to its end for each 512 of it would need minutes.
        assert_eq!(words("jais-2", &" ".repeat(1 << 20)).len(), 1 << 11);
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
