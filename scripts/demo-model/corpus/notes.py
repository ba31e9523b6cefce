"""Short notes in English with their title and their to-dos.

A note is a list of sentences; a to-do is a verb phrase behind a lead-in ("Need to", "Don't forget to"), and the answer
copies it, one a line. Sentences that ask for nothing are the distractors. A title is made from a few facts of the note.
"""

NAMES = """Anna Tom Maria Paul Julia David Laura Peter Emma Lucas Sofia Daniel Nina Martin Sarah Leo Clara Max Eva Oliver
Lisa Simon Alice Robert Ben Grace Hugo Iris Jack Kate Lena Mark Nora Oscar Pia Rosa Sam Tina Victor Zoe Ahmed Fatima Yuki
Ivan Olga Ravi Priya Chen Wei Mei Carlos Elena Diego Pierre Chloe Hans Greta Liam Maya Noah Ella Felix Ida Jonas""".split()
NAMES += ["Mum", "Dad", "the landlord", "the dentist", "the bank", "the doctor", "the plumber", "the school", "the office", "Grandma"]
ITEMS = """milk,eggs,bread,butter,cheese,apples,bananas,tomatoes,onions,garlic,rice,pasta,coffee,tea,sugar,salt,flour,honey,
yoghurt,potatoes,carrots,oranges,lemons,grapes,chicken,fish,ham,olive oil,soap,shampoo,toothpaste,batteries,light bulbs,
paper towels,stamps,envelopes,dog food,cat food,flowers,candles,napkins,wine,orange juice,mineral water,chocolate,nuts,
spinach,mushrooms,lettuce,peppers""".replace("\n", "").split(",")
TOPICS = """the budget,the contract,the invoice,the holiday,the party,the new website,the trip,the rent,the kitchen,the garden,
the wedding,the project plan,the schedule,the insurance,the car,the new logo,the school trip,the tickets,the report,the survey,
the training,the release,the design,the interview,the move,the birthday cake,the concert,the broken heater,the delivery,
the test results,the marketing plan,the hiring plan,the office party,the new phone,the roof,the loan,the workshop,
the newsletter,the exhibition,the summer camp""".replace("\n", "").split(",")
DOCS = """the report,the invoice,the contract,the slides,the photos,the form,the minutes,the budget,the offer,the letter,the recipe,
the draft,the floor plan,the tax form,the price list,the agenda,the guest list,the poster,the manual,
the application""".replace("\n", "").split(",")
BILLS = """the rent,the electricity bill,the phone bill,the water bill,the gas bill,the parking fine,the internet bill,the insurance,
the gym membership,the school fees,the dentist's bill,the credit card bill""".replace("\n", "").split(",")
CHORES = """water the plants,clean the kitchen,wash the car,take out the rubbish,walk the dog,feed the cat,mow the lawn,do the laundry,
vacuum the living room,tidy the garage,iron the shirts,change the sheets,empty the dishwasher,paint the fence,fix the bike,
clean the windows,charge the camera,back up the laptop,update the calendar,defrost the freezer,sort the mail,sharpen the knives,
repair the shelf,hang up the picture,wrap the present,bake a cake,pack the suitcase,water the tomatoes,sweep the stairs,
replace the filter""".replace("\n", "").split(",")
BOOKINGS = """a table for two,a table for six,a hotel,a flight,a taxi,the train tickets,a meeting room,the concert tickets,a dentist appointment,
a haircut,a rental car,the tennis court,a babysitter,a moving van,a campsite,a guided tour""".replace("\n", "").split(",")
PICKUPS = """the dry cleaning,the parcel,the kids,the cake,the keys,the prescription,the bike,the passport,the library books,the tickets,
the medicine,the shoes,the new glasses,the pizza""".replace("\n", "").split(",")
RETURNS = "the keys,the bike,the library books,the tent,the drill,the ladder,the suitcase,the camera,the projector,the blue jacket".split(",")
RENEW = "the passport,the library card,the parking permit,the insurance,the bus pass,the driving licence,the domain name,the subscription".split(",")
CITIES = """Paris Berlin Madrid London Rome Vienna Lisbon Prague Dublin Athens Tokyo Boston Chicago Toronto Sydney Oslo Lyon Munich Milan
Seville Zurich Geneva Brussels Warsaw Beijing Shanghai Hamburg Edinburgh Florence Venice""".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
WHENS = ["tomorrow", "tonight", "this week", "today", "next week", "this afternoon", "tomorrow morning", "this weekend"]
MONTHS = "January February March April May June July August September October November December".split()
DISHES = """tomato soup,apple pie,pancakes,lentil curry,potato salad,onion soup,chicken stew,banana bread,vegetable lasagne,fish tacos,
mushroom risotto,carrot cake,fried rice,lemon tart,bean chili,pumpkin soup,waffles,spinach quiche,beef stew,rice pudding""".replace("\n", "").split(",")
BOOKS = """The Old Lighthouse,A Year in the Garden,The Quiet River,Bread and Salt,The Last Train North,Letters from the Island,The Blue House,
Winter Bees,The Clockmaker,A Map of Stars,Paper Boats,The Long Harvest,Night Swimming,The Glass Door,Small Kindnesses,
The Orange Tree""".replace("\n", "").split(",")
IDEAS = """an app for sharing recipes,a box for lost gloves,a podcast about old maps,a photo book for Grandma,a weekly walking club,
a garden on the roof,a board game about trains,a calendar with family photos,a bike repair day,a letter to our future selves,
a quiz for the office party,a film night in the park,a shelf made of old crates,a lamp made of glass bottles,
a cookbook with only five ingredients,a bird feeder for the balcony,a newsletter for the neighbours,a treasure hunt for the kids""".replace("\n", "").split(",")
THINGS = """washing machine,dishwasher,fridge,heater,printer,laptop,bike,car,lawn mower,coffee machine,kitchen tap,front door,radiator,
doorbell,vacuum cleaner,television,oven,garage door""".replace("\n", "").split(",")
SPORTS = "running,swimming,cycling,yoga,rowing,climbing,weights,football,tennis,hiking,boxing,dancing".split(",")
GIFTS = """a book about birds,a scarf,a teapot,a puzzle,concert tickets,a plant,a watch,a cookbook,a board game,a warm hat,a camera bag,
a box of chocolates,a pair of gloves,a chess set""".replace("\n", "").split(",")


def _cap(text):
    return text[0].upper() + text[1:]


def _when(rng):
    kind = rng.randrange(4)
    if kind == 0:
        return " " + rng.choice(WHENS)
    if kind == 1:
        return f" {rng.choice(['on', 'before', 'by'])} {rng.choice(DAYS)}"
    return ""


def _items(rng, most=3):
    chosen = rng.sample(ITEMS, rng.randint(1, most))
    return chosen[0] if len(chosen) == 1 else ", ".join(chosen[:-1]) + " and " + chosen[-1]


VERBS = [
    lambda r: f"call {r.choice(NAMES)}",
    lambda r: f"call {r.choice(NAMES)} about {r.choice(TOPICS)}",
    lambda r: f"email {r.choice(NAMES)}",
    lambda r: f"email {r.choice(NAMES)} about {r.choice(TOPICS)}",
    lambda r: f"ask {r.choice(NAMES)} about {r.choice(TOPICS)}",
    lambda r: f"buy {_items(r)}",
    lambda r: f"buy {_items(r, 2)}",
    lambda r: f"send {r.choice(DOCS)} to {r.choice(NAMES)}",
    lambda r: f"print {r.choice(DOCS)}",
    lambda r: f"finish {r.choice(DOCS)}",
    lambda r: f"sign {r.choice(DOCS)}",
    lambda r: f"pay {r.choice(BILLS)}",
    lambda r: r.choice(CHORES),
    lambda r: r.choice(CHORES),
    lambda r: f"book {r.choice(BOOKINGS)}",
    lambda r: f"book a {r.choice(['hotel', 'flight', 'room'])} in {r.choice(CITIES)}" if r.random() < 0.5 else f"book a flight to {r.choice(CITIES)}",
    lambda r: f"pick up {r.choice(PICKUPS)}",
    lambda r: f"renew {r.choice(RENEW)}",
    lambda r: f"meet {r.choice(NAMES)} for {r.choice(['lunch', 'coffee', 'dinner', 'breakfast'])}",
    lambda r: f"return {r.choice(RETURNS)} to {r.choice(NAMES)}",
    lambda r: f"cancel {r.choice(BOOKINGS)}",
    lambda r: f"thank {r.choice(NAMES)} for {r.choice(GIFTS)}",
]

LEADS = [
    "I need to {v}.", "Need to {v}.", "I have to {v}.", "I must {v}.", "Don't forget to {v}.", "Remember to {v}.",
    "We need to {v}.", "We should {v}.", "I should {v}.", "Please {v}.", "To do: {v}.", "TODO: {v}.", "I still have to {v}.",
    "I want to {v}.", "Must {v}.", "{V}.", "{V}!", "Also {v}.", "Then {v}.", "I promised to {v}.", "It is time to {v}.",
]
PAIRS = ["I need to {v} and {w}.", "We have to {v} and {w}.", "Don't forget to {v} and to {w}.", "{V} and {w}.", "First {v}, then {w}."]
BUY = ["We need {i}.", "We are out of {i}.", "There is no more {i}."]

CHAT = [  # nothing to do in these
    lambda r: f"The meeting with {r.choice(NAMES)} went well.",
    lambda r: f"{_cap(r.choice(NAMES))} liked {r.choice(TOPICS)}.",
    lambda r: f"It rained in {r.choice(CITIES)} on {r.choice(DAYS)}.",
    lambda r: f"{_cap(r.choice(NAMES))} is in {r.choice(CITIES)} until {r.choice(DAYS)}.",
    lambda r: f"We talked about {r.choice(TOPICS)}.",
    lambda r: f"{_cap(r.choice(TOPICS))} looks good.",
    lambda r: f"{_cap(r.choice(NAMES))} sent {r.choice(DOCS)} on {r.choice(DAYS)}.",
    lambda r: f"{_cap(r.choice(BILLS))} is already paid.",
    lambda r: f"The train to {r.choice(CITIES)} was late.",
    lambda r: f"{_cap(r.choice(NAMES))} was happy about {r.choice(GIFTS)}.",
    lambda r: f"Lunch with {r.choice(NAMES)} was nice.",
    lambda r: f"I slept well in {r.choice(CITIES)}.",
    lambda r: f"{_cap(r.choice(DAYS))} was a long day.",
    lambda r: f"The {r.choice(THINGS)} works again.",
    lambda r: f"{_cap(r.choice(NAMES))} has a new {r.choice(THINGS)}.",
]

TODO_ASKS = [
    "List the to-dos: {n}", "List the to-dos:\n{n}", "Extract the to-dos: {n}", "Find the to-dos in this note: {n}",
    "What do I have to do? {n}", "Make a to-do list: {n}", "Make a to-do list from this note: {n}", "To-dos: {n}",
    "List the tasks: {n}", "Which to-dos are in this note?\n{n}", "Extract the tasks from this note:\n{n}", "list the to-dos: {n}",
    "{n}\nList the to-dos.",
]
NOTHING = "There is nothing to do in this note."


def todo_note(rng, held):
    """(note, answer, its sentences) of a to-do note. `held`: with combinations that training never shows."""
    sentences, todos = [], []
    count = rng.choice([0, 1, 1, 2, 2, 3, 3]) if not held else rng.choice([1, 1, 2, 2, 3])
    kinds = ["todo"] * count + ["chat"] * rng.choice([0, 0, 1, 1, 2] if count else [1, 2])
    rng.shuffle(kinds)
    for kind in kinds:
        if kind == "chat":
            sentences.append(rng.choice(CHAT)(rng))
            continue
        verb, lead = _combination(rng, held)
        when = _when(rng)
        v = VERBS[verb](rng) + when
        roll = rng.random()
        if roll < 0.12:
            w = VERBS[_combination(rng, held)[0]](rng)
            v = v[: len(v) - len(when)]
            sentences.append(rng.choice(PAIRS).format(v=v, V=_cap(v), w=w))
            todos += [v, w]
        elif roll < 0.2:
            items = _items(rng)
            sentences.append(rng.choice(BUY).format(i=items))
            todos.append(f"buy {items}")
        else:
            sentences.append(LEADS[lead].format(v=v, V=_cap(v)))
            todos.append(v)
    answer = "\n".join(f"- {t}" for t in todos) if todos else NOTHING
    return " ".join(sentences), answer, sentences


def _combination(rng, held):
    """A verb phrase and a lead-in; a ninth of all combinations is held out for the test."""
    while True:
        verb, lead = rng.randrange(len(VERBS)), rng.randrange(len(LEADS))
        if ((verb * 7 + lead * 4) % 9 == 0) == held:
            return verb, lead


# Title, then the ways its note can go; the words in braces are drawn once a note.
TITLES = [
    ("Meeting with {name} about {topic}", ["Met {name} today. We talked about {topic}.", "Had a meeting with {name}. Topic: {topic}. Next meeting on {day}.",
        "{name} and I discussed {topic} on {day}. It went well.", "Meeting notes: {name} explained {topic}. We meet again on {day}.",
        "Talked to {name} for an hour. It was all about {topic}."]),
    ("Shopping list", ["{item}, {item2}, {item3} and {item4}.", "Buy {item}, {item2} and {item3}.", "We need {item}, {item2}, {item3}.",
        "From the shop: {item}, {item2}, also {item3}.", "{item}\n{item2}\n{item3}"]),
    ("Recipe for {dish}", ["{Dish}: cut the {item}, add {item2} and cook for {n} minutes.", "How to make {dish}. Mix {item} and {item2}, then wait {n} minutes.",
        "Grandma's {dish}: {item}, {item2}, a little {item3}. Bake for {n} minutes.", "For {dish} you need {item} and {item2}. Takes {n} minutes."]),
    ("Trip to {city}", ["Flight to {city} on {day} at {n} past nine. The hotel is booked.", "We are going to {city} in {month}. {name} has the tickets.",
        "Train to {city} leaves on {day}. Pack warm clothes.", "{city} in {month}: three nights, hotel near the station.", "Plan for {city}: museum on {day}, then the old town."]),
    ("Birthday of {name}", ["{name} turns {n} on {month} {m}. We are having a party.", "{name}'s birthday is on {month} {m}. Bring a cake.",
        "Party for {name} on {day}: {n} years old!"]),
    ("Gift idea for {name}", ["{name} would love {gift}.", "Present for {name}: maybe {gift}.", "{name} said that {gift} would be a nice present.",
        "Saw {gift} in a shop. Perfect for {name}."]),
    ("Idea: {idea}", ["What if we made {idea}? Ask {name}.", "New idea in the shower: {idea}.", "I could start {idea}. {name} might help.",
        "We could do {idea} in {month}."]),
    ("{Thing} repair", ["The {thing} is broken again. {name} knows someone who can fix it.", "{name} came to fix the {thing}. It cost {n} euros.",
        "The {thing} makes a strange noise. Technician comes on {day}.", "Repair of the {thing}: {n} euros, ready on {day}."]),
    ("Dentist appointment on {day}", ["Dentist on {day} at {m} o'clock. Bring the card.", "The dentist can see me on {day}. It will take {n} minutes.",
        "Teeth check with the dentist, {day} at {m}."]),
    ("Doctor's appointment on {day}", ["Doctor on {day} at {m} o'clock. Bring the test results.", "The doctor has time on {day} at {m}. Don't eat before.",
        "Check-up at the doctor's, {day}, room {n}."]),
    ("{Sport} training", ["{Sport} for {n} minutes today. Felt great.", "{day}: {sport}, {n} minutes, a bit tired.", "New plan: {sport} every {day} for {n} minutes.",
        "{Sport} with {name} on {day}. My legs hurt."]),
    ("Book review: {book}", ["Finished {book} last night. The ending was sad.", "{book} is the best book I read in {month}.", "Started {book} on {day}. Slow, but lovely words.",
        "{name} gave me {book}. I could not stop reading."]),
    ("Dinner with {name}", ["Dinner with {name} on {day} at {m}. The table is booked.", "{name} is coming for dinner. I will cook {dish}.",
        "Ate {dish} with {name} at the new place. Very good."]),
    ("Call with {name}", ["{name} called about {topic}. Call back on {day}.", "Phone call with {name}: {topic} is fine.", "On the phone, {name} asked about {topic}."]),
    ("Rent and bills in {month}", ["{month}: rent {n} euros, power 40, internet 30.", "Paid in {month}: rent, {bill} and the phone.", "Rent for {month} goes up by {n} euros. Also check {bill}."]),
    ("Weekend in {city}", ["This weekend we drive to {city} with {name}.", "Two days in {city}: market on Saturday, museum on Sunday.", "Saturday and Sunday in {city}. {name} booked a room."]),
    ("Lost: {lost}", ["I lost {lost} in {city}. Maybe on the bus.", "Cannot find {lost}. Last seen on {day}.", "{name} is looking for {lost} too. Nobody knows where it is."]),
    ("Plan for {day}", ["{day}: first the gym, then {name}, then dinner.", "On {day} I work until {m}. After that the shop.", "{day} morning: laundry. {day} evening: film with {name}."]),
    ("Moving to {city}", ["We found a flat in {city}. Rent is {n} euros. We move in {month}.", "New flat in {city} from {month}. {name} helps with the boxes.",
        "The van to {city} is booked for {day}. Pack the kitchen first."]),
    ("Job interview in {city}", ["Interview in {city} on {day} at {m}. Ask for {name}.", "{name} from the company in {city} invited me to an interview in {month}.",
        "The interview in {city} took {n} minutes. They call on {day}."]),
]
TITLE_ASKS = [
    "Give this note a title: {n}", "Give this note a title:\n{n}", "Title for this note: {n}", "Find a title for this note: {n}",
    "What is a good title for this note? {n}", "Suggest a title: {n}", "Title: {n}", "Write a title for this note:\n{n}",
    "Make a short title for this note: {n}", "give this note a title: {n}", "{n}\nGive this note a title.", "Name this note: {n}",
]
LOST = ["the blue umbrella", "my house keys", "my wallet", "the red scarf", "my phone charger", "the library book", "my glasses", "the grey hat", "my bus pass", "the spare key", "my watch", "the black gloves"]


def title_note(rng, held):
    """(note, title, [note]); a way to put a note is held out for a seventh of the title's own words."""
    while True:
        t = rng.randrange(len(TITLES))
        title, ways = TITLES[t]
        items = rng.sample(ITEMS, 4)
        words = {
            "name": rng.choice(NAMES[:60]), "topic": rng.choice(TOPICS), "day": rng.choice(DAYS), "item": items[0], "item2": items[1],
            "item3": items[2], "item4": items[3], "dish": rng.choice(DISHES), "n": rng.choice(range(5, 95, 5)), "m": rng.randint(2, 12),
            "city": rng.choice(CITIES), "month": rng.choice(MONTHS), "gift": rng.choice(GIFTS), "idea": rng.choice(IDEAS),
            "thing": rng.choice(THINGS), "sport": rng.choice(SPORTS), "book": rng.choice(BOOKS), "bill": rng.choice(BILLS), "lost": rng.choice(LOST),
        }
        words |= {_cap(k): _cap(str(v)) for k, v in words.items()}
        way = rng.randrange(len(ways))
        made = title.format(**words)
        if (sum(map(ord, made)) * 3 + way * 5) % 7 == 0 and title != made:
            if not held:
                continue
        elif held and title != made:
            continue
        note = _cap(ways[way].format(**words))
        return note, made, [note]
