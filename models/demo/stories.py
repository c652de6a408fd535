"""The story grammar: ten story shapes, each a row of beats, each beat with several templates.

    {key}    a value fixed for the whole story (hero, friend, object, place, pronouns)
    <list>   a fresh random word from a named list
    [a|b|c]  a fresh random choice
    a_       "a" or "an", by the next letter

Nearly every sentence multiplies three or more independent slots: that is what keeps the share of generated sentences
which also occur in the training text low.
"""
import re
import words as w

LISTS = {"adv": w.ADVERBS, "spot": w.SPOTS, "place": w.PLACES, "padj": w.PLACE_ADJ, "weather": w.WEATHER,
    "part": w.DAYPARTS, "hobby": w.HOBBIES, "snack": w.SNACKS, "feel": w.FEELINGS, "sad": w.SAD, "lesson": w.LESSONS,
    "relative": w.RELATIVES, "animal": w.ANIMALS, "sound": w.SOUNDS, "trait": w.TRAITS,
    "near": ["near", "by", "beside", "behind", "close to", "not far from"],
    "went": ["walked", "ran", "hurried", "wandered", "skipped", "marched", "went"],
    "said": ["said", "called", "asked softly and", "whispered", "answered", "laughed", "cried"],
    "said1": ["said", "called", "whispered", "answered", "replied", "explained"],
    "time": ["the next day", "a little later", "before long", "soon", "at last", "after a while", "in the end", "at sunset",
             "after lunch", "that evening", "two days later", "early the next morning"]}

OPEN = ["Once upon a time, there was a_ {ha} {hk} named {H} who lived {home}.",
    "{H} was a_ {ha} {hk} who lived {home} with {his} <relative>.",
    "There once lived a_ {ha} {hk} called {H} {home}.",
    "In a_ [small|wooden|cosy|stone|round] house {home}, there lived a_ {ha} {hk} named {H}.",
    "Long ago, a_ {ha} {hk} named {H} made {his} home {home}.",
    "{home} lived a_ {ha} {hk} whose name was {H}.",
    "Once there was a_ {hk} named {H}, and {he} was the most {ha} {hk} {home}."]

HABIT = ["Every <part>, {H} liked to <hobby> <near> the <padj> <place>.",
    "{H} loved to <hobby>, but most of all {he} loved to <hobby> with {his} <relative>.",
    "On <weather> days {he} would <hobby> or eat <snack> <near> the <place>.",
    "{he} liked <snack> and <weather> [mornings|evenings|days], and {he} knew how to <hobby>.",
    "Most of the time {H} was <feel>, for {he} could <hobby> <spot>.",
    "{his} <relative> had taught {him} to <hobby> when the weather was <weather>."]

ENDING = ["From that day on, {H} and {F} would <hobby> together every <part>.",
    "That night {H} fell asleep feeling <feel> and dreamed of {F} and the <padj> <place>.",
    "{H} and {F} had learned that <lesson>.",
    "Then they all sat down <near> the <place> and ate <snack> with {F} until the stars came out.",
    "{H} never forgot that <weather> <part>, and neither did {F}.",
    "\"Now I know that <lesson>,\" <said1> {H}, and {F} [smiled|nodded|agreed|laughed].",
    "{H} went home to {his} <relative> and told the whole story over a plate of <snack>.",
    "And so {H} the {hk} and {F} the {fk} stayed friends for [ever|many years|the rest of their days]."]

DAY = ["One <weather> <part>, {H} <went> <adv> to the <padj> <place>",
    "On a_ <weather> <part>, {H} <went> along the path to the <place>",
    "It was a_ <weather> <part> when {H} <went> past the <padj> <place>",
    "One <part>, while the air was still <weather>, {H} <went> to the <place>"]

MEET = ["<near> the <place>, {he} met {F}, a_ {fa} {fk} who was trying to <hobby>.",
    "Just then a_ {fa} {fk} named {F} came <adv> around the corner of the <place>.",
    "A_ {fa} {fk} called {F} was sitting <spot>, eating <snack>.",
    "{he} went to see {F}, the {fa} {fk} who lived <near> the <padj> <place>."]

HELLO = ["\"[Hello|Good day|Hello there], {F},\" said {H} <adv>. \"[Will you help me|Can you help me|Do you have time to help me], please?\"",
    "\"What are you doing, {H}?\" asked {F} <adv>.",
    "\"You look <sad>, {H},\" <said1> the {fa} {fk}. \"[Tell me what is wrong|What has happened|How can I help you]?\"",
    "{F} looked at {H} <adv> and offered {him} some <snack>."]

THANKS = ["\"Thank you, {F},\" <said1> {H} <adv>. \"You are a_ [true|good|wonderful|dear] friend.\"",
    "{H} thanked {F} <adv> and gave {fhim} some <snack>.",
    "{H} was so <feel> that {he} hugged {F} and began to <hobby>.",
    "\"I could not have done it without you,\" <said1> {H} to the {fa} {fk} <adv>."]

# name: (what the hero does in a request, [beats]); a beat is a list of templates, or the name of a shared beat
SHAPES = {
"find": ("finds a_ {O}", [OPEN, HABIT, [d + ", and {he} found a_ {oc} {O} <spot>." for d in DAY],
    ["\"Who could have lost this {O}?\" [wondered|asked|thought] {H} <adv>.",
     "{H} picked up the {O} <adv> and [turned it around|looked at it|held it up] in the <weather> light.",
     "The {O} was [old|new|shiny|small|pretty] and {oc}, and {H} had never seen such a fine {O} <near> the <place>."],
    MEET, HELLO,
    ["\"That is my {O}!\" <said1> {F}. \"I lost it <spot> when I went to <hobby>.\"",
     "{F} saw the {oc} {O} and began to smile, because {fhe} had lost it <spot>.",
     "\"I have been looking for my {oc} {O} since the <weather> <part>,\" <said1> {F} <adv>."],
    ["{H} was [a little|quite|very] sad to lose the {O}, but {he} gave it back to {F} <adv>.",
     "{H} <adv> put the {oc} {O} into {F}'s hands, and both of them felt <feel>.",
     "\"Then it belongs to you,\" said {H}, and {he} gave the {O} to the {fa} {fk} <adv>."],
    ["To say thank you, {F} shared <snack> with {H} <spot>.",
     "{F} was so <feel> that {fhe} taught {H} how to <hobby>.",
     "\"You are a_ [kind|honest|good] {hk},\" <said1> {F}. \"Come and <hobby> with me.\""], ENDING]),
"lose": ("loses a_ {O}", [OPEN, ["{H} had a_ {oc} {O} that {he} took everywhere, even when {he} went to <hobby>.",
     "{his} <relative> had given {H} a_ {oc} {O}, and {he} kept it <spot>.",
     "More than anything, {H} loved {his} {oc} {O}, which came from the <padj> <place>."],
    [d + ", but {his} {oc} {O} was gone." for d in DAY],
    ["{H} looked <spot>, and then {he} looked <spot>, but the {O} was not there.",
     "{he} searched <spot> and <spot>, and {he} felt more and more <sad>.",
     "\"Where is my {O}?\" cried {H}, and {he} <went> back to the <padj> <place>."],
    MEET, HELLO,
    ["\"I have lost my {oc} {O},\" <said1> {H}. \"I had it <near> the <place>.\"",
     "{H} told {F} about the {oc} {O} and the <weather> <part> at the <place>."],
    ["Together they <went> to the <padj> <place> and looked <spot>.",
     "\"Let us look <spot>,\" <said1> {F} <adv>, and they <went> there together."],
    ["<time>, {F} saw something {oc} <spot>, and it was {H}'s {O}.",
     "There, <spot>, lay the {oc} {O}, and {H} [jumped for joy|cheered|shouted] <adv>.",
     "<time>, the {fa} {fk} pulled the {oc} {O} from a hole <spot>."], THANKS, ENDING]),
"travel": ("travels to the {pn}", [OPEN, HABIT,
    ["{H} had always wanted to see the {padj} {pn}, because {his} <relative> used to <hobby> there.",
     "\"I want to see the {padj} {pn},\" <said1> {H} <adv> one <weather> <part>.",
     "An old <animal> had told {H} that the {pn} was {padj} and full of <snack>."],
    ["So {he} packed <snack> and a_ {oc} {O} and <went> <adv> down the road.",
     "On a_ <weather> <part> {he} took {his} {oc} {O} and some <snack>, and {he} <went> away."],
    ["The road to the {pn} was long, and by [noon|evening|sunset|nightfall] {H} felt <sad> and <sad>.",
     "Soon {he} came to a_ <padj> <place>, and the [wind blew|rain fell|snow fell|fog came] all <part>.",
     "{H} <went> past the <place> and over the <padj> hills until {his} feet were [sore|wet|cold|tired]."],
    MEET, HELLO,
    ["\"I am going to the {padj} {pn},\" <said1> {H}, \"but I feel <sad>.\"",
     "\"Which way is the {pn}?\" asked {H} <adv>, and {he} showed {F} the {oc} {O}."],
    ["\"Follow me,\" <said1> {F}, and they <went> <adv> past the <padj> <place>.",
     "{F} knew the way to the {pn}, so the two friends <went> on <adv> and shared <snack>."],
    ["<time>, they saw the {padj} {pn}, and it was [bigger|prettier|brighter|finer] than {H} had dreamed.",
     "<time>, {H} and {F} stood before the {padj} {pn} and felt <feel>."], THANKS, ENDING]),
"help": ("helps a_ {fk}", [OPEN, HABIT, [d + " and heard <sound>." for d in DAY],
    ["It was {F}, a_ {fa} {fk}, who was stuck <spot> and felt very <sad>.",
     "There was a_ {fk} named {F}, who had fallen down <spot> on the way to the <place>.",
     "<spot> sat a_ {fa} {fk} named {F}, who was <sad> and could not go home."],
    ["\"Please help me, {hk},\" <said1> {F} <adv>. \"I have been here since the <weather> <part>.\"",
     "\"Do not worry, {F},\" <said1> {H} <adv>. \"I will help you get back to the <place>.\"",
     "\"I only wanted to <hobby>,\" <said1> {F}, \"and now I am <sad>.\""],
    ["{H} thought <adv> and then remembered the {oc} {O} that {his} <relative> had given {him}.",
     "Luckily, {H} had a_ {oc} {O} with {him}, and {he} had some <snack> too."],
    ["{he} used the {O} <adv>, and <time> {F} was free and <feel>.",
     "With the {oc} {O} and a lot of [work|care|luck|time], {H} <adv> helped the {fa} {fk} to stand up.",
     "{H} [pulled and pushed|pushed and pulled|worked hard] with the {oc} {O} until {F} could <hobby> again."],
    ["\"You are so <trait>, {H},\" <said1> {F} <adv>. \"How can I thank you?\"",
     "{F} thanked {H} <adv> and gave {him} <snack> from the <place>.",
     "{F} felt <feel> and asked {H} to come and <hobby> <near> the <place>."], ENDING]),
"make": ("makes a_ {mk}", [OPEN, HABIT,
    ["It was almost the birthday of {F}, a_ {fa} {fk} who lived <near> the <place>.",
     "{H} had a good friend named {F}, a_ {fa} {fk}, whose birthday was on a_ <weather> <part>."],
    ["\"I will make a_ {mk} for {F},\" <said1> {H} <adv>.",
     "{H} wanted to give {F} something special, so {he} decided to make a_ [fine|big|lovely|beautiful|little] {mk} <adv>."],
    ["First {he} looked for the things {he} needed <spot> and <near> the <padj> <place>.",
     "{he} asked {his} <relative> for help and <adv> began to work <spot>."],
    ["But the {mk} [broke|fell down|went wrong|was ruined] on a_ <weather> <part>, and {H} felt <sad>.",
     "The first {mk} was not good at all, and {H} was so <sad> that {he} stopped to eat <snack>.",
     "Then a_ <trait> <animal> came by and spoiled the {mk}, and {H} was <sad>."],
    ["\"Try again <adv>,\" <said1> {his} <relative>, \"and use this {oc} {O}.\"",
     "{H} found a_ {oc} {O} <spot>, and it gave {him} a [good|new|clever|wonderful] idea."],
    ["{he} worked <adv> all <part>, and <time> the {mk} was ready.",
     "This time {H} used the {oc} {O} and worked <adv>, and the {mk} looked [lovely|perfect|wonderful|splendid]."],
    ["When {F} saw the {mk}, {fhe} felt <feel> and began to <hobby>.",
     "\"This is the best {mk} I have ever seen!\" <said1> {F} <adv>.",
     "{F} took the {mk} <adv> and said that nobody <near> the <place> had a better one."], ENDING]),
"contest": ("wants to win a_ {ct}", [OPEN, HABIT,
    ["One <weather> <part>, there was a_ {ct} at the <padj> <place>, and the prize was a_ {oc} {O}.",
     "The <animal> of the <place> held a_ {ct} every year, and the winner got a_ {oc} {O}."],
    ["{H} wanted to win the {O}, so {he} practised <adv> every <part> <near> the <place>.",
     "\"I am going to win that {oc} {O},\" <said1> {H} <adv> to {his} <relative>."],
    ["But {F}, a_ {fa} {fk} from the <padj> <place>, wanted to win the {ct} too.",
     "Then {H} met {F}, a_ {fa} {fk} who had won the {ct} [last year|twice|three times|many times] <near> the <place>."],
    ["In the middle of the {ct}, {F} slipped <adv> and fell down <spot>.",
     "When the {ct} began, {H} <adv> did all {he} had practised, but {F} was [better|faster|stronger|luckier] <spot>."],
    ["{H} stopped <adv>, went to {F} and asked, \"Are you <sad>?\"",
     "{H} felt <sad>, but {he} smiled <adv> and [cheered for|waited for|waved to|helped] {F}."],
    ["\"You are a_ <trait> {hk},\" <said1> {F}, \"and I want to share the {oc} {O} with you.\"",
     "<time>, the old <animal> gave the {oc} {O} to both {H} and {F}, and everyone was <feel>.",
     "{F} won the {ct}, and {fhe} <adv> let {H} hold the {oc} {O}."], THANKS, ENDING]),
"share": ("shares a_ {O}", [OPEN,
    ["{H} had a_ {oc} {O}, and {he} played with it every <part> <spot>.",
     "For {his} birthday, {H} got a_ {oc} {O} from {his} <relative> on a_ <weather> <part>."],
    MEET,
    ["\"What a lovely {oc} {O}!\" <said1> {F} <adv>. \"May I [try|hold|use|borrow] it?\"",
     "{F} had never had a_ {O}, so {fhe} looked <adv> at {H}'s {oc} {O} and felt <sad>."],
    ["\"No, it is mine,\" <said1> {H} <adv>, and {he} hid the {O} <spot>.",
     "But {H} did not want to share, and {he} <went> away <adv> with the {oc} {O}."],
    ["Playing alone <spot> was no fun, and <time> {H} felt <sad>.",
     "{H} sat <spot> with the {oc} {O} all <part>, but {he} was <sad> without {F}."],
    ["{H} thought of what {his} <relative> had said <near> the <place>, and {he} <went> back to {F}.",
     "<time>, {H} <went> <adv> to {F}'s house <near> the <padj> <place>."],
    ["\"I am sorry, {F},\" said {H} <adv>. \"Let us share the {oc} {O}.\"",
     "{H} <adv> held out the {oc} {O} and asked {F} to <hobby> with {him}."],
    ["{F} was <feel>, and the two of them played with the {O} <spot> until [nightfall|sunset|dinner time|the moon rose].",
     "Then {H} and {F} took turns with the {oc} {O}, and {F} brought <snack> for them both."], ENDING]),
"noise": ("hears a strange noise", [OPEN, HABIT,
    ["One <weather> night, {H} woke up <adv> because {he} heard <sound> <near> the <place>.",
     "Late one <part>, when {H} was about to eat <snack>, there was <sound> <spot>."],
    ["\"Who is there?\" called {H} <adv>, but there was only <sound> from the <place>.",
     "{H} was <sad>, but {he} took {his} {oc} {O} and <went> <adv> outside."],
    ["The <part> was <weather>, and {he} <went> <adv> past the <padj> <place>.",
     "{he} looked <spot>, holding the {oc} {O} <adv>, and there was <sound> again."],
    ["But it was only {F}, a_ {fa} {fk} who had lost the way to the <padj> <place>.",
     "<spot> sat {F}, a_ {fa} {fk}, who was trying to <hobby> in the dark."],
    ["\"I did not mean to wake you,\" <said1> {F} <adv>. \"I was <sad> and could not sleep.\"",
     "\"Please do not be <sad>,\" <said1> {F}. \"I only wanted to <hobby>.\""],
    ["{H} laughed <adv> and asked {F} to come in for <snack>.",
     "\"Come inside, {F},\" <said1> {H}. \"We have <snack>, and it is too [cold|dark|wet|windy|late] out here.\""],
    ["{H} lent {F} the {oc} {O}, and <time> the {fa} {fk} found the way home past the <place>.",
     "They sat [close to|by|beside|near] the fire, and {F} told {H} about the <padj> <place> until [sunrise|midnight|morning|the moon set]."], ENDING]),
"grow": ("grows a_ {pl}", [OPEN, HABIT,
    ["One <weather> <part>, {H} found a [tiny|small|strange|round|brown] seed <spot>.",
     "{his} <relative> gave {H} a [tiny|small|strange|round|brown] seed on a_ <weather> <part>."],
    ["\"I will grow a_ {pl},\" <said1> {H} <adv>, and {he} planted the seed <spot>.",
     "{he} <adv> planted it <near> the <padj> <place> and hoped that it would become a_ {pl}."],
    ["Every <part> {he} carried water in a_ {oc} {O} from the <padj> <place>.",
     "{H} sat beside it <adv> each <part> and sang to it, holding {his} {oc} {O}."],
    ["But the days were <weather> and <weather>, and nothing grew, so {H} felt <sad>.",
     "Then a_ <weather> <part> came, and {H} was afraid that the {pl} would die <spot>."],
    MEET,
    ["\"A_ {pl} needs time,\" <said1> {F} <adv>. \"Let us <hobby> while we wait.\"",
     "\"Do not be <sad>, {H},\" <said1> {F}. \"I will help you with the {pl}.\""],
    ["<time>, a little green leaf came up, and {H} and {F} felt <feel>.",
     "<time>, the {pl} was [as tall as|bigger than|taller than] the {fk}, and {F} danced <adv>."],
    ["They shared the {pl} with every <animal> and <animal> <near> the <place>.",
     "Everyone came to the <padj> <place> to see {H}'s {pl}, and they ate <snack>."], ENDING]),
"fear": ("is afraid of {fr}", [OPEN,
    ["{H} was afraid of {fr}, so {he} never went to the <padj> <place> to <hobby>.",
     "{he} could <hobby> well, but {he} was afraid of {fr} on every <weather> <part>."],
    MEET,
    ["\"Come with me to the {padj} {pn},\" <said1> {F} <adv>. \"We can <hobby> there.\"",
     "{F} asked {H} <adv> to come along and <hobby> at the {padj} {pn}."],
    ["\"I cannot,\" <said1> {H} <adv>. \"I am afraid of {fr}.\"",
     "{H} shook {his} head <adv> and said that {fr} made {him} feel <sad>."],
    ["But one <weather> <part>, {F} did not come home from the {pn}, and {H} heard <sound>.",
     "Then, on a_ <weather> <part>, {F} was stuck <near> the {padj} {pn} and felt <sad>."],
    ["{H} took {his} {oc} {O} and <went> <adv> to the {pn}, though {he} was still afraid of {fr}.",
     "\"I must be <trait> now,\" <said1> {H}, and {he} <went> past the <place> with {his} {oc} {O}."],
    ["{he} found {F} <spot> and helped {fhim} with the {oc} {O} <adv>.",
     "<time>, {he} saw the {fa} {fk} <spot> and <adv> held out the {oc} {O} to {fhim}."],
    ["\"You were not afraid of {fr}!\" <said1> {F} <adv>, and {fhe} gave {H} some <snack>.",
     "On the way home {H} noticed that {fr} did not make {him} feel <sad> any more, and {he} was <feel>."], ENDING]),
}

_SLOT = re.compile(r"<(\w+)>")
_ALT = re.compile(r"\[([^\]]*)\]")
_ARTICLE = re.compile(r"\b([Aa])_ (?=(honest|\w))")


def fill(rng, template, ctx):
    """Expands one template; sentence starts are capitalised and articles agree."""
    s = _ALT.sub(lambda m: rng.choice(m.group(1).split("|")), template)
    s = _SLOT.sub(lambda m: rng.choice(LISTS[m.group(1)]), s).format_map(ctx)
    s = _ARTICLE.sub(lambda m: m.group(1) + ("n " if m.group(2) == "honest" or m.group(2) in "aeiouAEIOU" else " "), s)
    return s[0].upper() + s[1:]


def character(rng, avoid=None):
    girl = rng.random() < 0.5
    name = rng.choice([n for n in (w.GIRLS if girl else w.BOYS) if n != avoid])
    kind = rng.choice(w.ANIMALS) if rng.random() < 0.75 else ("girl" if girl else "boy")
    return name, kind, rng.choice(w.TRAITS), (("she", "her", "her") if girl else ("he", "him", "his"))


def story(rng):
    """A random story: (shape name, context, text)."""
    name = rng.choice(list(SHAPES))
    H, hk, ha, (he, him, his) = character(rng)
    F, fk, fa, (fhe, fhim, fhis) = character(rng, H)
    O = rng.choice(w.OBJECTS)
    oc = rng.choice(w.COLOURS)
    home = "%s the %s %s" % (rng.choice(["near", "by", "beside", "close to"]), rng.choice(w.PLACE_ADJ), rng.choice(w.PLACES))
    ctx = dict(H=H, hk=hk, ha=ha, he=he, him=him, his=his, F=F, fk=fk, fa=fa, fhe=fhe, fhim=fhim, fhis=fhis, O=O, oc=oc,
               home=home, pn=rng.choice(w.PLACES), padj=rng.choice(w.PLACE_ADJ), mk=rng.choice(w.MAKES),
               ct=rng.choice(w.CONTESTS), pl=rng.choice(w.PLANTS), fr=rng.choice(w.FEARS))
    out = []
    for beat in SHAPES[name][1]:
        # the habit and the greeting are optional, so that stories differ in length
        if beat in (HABIT, HELLO) and rng.random() < 0.3:
            continue
        out.append(fill(rng, rng.choice(beat), ctx))
        if beat is ENDING and rng.random() < 0.5:
            out.append(fill(rng, rng.choice([t for t in ENDING if t is not beat]), ctx))
    text = " ".join(out)
    # Two paragraphs now and then, as stories have.
    if rng.random() < 0.3 and len(out) > 5:
        k = rng.randrange(3, len(out) - 2)
        text = " ".join(out[:k]) + "\n\n" + " ".join(out[k:])
    return name, ctx, text


REQUEST = ["Tell me a story about {who}.", "Write a story about {who}.", "Please tell me a story about {who}.",
    "Can you tell me a story about {who}?", "I would like to hear a story about {who}.", "Write a short story about {who}.",
    "Tell a story about {who}.", "Make up a story about {who}."]


def request(rng, shape, ctx):
    """A request that the story answers: it names only things which are in the story."""
    does = SHAPES[shape][0]
    named = rng.random() < 0.35
    hero = "a_ {hk} named {H}" if named else rng.choice(["a_ {hk}", "a_ {ha} {hk}"])
    form = rng.random()
    if form < 0.5:
        who = hero + " who " + does
    elif form < 0.75 and shape != "grow":
        who = hero + " and a_ {O}"
    elif form < 0.85:
        who = hero
    elif form < 0.93:
        who = hero + " and a_ {fk}"
    else:
        who = "{H} the {hk} and {F} the {fk}"
    return fill(rng, rng.choice(REQUEST).replace("{who}", who), ctx)
