"""What an icon shows, by the words of its name: which of the ten classes, if any, and what speaks against it."""
from __future__ import annotations

import re

WORDS = {
    "airplane": "airplane airplanes plane planes aeroplane aircraft jet airliner biplane seaplane jetliner flight "
                "flights airplanemode",
    "bird": "bird birds owl duck duckling eagle parrot chicken rooster pigeon dove hen turkey swan flamingo peacock "
            "goose penguin crow raven sparrow seagull gull hawk falcon ostrich toucan pelican stork robin chick "
            "vulture heron condor finch hummingbird ibis shoebill dodo blackbird cardinal canary swallow kiwi",
    "car": "car cars automobile taxi cab sedan suv hatchback coupe convertible jeep limousine racecar roadster",
    "cat": "cat cats kitty kitten",
    "deer": "deer moose elk reindeer stag doe fawn buck caribou antlers",
    "dog": "dog dogs puppy poodle hound corgi labrador retriever pug doge",
    "horse": "horse horses pony racehorse knight",
    "monkey": "monkey monkeys gorilla ape orangutan mandrill baboon chimpanzee",
    "ship": "ship ships boat boats sailboat yacht ferry speedboat motorboat rowboat galleon warship frigate battleship "
            "caravel drakkar trireme steamer barge sailing vessel carrier tanker",
    "truck": "truck trucks lorry firetruck shipping tipper pickup",
}
CLASS_OF = {word: label for label, words in WORDS.items() for word in words.split()}
# Words that say how a thing is drawn, or where it is filed, not what it is; numbers are dropped as well.
STYLE = set("""outline outlined filled fill line lines light regular solid bold duotone thin linear broken twotone two
    tone sharp round rounded baseline color colour flat remix duo px alt o s sm lg xl new small large big stroke ltr rtl
    animal animals pet nature business products metaphor transportation transport travel vehicle maps medium full one
    black body retro high games fantasy adventure road amusement public local directions simple""".split())
# Words that say that something else is shown, or that the thing is crossed out, carries a badge or is a detail.
OTHER = set("""
    airflow airport alert arhive arrow arrows autopilot bag baht balloon banner bath battery bed blood board
    boarding bow bowl box brake breakdown bridge brushes building bump burst bus cable cage cancel card check
    checkerboard checkmark chopper circle class claw clock clutch cog collision comb connected control coolant
    covid crane crash crates crossing cube dashboard dealer defrost deploy deployment desert detection
    disability disabled dock document dogecoin dollar door droplet earth edit emblem engine engines esp euro
    exclamation fan feeder field flag flap floor food footprint fountain freight fruit garage gear grilled gun
    hand headphones health heat height helix helm home hood horizon hot hotel hotels house inactive jp jumper
    key lag laptop laurel leg lift lifter limb list loading lock locker marker mask meal meat mechanic medical
    mesh mine minus mode mounted navaid nest off order oven pack package paper parking parts people person peso
    phoenix pilot pin plus pool pound print prompt question racetrack railway remove rental repair return roast
    rocket roster rowing ruble rupee saddle safety scepter schedule schrodingers search seat select send
    settings shared sharing shekel shelter shield shipment shower sign signal skiing skin slash smart spark
    sparkles speed spring square structure success tag telegram thighs tick ticket tickets time token toll tour
    track trailer train tram transfer transmission trojan tunnel turbine twitter walk walker warehouse wash
    washing wheel wheelchair whistle wifi window windshield wing witch wreck wrench x yen
""".split())
# A cat's moods, in the names of emoji.
MOODS = set("tears joy wry smile crying grinning smiling kissing pouting weary".split())


def words_of(name: str) -> list[str]:
    """The words of an icon's name that say what it shows."""
    words = [re.sub(r"\d+(px)?$", "", word) for word in re.split("[-_]", name.replace("take-off", "takeoff"))]
    return [word for word in words if word and word not in STYLE]


def subject_of(name: str) -> str:
    """What an icon shows, as words; a family's cat is the same cat whether it grins or cries."""
    words = words_of(name)
    return "cat-face" if "cat" in words and MOODS & set(words) else "-".join(words)


def label_of(name: str) -> str | None:
    """The class that an icon's name speaks of, or None if there is none, or more than one, or something else, too."""
    words = words_of(name)
    labels = {CLASS_OF[word] for word in words if word in CLASS_OF}
    return labels.pop() if len(labels) == 1 and not OTHER & set(words) else None
