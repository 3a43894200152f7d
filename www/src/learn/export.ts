/**
 * A figure as a file: its picture, and its numbers.
 * @module
 */

/** What of a drawing's style is in the style sheet, and so has to be written into a file. */
const STYLES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-weight"] as const;
const SCALE = 2;

/** Rows as RFC 4180 has them. */
export function csv(rows: readonly (readonly (string | number)[])[]): string {
  const cell = (value: string | number) => (/[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
  return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** Rows as a file, with a mark that tells spreadsheets that it is UTF-8. */
export const toCsv = (rows: readonly (readonly (string | number)[])[]) => new Blob(["\ufeff", csv(rows)], { type: "text/csv" });

/** The picture by itself: styles in it, no buttons, on paper. */
export function toSvg(svg: SVGSVGElement): Blob {
  return new Blob([new XMLSerializer().serializeToString(alone(svg))], { type: "image/svg+xml" });
}

/** The same in dots. */
export async function toPng(svg: SVGSVGElement): Promise<Blob> {
  const image = new Image();
  image.src = URL.createObjectURL(toSvg(svg));
  try {
    await image.decode();
  } finally {
    URL.revokeObjectURL(image.src);
  }
  const canvas = Object.assign(document.createElement("canvas"), { width: image.width * SCALE, height: image.height * SCALE });
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("PNG"))), "image/png"));
}

function alone(svg: SVGSVGElement): SVGSVGElement {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const originals = [svg, ...svg.querySelectorAll("*")];
  const plain = colours();
  [copy, ...copy.querySelectorAll("*")].forEach((element, idx) => {
    const style = getComputedStyle(originals[idx] as Element);
    for (const name of STYLES) {
      const value = style.getPropertyValue(name);
      if (value) element.setAttribute(name, name === "fill" || name === "stroke" ? plain(value) : value);
    }
    for (const name of ["class", "style", "tabindex", "role"]) element.removeAttribute(name);
  });
  const hits = originals.flatMap((element, idx) => (element.classList.contains("hit") ? [idx] : []));
  const all = [copy, ...copy.querySelectorAll("*")];
  for (const idx of hits) all[idx]?.parentElement?.remove();
  const { width, height } = svg.viewBox.baseVal;
  const paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  const settings = { width, height, fill: plain(getComputedStyle(document.body).backgroundColor) };
  for (const [name, value] of Object.entries(settings)) paper.setAttribute(name, String(value));
  copy.prepend(paper);
  for (const [name, value] of Object.entries({ width, height, "font-family": "serif" })) copy.setAttribute(name, String(value));
  return copy;
}

/** Colours as every program knows them: the page's own are in oklch. */
function colours(): (colour: string) => string {
  const known = new Map<string, string>();
  const dot = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  return (colour) => {
    if (colour === "none" || !dot) return colour;
    const had = known.get(colour);
    if (had) return had;
    dot.clearRect(0, 0, 1, 1);
    dot.fillStyle = colour;
    dot.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = dot.getImageData(0, 0, 1, 1).data;
    const value = a === 0 ? "none" : `rgb(${r},${g},${b})`;
    known.set(colour, value);
    return value;
  };
}
