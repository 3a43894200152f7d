//! What the tokenizer promises, on vocabularies small enough to check by hand.

use crate::small::*;
use pagelm::gguf::Value;
use pagelm::tokenizer::{EncodeOptions, TextStream, Tokenizer};
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// Byte b has the id b + 3; the pieces start here.
const FIRST: u32 = 259;

fn stories() -> Small {
    Small::spm(&[("▁", -1.0), ("o", -2.0), ("n", -3.0), ("on", -4.0), ("▁on", -5.0), ("e", -6.0), ("▁one", -7.0)])
}

#[test]
fn spm_joins_by_score_and_spells_the_rest_in_bytes() {
    let tokenizer = stories().build();
    assert_eq!(tokenizer.encode("one", PLAIN).unwrap(), [FIRST + 6]);
    assert_eq!(tokenizer.encode("on on", PLAIN).unwrap(), [FIRST + 4, FIRST + 4]);
    assert_eq!(tokenizer.encode("ne", PLAIN).unwrap(), [FIRST, FIRST + 2, FIRST + 5]);
    let byte = |b: u8| u32::from(b) + 3;
    assert_eq!(tokenizer.encode("é\n", PLAIN).unwrap(), [FIRST, byte(0xc3), byte(0xa9), byte(b'\n')]);
    assert_eq!(tokenizer.encode("", PLAIN).unwrap(), [0_u32; 0]);
    assert_eq!(tokenizer.encode("\0", PLAIN).unwrap(), [FIRST, byte(0)]);
}

#[test]
fn spm_adds_bos_and_a_space_unless_the_file_says_no() {
    let tokenizer = stories().build();
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.unk()), (Some(1), Some(2), Some(0)));
    assert!(tokenizer.adds_bos() && !tokenizer.adds_eos());
    assert_eq!(tokenizer.encode("one", ADD).unwrap(), [1, FIRST + 6]);
    assert_eq!(tokenizer.encode("", ADD).unwrap(), [1]);
    let off = stories().with("add_space_prefix", Value::Bool(false)).with("add_bos_token", Value::Bool(false));
    let off = off.with("add_eos_token", Value::Bool(true)).build();
    assert_eq!(off.encode("on", ADD).unwrap(), [FIRST + 3, 2]);
    assert_eq!(off.decode(&[FIRST + 4]).unwrap(), " on");
}

#[test]
fn white_space_that_a_token_of_phi_3_swallows_is_no_token() {
    let mut phi = stories().token("\n\n", 0.0, USER_DEFINED).token("<x>", 0.0, USER_DEFINED);
    phi.pairs.push(("general.name".into(), Value::Str("Phi-3".into())));
    let tokenizer = phi.build();
    let [newlines, x] = [FIRST + 7, FIRST + 8];
    // of equally long ones the leftmost, and the longer one first
    assert_eq!(tokenizer.encode("\n\n \n\n\n<x>\n\n", PLAIN).unwrap(), [newlines, x]);
    let pieces = tokenizer.encode_with_ranges("\n\n\n\non", PLAIN).unwrap();
    assert_eq!(pieces.iter().map(|(id, range)| (*id, range.clone())).collect::<Vec<_>>()[..1], [(newlines, 0..4)]);
}

#[test]
fn a_prompt_starts_from_bos_and_never_ends_in_eos() {
    let tokenizer = stories().with("add_eos_token", Value::Bool(true)).build();
    assert_eq!(tokenizer.encode("one", ADD).unwrap(), [1, FIRST + 6, 2]);
    assert_eq!(tokenizer.encode_prompt("one", false).unwrap(), [1, FIRST + 6]);
    assert_eq!(tokenizer.encode_prompt("one</s>", true).unwrap(), [1, FIRST + 6, 2]);
    let silent = stories().with("add_bos_token", Value::Bool(false)).build();
    assert_eq!(silent.encode_prompt("one", false).unwrap(), [FIRST + 6]);
    assert_eq!(silent.encode_prompt("", false).unwrap(), [1]);
    let error = Small::bpe(&[]).build().encode_prompt("", false).unwrap_err();
    assert_eq!(error.code(), "argument");
}

#[test]
fn decoding_takes_away_only_the_space_that_encoding_added() {
    let tokenizer = stories().build();
    for text in ["one", " one", "  one", "on e", "", " ", "é", "\n on", "🦙 on\0"] {
        for options in [PLAIN, ADD] {
            let tokens = tokenizer.encode(text, options).unwrap();
            assert_eq!(tokenizer.decode(&tokens).unwrap(), text, "{tokens:?}");
        }
    }
    // a stream that continues a text keeps the space, one that begins it does not
    assert_eq!(TextStream::new().push(&tokenizer, FIRST + 6).unwrap(), " one");
    let mut stream = TextStream::at_start();
    let pieces: Vec<_> =
        [1, FIRST + 6, FIRST + 6].map(|token| stream.push(&tokenizer, token).unwrap().to_owned()).to_vec();
    assert_eq!(pieces, ["", "one", " one"]);
}

#[test]
fn special_tokens_are_cut_out_when_asked_and_render_as_nothing() {
    let tokenizer = stories().token("<x>", 0.0, USER_DEFINED).token("<gone>", 0.0, UNUSED).build();
    let user = FIRST + 7;
    let on = FIRST + 4;
    assert_eq!(tokenizer.encode("<s>on</s>on", PARSE).unwrap(), [1, on, 2, on]);
    assert_eq!(tokenizer.decode(&[1, on, 2, on]).unwrap(), "on on");
    // without parsing they are text, and come back as such
    let plain = tokenizer.encode("<s>on", PLAIN).unwrap();
    assert!(!plain.contains(&1));
    assert_eq!(tokenizer.decode(&plain).unwrap(), "<s>on");
    // user-defined tokens are found in any case, and are text
    for options in [PLAIN, PARSE] {
        assert_eq!(tokenizer.encode("on<x>on", options).unwrap(), [on, user, on]);
    }
    assert_eq!(tokenizer.decode(&[on, user, on]).unwrap(), "on<x> on");
    assert_eq!(tokenizer.decode(&[0, user + 1, user]).unwrap(), "<x>");
    assert_eq!(tokenizer.token_text(user + 1).unwrap(), "<gone>");
}

#[test]
fn pieces_are_bytes_and_texts_are_spellings() {
    let tokenizer = stories().build();
    assert_eq!(*tokenizer.piece(FIRST + 6).unwrap(), *b" one");
    assert_eq!(tokenizer.token_text(FIRST + 6).unwrap(), "▁one");
    assert_eq!(*tokenizer.piece(3 + 0xf0).unwrap(), [0xf0]);
    assert_eq!(tokenizer.token_text(3 + 0xf0).unwrap(), "<0xF0>");
    assert_eq!(*tokenizer.piece(1).unwrap(), *b"");
    let bpe = Small::bpe(&["Ġ o"]).token("｜end｜", 0.0, NORMAL).build();
    assert_eq!(*bpe.piece(256).unwrap(), *b" o");
    assert_eq!(bpe.token_text(256).unwrap(), "Ġo");
    // characters that spell no byte stand for themselves
    assert_eq!(*bpe.piece(257).unwrap(), *"｜end｜".as_bytes());
}

#[test]
fn bpe_joins_by_rank_within_words() {
    let tokenizer = Small::bpe(&["o n", "Ġ on", "n e", "on e", "Ġon e", "Ċ Ċ"]).build();
    let encode = |text| tokenizer.encode(text, PLAIN).unwrap();
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.adds_bos()), (None, None, false));
    assert_eq!(encode("one on"), [259, 257]);
    assert_eq!(encode(" one one"), [260, 260]);
    assert_eq!(encode("ne"), [258]);
    assert_eq!(encode("one\n\n"), [259, 261]);
    // the last newline before a word is a word of its own, and merges do not cross words
    assert_eq!(encode("one\n\none"), [259, 10, 10, 259]);
    assert_eq!(encode("é"), [0xc3, 0xa9]);
    assert_eq!(tokenizer.decode(&encode(" one é\0")).unwrap(), " one é\0");
}

#[test]
fn special_ids_and_flags_are_read_and_none_means_none() {
    let bpe = |pairs: &[(&str, Value)]| {
        let small = Small::bpe(&[]).token("<|endoftext|>", 0.0, NORMAL).token("<|eom_id|>", 0.0, CONTROL);
        pairs.iter().fold(small, |small, (key, value)| small.with(key, value.clone())).build()
    };
    let id = |n: i128| Value::Int(n);
    let tokenizer = bpe(&[("bos_token_id", id(256)), ("eos_token_id", id(7)), ("add_bos_token", Value::Bool(true))]);
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.eot()), (Some(256), Some(7), Some(256)));
    assert_eq!(tokenizer.encode("a", ADD).unwrap(), [256, 97]);
    assert!([7, 256, 257].iter().all(|token| tokenizer.is_end(*token)) && !tokenizer.is_end(8));
    // an end that the file calls text is a control token all the same
    assert!(tokenizer.is_control(256));
    assert_eq!(tokenizer.encode("a<|endoftext|>", PARSE).unwrap(), [97, 256]);
    let none = id(4_294_967_295);
    let tokenizer = bpe(&[
        ("bos_token_id", none.clone()),
        ("eot_token_id", none.clone()),
        ("seperator_token_id", none),
        ("add_bos_token", Value::Bool(true)),
    ]);
    assert_eq!((tokenizer.bos(), tokenizer.eot(), tokenizer.adds_bos()), (None, None, false));
    assert_eq!(tokenizer.encode("a", ADD).unwrap(), [97]);
    let spm = stories().with("bos_token_id", id(4_294_967_295)).build();
    assert_eq!((spm.bos(), spm.eos()), (None, Some(2)));
}

#[test]
fn an_emoji_over_four_tokens_appears_once() {
    let tokenizer = Small::bpe(&[]).build();
    let mut stream = TextStream::new();
    let tokens = tokenizer.encode("a🦙b", PLAIN).unwrap();
    let pieces: Vec<_> = tokens.iter().map(|token| stream.push(&tokenizer, *token).unwrap().to_owned()).collect();
    assert_eq!(pieces, ["a", "", "", "", "🦙", "b"]);
}

#[test]
fn long_texts_do_not_take_quadratic_time() {
    let bpe = Small::bpe(&["a a", "aa aa", "aaaa aaaa", "Ġ a"]).token("<|x|>", 0.0, CONTROL).build();
    let spm = Small::spm(&[("▁", 0.0), ("a", -1.0), ("aa", -2.0), ("aaaa", -3.0), ("▁a", -1.5)]).build();
    for unit in ["a", " ", "a ", "漢", "<|x|>", "<", "\n"] {
        let text = unit.repeat(400_000 / unit.len());
        for (tokenizer, options) in [(&bpe, PARSE), (&spm, PLAIN)] {
            let start = Instant::now();
            let tokens = tokenizer.encode(&text, options).unwrap();
            // Milliseconds where it is linear, minutes where it is not.
            assert!(start.elapsed() < Duration::from_secs(20), "{unit:?} {}", tokenizer.model());
            if unit != "<|x|>" {
                assert_eq!(tokenizer.decode(&tokens).unwrap(), text);
            }
        }
    }
}

/// Text of all sorts: any characters, but also words, spaces and what looks like special tokens.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof!["\\PC{0,8}", "[ \t\n]{1,4}", "( ?one| ?on|'s|[0-9]{1,4}|<s>|<0x41>|🦙)", any::<String>()];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

/// A unigram vocabulary that can spell every character of [`text`] that its pieces have, and calls all others unknown.
fn unigram() -> Small {
    let small = Small::default().with("model", Value::Str("t5".into()));
    let small = small.token("<pad>", 0.0, CONTROL).token("</s>", 0.0, CONTROL).token("<unk>", 0.0, UNKNOWN);
    [("▁", -2.0), ("o", -3.0), ("n", -3.0), ("e", -3.0), ("on", -4.0), ("▁on", -4.5), ("one", -6.5)]
        .iter()
        .fold(small, |small, (text, score)| small.token(text, *score, NORMAL))
}

#[test]
fn unigram_takes_the_way_with_the_best_sum() {
    let tokenizer = unigram().build();
    assert_eq!((tokenizer.model(), tokenizer.eos(), tokenizer.adds_eos()), ("t5", Some(1), true));
    // one = −6.5 beats on + e = −7; ▁on + e = −7.5 beats ▁ + one = −8.5
    assert_eq!(tokenizer.encode("one", ADD).unwrap(), [9, 1]);
    assert_eq!(tokenizer.encode(" one", PLAIN).unwrap(), [8, 6]);
    // neighbours without a token are one unknown
    assert_eq!(tokenizer.encode_with_ranges("é漢on", PLAIN).unwrap(), [(2, 0..5), (7, 5..7)]);
    let spaces = unigram().with("remove_extra_whitespaces", Value::Bool(true)).build();
    assert_eq!(spaces.encode_with_ranges("  on   on ", PLAIN).unwrap(), [(8, 0..4), (8, 4..10)]);
}

#[test]
fn byte_ranges_are_those_of_the_spelled_text() {
    let tokenizer = stories().build();
    let byte = |b: u8| u32::from(b) + 3;
    let pieces = tokenizer.encode_with_ranges("é one", ADD).unwrap();
    assert_eq!(pieces, [(1, 0..0), (FIRST, 0..0), (byte(0xc3), 0..1), (byte(0xa9), 1..2), (FIRST + 6, 2..6)]);
}

fn round_trip(tokenizer: &Tokenizer, text: &str, options: EncodeOptions) -> String {
    let tokens = tokenizer.encode(text, options).unwrap();
    let mut stream = TextStream::at_start();
    let mut streamed = String::new();
    tokens.iter().for_each(|token| streamed.push_str(stream.push(tokenizer, *token).unwrap()));
    streamed.push_str(&stream.finish());
    assert_eq!(tokenizer.decode(&tokens).unwrap(), streamed);
    streamed
}

const PRES: &[&str] = &[
    "default",
    "gpt-2",
    "llama-bpe",
    "qwen2",
    "deepseek-llm",
    "deepseek-v3",
    "gpt-4o",
    "tiny_aya",
    "afmoe",
    "superbpe",
    "youtu",
    "exaone-moe",
    "chameleon",
    "kimi-k2",
    "viking",
    "jais-2",
];

proptest! {
    #[test]
    fn ranges_tile_the_text_and_say_what_a_token_is(text in text(), parse_special: bool) {
        let options = EncodeOptions { add_special: true, parse_special };
        let bpe = Small::bpe(&["o n", "Ġ on", "on e"]).token("<s>", 0.0, CONTROL);
        for (tokenizer, is_bytes) in [(bpe.build(), true), (stories().build(), false), (unigram().build(), false)] {
            let mut at = 0;
            for (token, range) in tokenizer.encode_with_ranges(&text, options).unwrap() {
                prop_assert_eq!(range.start, at);
                at = range.end;
                if is_bytes && !tokenizer.is_control(token) {
                    prop_assert_eq!(&*tokenizer.piece(token).unwrap(), &text.as_bytes()[range]);
                }
            }
            prop_assert_eq!(at, text.len());
        }
    }

    #[test]
    fn spm_texts_come_back(text in text(), add_special: bool) {
        // ▁ is how a space is spelled, so it comes back as one
        let back = round_trip(&stories().build(), &text, EncodeOptions { add_special, parse_special: false });
        prop_assert_eq!(back, text.replace('▁', " "));
    }

    #[test]
    fn bpe_texts_come_back(text in text(), pre in prop::sample::select(PRES)) {
        let tokenizer = Small::bpe(&["o n", "Ġ on", "on e"]).with("pre", Value::Str("gpt-2".into()));
        let mut tokenizer = tokenizer;
        tokenizer.pairs.retain(|(key, _)| key != "tokenizer.ggml.pre");
        let tokenizer = tokenizer.with("pre", Value::Str(pre.into())).build();
        prop_assert_eq!(round_trip(&tokenizer, &text, PLAIN), text);
    }

    #[test]
    fn any_tokens_decode_to_something(tokens in prop::collection::vec(0_u32..266, 0..40)) {
        let (spm, bpe) = (stories().build(), Small::bpe(&["o n", "on e", "on Ċ", "Ċ Ċ", "a b", "a c", "a d", "a e", "a f", "a g"]).build());
        for tokenizer in [spm, bpe] {
            let bytes: Vec<u8> = tokens.iter().flat_map(|token| tokenizer.piece(*token).unwrap()).collect();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let mut stream = TextStream::new();
            let mut streamed = String::new();
            tokens.iter().for_each(|token| streamed.push_str(stream.push(&tokenizer, *token).unwrap()));
            streamed.push_str(&stream.finish());
            prop_assert_eq!(streamed, text);
        }
    }
}
