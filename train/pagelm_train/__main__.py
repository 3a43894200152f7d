"""python -m pagelm_train {prepare,tokenizer,train,evaluate,export}"""

import argparse
import importlib


def main():
    parser = argparse.ArgumentParser(prog="pagelm_train", description=__doc__)
    parser.add_argument("--data", default="data", help="folder for documents, tokenizer and token shards")
    commands = parser.add_subparsers(dest="command", required=True)

    commands_of = {}
    for name, text in (("prepare", "corpora → clean documents, split, token shards"),
                       ("tokenizer", "train the tokenizer again and rewrite the shards")):
        p = commands_of[name] = commands.add_parser(name, help=text)
        p.add_argument("--model", choices=("story", "tasks"), default="story")
        p.add_argument("--vocab", type=int, help="pieces; default: 4,096 for story, 8,192 for tasks")
        p.add_argument("--small", action="store_true", help="a few documents, to try the pipeline")
    commands_of["tokenizer"].add_argument("--take", metavar="GGUF", help="take an exported story model's tokenizer in place of a new one")
    commands_of["prepare"].add_argument("--corpora", default="../../shared/corpora", help="folder with the .tar.xz archives")

    p = commands.add_parser("vocabulary", help="compare vocabulary sizes: bits per byte, parameters, decoding speed")
    p.add_argument("--megabytes", type=float, default=3, help="of text that each model is trained on")
    p.add_argument("--threads", type=int, default=2)
    p.set_defaults(parser=parser)

    p = commands.add_parser("train", help="train a model, within --minutes or --steps")
    p.add_argument("--out", default="out/story")
    p.add_argument("--model", choices=("story", "tasks"), default="story", help="what is learned")
    p.add_argument("--preset", default="story", help="shape, by name, from model.py")
    p.add_argument("--ctx", type=int, help="context in tokens; default: the preset's, or the checkpoint's")
    p.add_argument("--minutes", type=float, default=85, help="time budget; the learning rate reaches 0 at its end")
    p.add_argument("--steps", type=int, help="budget in steps instead of minutes")
    p.add_argument("--part", type=float, nargs=2, default=(0, 1), metavar=("FROM", "TO"),
                   help="the part of the whole schedule that this run covers, for runs in stages")
    p.add_argument("--rows", type=int, default=12, help="rows of n_ctx tokens per step and process")
    p.add_argument("--micro", type=int, default=4, help="rows at a time, gradients added up; 0: all")
    p.add_argument("--lr", type=float, default=0.02, help="Muon, for the matrices of the blocks")
    p.add_argument("--lr-embd", type=float, default=0.004, help="AdamW, for the embedding and the norms")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--eval-minutes", type=float, default=5, help="between held-out losses and checkpoints")
    p.add_argument("--resume", action="store_true", help="continue the run in --out")
    p.add_argument("--init", help="start from an exported F16 or F32 .gguf")
    p.add_argument("--more", type=float, default=0, help="how often a text of the further sources comes up per round: see corpora.MORE")
    p.add_argument("--dropout", type=float, default=0.0, help="what is left out of a block's output at random, for many rounds over one text")
    p.add_argument("--teacher", help="an exported model of the same vocabulary, whose distribution is learned too")
    p.add_argument("--teach", type=float, default=0.75, help="the share of the loss that the teacher's distribution is")
    p.add_argument("--compile", action=argparse.BooleanOptionalAction, help="torch.compile; default: on a GPU only")

    p = commands.add_parser("evaluate", help="every number of the model card, into the card and evaluation-*.json")
    p.add_argument("--model", choices=("story", "tasks"), default="story")
    p.add_argument("--out", default="out/story", help="folder with the exported files, their log and kept answers")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--small", action="store_true", help="a few of everything, written beside the weights")
    p.add_argument("--shipped", action="store_true", help="stories, bias and the text of every source for the shipped file alone: half the time")
    p.add_argument("--engine", help="the command `pagelm`; default: built here for this processor")
    p.add_argument("--tenth", default="out/tenth/story-q8_0.gguf", help="the same shape trained on a tenth of the tokens")
    p.add_argument("--scaling", nargs="*", default=[], metavar="OUT", help="tasks: folders of shorter runs, or an earlier model's evaluation-tasks.json, for the scaling table")
    p.add_argument("--stories260k", default="../../shared/models/stories260K-f32.gguf", help="a figure to stand beside")

    p = commands.add_parser("export", help="checkpoint → GGUF (F16, Q8_0, Q4_0, mixed), each run by the engine")
    p.add_argument("--model", choices=("story", "tasks"), default="story")
    p.add_argument("--out", default="out/story")
    p.add_argument("--publish", help="copy one file to this folder and write its line of models.json")
    p.add_argument("--ctx", type=int, help="context in tokens that the file names; default: the one that was trained")
    p.add_argument("--quantization", choices=("F16", "Q8_0", "Q4_0", "MIXED"), default="Q8_0", help="which one")
    p.add_argument("--threads", type=int, default=2)

    args = parser.parse_args()
    importlib.import_module(f".{args.command}", __package__).run(args)


if __name__ == "__main__":
    main()
