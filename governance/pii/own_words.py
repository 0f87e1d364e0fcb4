"""Words that decide whether a name found in a text is the person or the language. All folded: no case, no accents."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TITLES = _words(
    """
    mr mrs ms miss mx dr prof sir madam madame monsieur mme mlle herr herrn frau senor senora sr sra signor
    signora dhr mevr mevrouw pan pani mister
    """
)
INTRODUCING = TITLES | _words(
    """
    dear hi hello hey hallo hola bonjour ciao cher chere querido querida lieber liebe liebes geachte beste
    customer client recipient attn regards sincerely thanks cheers named called signed
    """
)
"""Titles, greetings and words that a person's name follows."""

PARTICLES = _words(
    """
    van von der den del dela des dos das della degli los las bin ibn ben bint abu the and und ten ter zum zur
    mac san santa saint jnr snr
    """
) | frozenset({"jr", "sr", "ii", "iii"})
"""Parts of names that say nothing alone."""

COMMON = _words(
    """
    abbey ace amber angel art ash autumn baker barber bay bean beau bell berry best bill bird bishop black bloom
    blue bond booth bow branch brand bridge brook brooks brown buck bush butcher butler can candy cannon care
    carpenter carter case cash chance charity chase chef chen cherry ching chip christian christmas church clay
    clever cliff cloud coco coffee cook cooper coral cotton crane crisp cross cruz crystal cup curry daisy dale
    dame dash date dawn day deal dean diamond dirk dodge dollar don dot drew drum duke earl early east ebony
    edge eve ever faith falcon fall field fields finch fine finish fish fisher flint flora flower flowers ford
    forest foster fox frank free french frost fry fuller gale gardener garnet gates gay gene general ginger gold
    golden golf good grace grand grant graves gray great green grey guy hall hand harmony hart harvest hay hazel
    head heath heather heaven heavy hill holiday holly home honey hood hope house hunt hunter iris ivory ivy
    jack jade jasmine jean jersey jet jewel joy judge key kind king kitty knight lake lamb lance land lane lark
    laurel lavender law leaf lemon light lily lime linden little lock long lord love lucky mace madras major man
    mark marker marsh mason max maxim may melody mercury mercy mild mill miller mini minor mint misty moon moss
    myrtle nice noble north oak ocean olive opal page paint painter palm park parker parks pat patience peach
    pearl penny pepper per piper plant plum polo pope poppy porter post potter power premium price prime prince
    pro proper queen quick rain ray read red reed reef rich ring river rivers rob robin rock rocky rod roman
    root rosa rose rosemary rowan royal ruby rush rusty sage sail sale salt sand sandy sapphire scarlet school
    sea sharp shepherd short silver singer sky slate small smart snow son song south spear spice spring star
    steel sterling stone storm strong sue sugar summer sun sunny swan sweet tab thorn thyme tiger tower town
    trinity true tucker turner usher vale valentine van viola violet wade walker wall ward water waters way
    weaver web webster well west wheat wheeler white wild will wise wolf wood woods worth wren yarrow young zest
    """
)
"""English words that are also names."""

CAPITALISED = _words(
    """
    january february march april may june july august september october november december jan feb mar apr jun
    jul aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri
    sat sun paris london sydney florence victoria lincoln madison houston austin dallas phoenix charlotte
    chelsea brooklyn orlando kingston lyon lima vienna verona siena valencia alexandria jordan india china chad
    israel georgia carolina virginia montana dakota kenya chile cuba america asia africa europe german germany
    english england french france dutch holland irish ireland scottish scotland welsh wales italian spanish
    greek turkish roman bauer koch klein gross lange kurz weiss schwarz braun roth wolf vogel fuchs hahn berg
    stein baum blum feld richter schneider muller schmidt weber fischer wagner becker schafer konig kaiser
    herzog graf sommer winter herbst lenz engel himmel sonne stern mond brot apfel birne traube nagel hammer
    zimmer haus hof kirche schule markt wasser
    """
)
"""Words that their language writes with a capital anywhere: months, weekdays, places and peoples, German nouns."""

ROLES = _words(
    """
    info sales admin office contact support service help hello mail email post team shop store order orders
    billing accounts accounting invoice invoices marketing press media jobs careers hr legal privacy security
    webmaster hostmaster postmaster abuse noreply donotreply newsletter news user users customer customers
    client guest test demo root return returns delivery shipping warehouse purchasing supplier suppliers
    enquiries reception
    """
)
"""Local parts of addresses that stand for a desk, not for a person."""

_MONTHS = """
    january jan januar janner janvier janv enero ene gennaio gen januari styczen stycznia janeiro leden ledna
        tammikuu ianuarie ;
    february feb februar fevrier fevr febrero febbraio februari luty lutego fevereiro fev unor unora helmikuu
        februarie ;
    march mar marz mars marzo maart mrt marzec marca marco brezen brezna maaliskuu martie ;
    april apr avril avr abril abr aprile kwiecien kwietnia duben dubna huhtikuu aprilie ;
    may mai mayo maggio mag mei maj maja maio kveten kvetna toukokuu ;
    june jun juni juin junio giugno giu czerwiec czerwca junho cerven cervna kesakuu iunie ;
    july jul juli juillet juil julio luglio lug lipiec lipca julho cervenec cervence heinakuu iulie ;
    august aug aout agosto ago augustus sierpien sierpnia srpen srpna augusti elokuu ;
    september sep sept septembre septiembre settembre set wrzesien wrzesnia setembro zari syyskuu septembrie ;
    october oct oktober okt octobre octubre ottobre ott pazdziernik pazdziernika outubro out rijen rijna lokakuu
        octombrie ;
    november nov novembre noviembre listopad listopada novembro listopadu marraskuu noiembrie ;
    december dec dezember dez decembre diciembre dic dicembre grudzien grudnia dezembro prosinec prosince
        desember joulukuu decembrie
"""
MONTHS: dict[str, frozenset[int]] = {}
"""Names and short names of months, folded, in English, German, French, Spanish, Italian, Dutch, Polish, Portuguese,
Czech, Finnish, Romanian and the Scandinavian languages; which months each may be."""
for _number, _line in enumerate(_MONTHS.split(";"), 1):
    for _word in _line.split():
        MONTHS[_word] = MONTHS.get(_word, frozenset()) | {_number}
for _word, _number in (("декабря", 12), ("января", 1), ("февраля", 2), ("марта", 3), ("апреля", 4), ("мая", 5),
                       ("июня", 6), ("июля", 7), ("августа", 8), ("сентября", 9), ("октября", 10),
                       ("ноября", 11)):  # fmt: skip
    MONTHS[_word] = frozenset({_number})

DAY_WORDS = frozenset({"st", "nd", "rd", "th", "of", "de", "del", "er", "den", "the", "o", "a", "og"})
"""What may stand between the parts of a date."""

COUNTRY_CODES = _words(
    """
    20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84
    86 90 91 92 93 94 95 98
    """
)
"""Country codes of two digits (ITU-T E.164, list of assigned codes); 1 and 7 have one digit, all others three."""
