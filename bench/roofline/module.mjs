/**
 * The WebAssembly that the roofline is measured with, put together here byte by byte: it is one loop, and so needs
 * neither a compiler nor a file beside the page.
 *
 * In text form, with the four loads written once:
 *
 *     (module
 *       (memory (import "" "memory") 1)
 *       (func (export "sum") (param $at i32) (param $end i32) (result i32)
 *         (local $a v128) (local $b v128) (local $c v128) (local $d v128)
 *         (loop
 *           (local.set $a (i32x4.add (local.get $a) (v128.load offset=0 (local.get $at))))   ;; $b: 16, $c: 32, $d: 48
 *           …                                                                                ;; and again: 64 … 112
 *           (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 128))) (local.get $end))))
 *         … the sum of the lanes of $a + $b + $c + $d))
 *
 * Four running sums, so that no addition waits for the one before it.
 */

const STEP = 128;
const [I32, V128] = [0x7f, 0x7b];
const AT = 0;
const END = 1;
const SUMS = [2, 3, 4, 5];

/** A number as LEB128, unsigned. */
function leb(value) {
  const bytes = [];
  do {
    const more = value >= 128;
    bytes.push((value & 127) | (more ? 128 : 0));
    value = Math.floor(value / 128);
  } while (value > 0);
  return bytes;
}

/** Anything whose length is written before it: a section, a body, a name. */
const counted = (bytes) => [...leb(bytes.length), ...bytes];
const section = (id, bytes) => [id, ...counted(bytes)];
const name = (text) => counted([...text].map((letter) => letter.charCodeAt(0)));

const get = (local) => [0x20, local];
const set = (local) => [0x21, local];
const tee = (local) => [0x22, local];
// Memory and vector instructions: 4 is the alignment, 16 bytes, as a power of two.
const load = (offset) => [0xfd, 0x00, 4, ...leb(offset)];
const addLanes = [0xfd, ...leb(174)];
const lane = (idx) => [0xfd, 27, idx];
const add = 0x6a;

function body() {
  const loads = [];
  for (let offset = 0; offset < STEP; offset += 16) {
    const sum = SUMS[(offset / 16) % SUMS.length];
    loads.push(...get(sum), ...get(AT), ...load(offset), ...addLanes, ...set(sum));
  }
  // i32.const takes a signed number: 128 is 0x80 0x01 in both.
  const next = [...get(AT), 0x41, ...leb(STEP), add, ...tee(AT), ...get(END), 0x49];
  const loop = [0x03, 0x40, ...loads, ...next, 0x0d, 0, 0x0b];
  const [first, ...others] = SUMS;
  const together = [...get(first), ...others.flatMap((sum) => [...get(sum), ...addLanes]), ...set(first)];
  const lanes = [0, 1, 2, 3].flatMap((idx) => [...get(first), ...lane(idx), ...(idx > 0 ? [add] : [])]);
  return [1, SUMS.length, V128, ...loop, ...together, ...lanes, 0x0b];
}

/** The module's bytes. Its `sum(at, end)` reads from `at` to `end`, a multiple of 128 bytes, as numbers of 32 bits. */
export function moduleBytes() {
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 2, I32, I32, 1, I32]),
    ...section(2, [1, ...name(""), ...name("memory"), 2, 0, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name("sum"), 0, 0]),
    ...section(10, [1, ...counted(body())]),
  ]);
}

/** A buffer of `bytes`, every page of it written once, and the function that reads it through. */
export async function reader(bytes) {
  const memory = new WebAssembly.Memory({ initial: bytes / 65536 });
  // A page that nobody wrote to is the same page of zeros for all, and is read from the cache.
  new Uint32Array(memory.buffer).fill(1);
  const { instance } = await WebAssembly.instantiate(moduleBytes(), { "": { memory } });
  return { memory, read: () => instance.exports.sum(0, bytes) };
}
