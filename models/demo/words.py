"""Word lists of the demo corpus: everything the model can talk about.

Stories and questions draw from the same lists, so a word met in one is known in the other.
"""

GIRLS = """Anna Mia Lily Nora Ella Ruby Ivy Rosa Clara Zoe Lucy Emma Maya Tess Wendy Hazel Daisy Fern Greta Holly
Iris June Kate Lena Molly Nina Olive Penny Poppy Sally Sara Tilly Una Vera Alice Bella Cora Dora Effie Flora""".split()
BOYS = """Tom Ben Sam Max Leo Finn Jack Oscar Hugo Felix Otto Theo Noah Pip Toby Bruno Rory Milo Ned Gus
Jasper Kit Luke Mark Nick Owen Paul Ralph Simon Tim Victor Will Adam Basil Carl Dan Eli Fred George Harry""".split()

ANIMALS = """fox bear rabbit mouse owl cat dog duck frog turtle hedgehog squirrel badger otter goat pig sheep horse pony
donkey goose hen crow robin swan deer beaver mole lamb kitten puppy wolf lion tiger monkey penguin""".split()

COLOURS = "red blue green yellow white black brown pink purple orange grey".split()

OBJECTS = """ball kite key lantern hat scarf drum bell boat book box button cup basket blanket map shell stone feather
ribbon whistle coin mirror wagon umbrella flute ring lamp rope bag coat spoon bottle puzzle doll bucket""".split()

TRAITS = """brave kind clever shy cheerful curious gentle lonely proud quiet patient sleepy hungry lazy polite silly
careful friendly little young old small tiny playful honest""".split()

PLACES = """forest meadow river hill garden village lake mill bridge barn cave beach valley orchard market tower farm
island pond harbour field well castle cabin""".split()

PLACE_ADJ = """old quiet wide little sunny windy dark lonely busy misty pretty empty hidden green snowy sandy
peaceful""".split()

WEATHER = "sunny rainy windy cold warm foggy snowy cloudy bright grey stormy misty chilly hot".split()

DAYPARTS = "morning afternoon evening day".split()

ADVERBS = """quickly slowly quietly happily carefully bravely gently softly proudly kindly politely eagerly calmly
cheerfully shyly patiently""".split()

HOBBIES = ["sing songs", "climb trees", "count clouds", "draw pictures", "bake bread", "pick berries", "chase leaves",
    "read stories", "plant seeds", "collect stones", "watch birds", "build towers", "tell jokes", "swim", "paint flowers",
    "listen to the rain", "look for snails", "play hide and seek", "make soup", "write letters", "whistle tunes"]

SPOTS = ["under a big rock", "behind the barn", "beside the path", "in the tall grass", "under the bridge",
    "at the bottom of the well", "inside a hollow tree", "on top of the hill", "near the old gate", "under a pile of leaves",
    "between two stones", "behind the mill", "at the edge of the forest", "on the sandy shore", "in a patch of flowers",
    "next to the pond", "under the kitchen table", "in the corner of the garden", "beneath an apple tree",
    "among the reeds", "at the end of the lane", "behind a wooden fence"]

SNACKS = ["apple pie", "warm bread", "berry jam", "carrot soup", "honey cakes", "sweet pears", "nut cookies", "hot cocoa",
    "cheese", "plum tarts", "mushroom stew", "lemon tea", "fresh berries", "pumpkin soup", "oat biscuits", "cold milk"]

FEELINGS = "happy glad proud thankful cheerful calm merry hopeful joyful content".split()
SAD = "sad worried tired lonely cold afraid upset lost hungry".split()
RELATIVES = ["mother", "father", "grandmother", "grandfather", "two brothers", "three sisters", "uncle", "aunt",
    "little sister", "big brother"]

LESSONS = ["a good friend is better than gold", "it is brave to ask for help", "small steps can lead far",
    "sharing makes everything sweeter", "kind words cost nothing", "it is good to tell the truth",
    "nobody is too small to help", "slow and careful work is best", "a promise should be kept",
    "being different is a fine thing", "two heads are better than one", "every storm must end",
    "fear grows small when you face it", "the best gifts come from the heart", "it is never too late to say sorry",
    "patience brings good things", "home is where your friends are"]

FEARS = ["the dark", "deep water", "thunder", "high places", "loud noises", "the wind", "strangers", "spiders", "the forest"]

SOUNDS = ["a soft cry", "a loud knock", "a strange song", "a long whistle", "a low growl", "a tiny squeak", "a gentle tapping",
    "a deep rumble", "a sad howl", "a funny hum", "a sharp crack", "a quick rustle"]

PLANTS = ["sunflower", "pumpkin", "apple tree", "bean", "rose", "carrot", "cherry tree", "tulip", "melon", "pear tree",
    "strawberry", "cabbage"]

MAKES = ["cake", "chair", "song", "picture", "sweater", "bird house", "little cart", "wooden toy", "pot of soup", "crown of flowers",
    "paper star", "necklace", "swing", "pillow", "story book"]

CONTESTS = ["race", "singing contest", "swimming race", "baking contest", "jumping contest", "drawing contest",
    "climbing contest", "dancing contest"]

OPPOSITES = """big small|hot cold|up down|day night|happy sad|fast slow|old new|open closed|light dark|hard soft|high low
long short|wet dry|full empty|clean dirty|early late|loud quiet|rich poor|strong weak|thick thin|wide narrow|good bad
left right|in out|on off|near far|first last|before after|above below|front back|inside outside|push pull|start stop
give take|buy sell|win lose|laugh cry|love hate|come go|remember forget|arrive leave|asleep awake|alive dead
true false|yes no|always never|more less|many few|young old|brave afraid|kind mean|easy difficult|heavy light
smooth rough|sharp blunt|sweet sour|deep shallow|warm cool|tall short|summer winter|sunrise sunset|top bottom
north south|east west|question answer|friend enemy|king queen|black white|find miss|raise lower|begin end|float sink
tight loose|safe dangerous|cheap expensive|calm stormy|polite rude|busy idle|boy girl|man woman|brother sister
sit stand|together apart|everything nothing|teach learn|appear vanish|whisper shout|wild tame|fresh stale|grow shrink"""
OPPOSITES = [tuple(p.split()) for line in OPPOSITES.split("\n") for p in line.split("|")]

THINGS = {"grass": "green", "the sky": "blue", "snow": "white", "coal": "black", "a banana": "yellow", "a lemon": "yellow",
    "a strawberry": "red", "a carrot": "orange", "a leaf": "green", "milk": "white", "a tomato": "red", "chocolate": "brown",
    "the sun": "yellow", "a cherry": "red", "a frog": "green", "a crow": "black", "a swan": "white", "a pumpkin": "orange",
    "a plum": "purple", "a fire engine": "red", "the sea": "blue", "salt": "white", "mud": "brown", "an elephant": "grey",
    "a flamingo": "pink", "a polar bear": "white", "spinach": "green", "blood": "red", "butter": "yellow", "a pig": "pink",
    "an orange": "orange", "a cucumber": "green", "a rain cloud": "grey", "a lion": "yellow", "the night": "black",
    "a bear": "brown", "a fox": "orange", "cotton": "white", "a mouse": "grey", "a pea": "green", "a chestnut": "brown",
    "lavender": "purple", "a chick": "yellow", "a ladybird": "red"}

SAYS = {"cow": "moo", "dog": "woof", "cat": "meow", "duck": "quack", "sheep": "baa", "pig": "oink", "horse": "neigh",
    "frog": "croak", "owl": "hoot", "lion": "roar", "mouse": "squeak", "hen": "cluck", "crow": "caw", "bee": "buzz",
    "snake": "hiss", "wolf": "howl", "donkey": "hee-haw", "goose": "honk"}

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()

PLURALS = {"mouse": "mice", "goose": "geese", "wolf": "wolves", "sheep": "sheep", "deer": "deer", "fox": "foxes",
    "puppy": "puppies", "pony": "ponies", "child": "children", "foot": "feet", "tooth": "teeth", "man": "men",
    "woman": "women", "leaf": "leaves", "box": "boxes", "berry": "berries", "city": "cities", "scarf": "scarves",
    "bus": "buses", "dress": "dresses", "church": "churches", "knife": "knives", "baby": "babies", "bench": "benches"}
PLURALS.update({w: w + "s" for w in ANIMALS + OBJECTS if w not in PLURALS})
