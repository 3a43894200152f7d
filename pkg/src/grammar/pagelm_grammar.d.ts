// The glue that wasm-bindgen writes to dist/grammar. What is used of it is described here, so that checking types needs no build.
import type { GrammarBinding } from "../grammar.js";

declare const init: GrammarBinding["default"];
export default init;
export declare const Vocabulary: GrammarBinding["Vocabulary"];
