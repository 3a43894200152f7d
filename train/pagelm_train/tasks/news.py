"""Short news items on a topic: a headline and two or three sentences, from templates."""

from . import words
from .sources import Conversation, wording

ITEMS = [  # topic, headline, sentences to choose from in order
    ("a lost {a} in {t}", "{A} found in {t}", ("{A} that was lost for {n} days has been found in {t}.", "A {j} saw it near the river on {d}.", "\"It was hungry, but it is well,\" said {p}.")),
    ("a new playground in {t}", "New playground opens in {t}", ("A new playground opened in {t} on {d}.", "It cost {k} thousand euros.", "\"The children love it,\" said {p}, {J}.")),
    ("a storm in {t}", "Storm hits {t}", ("A strong storm hit {t} on {d}.", "It broke {n} trees and many roofs.", "Nobody was hurt, said {p}, {J}.")),
    ("snow in {t}", "Snow in {t}", ("It snowed in {t} on {d}.", "The snow was {n} centimetres deep.", "Schools stayed closed, and {p} built a snowman.")),
    ("a race in {t}", "{p} wins the race in {t}", ("{p} won the race in {t} on {d}.", "{k} people took part.", "\"I trained for {n} months,\" said {p}.")),
    ("a birthday in {t}", "{p} is {o} years old", ("{p} from {t} turned {o} on {d}.", "{n} guests came to the party.", "There was a big cake with {o} candles.")),
    ("a new library in {t}", "{t} gets a new library", ("{t} has a new library.", "It has {k} thousand books and opened on {d}.", "\"Come and read!\" said {p}, {J}.")),
    ("a concert in {t}", "Concert in {t}", ("{p} gave a concert in {t} on {d}.", "{k} people came to listen.", "The next concert is in {n} weeks.")),
    ("a market in {t}", "Market day in {t}", ("A market was held in {t} on {d}.", "{p}, {J}, sold {n} {f}.", "The next market is in {n} weeks.")),
    ("a late train to {t}", "Train to {t} was late", ("The train to {t} was {n} hours late on {d}.", "A tree lay on the track.", "{p}, {J}, had to wait with {k} other people.")),
    ("a clean river in {t}", "River in {t} is clean again", ("The river in {t} is clean again.", "{k} people helped to pick up litter on {d}.", "\"Even the fish are back,\" said {p}, {J}.")),
    ("a school in {t}", "School in {t} plants trees", ("Pupils in {t} planted {k} trees on {d}.", "{p}, {J}, showed them how.", "The trees will give shade in {n} years.")),
    ("a fire in {t}", "Fire put out in {t}", ("A fire broke out in a house in {t} on {d}.", "It was put out after {n} hours.", "{p}, {J}, saved {a}. Nobody was hurt.")),
    ("a new bridge in {t}", "Bridge opens in {t}", ("A new bridge opened in {t} on {d}.", "It is {k} metres long and took {n} years to build.", "{p} was the first to cross it.")),
    ("a football match in {t}", "{t} wins {n} to 1", ("The team of {t} won {n} to 1 on {d}.", "{p} shot the last goal.", "{k} people watched the match.")),
    ("a big {f} in {t}", "Giant {f} grows in {t}", ("A giant {f} has grown in {t}.", "It weighs {k} kilos.", "\"I watered it every day,\" said {p}, {J}.")),
]


def news(random, count):
    for _ in range(count):
        topic, headline, sentences = random.choice(ITEMS)
        animal, job = random.choice(words.ANIMALS), random.choice(words.JOBS)
        food = random.choice(words.FOODS)
        parts = dict(a=animal, A=words.a(animal).capitalize(), t=random.choice(words.TOWNS), d=random.choice(words.DAYS), p=random.choice(words.NAMES), j=job,
                     J=words.a(job), n=random.randint(2, 9), k=random.randint(12, 400), o=random.choice((7, 18, 30, 50, 80, 100)), f=food)
        if "sold" in sentences[1]:
            parts["f"] = words.plural(food)
        if "saved" in sentences[2]:
            parts["a"] = words.a(animal)
        text = headline.format(**parts) + "\n" + " ".join(s.format(**parts) for s in sentences)
        topic = topic.format(**parts)
        prompt = wording(random, "Write a short news item about {t}.", "Write a news report about {t}.", "News, please: {t}.").format(t=topic)
        yield Conversation("news", "templates", [prompt, text], topic)
