//! `pagelm quantize`: a model's file with its matrices in another format.

use crate::imatrix::Imatrix;
use crate::model_file::read_header;
use crate::note;
use anyhow::{Context, Result, bail};
use pagelm::gguf::{Gguf, Metadata, TensorInfo, Value, write};
use pagelm::quant::{FORMATS, Format};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::num::NonZero;
use std::path::PathBuf;
use std::thread;

/// Arguments of `pagelm quantize`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The GGUF file to read: F32, F16 or BF16
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// The GGUF file to write
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// The format of the matrices, such as Q8_0, Q4_K or IQ4_XS
    #[arg(value_name = "TYPE")]
    format: String,
    /// How much each column matters: a file that llama.cpp's imatrix wrote
    #[arg(long, value_name = "FILE")]
    imatrix: Option<PathBuf>,
    /// The format of the output matrix [default: TYPE]
    #[arg(long, value_name = "TYPE")]
    output_tensor_type: Option<String>,
    /// The format of the embedding [default: TYPE]
    #[arg(long, value_name = "TYPE")]
    token_embedding_type: Option<String>,
    /// Take a file that is quantized already, for what is lost twice
    #[arg(long)]
    allow_requantize: bool,
}

/// Writes the file. Matrices get the format that was asked for; where their rows are no whole blocks of it, the one that
/// llama.cpp falls back to. Vectors stay as they are.
pub fn run(args: &Args) -> Result<()> {
    let target = target(&args.format)?;
    let named = |name: &Option<String>| name.as_deref().map_or(Ok(target), self::target);
    let (of_output, of_embedding) = (named(&args.output_tensor_type)?, named(&args.token_embedding_type)?);
    let imatrix = args.imatrix.as_deref().map(Imatrix::read).transpose()?;
    let (gguf, _) = read_header(&args.input)?;
    let mut file = File::open(&args.input)?;
    let mut tensors = Vec::new();
    let (mut squares, mut values_squared, mut n_unweighted) = (0.0, 0.0, 0);
    for tensor in &gguf.tensors {
        let bytes = read(&mut file, &gguf, tensor).with_context(|| args.input.display().to_string())?;
        let asked = match &*tensor.name {
            "output.weight" => of_output,
            "token_embd.weight" => of_embedding,
            _ => target,
        };
        if !is_matrix(tensor) {
            tensors.push((tensor, tensor.format, bytes));
            continue;
        }
        if !args.allow_requantize && !matches!(tensor.format, Format::F32 | Format::F16 | Format::BF16) {
            bail!(
                "{} is {} already: take the file that was made from, or give --allow-requantize",
                tensor.name,
                tensor.format.name()
            );
        }
        let format = fitting(asked, tensor);
        if format != asked {
            note(&format!(
                "{}: rows of {} are no whole blocks of {}, so it is {}",
                tensor.name,
                tensor.shape[0],
                asked.name(),
                format.name()
            ));
        }
        let weights = imatrix.as_ref().and_then(|imatrix| imatrix.of(tensor));
        n_unweighted += usize::from(imatrix.is_some() && weights.is_none());
        let mut values = vec![0.0; tensor.n_elements() as usize];
        tensor.format.dequantize(&bytes, &mut values);
        if values.iter().any(|x| !x.is_finite()) {
            bail!("{} has values that are no numbers: the file is damaged", tensor.name);
        }
        let out = quantize(format, &values, weights.as_deref(), tensor.shape[0] as usize);
        let mut again = vec![0.0; values.len()];
        format.dequantize(&out, &mut again);
        squares += values.iter().zip(&again).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        values_squared += values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        tensors.push((tensor, format, out));
    }
    let described: Vec<_> =
        tensors.iter().map(|(t, format, bytes)| (&*t.name, &*t.shape, *format, &bytes[..])).collect();
    let out = write(&with_type(&gguf.metadata, target), &described);
    fs::write(&args.output, &out).with_context(|| format!("{} cannot be written", args.output.display()))?;
    if n_unweighted > 0 {
        note(&format!("{n_unweighted} matrices are not in the importance matrix: all their columns count the same"));
    }
    let error = (squares / f64::max(values_squared, f64::MIN_POSITIVE)).sqrt();
    note(&format!(
        "{} bytes; the matrices' root mean square error is {:.3} % of their values'",
        out.len(),
        100.0 * error
    ));
    Ok(())
}

/// The format of this name, if it can be written.
fn target(name: &str) -> Result<Format> {
    let can = |format: Format| format.quantizer().is_some() || format.search().is_some();
    let Some(row) = FORMATS.iter().find(|row| row.name.eq_ignore_ascii_case(name)) else {
        bail!("{name} is no format of weights");
    };
    if !can(row.format) {
        let names: Vec<_> = FORMATS.iter().filter(|row| can(row.format)).map(|row| row.name).collect();
        bail!("{} can be read but not written; what can be written is {}", row.name, names.join(", "));
    }
    Ok(row.format)
}

/// Whether this is what is quantized: a matrix of weights, and not the positions that a model has learned.
fn is_matrix(tensor: &TensorInfo) -> bool {
    tensor.shape[1..].iter().product::<u64>() > 1
        && tensor.name.ends_with(".weight")
        && !tensor.name.contains("_norm")
        && tensor.name != "position_embd.weight"
        && !tensor.name.contains("ffn_gate_inp")
}

/// The format, or what stands in for it where rows are no whole blocks.
fn fitting(format: Format, tensor: &TensorInfo) -> Format {
    let fits = |format: Format| tensor.shape[0].is_multiple_of(format.row().block_len as u64);
    let instead = match format {
        Format::Q2_K | Format::Q3_K | Format::IQ4_XS => Format::IQ4_NL,
        Format::Q4_K => Format::Q5_0,
        Format::Q5_K => Format::Q5_1,
        _ => Format::Q8_0,
    };
    [format, instead].into_iter().find(|format| fits(*format)).unwrap_or(Format::F16)
}

fn read(file: &mut File, gguf: &Gguf, tensor: &TensorInfo) -> Result<Vec<u8>> {
    let mut bytes = vec![0; tensor.bytes as usize];
    file.seek(SeekFrom::Start(gguf.data_offset + tensor.offset))?;
    file.read_exact(&mut bytes).context("the file is truncated; download it again")?;
    Ok(bytes)
}

/// Row by row, by as many threads as there are cores. `weights` are those of the columns of each row.
fn quantize(format: Format, values: &[f32], weights: Option<&[f32]>, columns: usize) -> Vec<u8> {
    let row_bytes = columns / format.row().block_len * format.row().block_bytes;
    let n_rows = values.len() / columns;
    let mut out = vec![0; n_rows * row_bytes];
    let n_threads = thread::available_parallelism().map_or(1, NonZero::get);
    let part = n_rows.div_ceil(n_threads);
    thread::scope(|scope| {
        for (i, (out, values)) in out.chunks_mut(part * row_bytes).zip(values.chunks(part * columns)).enumerate() {
            scope.spawn(move || {
                for (row, (out, values)) in out.chunks_mut(row_bytes).zip(values.chunks(columns)).enumerate() {
                    // Several matrices above each other have weights each.
                    let n_matrices = weights.map_or(1, |weights| weights.len() / columns);
                    let matrix = (i * part + row) / n_rows.div_ceil(n_matrices);
                    let weights = weights.map(|weights| &weights[matrix * columns..][..columns]);
                    format.quantize(values, weights, out);
                }
            });
        }
    });
    out
}

/// The metadata, with what it says of the format.
fn with_type(metadata: &Metadata, format: Format) -> Metadata {
    /// `enum llama_ftype` in llama.cpp's `include/llama.h`.
    const FILE_TYPES: [(Format, i128); 16] = [
        (Format::F32, 0),
        (Format::F16, 1),
        (Format::Q4_0, 2),
        (Format::Q4_1, 3),
        (Format::Q8_0, 7),
        (Format::Q5_0, 8),
        (Format::Q5_1, 9),
        (Format::Q2_K, 10),
        (Format::Q3_K, 12),
        (Format::Q4_K, 15),
        (Format::Q5_K, 17),
        (Format::Q6_K, 18),
        (Format::IQ4_NL, 25),
        (Format::IQ4_XS, 30),
        (Format::BF16, 32),
        (Format::F32, 0),
    ];
    let own = ["general.file_type", "general.quantization_version"];
    let mut pairs: Vec<(String, Value)> =
        metadata.iter().filter(|(key, _)| !own.contains(key)).map(|(key, value)| (key.into(), value.clone())).collect();
    if let Some((_, id)) = FILE_TYPES.iter().find(|row| row.0 == format) {
        pairs.push((own[0].into(), Value::Int(*id)));
    }
    pairs.push((own[1].into(), Value::Int(2)));
    Metadata::new(pairs)
}
