//! Texts of a given form: the arguments that ask for one, and the mask over the tokens.

use anyhow::{Context, Result, anyhow};
use pagelm::tokenizer::Tokenizer;
use pagelm_grammar::{Constraint, Kind, Vocabulary};
use serde::{Deserialize, Serialize};

/// What the text has to be like.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Form")]
#[group(multiple = false)]
pub struct FormArgs {
    /// The text is JSON of this schema; "true" for any JSON
    #[arg(long, value_name = "SCHEMA")]
    json_schema: Option<String>,
    /// The whole text fits this regular expression
    #[arg(long, value_name = "REGEX")]
    regex: Option<String>,
    /// The text is one of this grammar, in Lark's notation
    #[arg(long, value_name = "GRAMMAR")]
    grammar: Option<String>,
}

/// What a text has to be like, and within how many tokens, as a record has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// `json`, `regex` or `lark`.
    kind: String,
    text: String,
    /// Towards so many tokens the text is brought to its end.
    limit: u32,
}

impl FormArgs {
    /// What is asked for, if anything, of a text of at most `limit` tokens.
    pub fn form(&self, limit: u32) -> Option<Form> {
        let asked = [(Kind::Json, &self.json_schema), (Kind::Regex, &self.regex), (Kind::Lark, &self.grammar)];
        let form = |(kind, text): (Kind, &Option<String>)| text.clone().map(|text| (kind, text));
        let (kind, text) = asked.into_iter().find_map(form)?;
        Some(Form { kind: kind.name().into(), text, limit })
    }
}

impl Form {
    /// Prepares a vocabulary and reads the grammar. Tokens in `stop_tokens` end the text beside the model's own.
    pub fn constraint(&self, tokenizer: &Tokenizer, stop_tokens: &[u32]) -> Result<Constraint> {
        let ids = 0..tokenizer.n_vocab() as u32;
        let tokens = ids.clone().map(|id| tokenizer.piece(id)).collect::<Result<Vec<_>, _>>()?;
        let control: Vec<u32> = ids.filter(|id| tokenizer.is_control(*id)).collect();
        let vocabulary = Vocabulary::new(&tokens, &control, tokenizer.ends())?;
        let kind = Kind::from_name(&self.kind).ok_or_else(|| anyhow!("there is no form of kind {}", self.kind))?;
        let mut constraint =
            vocabulary.constrain(kind, &self.text, stop_tokens).with_context(|| format!("this {}", self.kind))?;
        constraint.limit(self.limit);
        Ok(constraint)
    }
}

/// Bars the tokens that may not come next.
pub fn bar(logits: &mut [f32], allowed: &[u32]) {
    for (token, logit) in logits.iter_mut().enumerate() {
        if allowed.get(token / 32).is_none_or(|bits| bits >> (token % 32) & 1 == 0) {
            *logit = f32::NEG_INFINITY;
        }
    }
}
