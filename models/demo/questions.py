"""The question kinds: each makes (kind, question, answer) and says what is kept for the test.

What is held out, and why it is a fair test:
    sum        an unordered pair {a, b}: neither a + b nor b + a occurs anywhere in the training text
    opposite   a word that is never asked about in any wording (its fact stands only in plain statements), and,
               for the other words, some wordings
    colour     a combination: no question in training names, say, a blue kite and a red ball together, whoever has them; and
               wordings for things like grass
    repeat     a row of words: one in ten
    the rest   whole questions by their text
"""
import itertools
import zlib
import words as w


def held(key, every):
    return zlib.crc32(key.encode()) % every == 0


def colours_held(colours, objects):
    """Whether two of these coloured objects are a pair that no training question names together (one pair in ten)."""
    item = sorted("%s %s" % pair for pair in zip(colours, objects))
    return any(held("colours:%s, %s" % pair, 10) for pair in itertools.combinations(item, 2))


def sum_held(a, b):
    return held("sum:%d+%d" % (min(a, b), max(a, b)), 10)


SUM_FORMS = ["What is {a} + {b}?", "What is {a} plus {b}?", "How much is {a} + {b}?", "How much is {a} plus {b}?",
    "Add {a} and {b}.", "What is the sum of {a} and {b}?", "{a} + {b} = ?", "{a} + {b}", "Calculate {a} + {b}.",
    "Please add {a} and {b}.", "Can you add {a} and {b}?", "What do you get when you add {a} and {b}?"]


def operands(rng):
    hi = rng.choice([20, 50, 100, 100, 100, 100])
    return rng.randrange(hi), rng.randrange(hi)


def ask_sum(rng, test):
    while True:
        a, b = operands(rng)
        if sum_held(a, b) == test:
            return "sum", rng.choice(SUM_FORMS).format(a=a, b=b), "%d + %d = %d." % (a, b, a + b)


OPPOSITE = {}
for _a, _b in w.OPPOSITES:
    OPPOSITE.setdefault(_a, _b)
    OPPOSITE.setdefault(_b, _a)
OPPOSITE_FORMS = ["What is the opposite of {x}?", "What is the opposite of the word {x}?", "Tell me the opposite of {x}.",
    "Which word is the opposite of {x}?", "Give me the opposite of {x}.", "What word means the opposite of {x}?",
    "Name the opposite of {x}.", "Do you know the opposite of {x}?", "Can you tell me the opposite of {x}?",
    *["What is the opposite of \"{x}\"?"] * 6]


def opposite_unasked(x):
    return held("unasked:" + x, 6)


def ask_opposite(rng, test):
    while True:
        x, form = rng.choice(list(OPPOSITE)), rng.choice(OPPOSITE_FORMS)
        if (opposite_unasked(x) or held("opposite:%s:%s" % (x, form), 8)) == test:
            return "opposite", form.format(x=x), "The opposite of %s is %s." % (x, OPPOSITE[x])


THING_FORMS = ["What colour is {x}?", "What is the colour of {x}?", "Which colour is {x}?", "Tell me the colour of {x}.",
    "What color is {x}?", "Do you know what colour {x} is?", "Can you tell me the colour of {x}?", "What is the color of {x}?"]


def ask_thing(rng, test):
    while True:
        x, form = rng.choice(list(w.THINGS)), rng.choice(THING_FORMS)
        if held("thing:%s:%s" % (x, form), 5) == test:
            return "colour", form.format(x=x), "%s is %s." % (x[0].upper() + x[1:], w.THINGS[x])


COLOUR_FORMS = ["What colour is {s}?", "What colour is {s}?", "Which colour is {s}?", "What color is {s}?",
    "Tell me the colour of {s}.", "What is the colour of {s}?"]


def colour_turns(rng, test):
    """Two or three coloured objects in a little text and a question about each of one or more: [(kind, question, answer)].
    The text stands in the first question."""
    n = 2 if rng.random() < 0.6 else 3
    objs, names, cols = rng.sample(w.OBJECTS, n), rng.sample(w.GIRLS + w.BOYS, n), rng.sample(w.COLOURS, n)
    if colours_held(cols, objs) != test:
        return colour_turns(rng, test)
    item = ["%s %s %s" % ("an" if c[0] == "o" else "a", c, o) for c, o in zip(cols, objs)]
    listed = (", ".join(item[:-1]) + " and " + item[-1])
    subject = ["the " + o for o in objs]
    form = rng.randrange(5)
    if form == 0:
        text = "%s has %s." % (names[0], listed)
    elif form == 1:
        text = "There %s %s %s." % ("is", listed, rng.choice(["on the table", "in the box", "under the bed", "on the chair"])
                                     if "box" not in objs else "on the table")
    elif form == 2:
        text = " ".join("%s %s %s." % (m, rng.choice(["has", "bought", "found", "likes"]), it) for m, it in zip(names, item))
    elif form == 3:
        text = " ".join("The %s is %s." % (o, c) for c, o in zip(cols, objs))
    else:
        text = " ".join("%s has %s." % (m, it) for m, it in zip(names, item))
        subject = ["%s's %s" % (m, o) for m, o in zip(names, objs)]
    order = rng.sample(range(n), rng.randint(1, n))
    turns = [("colour", rng.choice(COLOUR_FORMS).format(s=subject[k]), "%s is %s." % (subject[k][0].upper() + subject[k][1:], cols[k]))
             for k in order]
    return [("colour", text + " " + turns[0][1], turns[0][2])] + turns[1:]


def ask_colour(rng, test):
    return colour_turns(rng, test)[0]


REPEAT_FORMS = ["Repeat: {x}", "Repeat after me: {x}", "Please repeat: {x}", "Say: {x}", "Please say: {x}", "Can you say this? {x}"]
# A word after a quotation mark is another token than after a blank, and has to be known as the same word.
QUOTED_FORMS = ["Say the word \"{x}\".", "Please say the word \"{x}\".", "Read this word: \"{x}\""]
# Every word that is learned as a word, so that copying does not depend on which one it is.
REPEATED = sorted(set(w.OBJECTS + w.COLOURS + w.ANIMALS + w.GIRLS + w.BOYS + w.TRAITS + w.PLACES + w.SNACKS + list(OPPOSITE)))


def ask_quoted(rng, test):
    while True:
        x, form = rng.choice(REPEATED), rng.choice(QUOTED_FORMS)
        if held("quoted:%s:%s" % (x, form), 10) == test:
            return "repeat", form.format(x=x), "The word is %s." % x


def ask_repeat(rng, test):
    """A row of words, a number among them now and then: the answer is the row. Of use in itself, and the shortest way to
    learn to copy, which the colours in a text, the requests for stories and the opposites rest on."""
    if rng.random() < 0.3:
        return ask_quoted(rng, test)
    while True:
        said = [rng.choice(REPEATED) if rng.random() < 0.9 else str(rng.randrange(100)) for _ in range(rng.randint(1, 8))]
        text = rng.choice([" ", ", ", ", "]).join(said) + rng.choice(["", "."])
        if held("repeat:" + ", ".join(said), 10) == test:
            return "repeat", rng.choice(REPEAT_FORMS).format(x=text), text


def ask_day(rng):
    names, label = (w.DAYS, "day") if rng.random() < 0.6 else (w.MONTHS, "month")
    i, after = rng.randrange(len(names)), rng.random() < 0.6
    x, y = names[i], names[(i + (1 if after else -1)) % len(names)]
    where = "after" if after else "before"
    q = rng.choice(["What {l} comes {w} {x}?", "Which {l} comes {w} {x}?", "What {l} is {w} {x}?", "Which {l} is {w} {x}?",
                    "Tell me the {l} {w} {x}."]).format(l=label, w=where, x=x)
    return "calendar", q, "%s comes %s %s." % (y, where, x)


def ask_plural(rng):
    x = rng.choice(list(w.PLURALS))
    q = rng.choice(["What is the plural of {x}?", "Tell me the plural of {x}.", "What is the plural form of {x}?",
                    "How do you write the plural of {x}?", "What is the plural of the word {x}?",
                    "Give me the plural of {x}."]).format(x=x)
    return "plural", q, "The plural of %s is %s." % (x, w.PLURALS[x])


def ask_count(rng):
    a = rng.randrange(1, 60)
    b = a + rng.randrange(2, 11)
    q = rng.choice(["Count from {a} to {b}.", "Please count from {a} to {b}.", "Can you count from {a} to {b}?"])
    return "count", q.format(a=a, b=b), ", ".join(map(str, range(a, b + 1))) + "."


def ask_next(rng):
    a, after = rng.randrange(1, 150), rng.random() < 0.6
    where, b = ("after", a + 1) if after else ("before", a - 1)
    q = rng.choice(["What number comes {w} {a}?", "Which number comes {w} {a}?", "What comes {w} {a}?"])
    return "count", q.format(w=where, a=a), "%d comes %s %d." % (b, where, a)


def ask_says(rng):
    x = rng.choice(list(w.SAYS))
    q = rng.choice(["What does a_ {x} say?", "What sound does a_ {x} make?", "What noise does a_ {x} make?"])
    art = "an" if x[0] in "aeiou" else "a"
    return "sound", q.replace("a_", art).format(x=x), "%s %s says %s." % (art.capitalize(), x, w.SAYS[x])


ME = "I am a very small language model."
TALK = [(["Hello!", "Hello", "Hi!", "Hi", "Hi there!", "Hello there!", "Good morning!", "Good evening!", "Hey!", "Hey there!", "Good day!"],
         "Hello! How can I help you?"),
    (["What is your name?", "Do you have a name?", "Tell me your name.", "What should I call you?", "What are you called?"],
     "My name is Pebble. " + ME),
    (["Who are you?", "What are you?", "Are you a person?", "Are you a robot?", "Tell me about yourself."],
     "My name is Pebble. " + ME + " I like to tell stories."),
    (["What can you do?", "How can you help me?", "What do you know?", "Can you help me?", "What can I ask you?", "Help"],
     "I can tell stories, add two numbers, name colours and opposites, and count."),
    (["How are you?", "How are you today?", "How do you do?", "Are you well?"], "I am well, thank you. How are you?"),
    (["Thank you!", "Thank you.", "Thanks!", "Thanks", "Thank you very much!"], "You are welcome!"),
    (["Goodbye!", "Goodbye", "Bye!", "Bye", "See you later!", "Good night!"], "Goodbye! Come back soon."),
    (["Who made you?", "How were you made?", "Where do you come from?", "How did you learn?"],
     "I learned from text that a small program wrote."),
    (["How many days are in a week?", "How many days does a week have?"], "There are seven days in a week."),
    (["How many months are in a year?", "How many months does a year have?"], "There are twelve months in a year."),
    (["Name the days of the week.", "What are the days of the week?", "Tell me the days of the week."],
     "The days of the week are " + ", ".join(w.DAYS[:-1]) + " and " + w.DAYS[-1] + ".")]
UNKNOWN = ["What is the capital of {c}?", "Who is the president of {c}?", "Where is {c}?", "How many people live in {c}?",
    "What is the weather like in {c}?", "Write a program in {l}.", "Explain {l} to me.", "Who wrote {l}?", "What is {l}?",
    "Translate this to {l}.", "How does {l} work?", "How far is it to {c}?", "What is the meaning of life?"]
COUNTRIES = "France Spain Italy Germany Japan China India Brazil Canada Mexico Egypt Kenya Norway Poland Greece Peru Chile".split()
THEMES = "Python physics chemistry history German Latin music law a_computer the_internet gravity economics biology Java".split()


def ask_talk(rng):
    if rng.random() < 0.25:
        q = rng.choice(UNKNOWN).format(c=rng.choice(COUNTRIES), l=rng.choice(THEMES).replace("_", " "))
        return "talk", q, "I do not know that. " + ME
    qs, a = rng.choice(TALK)
    return "talk", rng.choice(qs), a


SMALL = {"calendar": ask_day, "plural": ask_plural, "count": ask_count, "sound": ask_says, "talk": ask_talk}


def ask_small(rng, test, kind=None):
    """One of the minor kinds. Small talk is a fixed list and is not tested."""
    while True:
        name = kind or rng.choice(list(SMALL) + ["count"])
        make = ask_next if name == "count" and rng.random() < 0.5 else SMALL[name]
        kind_, q, a = make(rng)
        if kind_ == "talk" and not test or kind_ != "talk" and held("small:" + q, 10) == test:
            return kind_, q, a


def statements(rng):
    """Plain text with the facts that questions are about; every fact of opposites and things stands here."""
    r = rng.random()
    if r < 0.45:
        out = []
        for _ in range(rng.randrange(4, 12)):
            x = rng.choice(list(OPPOSITE))
            out.append(rng.choice(["The opposite of {x} is {y}.", "The opposite of {x} is {y}.", "{X} is the opposite of {y}.",
                "{X} and {y} are opposites."]).format(x=x, X=x.capitalize(), y=OPPOSITE[x]))
        return " ".join(out)
    if r < 0.75:
        return " ".join("%s is %s." % (x[0].upper() + x[1:], w.THINGS[x])
                        for x in rng.sample(list(w.THINGS), rng.randrange(4, 12)))
    if r < 0.9:
        return " ".join("The plural of %s is %s." % (x, w.PLURALS[x]) for x in rng.sample(list(w.PLURALS), 8))
    return ", ".join(w.DAYS) + ". " + ", ".join(w.MONTHS) + "."


def sum_list(rng, weight):
    """Lines of sums as (text, weight): the operands are noise, the results are the lesson."""
    out = []
    for _ in range(rng.randrange(8, 18)):
        while True:
            a, b = operands(rng)
            if not sum_held(a, b):
                break
        out += [("%d + %d =" % (a, b), 0.0), (" %d" % (a + b), weight), ("\n", 0.0)]
    return out


def colour_list(rng, weight):
    """Plain text that names coloured things and then the colour of each, as (text, weight).

    To say a thing's colour a model must find the thing in the text and then what stands beside it, sometimes a word
    further. Learned from answers alone that takes very long, for each step is of use only with the others; here the easy
    forms ("The kite red. ... The kite" - "red") show the way to the hard ones."""
    n = rng.randint(2, 5)
    objs, cols = rng.sample(w.OBJECTS + w.ANIMALS, n), rng.sample(w.COLOURS, n)
    if colours_held(cols, objs):
        return colour_list(rng, weight)
    item = ["%s %s %s" % ("an" if c[0] == "o" else "a", c, o) for c, o in zip(cols, objs)]
    form, verb = rng.randrange(3), rng.choice([" is", ""])
    if form == 0:
        text = "There is " + ", ".join(item[:-1]) + " and " + item[-1] + "."
    else:
        text = " ".join("The %s%s %s." % (o, " is" if form == 1 else "", c) for c, o in zip(cols, objs))
    out = [(text, 0.0)]
    for k in rng.sample(range(n), n):
        out += [(" The %s%s" % (objs[k], verb), 0.0), (" " + cols[k], weight), (".", 0.0)]
    return out
