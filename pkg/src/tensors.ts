import { PageLmError } from "./errors.js";

/** One of a model's matrices. */
export interface TensorInfo {
  /** As the file has it, `"blk.0.ffn_up.weight"` for example. */
  name: string;
  /** How the file stores it, `"Q8_0"` for example. */
  format: string;
  columns: number;
  /** Of several matrices in one tensor, as those of experts, all rows, one matrix below the other. */
  rows: number;
}

/** What is lost of a tensor. */
export interface Loss {
  /** The root of the mean squared difference. */
  rmse: number;
  /** The largest difference. */
  largest: number;
  /** `rmse`, divided by the root mean square of the original. */
  relative: number;
}

/** The engine's list of matrices: a line for each. */
export function toTensors(lines: string): TensorInfo[] {
  return lines.trimEnd().split("\n").map((line) => {
    const [name = "", format = "", columns, rows] = line.split(" ");
    return { name, format, columns: Number(columns), rows: Number(rows) };
  });
}

/**
 * How far the floats of a tensor are from those of its original: its quantization error, where one is of a quantized file and the
 * other of the file that it was made from.
 *
 * # Errors
 * `argument` where they have not the same length, or none.
 */
export function compareTensors(values: Float32Array, original: Float32Array): Loss {
  const n = original.length;
  if (values.length !== n || n === 0) {
    throw new PageLmError("argument", `Tensors of ${values.length} and ${n} values cannot be compared: take the same one of both.`);
  }
  let [squares, own, largest] = [0, 0, 0];
  for (let idx = 0; idx < n; idx += 1) {
    const difference = (values[idx] as number) - (original[idx] as number);
    squares += difference ** 2;
    own += (original[idx] as number) ** 2;
    largest = Math.max(largest, Math.abs(difference));
  }
  return { rmse: Math.sqrt(squares / n), largest, relative: squares === 0 ? 0 : Math.sqrt(squares / own) };
}
