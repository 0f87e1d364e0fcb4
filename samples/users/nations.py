"""The nationalities: names, places, postcodes and telephone numbers that belong to nobody.

The numbers are those set aside for fiction: 555-0100 to 555-0199 in North American area codes (NANPA), and the drama
numbers of Ofcom, ACMA (Australia), ARCEP (France), the Bundesnetzagentur (Germany), ComReg (Ireland) and PTS (Sweden).
Where no such range is published, people have one of Ofcom's numbers in a town of the United Kingdom.
"""

import re
from dataclasses import dataclass
from functools import cache


# fmt: off
@dataclass(frozen=True)
class Nation:
    """`share` of a hundred people. In `lines` each # is a digit; `postcode` likewise, with @ for a letter.

    `number` says whether the service gives the postcode as a number; `zone` is the place's time zone.
    """

    code: str
    country: str
    share: int
    women: tuple[str, ...]
    men: tuple[str, ...]
    last: tuple[str, ...]
    streets: tuple[str, ...]
    cities: tuple[tuple[str, str], ...]
    postcode: str
    number: bool
    lines: tuple[str, ...]
    cells: tuple[str, ...]
    zone: tuple[str, str]
    document: tuple[str, str | None] = ("", None)


def _town(code: str) -> tuple[str, ...]:
    """Ofcom's thousand numbers of a town."""
    return (f"+44 {code} 496 0###",)


_UNITED_STATES = tuple(f"+1 {area} 555 01##" for area in range(201, 990) if area % 100 != 11 and area // 10 % 10 != 9)
_CANADA = tuple(f"+1 {area} 555 01##" for area in (204, 250, 403, 416, 418, 506, 514, 604, 613, 709, 780, 902))
_WESTERN = ("0:00", "Western Europe Time, London, Lisbon, Casablanca")
_CENTRAL = ("+1:00", "Brussels, Copenhagen, Madrid, Paris")

NATIONS = (
    Nation("US", "United States", 18,
           ("Delia", "Fiona", "Ruth", "Tess", "Joyce", "Mary Ann", "Willa", "Nora"),
           ("Quinn", "Jamal", "Hugo", "Wesley", "Dale", "Curtis", "Reuben", "Amos"),
           ("Hollis", "Farrow", "Reyes", "Whitlock", "Sandoval", "Young", "Okafor", "Thorne", "D'Angelo", "Castellan"),
           ("Mint Street", "Fennel Road", "Lavender Hill", "Basil Court", "Saffron Gate"),
           (("Portland", "Oregon"), ("Austin", "Texas"), ("Madison", "Wisconsin"), ("Salem", "Massachusetts")),
           "9####", True, tuple(line for line in _UNITED_STATES if line not in _CANADA)[::2],
           tuple(line for line in _UNITED_STATES if line not in _CANADA)[1::2],
           ("-5:00", "Eastern Time (US & Canada), Bogota, Lima"), ("SSN", "000-##-####")),
    Nation("GB", "United Kingdom", 14,
           ("Mairi", "Iris", "Beatrice", "Ottilie", "Zoë", "Gwen"), ("Eamon", "Rafe", "Alun", "Tariq", "Ewan", "Linus"),
           ("Quayle", "Abara", "Fenn", "Ivers", "Gallagher", "Urquhart", "Haddad", "Whitcombe"),
           ("Rosemary Lane", "Thyme Walk", "Sorrel Close", "Borage Mews", "Yarrow Avenue"),
           (("Leeds", "West Yorkshire"), ("Bristol", "Avon"), ("York", "North Yorkshire"), ("Dundee", "Angus")),
           "LS# #@@", False, ("+44 20 7946 0###", *_town("161"), *_town("121"), *_town("131"), *_town("141")),
           ("+44 7700 900###",), _WESTERN, ("NINO", "QQ ## ## ## C")),
    Nation("DE", "Germany", 12,
           ("Ulrike", "Karin", "Greta", "Petra", "Jördis", "Esra"),
           ("Jürgen", "Nils", "Björn", "Emre", "Götz", "Ansgar"),
           ("Bauer", "Löwe", "Müller", "Schäfer", "Weiss", "Brandt", "Kaya", "Grünwald"),
           ("Kamillenweg", "Linden Allee", "Salbeistraße", "Am Hopfengarten"),
           (("Köln", "Nordrhein-Westfalen"), ("Jena", "Thüringen"), ("Lübeck", "Schleswig-Holstein")),
           "0####", True,
           ("+49 30 23125 ###", "+49 69 90009 ###", "+49 40 66969 ###", "+49 221 4710 ###", "+49 89 99998 ###"),
           ("+49 171 39200 ##", "+49 176 040690 ##"), _CENTRAL),
    Nation("FR", "France", 12,
           ("Chloé", "Aïcha", "Céline", "Maëlle", "Inès", "Odile"),
           ("Gaël", "Jean-Luc", "Célestin", "Rémy", "Loïc", "Noé"),
           ("Moreau", "Garrigue", "Diallo", "Fontaine", "Tremblay", "Benoît", "Lefèvre"),
           ("Rue du Tilleul", "Allée de la Sauge", "Quai des Menthes"),
           (("Lyon", "Rhône"), ("Brest", "Finistère"), ("Nîmes", "Gard")), "6####", True,
           tuple(f"+33 {area} ## ##" for area in ("1 99 00", "2 61 91", "3 53 01", "4 65 71", "5 36 49")),
           ("+33 6 39 98 ## ##",), _CENTRAL, ("INSEE", "1NNaN######## 82")),
    Nation("AU", "Australia", 8,
           ("Hana", "Matilda", "Wren", "Yara"), ("Lachlan", "Darcy", "Samir", "Angus"),
           ("Rask", "Ueda", "Doherty", "Pemberton", "Nguyễn"), ("Wattle Street", "Myrtle Crescent", "Saltbush Road"),
           (("Hobart", "Tasmania"), ("Perth", "Western Australia"), ("Cairns", "Queensland")), "7###", True,
           tuple(f"+61 {area} 5550 ####" for area in "2378"), tuple(f"+61 {area} 7010 ####" for area in "2378"),
           ("+10:00", "Eastern Australia, Guam, Vladivostok"), ("TFN", "000 ### ###")),
    Nation("CA", "Canada", 8,
           ("Anneke", "Élodie", "Leïla", "Pearl"), ("Wim", "Étienne", "Farid", "Graham"),
           ("Jansen", "Castonguay", "Singh", "MacAulay", "Bélanger"), ("Maple Grove", "Rue de l'Érable", "Juniper Way"),
           (("Québec", "Québec"), ("Regina", "Saskatchewan"), ("Halifax", "Nova Scotia")), "G#@ #@#", False,
           _CANADA[:6], _CANADA[6:], ("-4:00", "Atlantic Time (Canada), Caracas, La Paz")),
    Nation("IE", "Ireland", 6,
           ("Niamh", "Saoirse", "Aoife"),
           ("Oisín", "Cillian", "Fionn"), ("O'Brien", "Ní Dhomhnaill", "Kinsella", "Byrne"),
           ("Sorrel Close", "Quay Street"), (("Cork", "Munster"), ("Sligo", "Connacht")), "T12 @@##", False,
           ("+353 20 910 ####", "+353 20 911 ####", "+353 20 912 ####"), ("+353 20 913 ####", "+353 20 914 ####"),
           _WESTERN, ("PPS", "0000000@")),
    Nation("SE", "Sweden", 6,
           ("Dagny", "Åsa", "Tindra"), ("Søren", "Örjan", "Håkan"), ("Ålund", "Lindqvist", "Olsson", "Öberg"),
           ("Mynta Gatan", "Timjansvägen"), (("Malmö", "Skåne"), ("Luleå", "Norrbotten")), "9####", True,
           ("+46 31 390 06 ##", "+46 40 628 04 ##", "+46 8 465 004 ##", "+46 980 319 2##"), ("+46 70 174 06 ##",),
           _CENTRAL),
    Nation("BR", "Brazil", 6,
           ("Beatriz", "Iara", "Conceição"),
           ("João", "Tomé", "Caetano"), ("Pereira", "da Silva", "Araújo", "Gonçalves"),
           ("Rua do Alecrim", "Avenida das Ervas"), (("Olinda", "Pernambuco"), ("Goiânia", "Goiás")), "5####", True,
           _town("113"), _town("114"), ("-3:00", "Brazil, Buenos Aires, Georgetown")),
    Nation("ES", "Spain", 5,
           ("Pilar", "Begoña", "Inés"), ("Víctor", "José", "Íñigo"), ("Benítez", "Núñez", "Ibarra", "Zamora"),
           ("Calle de la Salvia", "Paseo del Romero"), (("Málaga", "Andalucía"), ("Girona", "Cataluña")), "2####", True,
           _town("115"), _town("116"), _CENTRAL, ("DNI", "000#####-T")),
    Nation("FI", "Finland", 4,
           ("Päivi", "Aino"), ("Väinö", "Onni"), ("Mäkelä", "Järvinen", "Lahti"), ("Minttukuja", "Rautatienkatu"),
           (("Turku", "Varsinais-Suomi"), ("Oulu", "Pohjois-Pohjanmaa")), "0####", True, _town("117"), _town("118"),
           ("+2:00", "Kaliningrad, South Africa"), ("HETU", "NaNNA###undefined")),
    Nation("NZ", "New Zealand", 1,
           ("Aroha", "Mere"), ("Wiremu", "Callum"), ("Tāmihana", "Lockwood"), ("Kōwhai Road", "Harbour View"),
           (("Nelson", "Tasman"), ("Taupō", "Waikato")), "3###", True, _town("151"), _town("191"),
           ("+12:00", "Auckland, Wellington, Fiji, Kamchatka")),
)
# fmt: on
_CYCLE = tuple(nation for nation in NATIONS for _ in range(nation.share))
_RANK = {nation.code: _CYCLE.index(nation) for nation in NATIONS}


def nation_of(number: int) -> tuple[Nation, int]:
    """A person's nationality and their place among those of it: in every hundred people each has its share."""
    block, turn = divmod(number, len(_CYCLE))
    place = turn * 37 % len(_CYCLE)
    nation = _CYCLE[place]
    return nation, block * nation.share + place - _RANK[nation.code]


def line(masks: tuple[str, ...], index: int) -> str:
    """The number at a place among all that the masks stand for; beyond the last, from the first again."""
    index, place = divmod(index, len(masks))
    return fill(masks[place], index)


def fill(mask: str, number: int) -> str:
    """The mask with the number's digits, the last first, for each # and with letters for each @."""
    shape, choices = _shape(mask)
    made = []
    for signs in choices:
        number, turn = divmod(number, len(signs))
        made.append(signs[turn])
    return shape % tuple(made)


@cache
def _shape(mask: str) -> tuple[str, tuple[str, ...]]:
    """The mask as a format, and what each of its places may be."""
    choices = {"#": "0123456789", "@": "ABDEFGHJLNPQRSTU"}
    return re.sub("[#@]", "%s", mask), tuple(choices[sign] for sign in mask if sign in choices)
