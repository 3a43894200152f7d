"""Minimal pairs: two sentences that differ in one place, of which one alone is grammatical.

Every phenomenon is a function that draws one (good, bad) pair; `make` draws 50 different ones of each by a fixed seed.
The words are those of picture books, so that a model fails for its grammar and not for its vocabulary.
"""

import json
import random
from pathlib import Path

SEED, EACH = 1, 50

HE = "boy king prince man grandpa uncle brother".split()
SHE = "girl queen princess woman grandma aunt sister".split()
ANIMALS = "dog cat rabbit bear bird fox frog duck owl lion turtle monkey puppy kitten squirrel pig".split()
PEOPLE = "boy girl king queen farmer teacher princess friend doctor baker".split()
THINGS = "ball book hat box cup kite flower toy cake bell boat cookie star shell basket button".split()
NAMES_HE, NAMES_SHE = "Tom Ben Max Jack Tim Peter".split(), "Lily Mia Anna Lucy Sara Emma".split()
NAMES = NAMES_HE + NAMES_SHE
PLACES = ["in the garden", "by the river", "in the forest", "near the house", "on the hill", "under the tree",
          "in the park", "at school", "in the kitchen", "on the farm"]
PLURALS = {"baby": "babies", "puppy": "puppies", "fox": "foxes", "box": "boxes", "princess": "princesses",
           "man": "men", "woman": "women", "mouse": "mice", "bus": "buses", "child": "children", "leaf": "leaves"}


def plural(noun):
    return PLURALS.get(noun, noun + "s")


def cap(text):
    return text[0].upper() + text[1:]


def pair(template, good, bad):
    return cap(template.format(good)), cap(template.format(bad))


def subject_verb(r):
    one = r.random() < 0.5
    noun = r.choice(ANIMALS + PEOPLE)
    verb = r.choice([("likes", "like", "to play {p}"), ("wants", "want", "to rest {p}"), ("lives", "live", "{p}"),
                     ("sleeps", "sleep", "{p}"), ("is", "are", "very happy today"), ("was", "were", "playing {p}"),
                     ("has", "have", "a little house {p}"), ("sings", "sing", "every day {p}"),
                     ("runs", "run", "{p} every morning"), ("was", "were", "hungry again")])
    good, bad = verb[:2] if one else verb[1::-1]
    rest = verb[2].format(p=r.choice(PLACES))
    return pair(f"the {noun if one else plural(noun)} {{}} {rest}.", good, bad)


def distractor_agreement(r):
    one = r.random() < 0.5
    noun, other = r.choice(ANIMALS + PEOPLE), r.choice(THINGS + ["tree", "house", "chair", "table"])
    subject = noun if one else plural(noun)
    by = f"{r.choice(['with', 'near', 'behind', 'next to'])} the {r.choice(['red', 'big', 'old', 'little'])} " + (
        plural(other) if one else other)
    singular, many, rest = r.choice([("is", "are", "very happy"), ("was", "were", "very tired"), ("has", "have", "a friend"),
                                     ("likes", "like", "to sing"), ("wants", "want", "to go home"), ("was", "were", "sleeping"),
                                     ("looks", "look", "sad today"), ("is", "are", "laughing")])
    return pair(f"the {subject} {by} {{}} {rest}.", *((singular, many) if one else (many, singular)))


def determiner_noun(r):
    noun, name = r.choice(THINGS + ANIMALS), r.choice(NAMES)
    start = f"{name} {r.choice(['saw', 'found', 'wanted', 'liked', 'looked at'])}"
    adjective = r.choice(["", "little ", "big ", "funny ", "pretty "])
    kind = r.randrange(4)
    place = r.choice(PLACES)
    if kind == 0:
        return pair(f"{start} {{}} {adjective}{plural(noun)} {place}.", *r.choice([("these", "this"), ("those", "that")]))
    if kind == 1:
        return pair(f"{start} {{}} {adjective}{noun} {place}.", *r.choice([("this", "these"), ("that", "those")]))
    if kind == 2:
        number = r.choice(["two", "three", "many", "five", "ten", "several"])
        return pair(f"{start} {number} {adjective}{{}} {place}.", plural(noun), noun)
    return pair(f"{start} {r.choice(['every', 'one', 'another', 'each'])} {adjective}{{}} {place}.", noun, plural(noun))


def anaphor(r):
    good = r.choice(["himself", "herself", "themselves"])
    bad = r.choice([w for w in ("himself", "herself", "themselves") if w != good])
    who = {"himself": r.choice(HE), "herself": r.choice(SHE), "themselves": plural(r.choice(HE + SHE))}[good]
    verb = r.choice(["saw {} in the mirror", "hurt {} on the stone", "made a sandwich for {}", "told {} not to worry",
                     "washed {} in the river", "hid {} behind the tree", "bought a hat for {}", "was proud of {}",
                     "taught {} to swim", "looked at {} in the water"])
    if good == "themselves":
        verb = verb.replace("was proud", "were proud")
    return pair(f"the {who} {verb}.", good, bad)


def pronoun_case(r):
    subject, other = r.choice([("I", "me"), ("he", "him"), ("she", "her"), ("we", "us"), ("they", "them")])
    if r.random() < 0.5:
        rest = r.choice(["went home after lunch", "played all day", "found a ball in the box", "wanted to go to the park",
                         "ran to the river", "had a lot of fun", "ate the cake together with Tom", "laughed and danced",
                         "saw a little bird in the tree", "could not sleep", "opened the door", "gave Anna a big hug"])
        return pair(f"{{}} {rest}.", subject, other)
    start = r.choice(["the teacher gave a book to {}", "mom smiled at {}", "the dog ran after {}", "Lily told {} a story",
                      "the old man helped {} find the way", "Grandma made a cake for {}", "the bird sang for {}",
                      "Tom played with {} in the park", "the king thanked {}", "everyone looked at {}", "Dad hugged {}"])
    return pair(f"{start}.", other, subject)


IRREGULAR = [  # past, wrong form, what follows
    ("went", "goed", "to the park"), ("went", "gone", "home after lunch"), ("ran", "runned", "to the river"),
    ("saw", "seen", "a big bird"), ("saw", "seed", "a little cat"), ("took", "taken", "a red apple"),
    ("took", "taked", "the ball home"), ("ate", "eated", "the soup"), ("ate", "eaten", "all the cookies"),
    ("gave", "gived", "Anna a flower"), ("gave", "given", "the dog a bone"), ("fell", "falled", "into the water"),
    ("fell", "fallen", "off the chair"), ("caught", "catched", "the ball"), ("slept", "sleeped", "in a soft bed"),
    ("found", "finded", "a shiny stone"), ("made", "maked", "a big cake"), ("broke", "broken", "the cup"),
    ("broke", "breaked", "the toy"), ("came", "comed", "back home"), ("drew", "drawed", "a picture"),
    ("wrote", "written", "a letter"), ("hid", "hidden", "behind the tree"), ("knew", "knowed", "the way"),
    ("knew", "known", "the answer"), ("flew", "flied", "a kite"), ("told", "telled", "a funny story"),
    ("brought", "bringed", "a basket"), ("thought", "thinked", "of a plan"), ("bought", "buyed", "some bread"),
    ("kept", "keeped", "the secret"), ("swam", "swimmed", "in the lake"), ("threw", "throwed", "the ball"),
    ("felt", "feeled", "very happy"), ("left", "leaved", "the house"), ("held", "holded", "the rope"),
    ("grew", "growed", "very tall"), ("forgot", "forgotten", "the key"), ("did", "done", "a good job"),
]


def irregular_past(r):
    good, bad, rest = r.choice(IRREGULAR)
    who = r.choice([f"the {r.choice(PEOPLE)}", r.choice(NAMES), "he", "she"])
    return pair(f"{r.choice(['yesterday', 'one day', 'last night', 'that morning'])}, {who} {{}} {rest}.", good, bad)


def polarity(r):
    animal, place = r.choice(ANIMALS), r.choice(["seen the sea", "been so happy", "found the way home", "heard such a song",
                                                 "been to the big city", "tasted honey", "seen a dragon"])
    kind = r.randrange(4)
    if kind == 0:
        return pair(f"{{}} had ever {place}.", *r.choice([("nobody", "everybody"), ("no one", "everyone")]))
    if kind == 1:
        return pair(f"{{}} of the {plural(animal)} had ever {place}.", "none", r.choice(["all", "some", "most"]))
    if kind == 2:
        return pair(f"{{}} {animal} had ever {place}.", "no", r.choice(["the", "one", "that"]))
    who, feeling = r.choice([f"the {r.choice(PEOPLE)}", r.choice(NAMES)]), r.choice("sad happy tired hungry afraid angry".split())
    return pair(f"{who} was {{}} {feeling} at all.", "not", r.choice(["very", "so"]))


PARTICIPLES = [  # base, past, participle, -ing, what follows
    ("eat", "ate", "eaten", "eating", "the apple"), ("take", "took", "taken", "taking", "the ball"),
    ("break", "broke", "broken", "breaking", "the cup"), ("write", "wrote", "written", "writing", "a letter"),
    ("give", "gave", "given", "giving", "food to the birds"), ("sing", "sang", "sung", "singing", "a song"),
    ("do", "did", "done", "doing", "the work"), ("choose", "chose", "chosen", "choosing", "a hat"),
    ("fly", "flew", "flown", "flying", "a kite"), ("draw", "drew", "drawn", "drawing", "a picture"),
    ("throw", "threw", "thrown", "throwing", "the stones"), ("drive", "drove", "driven", "driving", "the car"),
    ("wear", "wore", "worn", "wearing", "the red coat"), ("ride", "rode", "ridden", "riding", "the horse"),
]


def participle(r):
    base, past, done, going, rest = r.choice(PARTICIPLES)
    who = r.choice([f"the {r.choice(PEOPLE)}", r.choice(NAMES)])
    if r.random() < 0.5:
        return pair(f"{who} {r.choice(['has', 'had'])} {{}} {rest}.", done, r.choice([base, past, going]))
    return pair(f"{who} {r.choice(['is', 'was'])} {{}} {rest}.", going, r.choice([base, past]))


VERBS = [("find", "found", "the ball"), ("see", "saw", "the bird"), ("eat", "ate", "the cake"), ("go", "went", "to the park"),
         ("run", "ran", "to the house"), ("take", "took", "the book"), ("come", "came", "to the party"),
         ("like", "liked", "the story"), ("want", "wanted", "a cookie"), ("play", "played", "with the dog"),
         ("hear", "heard", "the bell"), ("give", "gave", "Dad a hug"), ("know", "knew", "the way"),
         ("help", "helped", "the farmer"), ("make", "made", "a cake"), ("catch", "caught", "the fish")]


def after_did(r):
    base, past, rest = r.choice(VERBS)
    who = r.choice([f"the {r.choice(PEOPLE + ANIMALS)}", r.choice(NAMES), "he", "she", "they"])
    frame = r.choice([f"did {who} {{}} {rest}?", f"{who} did not {{}} {rest}.", f"{who} didn't {{}} {rest}.",
                      f"why did {who} {{}} {rest}?"])
    return pair(frame, base, past)


def after_modal(r):
    base, past, rest = r.choice(VERBS)
    third = {"go": "goes", "catch": "catches"}.get(base, base + "s")
    who = r.choice([f"the {r.choice(PEOPLE + ANIMALS)}", r.choice(NAMES), "he", "she"])
    frame = r.choice([f"{who} {r.choice(['can', 'will', 'must', 'could', 'should', 'would'])} {{}} {rest}.",
                      f"{r.choice(['can', 'will', 'could'])} {who} {{}} {rest}?",
                      f"{who} {r.choice(['cannot', 'could not', 'will not'])} {{}} {rest}."])
    return pair(frame, base, r.choice([past, third]))


def infinitive(r):
    base, past, rest = r.choice([v for v in VERBS if v[0] not in ("like", "want", "know")])
    who = r.choice([f"the {r.choice(PEOPLE + ANIMALS)}", r.choice(NAMES)])
    whom = r.choice(["him", "her", "them", "Tom", "Anna", "the little boy"])
    third = {"go": "goes", "catch": "catches"}.get(base, base + "s")
    frame = r.choice([f"{who} {r.choice(['wanted', 'tried', 'began', 'decided', 'liked', 'had'])} to {{}} {rest}.",
                      f"{who} {r.choice(['let', 'made', 'helped'])} {whom} {{}} {rest}."])
    return pair(frame, base, past if " to {}" not in frame else r.choice([past, third]))


SHORT = [("big", "bigger", "biggest"), ("small", "smaller", "smallest"), ("tall", "taller", "tallest"),
         ("fast", "faster", "fastest"), ("old", "older", "oldest"), ("strong", "stronger", "strongest"),
         ("happy", "happier", "happiest"), ("kind", "kinder", "kindest"), ("brave", "braver", "bravest")]


def comparison(r):
    plain, more, most = r.choice(SHORT)
    a, b = r.sample(ANIMALS, 2)
    kind = r.randrange(4)
    if kind == 0:
        return pair(f"the {a} was {{}} than the {b}.", more, r.choice([plain, most]))
    if kind == 1:
        return pair(f"the {a} was as {{}} as the {b}.", plain, r.choice([more, most]))
    if kind == 2:
        return pair(f"the {a} was the {{}} of all the animals {r.choice(PLACES)}.", most, r.choice([plain, more]))
    return pair(f"the {a} was {{}} beautiful than the {b}.", "more", r.choice(["most", "very", "so"]))


SIZES, COLOURS = "big small little tiny huge".split(), "red blue green yellow white brown black".split()
OPINIONS, MATERIALS = "pretty beautiful lovely nice wonderful funny".split(), "wooden golden paper woolen".split()


def adjective_order(r):
    first, second = r.choice([(SIZES, COLOURS), (OPINIONS, COLOURS), (SIZES, MATERIALS), (OPINIONS, MATERIALS), (["old"], MATERIALS)])
    a, b = r.choice(first), r.choice(second)
    noun = r.choice("box ball hat boat bird kite cup house toy chair".split())
    if noun == "bird" and second is MATERIALS:
        noun = "table"
    frame = r.choice([f"{r.choice(NAMES)} {r.choice(['saw', 'found', 'had', 'wanted', 'liked'])} the {{}} {noun}.",
                      f"{r.choice(NAMES)} {r.choice(['saw', 'found', 'liked'])} the two {{}} {plural(noun)}.",
                      f"the {{}} {noun} was {r.choice(PLACES)}.", f"they looked for her {{}} {noun} {r.choice(PLACES)}."])
    return pair(frame, f"{a} {b}", f"{b} {a}")


def article(r):
    start = r.choice([f"{r.choice(NAMES)} {r.choice(['saw', 'found', 'wanted', 'had', 'liked'])}", "there was", "he saw", "she wanted"])
    place = r.choice(PLACES)
    vowel = r.random() < 0.5
    words = (r.choice(["apple", "egg", "orange", "owl", "elephant", "ant", "old box", "umbrella", "old man", "empty cup",
                       "angry bear", "island", "orange cat", "idea for a game"]) if vowel else
             r.choice(["ball", "kitten", "big apple", "little owl", "red egg", "tree", "new umbrella", "dog", "small elephant",
                       "book", "friendly ant", "yellow bird", "sad king", "lion"]))
    return pair(f"{start} {{}} {words} {place}.", *(("an", "a") if vowel else ("a", "an")))


def there_is(r):
    noun = r.choice(THINGS + ANIMALS + ["tree", "child"])
    if r.random() < 0.5:
        phrase, (good, bad) = r.choice(["a little ", "a big ", "only one ", "a funny "]) + noun, r.choice([("is", "are"), ("was", "were")])
    else:
        phrase = r.choice(["two ", "three ", "many ", "some funny ", "a lot of "]) + plural(noun)
        good, bad = r.choice([("are", "is"), ("were", "was")])
    return pair(f"there {{}} {phrase} {r.choice(PLACES)}.", good, bad)


def possessive(r):
    thing = r.choice(["hat", "ball", "book", "toy", "cup", "bag", "kite", "bed", "house", "coat"])
    kind = r.randrange(3)
    if kind == 0:
        good, bad = r.choice([("her", "she"), ("his", "he"), ("his", "him"), ("their", "they"), ("their", "them"), ("our", "us"),
                              ("my", "I"), ("our", "we")])
        return pair(r.choice([f"the {r.choice(ANIMALS)} {r.choice(['found', 'liked', 'wanted'])} {{}} {thing} {r.choice(PLACES)}.",
                              f"{{}} {thing} was {r.choice(PLACES)}."]), good, bad)
    if kind == 1:
        name = r.choice(NAMES)
        return pair(f"{r.choice(['this is', 'that was', 'he found', 'she liked'])} {{}} {thing}.", f"{name}'s", name)
    good, bad = r.choice([("mine", "my"), ("yours", "your"), ("theirs", "their"), ("ours", "our")])
    return pair(f"{r.choice(['this', 'that', 'the red', 'the little'])} {thing} is {{}}{r.choice(['', ' now', ', not his'])}.", good, bad)


def question_order(r):
    who = r.choice([f"the {r.choice(ANIMALS + PEOPLE)}", "he", "she"])
    kind = r.randrange(4)
    be, modal = r.choice(["is", "was"]), r.choice(["can", "will", "should"])
    if kind == 0:
        return pair(f"{r.choice(['where', 'how'])} {{}}?", f"{be} {who}", f"{who} {be}")
    if kind == 1:
        state = r.choice(["sad", "happy", "crying", "so tired", "hiding", "laughing", "afraid"])
        return pair(f"why {{}} {state}?", f"{be} {who}", f"{who} {be}")
    if kind == 2:
        verb = r.choice(["find", "see", "want", "eat", "do", "say", "like"])
        return pair(f"what {{}} {verb}{r.choice([' today', ' in the garden', ''])}?", f"did {who}", f"{who} did")
    verb = r.choice(["go home", "find the ball", "play with Tom", "come to the party", "help the bird"])
    return pair(f"{r.choice(['how', 'when'])} {{}} {verb}?", f"{modal} {who}", f"{who} {modal}")


def much_many(r):
    noun, name = r.choice(["water", "milk", "bread", "sand", "snow", "honey", "juice"]), r.choice(NAMES)
    many = plural(r.choice(THINGS + ANIMALS))
    if r.random() < 0.5:
        return pair(r.choice([f"how {{}} {many} did {name} see?", f"there were so {{}} {many} {r.choice(PLACES)}.",
                              f"{name} had too {{}} {many}.", f"{name} did not have {{}} {many}."]), "many", "much")
    return pair(r.choice([f"how {{}} {noun} did {name} have?", f"there was so {{}} {noun} {r.choice(PLACES)}.",
                          f"{name} had too {{}} {noun}.", f"{name} did not have {{}} {noun}."]), "much", "many")


def relative_pronoun(r):
    place = r.choice(PLACES)
    if r.random() < 0.5:
        rest = r.choice(["lived {p} was very kind", "helped the bird was happy", "lost a shoe was sad", "told the story smiled"])
        return pair(f"the {r.choice(PEOPLE)} {{}} {rest.format(p=place)}.", "who", r.choice(["what", "whose", "where"]))
    rest = r.choice(["was {p} was new", "fell on the floor was old", "stood {p} was very big", "lay {p} was red"])
    return pair(f"the {r.choice(THINGS)} {{}} {rest.format(p=place)}.", "that", r.choice(["who", "what", "where"]))


def ellipsis(r):
    a, b = r.sample(NAMES, 2)
    first, good, bad = r.choice([
        ("can swim", "can", "is"), ("likes cake", "does", "is"), ("was very happy", "was", "did"),
        ("is a good friend", "is", "does"), ("went to the park", "did", "was"), ("was afraid of the dark", "was", "did"),
        ("found a shell", "did", "was"), ("wanted to play", "did", "was"), ("could see the moon", "could", "was"),
        ("is very kind", "is", "does"), ("loves the sea", "does", "is")])
    return pair(r.choice([f"{a} {first}, and so {{}} {b}.", f"{a} {first}, but {b} {{}} not."]), good, bad)


PHENOMENA = {
    "subject-verb agreement": subject_verb, "agreement across a distractor": distractor_agreement,
    "determiner and noun": determiner_noun, "reflexive pronoun": anaphor, "case of pronouns": pronoun_case,
    "irregular past": irregular_past, "polarity (ever, at all)": polarity, "auxiliary and participle": participle,
    "verb after did": after_did, "verb after a modal": after_modal, "infinitive": infinitive, "comparison": comparison,
    "order of adjectives": adjective_order, "a or an": article, "there is, there are": there_is, "possessive": possessive,
    "order in questions": question_order, "much or many": much_many, "relative pronoun": relative_pronoun,
    "ellipsis": ellipsis,
}


def make(seed=SEED, each=EACH):
    rows = []
    for phenomenon, draw in PHENOMENA.items():
        rng, pairs = random.Random(f"{seed} {phenomenon}"), {}
        while len(pairs) < each:
            good, bad = draw(rng)
            pairs.setdefault(good, bad)
        rows += [{"phenomenon": phenomenon, "good": good, "bad": bad} for good, bad in pairs.items()]
    return rows


def write(path):
    Path(path).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in make()), encoding="utf-8")


if __name__ == "__main__":
    write("grammar.jsonl")
