//! Makes what wasm-bindgen wrote smaller where it travels, and changes nothing that it does.
//!
//! - Names by which module and glue know each other become letters: wasm-bindgen's hold a hash each, which does not compress.
//! - A function that is there twice is there once.
//! - Functions that resemble each other stand side by side, since DEFLATE looks back 32 KB, a tenth of the module. Of several
//!   such orders the one that compresses best is taken.
//! - A constant that is added to an address goes into the load, which has a place for it: browsers then need no instruction for
//!   it. LLVM does that only where it knows that the sum does not wrap around, which it seldom does in a loop.
//!
//! Other instructions stay what they are, but for the numbers of the functions that they call.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;

use anyhow::{Context, Result, anyhow, ensure};
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{
    CodeSection, ExportSection, FunctionSection, ImportSection, Instruction, MemArg, NameMap, NameSection,
};
use wasmparser::{FunctionBody, Name, Operator, OperatorsReader, Parser, Payload, TypeRef};

use crate::likeness::{EXPONENTS, Likeness};
use crate::opcodes::without_custom_sections;
use crate::size::gzip_bytes;

type Encoded<T> = Result<T, Error<Infallible>>;

/// The module, compact; `scripts` that go with it (its glue, and the glue's types) get the same names.
pub fn compact(module: &[u8], scripts: &mut [String]) -> Result<Vec<u8>> {
    let read = Functions::read(module)?;
    // Imports and exports are not seen together: both begin with a.
    let (mut names, exports) = (short_names(&read.imports), short_names(&read.exports));
    ensure!(exports.keys().all(|name| !names.contains_key(name)), "a name is both imported and exported");
    names.extend(exports);
    for script in scripts {
        *script = renamed(script, &names);
    }
    let failed = |error| anyhow!("the module cannot be written anew: {error:?}");
    let first = read.first_of_its_kind().map_err(failed)?;
    let kept: Vec<usize> =
        (0..read.bodies.len()).filter(|i| first[read.n_imported + i] as usize == read.n_imported + i).collect();
    let bodies: Vec<&[u8]> = kept.iter().map(|i| read.bodies[*i].as_bytes()).collect();
    let alike = Likeness::of(&bodies);
    smallest(EXPONENTS.map(|exponent| {
        let order: Vec<usize> = alike.order(exponent).into_iter().map(|i| kept[i]).collect();
        let mut place: Vec<u32> = (0..first.len() as u32).collect();
        for (to, from) in order.iter().enumerate() {
            place[read.n_imported + from] = (read.n_imported + to) as u32;
        }
        let index = first.iter().map(|first| place[*first as usize]).collect();
        let mut to = wasm_encoder::Module::new();
        Compacted { read: &read, first: &first, index, order, names: &names }
            .parse_core_module(&mut to, Parser::new(0), module)
            .map_err(failed)?;
        Ok(to.finish())
    }))
}

/// Of some modules the one that is shortest as it travels, the first where several are.
fn smallest(modules: impl IntoIterator<Item = Result<Vec<u8>>>) -> Result<Vec<u8>> {
    let mut smallest: Option<(usize, Vec<u8>)> = None;
    for module in modules {
        let module = module?;
        let size = gzip_bytes(&without_custom_sections(&module)?)?;
        if smallest.as_ref().is_none_or(|(smallest, _)| size < *smallest) {
            smallest = Some((size, module));
        }
    }
    smallest.map(|(_, module)| module).context("there is no module to choose")
}

/// What a module says of its functions.
#[derive(Default)]
struct Functions<'a> {
    /// Functions that come from outside have the first numbers.
    n_imported: usize,
    /// The others: their types and bodies.
    types: Vec<u32>,
    bodies: Vec<FunctionBody<'a>>,
    /// Names of what comes from outside, and of what is seen there.
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
}

impl<'a> Functions<'a> {
    fn read(module: &'a [u8]) -> Result<Functions<'a>> {
        let mut read = Functions::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import?;
                        read.n_imported += usize::from(matches!(import.ty, TypeRef::Func(_)));
                        read.imports.insert(import.name.to_owned());
                    }
                }
                Payload::FunctionSection(types) => read.types = types.into_iter().collect::<Result<_, _>>()?,
                Payload::ExportSection(exports) => {
                    for export in exports {
                        read.exports.insert(export?.name.to_owned());
                    }
                }
                Payload::CodeSectionEntry(body) => read.bodies.push(body),
                _ => {}
            }
        }
        Ok(read)
    }

    /// For each function the first one that does the same: of the same type, with the same instructions. Functions that call
    /// such functions can become the same by that, so it is looked for until nothing is found.
    fn first_of_its_kind(&self) -> Encoded<Vec<u32>> {
        let mut calls = Calls { index: (0..(self.n_imported + self.bodies.len()) as u32).collect() };
        loop {
            let (mut found, mut firsts) = (calls.index.clone(), HashMap::new());
            for (i, (ty, body)) in self.types.iter().zip(&self.bodies).enumerate() {
                let own = (self.n_imported + i) as u32;
                found[own as usize] = *firsts.entry((*ty, encode(&mut calls, body)?)).or_insert(own);
            }
            if found == calls.index {
                return Ok(found);
            }
            calls.index = found;
        }
    }
}

/// A body as it is written with the function numbers that `to` gives.
fn encode(to: &mut impl Reencode<Error = Infallible>, body: &FunctionBody<'_>) -> Encoded<Vec<u8>> {
    let mut function = to.new_function_with_parsed_locals(body)?;
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() {
        let instruction = match load_with_offset(to, &mut reader)? {
            Some(load) => load,
            None => to.parse_instruction(&mut reader)?,
        };
        function.instruction(&instruction);
    }
    Ok(function.into_raw_body())
}

/// A sum of an address and a constant below this wraps around only if it is below this itself, which no address is that is
/// read: there the stack ends, which begins a megabyte above and would have overflowed.
const FIRST_PAGE: i32 = 4096;

/// Where `reader` stands before a load from the sum of an address and a small constant: the load from the address, at that
/// offset. `reader` is moved past it then.
fn load_with_offset<'a>(
    to: &mut impl Reencode<Error = Infallible>,
    reader: &mut OperatorsReader<'a>,
) -> Encoded<Option<Instruction<'a>>> {
    let mut ahead = reader.clone();
    let (Ok(Operator::I32Const { value }), Ok(Operator::I32Add)) = (ahead.read(), ahead.read()) else {
        return Ok(None);
    };
    if !(0..FIRST_PAGE).contains(&value) || ahead.eof() {
        return Ok(None);
    }
    let mut load = to.parse_instruction(&mut ahead)?;
    let Some(place) = place_of(&mut load) else { return Ok(None) };
    place.offset += value as u64;
    *reader = ahead;
    Ok(Some(load))
}

/// Of a load, which address it reads.
fn place_of<'i>(instruction: &'i mut Instruction<'_>) -> Option<&'i mut MemArg> {
    use Instruction as I;
    match instruction {
        I::I32Load(place)
        | I::I64Load(place)
        | I::F32Load(place)
        | I::F64Load(place)
        | I::I32Load8S(place)
        | I::I32Load8U(place)
        | I::I32Load16S(place)
        | I::I32Load16U(place)
        | I::I64Load8S(place)
        | I::I64Load8U(place)
        | I::I64Load16S(place)
        | I::I64Load16U(place)
        | I::I64Load32S(place)
        | I::I64Load32U(place)
        | I::V128Load(place)
        | I::V128Load8x8S(place)
        | I::V128Load8x8U(place)
        | I::V128Load16x4S(place)
        | I::V128Load16x4U(place)
        | I::V128Load32x2S(place)
        | I::V128Load32x2U(place)
        | I::V128Load8Splat(place)
        | I::V128Load16Splat(place)
        | I::V128Load32Splat(place)
        | I::V128Load64Splat(place)
        | I::V128Load32Zero(place)
        | I::V128Load64Zero(place) => Some(place),
        _ => None,
    }
}

/// Other numbers for functions, and nothing else.
struct Calls {
    index: Vec<u32>,
}

impl Reencode for Calls {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Encoded<u32> {
        Ok(self.index[function as usize])
    }
}

/// The compact module, written section by section.
struct Compacted<'a> {
    read: &'a Functions<'a>,
    /// For each function the first one that does the same.
    first: &'a [u32],
    /// New numbers of functions.
    index: Vec<u32>,
    /// Which of the bodies stand there, in their order.
    order: Vec<usize>,
    names: &'a HashMap<String, String>,
}

impl Compacted<'_> {
    fn name<'n>(&'n self, name: &'n str) -> &'n str {
        self.names.get(name).map_or(name, String::as_str)
    }
}

impl Reencode for Compacted<'_> {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Encoded<u32> {
        Ok(self.index[function as usize])
    }

    fn parse_import_section(
        &mut self,
        to: &mut ImportSection,
        from: wasmparser::ImportSectionReader<'_>,
    ) -> Encoded<()> {
        for import in from.into_imports() {
            let import = import?;
            let ty = self.entity_type(import.ty)?;
            to.import(import.module, self.name(import.name), ty);
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        to: &mut FunctionSection,
        _: wasmparser::FunctionSectionReader<'_>,
    ) -> Encoded<()> {
        self.order.iter().for_each(|i| {
            to.function(self.read.types[*i]);
        });
        Ok(())
    }

    fn parse_export(&mut self, to: &mut ExportSection, from: wasmparser::Export<'_>) -> Encoded<()> {
        let (kind, index) = (self.export_kind(from.kind)?, self.external_index(from.kind, from.index)?);
        to.export(self.name(from.name), kind, index);
        Ok(())
    }

    fn parse_code_section(&mut self, to: &mut CodeSection, _: wasmparser::CodeSectionReader<'_>) -> Encoded<()> {
        let read = self.read;
        for i in self.order.clone() {
            to.raw(&encode(self, &read.bodies[i])?);
        }
        Ok(())
    }

    /// Names of functions are kept, for the checks; the section does not travel.
    fn custom_name_section(&mut self, from: wasmparser::NameSectionReader<'_>) -> Encoded<NameSection> {
        let mut to = NameSection::new();
        for part in from {
            let Name::Function(names) = part? else { continue };
            let mut kept = Vec::new();
            for name in names {
                let name = name?;
                if self.first[name.index as usize] == name.index {
                    kept.push((self.index[name.index as usize], name.name));
                }
            }
            kept.sort_unstable();
            let mut map = NameMap::new();
            kept.iter().for_each(|(index, name)| map.append(*index, name));
            to.functions(&map);
        }
        Ok(to)
    }
}

/// Letters for names that hold an underscore, which are wasm-bindgen's; what has a plain name may be spoken of elsewhere.
fn short_names(names: &BTreeSet<String>) -> HashMap<String, String> {
    let letters: Vec<char> = ('a'..='z').chain('A'..='Z').collect();
    let one = letters.iter().map(char::to_string);
    let two = letters.iter().flat_map(|first| letters.iter().map(move |second| format!("{first}{second}")));
    let free = one.chain(two).filter(|name| !names.contains(name));
    names.iter().filter(|name| name.contains('_')).cloned().zip(free).collect()
}

/// A script in which every identifier that has another name is called by it.
fn renamed(script: &str, names: &HashMap<String, String>) -> String {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let mut to = String::with_capacity(script.len());
    let mut rest = script;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.find(|c| !is_part(c)).unwrap_or(rest.len()));
        to.push_str(names.get(word).map_or(word, String::as_str));
        let (between, after) = after.split_at(after.find(is_part).unwrap_or(after.len()));
        to.push_str(between);
        rest = after;
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = r#"(module
        (import "env" "__wbg_told_0123456789abcdef" (func $told (param i32)))
        (table 3 funcref)
        (elem (i32.const 0) $one $same $tells)
        (func $one (export "engine_one") (result i32) i32.const 1)
        (func $tells (export "tells") i32.const 7 call $told)
        (func $same (export "engine_same") (result i32) i32.const 1)
        (func $calls_one (export "calls_one") (result i32) call $one)
        (func $calls_same (export "callsSame") (result i32) call $same))"#;

    const GLUE: &str = "const imports = { __wbg_told_0123456789abcdef: (n) => told(n) };\n\
                        export const one = () => wasm.engine_one() + wasm.engine_same(), engine_one_more = 1;";

    fn exports(module: &[u8]) -> HashMap<String, u32> {
        let sections = Parser::new(0).parse_all(module).map(Result::unwrap);
        let mut exports = sections.filter_map(|payload| match payload {
            Payload::ExportSection(exports) => Some(exports.into_iter().map(Result::unwrap)),
            _ => None,
        });
        exports.next().unwrap().map(|export| (export.name.to_owned(), export.index)).collect()
    }

    #[test]
    fn a_function_that_is_there_twice_is_there_once() {
        let before = wat::parse_str(MODULE).unwrap();
        let mut scripts = [GLUE.to_owned()];
        let after = compact(&before, &mut scripts).unwrap();
        wasmparser::Validator::new().validate_all(&after).unwrap();
        let read = Functions::read(&after).unwrap();
        assert_eq!((read.n_imported, read.bodies.len()), (1, 3));
        // In the order of the alphabet: calls_one, engine_one, engine_same; “tells” and “callsSame” stay.
        let exports = exports(&after);
        assert_eq!(exports["b"], exports["c"], "engine_one and engine_same");
        assert_eq!(exports["a"], exports["callsSame"], "once their callees are the same, callers are");
        assert!(exports.contains_key("tells") && read.imports.contains("a"));
        let glue = "const imports = { a: (n) => told(n) };\n\
                    export const one = () => wasm.b() + wasm.c(), engine_one_more = 1;";
        assert_eq!(scripts, [glue]);
    }

    #[test]
    fn bodies_stay_with_their_names() {
        let before = wat::parse_str(MODULE).unwrap();
        let after = compact(&before, &mut []).unwrap();
        let tells = exports(&after)["tells"] as usize - 1;
        let body = Functions::read(&after).unwrap().bodies[tells].as_bytes().to_vec();
        assert_eq!(body, [0, 0x41, 7, 0x10, 0, 0x0b], "no locals, i32.const 7, call 0, end");
    }

    #[test]
    fn a_constant_that_is_added_to_an_address_goes_into_the_load() {
        let body = |text: &str| {
            let module = wat::parse_str(format!("(module (memory 1) (func (param i32) (result i32) {text}))")).unwrap();
            let after = compact(&module, &mut []).unwrap();
            wasmparser::Validator::new().validate_all(&after).unwrap();
            Functions::read(&after).unwrap().bodies[0].as_bytes().to_vec()
        };
        let with = |offset: u8| [0, 0x20, 0, 0x28, 2, offset, 0x0b]; // no locals, local.get 0, i32.load align=4, end
        assert_eq!(body("(i32.load (i32.add (local.get 0) (i32.const 12)))"), with(12));
        assert_eq!(body("(i32.load offset=3 (i32.add (local.get 0) (i32.const 12)))"), with(15));
        for stays in [
            "(i32.load (i32.add (local.get 0) (i32.const -4)))",
            "(i32.load (i32.add (local.get 0) (i32.const 4096)))",
            "(i32.load (i32.sub (local.get 0) (i32.const 12)))",
            "(i32.eqz (i32.add (local.get 0) (i32.const 12)))",
        ] {
            let before =
                wat::parse_str(format!("(module (memory 1) (func (param i32) (result i32) {stays}))")).unwrap();
            assert_eq!(body(stays), Functions::read(&before).unwrap().bodies[0].as_bytes(), "{stays}");
        }
    }

    /// The name section does not travel, and so does not count.
    #[test]
    fn the_module_that_is_smallest_on_its_way_is_taken() {
        let long = wat::parse_str(MODULE).unwrap();
        let short = wat::parse_str(format!("(module (func ${} nop))", "with_a_long_name_".repeat(40))).unwrap();
        let middle = wat::parse_str("(module (func nop nop i32.const 1234567 drop) (func unreachable))").unwrap();
        assert!(short.len() > middle.len());
        let taken = smallest([long, short.clone(), middle].map(Ok)).unwrap();
        assert_eq!(taken, short);
    }
}
