import type { Model } from "pagelm";
import { controls, figure, type Lesson, namesOf, Notice, paragraph, pieceOf, textField, told } from "../lesson.js";
import { best, cosine, pca } from "../numbers.js";

/** How much of a vocabulary is looked through. */
const MOST = 16_384;
const tables = new WeakMap<Model, Promise<Float32Array[]>>();

/** The embeddings of the first pieces of the vocabulary, asked for once. */
function tableOf(model: Model): Promise<Float32Array[]> {
  const known = tables.get(model);
  if (known) return known;
  const { nVocab, nEmbd } = model.info;
  const ids = Uint32Array.from({ length: Math.min(nVocab, MOST) }, (_, idx) => idx);
  const table = model.embeddings(ids).then((all) => Array.from(ids, (id) => all.subarray(id * nEmbd, (id + 1) * nEmbd)));
  tables.set(model, table);
  return table;
}

/** Tokens become vectors. */
export const vectors: Lesson = {
  key: "vectors",
  build(root, context) {
    const { t, run } = context;
    const field = textField(context, "word", t("vectors.word"), t("vectors.default"), () => show(), 1);
    const says = told("vectors-told");
    const bars = figure(context, "vectors.figure", "vectors-figure");
    const map = figure(context, "vectors.map", "vectors-map");
    const last = paragraph("");
    root.append(paragraph(t("vectors.p1")), controls(field.root), says, bars.root, map.root, last);
    const show = () =>
      run("vectors", async (model) => {
        if (field.get() === "") return;
        const id = (await pieceOf(model, field.get()))?.token;
        if (id === undefined) throw new Notice("model.noPieces");
        const table = await tableOf(model);
        const own = table[id] ?? (await model.embeddings([id]));
        const similar = table.map((row, idx) => (idx === id ? -1 : cosine(row, own)));
        const near = best(similar, 24);
        const pieces = await namesOf(model, [id, ...near.map(({ token }) => token)]);
        const [piece, ...others] = pieces as [string, ...string[]];
        const alt = t("vectors.alt", { piece, list: others.slice(0, 5).join(", ") });
        const rows = near.map(({ p }, idx) => [others[idx] as string, p.toFixed(3)]);
        const head = [t("vectors.piece"), t("vectors.cosine")];
        const shownBars = near.slice(0, 10).map(({ p }, idx) => ({ label: others[idx] as string, value: Math.max(p, 0), note: p.toFixed(3) }));
        bars.bars(shownBars, { alt, head, rows: rows.slice(0, 10) }, 1);
        const places = pca([own, ...near.map(({ token }) => table[token] as Float32Array)]);
        map.points(
          places.map(([x, y], idx) => ({ label: pieces[idx] as string, x, y, strong: idx === 0 })),
          { alt, head: [t("vectors.piece"), "x", "y"], rows: places.map(([x, y], idx) => [pieces[idx] as string, x.toFixed(2), y.toFixed(2)]) },
        );
        says.textContent = t("vectors.told", { piece, other: others[0] ?? "", cosine: (near[0]?.p ?? 0).toFixed(3) });
        last.textContent = t("vectors.p2", { width: model.info.nEmbd });
      });
    show();
  },
};
