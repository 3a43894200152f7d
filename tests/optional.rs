//! What files of an architecture may leave out, or have besides: each beside another file that says the same.

mod common;

use common::made::{Made, Tensor};
use common::recorded;
use pagelm::gguf::{Array, Gguf, Value, ValueType};
use pagelm::model::{Config, Model};
use pagelm::quant::Format;
use pagelm::session::Session;

/// The bits of all logits of a record's text.
fn bits(file: &Made, tokens: &[u32]) -> Vec<u32> {
    let mut session = Session::new(file.load(), None).unwrap();
    session.forward_all(tokens).unwrap().iter().map(|x| x.to_bits()).collect()
}

/// A key, and its value or none.
type Set<'a> = (&'a str, Option<Value>);

/// A record's file with these keys set or taken away.
fn with(file: &Made, keys: &[Set<'_>]) -> Made {
    let mut file = file.clone();
    for (key, value) in keys {
        match value {
            Some(value) => file.set(key, value.clone()),
            None => file.unset(key),
        }
    }
    file
}

#[test]
fn soft_caps_of_gemma_2_are_50_and_30_where_the_file_names_none() {
    let [scores, logits] = ["gemma2.attn_logit_softcapping", "gemma2.final_logit_softcapping"];
    let recorded = recorded::read("gemma2");
    let said = with(&recorded.file, &[(scores, Some(Value::Float(50.0))), (logits, Some(Value::Float(30.0)))]);
    let none = with(&recorded.file, &[(scores, Some(Value::Float(0.0))), (logits, Some(Value::Float(0.0)))]);
    let silent = bits(&with(&recorded.file, &[(scores, None), (logits, None)]), &recorded.tokens);
    assert!(silent == bits(&said, &recorded.tokens));
    assert!(silent != bits(&none, &recorded.tokens));
}

#[test]
fn a_granite_that_is_not_finetuned_turns_nothing() {
    const KEY: &str = "granite.rope.scaling.finetuned";
    let recorded = recorded::read("granite");
    let run = |keys: &[_]| bits(&with(&recorded.file, keys), &recorded.tokens);
    let turned = run(&[]);
    assert!(turned == run(&[(KEY, Some(Value::Bool(true)))]));
    let unturned = run(&[(KEY, Some(Value::Bool(false)))]);
    // Turned so slowly that all cosines are 1, and the sines lost in the sums.
    let slowly = run(&[("granite.rope.scaling.factor", Some(Value::Float(1e30)))]);
    assert!(unturned == slowly && unturned != turned);
}

#[test]
fn local_layers_may_have_a_base_of_their_own() {
    for (name, prefix) in [("olmo3", "olmo2"), ("gemma2", "gemma2"), ("gemma3", "gemma3")] {
        let recorded = recorded::read(name);
        let key = |key: &str| format!("{prefix}.{key}");
        let n_layer = recorded.file.load().config().n_layer;
        let all = Value::Array(Array::Num { kind: ValueType::Bool, bytes: vec![1; n_layer] });
        let local = with(&recorded.file, &[(&key("attention.sliding_window_pattern"), Some(all))]);
        let base = Some(Value::Float(1000.0));
        let of_local = with(&local, &[(&key("rope.freq_base_swa"), base.clone())]);
        let of_all = match name {
            "gemma3" => with(&of_local, &[(&key("rope.freq_base"), Some(Value::Float(77.0)))]),
            _ => with(&local, &[(&key("rope.freq_base"), base)]),
        };
        assert!(bits(&of_local, &recorded.tokens) == bits(&of_all, &recorded.tokens), "{name}");
        assert!(bits(&of_local, &recorded.tokens) != bits(&local, &recorded.tokens), "{name}");
    }
}

#[test]
fn experts_are_as_wide_as_their_tensors_where_the_file_does_not_say() {
    let recorded = recorded::read("qwen3moe");
    let silent = with(&recorded.file, &[("qwen3moe.expert_feed_forward_length", None)]);
    assert!(bits(&silent, &recorded.tokens) == bits(&recorded.file, &recorded.tokens));
}

/// Files in NVFP4 have a scale beside each matrix. A power of two is as exact beside the weights as within them.
#[test]
fn products_are_multiplied_by_the_scale_of_their_matrix() {
    for name in ["qwen2", "phi3", "gpt2", "qwen3moe", "llama"] {
        let recorded = recorded::read(name);
        let (mut beside, mut within) = (recorded.file.clone(), recorded.file.clone());
        let is_matrix = |t: &&Tensor| t.shape.len() > 1 && !["norm", "_embd"].iter().any(|part| t.name.contains(part));
        let matrices: Vec<Tensor> = recorded.file.tensors.iter().filter(is_matrix).cloned().collect();
        for (i, matrix) in matrices.iter().enumerate() {
            let n = if matrix.name.contains("_exps") { 4 } else { 1 };
            let scales: Vec<f32> = (0..n).map(|e| [0.5, 2.0, 1.0, 0.25][(i + e) % 4]).collect();
            let values = common::data::floats(&matrix.bytes);
            let scaled =
                values.chunks(values.len() / n).zip(&scales).flat_map(|(part, s)| part.iter().map(move |x| x * s));
            within.tensor(&matrix.name).bytes = scaled.flat_map(f32::to_le_bytes).collect();
            let mut add = |end: &str, values: Vec<f32>| {
                let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
                let name = matrix.name.replace(".weight", end);
                beside.tensors.push(Tensor { name, shape: vec![n as u64], format: Format::F32, bytes });
            };
            add(".input_scale", vec![3.0; n]);
            add(".scale", scales);
        }
        assert!(bits(&beside, &recorded.tokens) == bits(&within, &recorded.tokens), "{name}");
        beside.tensors.last_mut().unwrap().shape = vec![2, 2];
        beside.tensors.last_mut().unwrap().bytes = vec![0; 16];
        let refused = Model::check(&Gguf::parse(&beside.write()).unwrap()).unwrap_err();
        assert!(refused.to_string().contains(".scale has the shape [2, 2]"), "{refused}");
    }
}

/// Records, and keys set or taken away that mean nothing else than what their files say.
#[test]
fn keys_that_change_no_bit() {
    let x = |x: f64| Some(Value::Float(x));
    let text = |text: &str| Some(Value::Str(text.into()));
    let same: &[(&str, &[Set<'_>])] = &[
        ("gptneox", &[("gptneox.use_parallel_residual", None)]),
        ("llama", &[("llama.rope.freq_base", x(10_000.0)), ("llama.rope.dimension_count", Some(Value::Int(32)))]),
        ("llama", &[("llama.rope.scaling.type", text("none")), ("llama.rope.scaling.factor", x(4.0))]),
        ("llama-linear", &[("llama.rope.scaling.factor", None), ("llama.rope.scale_linear", x(4.0))]),
        ("llama-linear", &[("llama.rope.scaling.type", None), ("llama.rope.scale_linear", x(7.0))]),
        (
            "llama-yarn",
            &[("llama.rope.scaling.yarn_beta_fast", x(32.0)), ("llama.rope.scaling.yarn_beta_slow", x(1.0))],
        ),
        ("gemma3", &[("gemma3.rope.freq_base_swa", x(10_000.0)), ("gemma3.attn_logit_softcapping", x(0.0))]),
        (
            "mixtral",
            &[("llama.expert_weights_scale", x(1.0)), ("llama.expert_feed_forward_length", Some(Value::Int(512)))],
        ),
        ("gpt2", &[("gpt2.attention.head_count_kv", None)]),
    ];
    for (name, keys) in same {
        let recorded = recorded::read(name);
        let (got, want) = (bits(&with(&recorded.file, keys), &recorded.tokens), bits(&recorded.file, &recorded.tokens));
        assert!(got == want, "{name}, {keys:?}");
    }
}

#[test]
fn keys_that_change_what_is_computed() {
    let x = |x: f64| Some(Value::Float(x));
    let others: &[(&str, &str, Option<Value>)] = &[
        ("llama-yarn", "llama.rope.scaling.yarn_beta_fast", x(1.5)),
        ("llama-yarn", "llama.rope.scaling.yarn_beta_slow", x(0.1)),
        ("llama", "llama.rope.scaling.attn_factor", x(2.0)),
        ("llama", "llama.attention.scale", x(0.5)),
        ("gemma2", "gemma2.attention.sliding_window", Some(Value::Int(13))),
        ("gemma2", "gemma2.attention.sliding_window_pattern", Some(Value::Int(3))),
    ];
    for (name, key, value) in others {
        let recorded = recorded::read(name);
        let got = bits(&with(&recorded.file, &[(key, value.clone())]), &recorded.tokens);
        assert!(got != bits(&recorded.file, &recorded.tokens), "{name}, {key}");
    }
}

/// What experts add is multiplied by a power of two as exactly as their last matrix.
#[test]
fn probabilities_of_experts_may_be_scaled() {
    let recorded = recorded::read("olmoe");
    let mut within = recorded.file.clone();
    for tensor in within.tensors.iter_mut().filter(|tensor| tensor.name.contains("ffn_down_exps")) {
        let halves = common::data::floats(&tensor.bytes).into_iter().map(|x| x * 0.5);
        tensor.bytes = halves.flat_map(f32::to_le_bytes).collect();
    }
    let scaled = with(&recorded.file, &[("olmoe.expert_weights_scale", Some(Value::Float(0.5)))]);
    assert!(bits(&scaled, &recorded.tokens) == bits(&within, &recorded.tokens));
}

#[test]
fn the_largest_gemmas_are_told_by_their_layers_and_the_window_of_gemma_2_is_known() {
    for (name, n_layer) in [("gemma2", 46), ("gemma3", 62)] {
        let recorded = recorded::read(name);
        let config = |n: i128, keys: &[_]| {
            let file = with(&with(&recorded.file, &[(&format!("{name}.block_count"), Some(Value::Int(n)))]), keys);
            Config::from_gguf(&Gguf::parse(&file.write()).unwrap()).unwrap()
        };
        // Heads are 64 wide, of an embedding of 256 and 8 heads.
        assert_eq!(config(n_layer, &[]).attention_scale, 1.0 / 32f32.sqrt());
        assert_eq!(config(n_layer - 1, &[]).attention_scale, 1.0 / 8.0);
        let window = config(6, &[(&format!("{name}.attention.sliding_window"), None)]);
        let (seen, local) = match name {
            "gemma2" => (4096, [true, false, true, false, true, false].as_slice()),
            _ => (usize::MAX, [].as_slice()),
        };
        assert_eq!((window.window, window.local_layers.as_slice()), (seen, local));
    }
}
