"""Chat, and the help desk of a shop or a service."""

import csv
import io
import json
import re

from . import words
from .sources import Conversation, read, wording

TOPICS = ("music", "movies", "disney", "star_wars", "harry_potter", "superhero", "pop", "rock", "comedy", "fashion", "baseball", "basketball",
          "icehockey", "nfl_football")
MAX_TURNS, MAX_TURN = 4, 130

SMALL_TALK = [  # what the user may say, what may be answered
    (("Hello!", "Hi!", "Hi there!", "Hello", "Hey!"), ("Hello! How can I help you?", "Hi! Nice to meet you.", "Hello! What would you like to talk about?")),
    (("Good morning!", "Good morning"), ("Good morning! I hope you slept well.", "Good morning! What are your plans for today?")),
    (("Good evening!", "Good evening"), ("Good evening! How was your day?",)), (("Good night!", "Good night"), ("Good night! Sleep well.",)),
    (("How are you?", "How are you today?", "How do you do?"), ("I am well, thank you. And you?", "Fine, thank you! How are you?")),
    (("I am fine.", "I am well, thanks.", "I'm good."), ("That is good to hear.", "I am glad to hear that.")),
    (("I am sad.", "I feel sad today.", "I had a bad day."), ("I am sorry to hear that. What happened?", "That is a pity. Do you want to tell me about it?")),
    (("I am happy.", "I had a good day!", "I am so happy today."), ("How nice! What made you happy?", "That is wonderful!")),
    (("I am bored.", "I have nothing to do."), ("Shall I tell you a story?", "You could draw a picture or go for a walk.")),
    (("I am tired.", "I am so tired."), ("Then have a rest.", "You should go to bed early tonight.")),
    (("I am hungry.",), ("What would you like to eat?", "Then it is time for a meal.")), (("I am thirsty.",), ("Have a glass of water.",)),
    (("I am cold.",), ("Put on a warm coat.",)), (("I am ill.", "I feel ill."), ("I am sorry. Get well soon!",)),
    (("Thank you!", "Thanks!", "Thank you very much.", "Thanks a lot!"), ("You are welcome!", "My pleasure.")),
    (("Bye!", "Goodbye!", "See you!", "Goodbye."), ("Goodbye! See you soon.", "Bye! Have a nice day.")),
    (("Who are you?", "What are you?"), ("I am a very small language model. I run in your browser.",)),
    (("What is your name?", "Do you have a name?"), ("I am called pagelm.", "My name is pagelm. What is yours?")),
    (("Are you a person?", "Are you human?", "Are you a robot?"), ("No, I am a small computer program.", "I am a computer program, not a person.")),
    (("How old are you?",), ("I am a program, so I have no age.",)), (("Where do you live?",), ("I live in a web page.",)),
    (("What can you do?", "Can you help me?", "Help me."), ("I can write stories, translate short sentences, turn tables into Markdown and chat a little.",)),
    (("Do you like music?",), ("I cannot hear music, but I like to talk about it. What do you listen to?",)),
    (("Do you like animals?", "Do you have a pet?"), ("I have no pet, but I like stories about animals.",)),
    (("Tell me a joke.", "Do you know a joke?", "Make me laugh."), ("What has a face and two hands but no legs? A clock.", "What gets wetter the more it dries? A towel.",
     "Why did the cookie go to the doctor? It felt crumbly.", "What has keys but opens no door? A piano.")),
    (("Sorry.", "I am sorry."), ("That is all right.", "No problem.")), (("Happy birthday!",), ("Thank you! How kind of you.",)),
    (("Can you keep a secret?",), ("Yes, I forget everything when you close the page.",)),
    (("What is the weather like?", "Will it rain?"), ("I don't know. I cannot look outside.",)), (("What time is it?",), ("I don't know. I have no clock.",)),
    (("What day is it today?",), ("I don't know. I have no calendar.",)), (("Are you clever?",), ("Not very. I am small and often wrong.",)),
    (("Guten Tag!", "Hallo!"), ("Hallo! Wie kann ich helfen?", "Guten Tag! Wie geht es dir?")), (("Wie geht es dir?",), ("Mir geht es gut, danke. Und dir?",)),
    (("你好！", "你好"), ("你好！很高兴认识你。",)), (("谢谢！", "谢谢"), ("不客气。",)), (("再见！", "再见"), ("再见！",)),
]


def small_talk(random, count):
    """One to three exchanges, one after another."""
    for _ in range(count):
        messages = []
        for asked, answers in random.sample(SMALL_TALK, random.choice((1, 1, 2, 3))):
            if random.random() < 0.25 and asked[0] == "What is your name?":
                name = random.choice(words.NAMES)
                asked, answers = (f"My name is {name}.", f"I am {name}.", f"Hello, I am {name}."), (f"Nice to meet you, {name}!", f"Hello, {name}! How are you?")
            messages += [random.choice(asked), random.choice(answers)]
        yield Conversation("chat", "templates", messages, "\n".join(messages))


def clean_turn(text):
    text = re.sub(r"\s+", " ", text).strip()
    return text[:1].upper() + text[1:]


def self_dialogue(root, random, count):
    folder = root / "dialogue" / "self-dialogue"
    blocked = set(read(folder / "blocked_workers.txt").split())
    found = []
    for topic in TOPICS:
        for path in sorted((folder / "corpus" / topic).glob("*.csv")):
            for row in csv.DictReader(io.StringIO(read(path))):
                turns = [clean_turn(row.get(f"Answer.sentence{i}") or "") for i in range(1, 2 * MAX_TURNS + 1)]
                turns = turns[:turns.index("")] if "" in turns else turns
                turns = turns[:2 * random.randint(1, MAX_TURNS // 2)]
                if row.get("WorkerId") not in blocked and len(turns) > 1 and len(turns) % 2 == 0 and all(2 < len(t) < MAX_TURN for t in turns):
                    found.append(turns)
    random.shuffle(found)
    for turns in found[:count]:
        yield Conversation("chat", "self-dialogue", turns, "\n".join(turns))


CHATTERBOT = {"english": ("greetings", "conversations", "food", "humor", "emotion", "science", "literature", "sports"), "german": ("greetings", "conversations", "food"),
              "chinese": ("greetings", "conversations", "food", "emotion")}


def chatterbot(root):
    for language, topics in CHATTERBOT.items():
        for topic in topics:
            path = root / "dialogue" / "chatterbot" / language / f"{topic}.yml"
            for block in re.split(r"^- - ", read(path), flags=re.M)[1:]:
                turns = [clean_turn(t.strip(" '\"")) for t in re.split(r"^  - ", block, flags=re.M)][:2 * MAX_TURNS]
                turns = turns[:len(turns) // 2 * 2]
                if turns and all(0 < len(t) < MAX_TURN for t in turns):
                    yield Conversation("chat", "chatterbot", turns, turns[0])


def kdconv(root, random):
    for path in sorted((root / "dialogue" / "kdconv").glob("*/[dt]e[vs]*.json")):
        for dialogue in json.loads(read(path)):
            turns = [m["message"].strip() for m in dialogue["messages"]][:2 * random.randint(1, 2)]
            if len(turns) % 2 == 0 and all(1 < len(t) < 45 for t in turns):
                yield Conversation("chat", "kdconv", turns, "\n".join(turns))


def taskmaster(root, random, count):
    found = []
    for path in sorted((root / "dialogue" / "taskmaster").glob("*/data_*.json")):
        for dialogue in json.loads(read(path)):
            turns, last = [], None
            for utterance in dialogue["utterances"]:
                if utterance["speaker"] == last:
                    break
                last = utterance["speaker"]
                turns.append(clean_turn(utterance["text"]))
            turns = turns[:len(turns) // 2 * 2][:2 * MAX_TURNS]
            if turns and dialogue["utterances"][0]["speaker"] == "user" and all(2 < len(t) < MAX_TURN for t in turns):
                found.append(turns)
    random.shuffle(found)
    for turns in found[:count]:
        yield Conversation("help-desk", "taskmaster", ["You are the help desk of a coffee bar.\nCustomer: " + turns[0], *turns[1:]], "\n".join(turns))


SHOPS = ["bakery", "bookshop", "bicycle shop", "toy shop", "pharmacy", "flower shop", "library", "swimming pool", "museum", "post office", "hotel", "cinema", "zoo",
         "train company", "phone company", "garden centre", "shoe shop", "computer shop", "supermarket", "dentist"]


def help_desk(random, count):
    """Facts first, then a question that one of them answers, or none does."""
    for _ in range(count):
        opens, closes, euros = random.randint(6, 11), random.randint(16, 22), random.randint(2, 60)
        thing, other = random.sample(words.THINGS + words.FOODS, 2)
        days, gap = random.randint(2, 14), random.choice((7, 14, 30, 60))
        first, last = random.choice((("Monday", "Friday"), ("Monday", "Saturday"), ("Tuesday", "Sunday")))
        phone, street = f"555 {random.randint(1000, 9999)}", f"{random.choice(words.TOWNS)} Street {random.randint(1, 99)}"
        facts = {
            "open": (f"Open from {first} to {last}, {opens}:00 to {closes}:00.", ("When are you open?", "What are your opening hours?", "When can I come?"),
                     f"We are open from {first} to {last}, {opens}:00 to {closes}:00."),
            "phone": (f"Phone {phone}.", ("What is your phone number?", "How can I call you?"), f"Our phone number is {phone}."),
            "where": (f"Address {street}.", ("Where are you?", "What is your address?", "How do I find you?"), f"You find us at {street}."),
            "delivery": (f"Delivery takes {days} days.", ("How long does delivery take?", "When will my order come?"), f"Delivery takes {days} days."),
            "return": (f"Returns within {gap} days.", ("Can I give something back?", "How long can I return things?"), f"Yes, you can return it within {gap} days."),
            "price": (f"One {thing} costs {euros} euros.", (f"How much is {words.a(thing)}?", f"What does the {thing} cost?"), f"One {thing} costs {euros} euros."),
        }
        kept = random.sample(sorted(facts), random.randint(2, 4))
        shop = random.choice(SHOPS)
        start = f"You are the help desk of a {shop}. " + " ".join(facts[name][0] for name in kept) + "\nCustomer: "
        messages = []
        for turn in range(random.choice((1, 1, 2))):
            if random.random() < 0.75:
                name = random.choice(kept)
                question, answer = random.choice(facts[name][1]), facts[name][2]
            elif random.random() < 0.5:
                name = random.choice([n for n in facts if n not in kept])
                question, answer = random.choice(facts[name][1]), "I am sorry, I don't know that."
            else:
                question, answer = random.choice((
                    (f"Do you have {words.a(other)}?", "I am sorry, I don't know that."), ("Thank you!", "You are welcome! Have a nice day."),
                    (f"My {other} is broken.", f"I am sorry to hear that. Please bring the {other} with your receipt."),
                    (f"I have lost my {other}.", f"I am sorry to hear that. We will look for your {other}."), ("I want to complain.", "I am very sorry. Please tell me what happened."),
                    (f"My {other} has not come.", f"I am sorry about the delay. We will find out where your {other} is."), ("Hello!", "Hello! How can I help you?")))
            messages += [(start if turn == 0 else "") + question, answer]
        yield Conversation("help-desk", "templates", messages, start + messages[0][-40:])
