// Stands in for the file of the same name that wasm-bindgen writes into dist, so that the sources can be checked
// before there is one.
import type { Binding } from "../binding.js";

declare const init: Binding["default"];
export default init;
export declare const selfTest: Binding["selfTest"];
export declare const Header: Binding["Header"];
export declare const Loader: Binding["Loader"];
