//! Writes what the fuzzers begin with: sound files of several architectures and formats, and texts.

#[path = "../../../tests/common/made.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod made;

use made::{Shape, TINY, WIDE};
use pagelm::quant::FORMATS;
use std::fs;
use std::path::Path;

fn main() {
    let folder = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        fs::create_dir_all(&folder).expect("a folder for seeds");
        folder
    };
    let (container, run, tokenizer) = (folder("container"), folder("run"), folder("tokenizer"));
    let small =
        Shape { n_layer: 1, n_ff: 32, n_embd: 32, n_head: 2, n_head_kv: 1, n_ctx: 16, n_pieces: 5, bytes: false };
    let wide = Shape { n_layer: 1, n_embd: 256, n_head: 2, n_head_kv: 1, n_ff: 256, n_pieces: 1, bytes: false, ..WIDE };
    for row in FORMATS {
        let shape = if row.block_len == 1 {
            TINY
        } else if row.block_len == 32 {
            small
        } else {
            wide
        };
        for (name, file) in [
            ("llama", made::llama(shape, row.format)),
            ("qwen2", made::qwen2(shape, row.format)),
            ("gpt2", made::gpt2(shape, row.format)),
        ] {
            let bytes = file.write();
            for folder in [&container, &run] {
                fs::write(folder.join(format!("{name}-{}.gguf", row.name)), &bytes).expect("a seed");
            }
        }
    }
    let texts = [
        "",
        "Once upon a time",
        "don't 12345 x_y  \n\n\tif(a){b}",
        "é 你好 🦊👩\u{200d}👩 <|x|> ",
        "AAAa aa  aaa",
        "\u{feff}İſ'S",
    ];
    for (i, text) in texts.iter().enumerate() {
        for choice in 0..13 {
            fs::write(tokenizer.join(format!("{i}-{choice}")), [&[choice, i as u8], text.as_bytes()].concat())
                .expect("a seed");
        }
    }
}
