//! The disassembly check: which relaxed instructions a compiled module holds, and in which functions.
//!
//! A relaxed instruction may give different results on different machines, so the engine uses the dot products alone, on inputs
//! where all machines agree, in kernels that are named here. The compiler can bring in more by itself: with
//! relaxed-simd on, LLVM may turn an exact pattern of multiply and add into a relaxed dot product. So each build is
//! read back, every function body of it.

use std::collections::{BTreeMap, HashMap};
use std::fs;

use anyhow::{Context, Result, bail};
use wasmparser::{FunctionBody, KnownCustom, Name, Operator, Parser, Payload, TypeRef};

use crate::wasm::Variant;

/// The relaxed instructions that may be used.
const RELAXED_DOTS: &[&str] = &["I32x4RelaxedDotI8x16I7x16AddS", "I16x8RelaxedDotI8x16I7x16S"];

/// The functions of the relaxed build that may hold them, as paths without generic arguments. Each is `#[inline(never)]`, so that the instruction does not wander into its callers.
const RELAXED_DOT_KERNELS: &[&str] = &[
    "pagelm_kernels::matmul::quant_pair",
    "pagelm_kernels::matmul::quant_tile",
    "pagelm_kernels::gemm::add_tile",
    "pagelm_kernels::dot::build::probe_relaxed_dot",
];

/// A relaxed instruction that was found.
#[derive(Debug, PartialEq, Eq)]
struct Relaxed {
    /// Path of the function that holds it, without generic arguments and hash.
    function: String,
    /// The operator, as wasmparser spells it.
    operator: String,
    /// How many of it the function holds.
    n: usize,
}

/// Fails if a build holds a relaxed instruction that it may not hold, or if the list above names a kernel that has none.
pub fn check(variants: &[Variant]) -> Result<()> {
    for variant in variants {
        let path = variant.named_module();
        let module = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let allowed = if variant.is_relaxed() { RELAXED_DOT_KERNELS } else { &[] };
        let found = find_relaxed(&module)?;
        for Relaxed { function, operator, n } in &found {
            println!("{}: {n} × {operator} in {function}", variant.name);
        }
        let faults = faults(&found, allowed);
        if !faults.is_empty() {
            bail!("the {} build breaks the rule for relaxed instructions:\n{}", variant.name, faults.join("\n"));
        }
        println!("{}: {} relaxed instructions, all allowed", variant.name, found.iter().map(|r| r.n).sum::<usize>());
    }
    Ok(())
}

fn faults(found: &[Relaxed], allowed: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    for Relaxed { function, operator, .. } in found {
        if !RELAXED_DOTS.contains(&operator.as_str()) {
            faults.push(format!("  {operator} in {function}: its result depends on the machine"));
        } else if !allowed.contains(&function.as_str()) {
            faults.push(format!("  {operator} in {function}: not one of the kernels listed in xtask/src/opcodes.rs"));
        }
    }
    for kernel in allowed {
        if !found.iter().any(|relaxed| relaxed.function == *kernel) {
            faults.push(format!("  {kernel} is listed in xtask/src/opcodes.rs, but holds no relaxed instruction"));
        }
    }
    faults
}

/// Every relaxed instruction of the module, by function.
fn find_relaxed(module: &[u8]) -> Result<Vec<Relaxed>> {
    let mut names = HashMap::new();
    let mut found: Vec<(u32, String)> = Vec::new();
    let mut function_idx = 0;
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(imports) => function_idx += count_imported_functions(imports)?,
            Payload::CodeSectionEntry(body) => {
                let operators = relaxed_operators(&body, module)?;
                found.extend(operators.into_iter().map(|operator| (function_idx, operator)));
                function_idx += 1;
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(section) = section.as_known() {
                    names = function_names(section)?;
                }
            }
            _ => {}
        }
    }
    // The instances of a generic function have one path: they are counted together.
    let mut counts = BTreeMap::new();
    for (function_idx, operator) in found {
        let function = names.get(&function_idx).cloned().unwrap_or_else(|| format!("function {function_idx}"));
        *counts.entry((function, operator)).or_insert(0) += 1;
    }
    Ok(counts.into_iter().map(|((function, operator), n)| Relaxed { function, operator, n }).collect())
}

fn count_imported_functions(imports: wasmparser::ImportSectionReader<'_>) -> Result<u32> {
    let mut n = 0;
    for import in imports.into_imports() {
        n += u32::from(matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
    }
    Ok(n)
}

fn relaxed_operators(body: &FunctionBody<'_>, module: &[u8]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() {
        let (operator, offset) = reader.read_with_offset()?;
        if is_relaxed(&module[offset..]) {
            found.push(operator_name(&operator));
        }
    }
    Ok(found)
}

/// The relaxed instructions have the SIMD prefix and a number from 0x100 on, which as LEB128 takes a second byte of at
/// least 2: a rule that holds for instructions that are yet to come, too.
fn is_relaxed(code: &[u8]) -> bool {
    matches!(code, [0xfd, low, high, ..] if low & 0x80 != 0 && *high >= 2)
}

fn operator_name(operator: &Operator<'_>) -> String {
    let debug = format!("{operator:?}");
    debug.split([' ', '{', '(']).next().unwrap_or(&debug).to_owned()
}

fn function_names(section: wasmparser::NameSectionReader<'_>) -> Result<HashMap<u32, String>> {
    let mut names = HashMap::new();
    for subsection in section {
        if let Name::Function(map) = subsection? {
            for naming in map {
                let naming = naming?;
                names.insert(naming.index, path_of(naming.name));
            }
        }
    }
    Ok(names)
}

/// `pagelm::kernels::matmul::tile` from the linker's name for any instance of it.
fn path_of(symbol: &str) -> String {
    let demangled = format!("{:#}", rustc_demangle::demangle(symbol));
    let mut path = String::new();
    let mut depth = 0_usize;
    for c in demangled.chars() {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => path.push(c),
            _ => {}
        }
    }
    path.trim_end_matches("::").to_owned()
}

/// The module without names, producers and the like, which no browser needs; all that runs stays as it is, byte for
/// byte.
pub fn without_custom_sections(module: &[u8]) -> Result<Vec<u8>> {
    let mut kept = Vec::with_capacity(module.len());
    let mut start = 0;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        // A section's range is that of its contents; where it ends, the next one's header begins.
        let end = match &payload {
            Payload::Version { range, .. } => range.end,
            Payload::CodeSectionEntry(_) => continue,
            payload => match payload.as_section() {
                Some((_, range)) => range.end,
                None => continue,
            },
        };
        if !matches!(payload, Payload::CustomSection(_)) {
            kept.extend_from_slice(&module[start..end]);
        }
        start = end;
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOT: &str = "i32x4.relaxed_dot_i8x16_i7x16_add_s";

    fn module(instructions: &str) -> Vec<u8> {
        let text = format!(
            r#"(module
                 (import "env" "imported" (func))
                 (func $plain (result v128) v128.const i32x4 0 0 0 0 v128.const i32x4 0 0 0 0 i32x4.dot_i16x8_s)
                 (func $_ZN6pagelm7kernels4tile17h0123456789abcdefE (param v128 v128 v128) (result v128)
                   local.get 0 local.get 1 local.get 2 {instructions})
                 (@custom "producers" "somebody"))"#
        );
        wat::parse_str(text).unwrap()
    }

    fn faults_of(instructions: &str, allowed: &[&str]) -> Vec<String> {
        faults(&find_relaxed(&module(instructions)).unwrap(), allowed)
    }

    #[test]
    fn exact_instructions_pass() {
        assert_eq!(find_relaxed(&module("f32x4.mul f32x4.add")).unwrap(), []);
    }

    #[test]
    fn the_dot_product_is_found_by_function_name() {
        let found = find_relaxed(&module(DOT)).unwrap();
        let function = "pagelm::kernels::tile".to_owned();
        assert_eq!(found, [Relaxed { function, operator: "I32x4RelaxedDotI8x16I7x16AddS".to_owned(), n: 1 }]);
    }

    #[test]
    fn the_dot_product_is_allowed_in_a_listed_kernel_alone() {
        assert!(faults_of(DOT, &["pagelm::kernels::tile"]).is_empty());
        assert_eq!(faults_of(DOT, &[]).len(), 1);
        // Elsewhere, and the kernel that is listed has none: two faults.
        assert_eq!(faults_of(DOT, &["pagelm::kernels::other"]).len(), 2);
    }

    #[test]
    fn other_relaxed_instructions_are_allowed_nowhere() {
        for instruction in ["f32x4.relaxed_madd", "f32x4.relaxed_min drop", "i8x16.relaxed_swizzle drop"] {
            let instruction = match instruction.split_once(' ') {
                // Two operands of the three: drop the third first.
                Some((two_operands, _)) => format!("drop {two_operands}"),
                None => instruction.to_owned(),
            };
            let faults = faults_of(&instruction, &["pagelm::kernels::tile"]);
            assert!(faults.iter().any(|fault| fault.contains("depends on the machine")), "{instruction}: {faults:?}");
        }
    }

    #[test]
    fn generic_arguments_and_hashes_are_left_out_of_names() {
        assert_eq!(path_of("pagelm::kernels::tile::<pagelm::Q8x8, 4>"), "pagelm::kernels::tile");
        assert_eq!(path_of("_ZN6pagelm7kernels4tile17h0123456789abcdefE"), "pagelm::kernels::tile");
    }

    #[test]
    fn stripping_leaves_the_code_alone() {
        let named = module(DOT);
        let stripped = without_custom_sections(&named).unwrap();
        assert!(stripped.len() < named.len());
        let code = |module: &[u8]| {
            let sections = Parser::new(0).parse_all(module).map(Result::unwrap);
            let mut code = sections.filter_map(|payload| match payload {
                Payload::CodeSectionStart { range, .. } => Some(module[range].to_vec()),
                _ => None,
            });
            code.next().unwrap()
        };
        assert_eq!(code(&stripped), code(&named));
        let customs =
            Parser::new(0).parse_all(&stripped).filter(|p| matches!(p, Ok(Payload::CustomSection(_)))).count();
        assert_eq!(customs, 0);
        wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(&stripped).unwrap();
    }
}
