//! The tokenizer from outside: vocabularies made here, vocabularies of real models, and hostile ones.

mod behaviour;
mod hostile;
mod oracle;
mod recorded;
mod small;
