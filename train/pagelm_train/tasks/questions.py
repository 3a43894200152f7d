"""Simple questions with short answers, and questions that cannot be answered: "I don't know."."""

import re

from . import words
from .sources import Conversation, read, wording
from .stories import reading

CAPITALS = dict(France="Paris", Germany="Berlin", Italy="Rome", Spain="Madrid", Portugal="Lisbon", Austria="Vienna", Switzerland="Bern", England="London",
                Ireland="Dublin", Norway="Oslo", Sweden="Stockholm", Denmark="Copenhagen", Finland="Helsinki", Poland="Warsaw", Greece="Athens", Turkey="Ankara",
                Russia="Moscow", China="Beijing", Japan="Tokyo", India="New Delhi", Egypt="Cairo", Kenya="Nairobi", Nigeria="Abuja", Canada="Ottawa",
                Mexico="Mexico City", Brazil="Brasilia", Argentina="Buenos Aires", Peru="Lima", Chile="Santiago", Cuba="Havana", Australia="Canberra",
                Netherlands="Amsterdam", Belgium="Brussels", Hungary="Budapest", Ukraine="Kyiv", Iceland="Reykjavik", Thailand="Bangkok", Vietnam="Hanoi")
SOUNDS = dict(dog="barks", cat="meows", cow="moos", sheep="bleats", duck="quacks", pig="grunts", horse="neighs", hen="clucks", lion="roars", frog="croaks",
              bee="buzzes", owl="hoots", mouse="squeaks", wolf="howls", snake="hisses", bird="sings", donkey="brays")
YOUNG = dict(dog="puppy", cat="kitten", cow="calf", sheep="lamb", duck="duckling", pig="piglet", horse="foal", hen="chick", lion="cub", frog="tadpole",
             goat="kid", bear="cub", deer="fawn", goose="gosling")
LEGS = dict(dog=4, cat=4, spider=8, bird=2, ant=6, bee=6, horse=4, snake=0, fish=0, hen=2, cow=4, beetle=6, mouse=4, duck=2, frog=4, octopus=8)
COLOUR_OF = dict(grass="green", snow="white", coal="black", blood="red", milk="white", banana="yellow", tomato="red", carrot="orange", sky="blue", leaf="green",
                 sun="yellow", elephant="grey", strawberry="red", lemon="yellow", cucumber="green", soot="black", flamingo="pink", frog="green")
WORKS = dict(baker="bakes bread", doctor="helps sick people", farmer="grows food", teacher="teaches children", tailor="makes clothes", painter="paints",
             pilot="flies planes", postman="brings letters", cook="cooks meals", singer="sings songs", writer="writes books", carpenter="makes things of wood",
             gardener="looks after plants", shoemaker="mends shoes", librarian="looks after books", fisherman="catches fish")
TOOLS = {"cut paper": "scissors", "write": "a pencil", "open a lock": "a key", "eat soup": "a spoon", "see the time": "a clock", "cut bread": "a knife", "keep dry in the rain": "an umbrella",
         "sweep the floor": "a broom", "hit a nail": "a hammer", "brush your teeth": "a toothbrush", "carry water": "a bucket", "dig a hole": "a spade", "cross a river": "a bridge", "see the stars": "a telescope"}
OTHER = {
    "How many days has a week?": "A week has 7 days.", "How many months has a year?": "A year has 12 months.", "How many hours has a day?": "A day has 24 hours.",
    "How many minutes has an hour?": "An hour has 60 minutes.", "How many seconds has a minute?": "A minute has 60 seconds.", "What do bees make?": "Bees make honey.",
    "What do cows give?": "Cows give milk.", "Where do fish live?": "Fish live in water.", "Where does the sun rise?": "The sun rises in the east.",
    "Where does the sun set?": "The sun sets in the west.", "What is frozen water?": "Frozen water is ice.", "How many wheels has a bicycle?": "A bicycle has two wheels.",
    "How many wheels has a car?": "A car has four wheels.", "What is the biggest animal?": "The biggest animal is the blue whale.", "What is the tallest animal?": "The tallest animal is the giraffe.",
    "Which planet do we live on?": "We live on the Earth.", "What is the biggest planet?": "The biggest planet is Jupiter.", "What goes round the Earth?": "The moon goes round the Earth.",
    "How many colours has a rainbow?": "A rainbow has seven colours.", "What do plants need to grow?": "Plants need water, light and air.", "What is the first month of the year?": "The first month is January.",
    "What is the last month of the year?": "The last month is December.", "How many fingers has a hand?": "A hand has five fingers.", "How many sides has a triangle?": "A triangle has three sides.",
    "How many sides has a square?": "A square has four sides.", "What do we breathe?": "We breathe air.", "What season comes after winter?": "Spring comes after winter.",
    "What season comes after summer?": "Autumn comes after summer.", "How many letters has the alphabet?": "The English alphabet has 26 letters.", "What is the highest mountain?": "The highest mountain is Mount Everest.",
    "Who wrote Alice in Wonderland?": "Lewis Carroll wrote Alice in Wonderland.", "Who wrote The Jungle Book?": "Rudyard Kipling wrote The Jungle Book.", "Who wrote Peter Pan?": "J. M. Barrie wrote Peter Pan.",
    "Who wrote Romeo and Juliet?": "William Shakespeare wrote Romeo and Juliet.", "Where do penguins live?": "Penguins live in the south, many of them on the ice.", "What do pandas eat?": "Pandas eat bamboo.",
    "What colour do you get from blue and yellow?": "Blue and yellow make green.", "What colour do you get from red and yellow?": "Red and yellow make orange.",
    "What colour do you get from red and blue?": "Red and blue make purple.", "What is bread made of?": "Bread is made of flour and water.", "What is cheese made of?": "Cheese is made of milk.",
}


def facts():
    """(question, answer): each is asked in several ways; both splits know the facts, not the wordings."""
    for country, town in CAPITALS.items():
        for question in ("What is the capital of {}?", "Which town is the capital of {}?", "Name the capital of {}.", "Tell me the capital of {}."):
            yield question.format(country), f"The capital of {country} is {town}."
        yield f"{town} is the capital of which country?", f"{town} is the capital of {country}."
        yield f"In which country is {town}?", f"{town} is in {country}."
    for animal, sound in SOUNDS.items():
        for question in (f"What does {words.a(animal)} do to make a sound?", f"Which sound does {words.a(animal)} make?", f"How does {words.a(animal)} sound?"):
            yield question, f"{words.a(animal).capitalize()} {sound}."
    for animal, young in YOUNG.items():
        for question in (f"What is a young {animal} called?", f"What do we call a baby {animal}?", f"What is the name of a baby {animal}?"):
            yield question, f"A young {animal} is called {words.a(young)}."
    for animal, legs in LEGS.items():
        for question in (f"How many legs has {words.a(animal)}?", f"How many legs does {words.a(animal)} have?"):
            yield question, f"{words.a(animal).capitalize()} has {words.NUMBER_WORDS[legs] if legs else 'no'} legs."
    for thing, colour in COLOUR_OF.items():
        for question in (f"What colour is {thing}?", f"Which colour has {thing}?"):
            yield question, f"{thing.capitalize()} is {colour}."
    for job, work in WORKS.items():
        for question in (f"What does {words.a(job)} do?", f"What is the work of {words.a(job)}?"):
            yield question, f"{words.a(job).capitalize()} {work}."
        yield f"Who {work}?", f"{words.a(job).capitalize()} {work}."
    for work, tool in TOOLS.items():
        for question in (f"What do you need to {work}?", f"What can I use to {work}?", f"With what do you {work}?"):
            yield question, f"You need {tool}."
    for one, other in words.OPPOSITES.items():
        for x, y in ((one, other), (other, one)):
            for question in (f"What is the opposite of {x}?", f"Name the opposite of {x}."):
                yield question, f"The opposite of {x} is {y}."
    for names, what in ((words.DAYS, "day"), (words.MONTHS, "month")):
        for i, name in enumerate(names):
            yield f"Which {what} comes after {name}?", f"{names[(i + 1) % len(names)]} comes after {name}."
            yield f"Which {what} comes before {name}?", f"{names[i - 1]} comes before {name}."
    yield from OTHER.items()


def questions(root, random, count):
    for question, answer in facts():
        for prefix in ("", "Question: ", "Please answer: "):
            yield Conversation("question", "templates", [prefix + question, answer], prefix + question)
    for _ in range(count):
        yield sum_question(random) if random.random() < 0.3 else about_text(random)
    for path in sorted((root / "snakes").glob("generated-spelling-*.md")):
        for prompt, answer in re.findall(r"(?:^|<end>)(.*?)<start>(.*?)(?=<end>)", read(path), re.S):
            question, answer = prompt.strip().split("\n")[0], answer.strip().split("\n")[0]
            if len(answer) < 16 and " " not in answer:
                yield Conversation("question", "snakes", [question, answer], answer)


def sum_question(random):
    name, thing = random.choice(words.NAMES), words.plural(random.choice(words.THINGS + words.FOODS))
    a, b = random.randint(2, 20), random.randint(2, 10)
    if random.random() < 0.5:
        question = random.choice((f"{name} has {a} {thing} and gets {b} more. How many {thing} has {name} now?", f"{name} buys {a} {thing} and then {b} more. How many {thing} is that?"))
        total = a + b
    else:
        a = a + b
        question = random.choice((f"{name} has {a} {thing} and gives {b} away. How many {thing} are left?", f"There are {a} {thing}. {name} takes {b}. How many {thing} are left?"))
        total = a - b
    sign = "+" if "left" not in question else "-"
    return Conversation("question", "templates", [question, f"{a} {sign} {b} = {total}. {'There are' if sign == '-' else 'That is'} {total} {thing}{' left' if sign == '-' else ''}."], question)


TEXTS = [  # sentence, question, answer
    ("{n} lives in {t}.", "Where does {n} live?", "{n} lives in {t}."), ("{n} is {k} years old.", "How old is {n}?", "{n} is {k} years old."),
    ("{n} has a {a} called {m}.", "What is the name of {n}'s {a}?", "The {a} is called {m}."), ("{n} likes {f}.", "What does {n} like?", "{n} likes {f}."),
    ("The {i} of {n} is {c}.", "Which colour is the {i} of {n}?", "The {i} is {c}."), ("{n} works as a {j}.", "What is the job of {n}?", "{n} works as a {j}."),
    ("{n} found a {i} {w}.", "Where did {n} find the {i}?", "{n} found it {w}."), ("{n} goes to the market on {d}.", "When does {n} go to the market?", "{n} goes on {d}."),
    ("{n} bought {k} {f}.", "How many {f} did {n} buy?", "{n} bought {k} {f}."), ("{n} visited {m} in {t}.", "Whom did {n} visit?", "{n} visited {m}."),
]
PLACES = ("under a tree", "behind the house", "in the park", "near the river", "in the kitchen", "by the school", "on the bridge")


def about_text(random):
    """Two or three facts about one person and a question on one of them; one in three is on a fact that is not told."""
    name, other = random.sample(words.NAMES, 2)
    parts = dict(n=name, m=other, t=random.choice(words.TOWNS), k=random.randint(4, 90), a=random.choice(words.ANIMALS), f=words.plural(random.choice(words.FOODS)),
                 i=random.choice(words.THINGS), c=random.choice(words.COLOURS), j=random.choice(words.JOBS), w=random.choice(PLACES), d=random.choice(words.DAYS))
    chosen = random.sample(TEXTS, random.randint(3, 4))
    told = chosen[:-1]
    text = " ".join(sentence for sentence, _, _ in told).format(**parts)
    text = re.sub(r"\ba (?=[aeio])", "an ", text)
    if random.random() < 0.33:
        return reading(random, "templates", text, chosen[-1][1].format(**parts), None, text)
    _, question, answer = random.choice(told)
    return reading(random, "templates", text, question.format(**parts), re.sub(r"\ba (?=[aeio])", "an ", answer.format(**parts)), text)


UNKNOWABLE = ["What did I eat {when}?", "What am I thinking of?", "What is my name?", "How old is my {person}?", "What is the name of my {person}?", "Where did I put my {thing}?",
              "How many {things} do I have?", "What will the weather be {when2}?", "Who will win the {game} {when2}?", "What is my phone number?", "Which colour is my {thing}?",
              "What did my {person} say {when}?", "Where is my {person} now?", "How much money do I have?", "What is in my {thing}?", "When was my {person} born?",
              "Who lives in the house next to me?", "How many {things} are there in {town} today?", "What did {name} do {when}?", "Where does my {person} live?", "What does my {person} like?",
              "What is {name}'s favourite colour?", "How old is {name}?", "What will I get for my birthday?", "Who called me {when}?", "Why is my {person} late?"]
NONSENSE = ["What is a {x}?", "What colour is a {x}?", "Where do {x}s live?", "What is the capital of {X}?", "Who wrote {X}?", "What does {x} mean?", "How many legs has a {x}?",
            "What do {x}s eat?", "What is a young {x} called?", "When was {X} built?", "Which sound does a {x} make?", "What does a {x} do?"]


def nonsense_word(random):
    return "".join(random.choice(("bl", "fl", "gr", "sn", "tr", "w", "z", "m", "pl", "dr", "kr", "v")) + random.choice("aeiou") for _ in range(2)) + random.choice(
        ("b", "g", "x", "nk", "rp", "zz", "mp", "ft", "sk"))


def unknown(random, count):
    for _ in range(count):
        x = nonsense_word(random)
        template = random.choice(UNKNOWABLE if random.random() < 0.5 else NONSENSE)
        thing = random.choice(words.THINGS)
        question = template.format(
            x=x, X=x.capitalize(), thing=thing, things=words.plural(thing), town=random.choice(words.TOWNS), name=random.choice(words.NAMES),
            when=random.choice(("yesterday", "last week", "this morning", "on Sunday")), when2=random.choice(("tomorrow", "next week", "next year", "on Sunday")),
            person=random.choice(("sister", "brother", "teacher", "friend", "uncle", "aunt", "neighbour", "cousin")), game=random.choice(("race", "match", "game", "prize")))
        prefix = random.choice(("", "", "", "Question: ", "Please answer: "))
        yield Conversation("unknown", "templates", [prefix + question, "I don't know."], question, {"unanswerable": True})
