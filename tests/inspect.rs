//! Recordings of the forward pass, and hands in it.

mod common;

use common::alloc::measure;
use common::made::{self, Shape, WIDE};
use pagelm::inspect::{Block, Kept, MAX_TRACED, Selection, trace};
use pagelm::model::{Action, Intervention, Model, Site};
use pagelm::quant::Format;
use pagelm::session::Session;
use pagelm::{Error, session::GenerateOptions, session::Generation};
use serde_json::Value;
use std::sync::Arc;

const SHAPE: Shape = Shape { n_layer: 3, n_embd: 96, n_head: 6, n_head_kv: 2, n_ff: 64, ..WIDE };

fn models() -> Vec<Arc<Model>> {
    [made::llama(SHAPE, Format::Q8_0), made::qwen2(SHAPE, Format::F32), made::gpt2(SHAPE, Format::F32)]
        .map(|made| made.load())
        .into()
}

fn text(n: usize, n_vocab: usize) -> Vec<u32> {
    (0..n).map(|i| ((i * i * 7 + i) % n_vocab) as u32).collect()
}

/// Everything of these sites.
fn all(model: &Model, sites: &[Site], n_tokens: usize) -> Selection {
    Selection {
        sites: sites.to_vec(),
        layers: (0..model.config().n_layer).collect(),
        heads: (0..model.config().n_head).collect(),
        positions: (0..n_tokens).collect(),
    }
}

fn record(session: &mut Session, tokens: &[u32], selection: &Selection) -> pagelm::Result<Vec<Vec<f32>>> {
    let mut arrays: Vec<Vec<f32>> = Vec::new();
    trace(session, tokens, selection, &mut |kept| match kept {
        Kept::Size(n) => arrays.push(vec![0.0; n]),
        Kept::Values(i, at, values) => arrays[i][at..at + values.len()].copy_from_slice(values),
    })?;
    Ok(arrays)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn logits(session: &mut Session, tokens: &[u32]) -> Vec<u32> {
    session.clear();
    tokens.chunks(64).flat_map(|batch| bits(session.forward_all(batch).unwrap())).collect()
}

/// At every position, of one site and perhaps one layer.
fn at(site: Site, layer: Option<usize>, action: Action) -> Intervention {
    Intervention { site, layer, head: None, positions: 0..usize::MAX, columns: 0..usize::MAX, action }
}

#[test]
fn attention_rows_sum_to_one_and_see_no_future() {
    for model in models() {
        let (n, config) = (100, model.config().clone());
        let mut session = Session::new(model.clone(), None).unwrap();
        let tokens = text(n, config.n_vocab);
        let found = record(&mut session, &tokens, &all(&model, &[Site::KqSoftMax], n)).unwrap();
        assert_eq!(found[0].len(), config.n_layer * config.n_head * n * n);
        for (i, row) in found[0].chunks(n).enumerate() {
            let sum: f32 = row.iter().sum();
            assert!((sum - 1.0).abs() < 1e-5, "row {i}: {sum}");
            assert!(row[i % n + 1..].iter().all(|p| *p == 0.0), "row {i}");
        }
    }
}

#[test]
fn a_selection_is_that_part_of_the_whole() {
    for model in models() {
        let (n, config) = (90, model.config().clone());
        let mut session = Session::new(model.clone(), None).unwrap();
        let tokens = text(n, config.n_vocab);
        let sites = [Site::Kq, Site::LOut, Site::InpEmbd, Site::FfnAct, Site::ResultNorm];
        let whole = record(&mut session, &tokens, &all(&model, &sites, n)).unwrap();
        let some = Selection { sites: sites.into(), layers: vec![2, 0], heads: vec![5, 1], positions: vec![3, 88] };
        let part = record(&mut session, &tokens, &some).unwrap();
        let mut want: Vec<Vec<f32>> = vec![Vec::new(); sites.len()];
        for layer in [2, 0] {
            for (head, position) in [(5, 3), (5, 88), (1, 3), (1, 88)] {
                let row = (layer * config.n_head + head) * n + position;
                want[0].extend(&whole[0][row * n..(row + 1) * n]);
            }
            for (i, width) in [(1, config.n_embd), (3, config.n_ff)] {
                for t in [3, 88] {
                    want[i].extend(&whole[i][(layer * n + t) * width..][..width]);
                }
            }
        }
        for i in [2, 4] {
            for t in [3, 88] {
                want[i].extend(&whole[i][t * config.n_embd..][..config.n_embd]);
            }
        }
        assert!(part == want);
    }
}

#[test]
fn the_lens_of_the_last_layer_is_the_logits_in_bits() {
    for model in models() {
        let (n, config) = (50, model.config().clone());
        let mut session = Session::new(model.clone(), None).unwrap();
        let tokens = text(n, config.n_vocab);
        let found = record(&mut session, &tokens, &all(&model, &[Site::LOut, Site::ResultOutput], n)).unwrap();
        let last = &found[0][(config.n_layer - 1) * n * config.n_embd..];
        assert_eq!(bits(session.project(last).unwrap()), bits(&found[1]));
        assert_eq!(logits(&mut session, &tokens), bits(&found[1]));
        for wrong in [&last[..0], &last[1..], &vec![0.0; 65 * config.n_embd]] {
            assert!(matches!(session.project(wrong), Err(Error::Argument(_))));
        }
    }
}

#[test]
fn without_its_heads_a_layer_has_no_attention() {
    for model in models() {
        let (config, n) = (model.config().clone(), 70);
        let mut session = Session::new(model.clone(), None).unwrap();
        let tokens = text(n, config.n_vocab);
        let before = logits(&mut session, &tokens);
        let dh = config.head_dim;
        let heads = (0..config.n_head)
            .map(|h| Intervention { columns: h * dh..(h + 1) * dh, ..at(Site::KqvOut, Some(1), Action::Scale(0.0)) });
        session.set_interventions(heads.collect()).unwrap();
        let out = record(&mut session, &tokens, &all(&model, &[Site::AttnOut], n)).unwrap();
        let d = config.n_embd;
        // What is left is the bias, where there is one.
        let rows: Vec<&[f32]> = out[0][n * d..2 * n * d].chunks(d).collect();
        assert!(rows.iter().all(|row| *row == rows[0]));
        let ablated = logits(&mut session, &tokens);
        assert!(ablated != before);
        let removed = at(Site::AttnOut, Some(1), Action::Set(rows[0].to_vec()));
        session.set_interventions(vec![removed]).unwrap();
        assert!(logits(&mut session, &tokens) == ablated);
        session.set_interventions(Vec::new()).unwrap();
        assert!(logits(&mut session, &tokens) == before);
    }
}

#[test]
fn a_patch_of_everything_makes_one_text_of_another() {
    for model in models() {
        let config = model.config().clone();
        let mut session = Session::new(model.clone(), None).unwrap();
        let (one, other) = (vec![1, 2, 3, 4, 5], vec![1, 2, 9, 4, 5]);
        let want = logits(&mut session, &other);
        let streams = record(&mut session, &other, &all(&model, &[Site::InpEmbd], 5)).unwrap();
        let d = config.n_embd;
        let patch = Action::Set(streams[0][2 * d..3 * d].to_vec());
        session.set_interventions(vec![Intervention { positions: 2..3, ..at(Site::InpEmbd, None, patch) }]).unwrap();
        assert_eq!(logits(&mut session, &one), want);
        // A vector that is added and taken away is no change, but for rounding; one that is 0 is none at all.
        session.set_interventions(vec![at(Site::LOut, Some(0), Action::Add(vec![0.0; d]))]).unwrap();
        assert_eq!(logits(&mut session, &other), want);
    }
}

#[test]
fn a_generation_is_interfered_with_and_then_is_as_before() {
    let model = made::llama(SHAPE, Format::Q8_0).load();
    let mut session = Session::new(model, None).unwrap();
    let mut run = |list: Vec<Intervention>| {
        session.set_interventions(list).unwrap();
        let options = GenerateOptions { max_tokens: Some(8), ..GenerateOptions::default() };
        let mut generation = Generation::new(&mut session, &[1, 2, 3], options).unwrap();
        assert!(generation.all(|step| step.is_ok()));
        generation.generated().to_vec()
    };
    let before = run(Vec::new());
    assert_eq!(run(vec![at(Site::ResultOutput, None, Action::Force(7))]), [7; 8]);
    assert_eq!(run(Vec::new()), before);
}

#[test]
fn what_the_model_does_not_have_is_refused() {
    let model = made::gpt2(SHAPE, Format::F32).load();
    let (v, d) = (model.config().n_vocab as u32, SHAPE.n_embd as usize);
    let mut session = Session::new(model.clone(), None).unwrap();
    for wrong in [
        at(Site::LOut, Some(3), Action::Scale(0.0)),
        at(Site::LOut, None, Action::Scale(f32::NAN)),
        at(Site::LOut, None, Action::Add(vec![0.0; d - 1])),
        at(Site::LOut, None, Action::Set(vec![f32::INFINITY; d])),
        at(Site::LOut, None, Action::Force(1)),
        at(Site::ResultOutput, None, Action::Force(v)),
        Intervention { head: Some(6), ..at(Site::Kq, None, Action::Scale(0.0)) },
        Intervention { columns: 5..d + 1, ..at(Site::LOut, None, Action::Scale(0.0)) },
        Intervention { columns: 5..5, ..at(Site::LOut, None, Action::Scale(0.0)) },
    ] {
        assert!(matches!(session.set_interventions(vec![wrong.clone()]), Err(Error::Argument(_))), "{wrong:?}");
    }
    let gate = at(Site::FfnGate, None, Action::Scale(0.0));
    assert!(matches!(session.set_interventions(vec![gate]), Err(Error::Unsupported(_))));
    let mut wrong = all(&model, &[Site::LOut], 4);
    assert!(matches!(record(&mut session, &[1, 2, 3], &wrong), Err(Error::Argument(_))));
    wrong.sites = vec![Site::FfnGate];
    assert!(matches!(record(&mut session, &[1, 2, 3, 4], &wrong), Err(Error::Unsupported(_))));
    let much =
        Selection { sites: vec![Site::Kq; 2], layers: vec![0; 4096], heads: vec![0; 128], positions: vec![0; 64] };
    assert_eq!(2 * 4096 * 128 * 64, MAX_TRACED);
    let much = Selection { positions: vec![0; 65], ..much };
    assert!(matches!(record(&mut session, &[1], &much), Err(Error::Limit(_))));
    assert!(matches!(session.embeddings(&[v]), Err(Error::Argument(_))));
}

#[test]
fn embeddings_are_what_the_first_layer_gets() {
    let model = made::llama(SHAPE, Format::Q8_0).load();
    let mut session = Session::new(model.clone(), None).unwrap();
    let tokens = text(20, model.config().n_vocab);
    let found = record(&mut session, &tokens, &all(&model, &[Site::InpEmbd], 20)).unwrap();
    assert_eq!(session.embeddings(&tokens).unwrap(), found[0]);
}

#[test]
fn every_matrix_is_given_as_the_floats_that_its_file_stands_for() {
    for file in [made::llama(WIDE, Format::Q4_0), made::gpt2(WIDE, Format::Q8_0)] {
        let model = file.load();
        for want in file.dequantized().tensors.iter().filter(|tensor| tensor.shape.len() > 1) {
            let found = model.tensor(&want.name).unwrap();
            let mut row = vec![0.0; found.columns()];
            for (i, want) in want.bytes.chunks_exact(4 * found.columns()).enumerate() {
                found.row(i, &mut row);
                assert_eq!(row.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>(), want);
            }
        }
        assert!(model.tensor("output_norm.weight").is_none() && model.tensor("blk.9.ffn_up.weight").is_none());
    }
}

fn numbers(json: &Value) -> Vec<f32> {
    serde_json::from_value(json.clone()).unwrap()
}

/// By `tests/conformance/block.py`.
#[test]
fn a_textbooks_block_has_pytorchs_numbers() {
    const STEPS: [&str; 14] = [
        "q", "k", "v", "scores", "weights", "heads", "attn", "sum1", "norm1", "linear1", "hidden", "ffn", "sum2", "out",
    ];
    let record: Value = serde_json::from_str(include_str!("fixtures/block.json")).unwrap();
    let [n_tokens, n_embd, n_head, n_ff] =
        ["nTokens", "nEmbd", "nHead", "nFf"].map(|name| record[name].as_u64().unwrap() as usize);
    for case in record["cases"].as_array().unwrap() {
        let weights = if case["weights"].is_null() { &record["weights"] } else { &case["weights"] };
        let values = [numbers(&record["x"]), numbers(weights)].concat();
        let (causal, scale) = (case["causal"].as_bool().unwrap(), case["scale"].as_f64().unwrap() as f32);
        let block = Block { n_tokens, n_embd, n_head, n_ff, causal, scale, values: &values };
        let got = block.steps().unwrap();
        let mut rest = &got[..];
        for step in STEPS {
            let want = numbers(&case["steps"][step]);
            let (got, after) = rest.split_at(want.len());
            rest = after;
            let most = got.iter().zip(&want).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(most <= 1e-5, "{} {step}: {most:.1e}", case["name"]);
        }
        assert!(rest.is_empty());
    }
}

#[test]
fn a_block_whose_numbers_do_not_fit_is_refused() {
    let values = vec![0.5; 8 + 64 + 24 + 36 + 3];
    let block = Block { n_tokens: 2, n_embd: 4, n_head: 2, n_ff: 3, causal: true, scale: 0.5, values: &values };
    assert_eq!(block.steps().unwrap().len(), 10 * 8 + 2 * 6 + 2 * 8);
    let huge = usize::MAX;
    for wrong in [
        Block { n_head: 3, ..block },
        Block { n_head: 0, ..block },
        Block { n_tokens: 0, ..block },
        Block { n_tokens: 65, ..block },
        Block { n_embd: 0, ..block },
        Block { n_ff: 0, ..block },
        Block { n_tokens: huge, n_embd: huge, n_head: huge, n_ff: huge, ..block },
        Block { values: &values[1..], ..block },
    ] {
        assert!(matches!(wrong.steps(), Err(Error::Argument(_))), "{wrong:?}");
    }
    // What is no number passes through.
    let values = vec![f32::NAN; values.len()];
    assert!(Block { values: &values, ..block }.steps().unwrap().iter().any(|x| x.is_nan()));
}

#[test]
fn a_text_is_saved_without_its_interventions() {
    let model = made::llama(SHAPE, Format::Q8_0).load();
    let tokens = text(30, model.config().n_vocab);
    let mut plain = Session::new(model.clone(), None).unwrap();
    plain.prepare(&tokens).unwrap();
    let want = bits(plain.forward(&[]).unwrap());
    let mut session = Session::new(model, None).unwrap();
    session.set_interventions(vec![at(Site::LOut, Some(0), Action::Scale(0.5))]).unwrap();
    session.prepare(&tokens).unwrap();
    let changed = bits(session.forward(&[]).unwrap());
    assert_ne!(changed, want);
    let saved = session.save();
    let mut copy = session.try_clone().unwrap();
    assert_eq!((copy.n_past(), bits(copy.forward(&[]).unwrap())), (0, want.clone()));
    // Taken into a session with interventions, a text is computed with them; into one without, without.
    session.restore(&plain.save()).unwrap();
    assert_eq!((session.n_past(), bits(session.forward(&[]).unwrap())), (0, changed));
    plain.restore(&saved).unwrap();
    assert_eq!((plain.n_past(), bits(plain.forward(&[]).unwrap())), (0, want));
}

#[test]
fn a_token_allocates_nothing_with_interventions_and_once_they_are_undone() {
    for model in models() {
        let n_vocab = model.config().n_vocab;
        let list = vec![
            Intervention { head: Some(1), ..at(Site::KqSoftMax, Some(0), Action::Scale(0.0)) },
            at(Site::LOut, Some(1), Action::Add(vec![0.1; model.config().n_embd])),
            at(Site::ResultOutput, None, Action::Force(3)),
        ];
        let mut session = Session::new(model, None).unwrap();
        for list in [list, Vec::new()] {
            session.set_interventions(list).unwrap();
            session.prepare(&text(50, n_vocab)).unwrap();
            session.forward(&[]).unwrap();
            let ((), spent) = measure(|| (0..20).for_each(|token| assert!(session.forward(&[token]).is_ok())));
            assert_eq!((spent.calls, spent.held), (0, 0));
        }
    }
}
