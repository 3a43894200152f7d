"""Word lists for the templates. Plain children's vocabulary; more names are read from the corpora's tables."""

HERS = """Anna Clara Emma Grace Hannah Julia Lena Maria Olivia Rosa Tina Wendy Zoe Bella Diana Fatima Helen Kate Mia Nina
Petra Sofia Ursula Vera Elena Farah Ingrid Lucia Nadia Priya Sara Uma Wei Alice Cora Dora Flora Ida Lily Nora Ruth""".split()
HIS = """Ben David Finn Isaac Karl Noah Paul Sam Victor Adam Carlos Elias George Ivan Jonas Leo Oscar Robert Thomas Walter
Amir Chen Dmitri Hugo Jamal Kenji Mateo Omar Ravi Tariq Yusuf Bruno Erik Gustav Jack Max Otto Simon Toby Vincent""".split()
NAMES = HERS + HIS

TOWNS = """Berlin Hamburg Munich Vienna Zurich Paris London Dublin Madrid Rome Oslo Bergen Lisbon Prague Warsaw Athens
Cairo Nairobi Lagos Accra Delhi Mumbai Beijing Shanghai Tokyo Osaka Seoul Sydney Boston Chicago Denver Miami Toronto
Lima Quito Bremen Leipzig Dresden Cologne Salzburg Geneva Lyon Nice York Leeds Bristol Oxford Cork Turin Milan Naples
Krakow Riga Tallinn Helsinki Malmo Uppsala Aarhus Utrecht Ghent Porto Seville Houston Dallas Phoenix Seattle Portland
Austin""".split()

JOBS = """teacher baker doctor nurse farmer driver painter gardener cook singer writer pilot tailor builder plumber
librarian shoemaker carpenter fisherman postman""".split()

ANIMALS = """dog cat rabbit horse cow sheep goat duck hen pig parrot mouse turtle goldfish donkey hamster fox owl bear
frog""".split()

COLOURS = "red blue green yellow black white brown grey orange pink purple".split()

THINGS = """ball book kite doll lamp chair table cup bag hat coat umbrella bicycle drum clock pencil basket blanket
mirror ladder bell key boat guitar camera""".split()

FOODS = """apple pear banana lemon carrot potato tomato onion loaf egg cake biscuit pancake melon peach plum nut
cucumber""".split()

MONTHS = """January February March April May June July August September October November December""".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()

NUMBER_WORDS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty""".split()

IRREGULAR_PLURALS = dict(child="children", mouse="mice", foot="feet", tooth="teeth", man="men", woman="women",
                         goose="geese", sheep="sheep", fish="fish", person="people", leaf="leaves", knife="knives",
                         wolf="wolves", shelf="shelves", wife="wives", life="lives", half="halves", loaf="loaves")
IRREGULAR_PAST = dict(go="went", eat="ate", see="saw", run="ran", take="took", give="gave", come="came", sing="sang",
                      swim="swam", write="wrote", buy="bought", bring="brought", think="thought", catch="caught",
                      fly="flew", drink="drank", find="found", sleep="slept", make="made", have="had", drive="drove",
                      begin="began", know="knew", speak="spoke", win="won", tell="told", hold="held")
REGULAR_VERBS = """walk play jump call help work look ask open close paint wash clean climb talk laugh dance want like
love hope bake smile plant""".split()
SPELLING = """because friend school people beautiful answer little water picture thought enough through different
important morning evening brother sister teacher tomorrow Wednesday February island knife listen castle autumn garden
question mountain library breakfast favourite birthday animal building weather believe receive minute kitchen bottle
language holiday elephant umbrella surprise remember together""".split()
OPPOSITES = dict(big="small", hot="cold", day="night", up="down", old="young", fast="slow", happy="sad", open="closed",
                 full="empty", high="low", long="short", hard="soft", light="dark", clean="dirty", wet="dry",
                 left="right", early="late", strong="weak", rich="poor", loud="quiet", near="far", thick="thin",
                 sweet="sour", first="last", inside="outside", true="false", good="bad", tall="short", wide="narrow",
                 push="pull")


def a(noun):
    """The noun with its indefinite article."""
    return ("an " if noun[0].lower() in "aeiou" else "a ") + noun


def plural(noun):
    if noun in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS[noun]
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh", "to")) else "s")


def past(verb):
    if verb in IRREGULAR_PAST:
        return IRREGULAR_PAST[verb]
    return verb + ("d" if verb.endswith("e") else "ed")
