"""Words that sentences are made of: first and last names of many countries, and what only looks like a name.

Names are drawn from these and from syllables, so that a model learns the place of a name more than the names.
"""

import random
from collections.abc import Callable, Sequence


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST = _words(
    """
    Aaron Abdul Abigail Adam Adriana Agnes Ahmed Aisha Akira Alan Alejandro Aleksandra Alessia Alexander Alice
    Amina Amir Amy Ana Anders Andrea Andrzej Angela Anika Anita Anna Antoine Antonio Arjun Astrid Ayşe Barbara
    Beata Ben Bianca Boris Brian Bruno Camille Carlos Caroline Catarina Charles Chiara Chidi Chinwe Christina
    Claire Clara Claudia Colin Cristina Daniel Danielle David Deborah Deepa Denis Diana Diego Dorota Edward
    Ekaterina Elena Elias Elizabeth Emily Emma Enrique Erik Esther Eva Fatima Felix Fernando Filip Francesca
    François Freya Gabriel George Georgia Gerald Giorgos Gloria Goran Greg Gustav Hanna Hans Hassan Heidi
    Helen Helga Henrik Hiroshi Ibrahim Ida Igor Ingrid Irene Isabel Ivan Jacob Jakub James Jana Jane Jasmin
    Javier Jens Jiří Joanna Johan John Jonas Jorge Joseph Julia Jürgen Kamal Karen Karim Katarzyna Kate Kenji
    Kevin Khalid Kiran Klaus Kofi Krzysztof Lars Laura Layla Lena Liam Linda Lisa Lorenzo Louis Lucas Lucía
    Luis Magda Mahmoud Manuel Marco Marek Margaret Maria Marie Mario Mark Martin Mateo Matthew Maya Mehmet Mei
    Michael Michelle Miguel Mila Miriam Mohammed Monika Natalia Nathan Ngozi Nicolas Nikos Nina Noah Olga
    Oliver Ólafur Oscar Pablo Paolo Patricia Patrick Paul Pedro Peter Philip Pierre Rachel Rahul Ralf Raúl
    Rebecca Renata Ricardo Robert Roberto Rohan Sabine Sally Samuel Sandra Sara Sebastian Sergei Siobhán Simon
    Sofia Sophie Stefan Stephen Susan Suzanne Sven Svetlana Tamara Tatiana Thomas Tiago Tim Tobias Tomasz
    Ursula Valeria Vanessa Vijay Vincent Vladimir Walter Wei Wiktor William Wojciech Yan Yasmin Yuki Yvonne
    Zainab Zofia
    """
)
LAST = _words(
    """
    Adams Adeyemi Ahmed Akhtar Alonso Álvarez Andersen Anderson Arslan Bakker Banerjee Barros Becker Bennett
    Bergström Bianchi Bondarenko Boucher Bouchard Campbell Carlsson Carvalho Chatterjee Chowdhury Clark
    Collins Conti Costa Da Silva Davies De Jong De Luca Demir Díaz Dimitrov Dubois Dupont Dvořák Edwards El-
    Sayed Evans Fernández Ferrari Fischer Fitzgerald Fraser Gallo García Georgiou Girard Gómez González Greco
    Gupta Gutiérrez Hansen Harris Hernández Hoffmann Horváth Hughes Ivanov Jackson Jansson Johansen Johnson
    Jones Kamiński Kapoor Keller Kelly Khan Kim Kozlov Kovács Krüger Kumar Lambert Laurent Lefebvre Lehmann
    Lewandowski López Lund MacDonald Mahmoud Mancini Marino Martínez Mazur McCarthy Mehta Mensah Meyer
    Mitchell Mohamed Morales Moreno Morris Murphy Nagy Navarro Nguyen Nielsen Novák Nowak O'Connor O'Neill
    Okonkwo Ortega Owusu Öztürk Papadopoulos Patel Pavlov Peeters Peña Petersen Petrov Petrović Phillips
    Popescu Ramírez Reddy Ricci Richardson Rivera Roberts Robinson Rodríguez Romero Ruiz Ryan Sánchez Santos
    Schmidt Schneider Schulz Sharma Shevchenko Singh Smirnov Smith Sokolov Sørensen Stewart Sullivan Suzuki
    Svensson Takahashi Taylor Thompson Torres Toth Turner Van Dijk Vargas Vasiliev Virtanen Visser Vogel
    Volkov Wagner Walsh Watanabe Weber Williams Wilson Wiśniewski Wójcik Wouters Yamamoto Yang Yildiz Zhang
    Zieliński Zimmermann
    """
)
WHOLE = (
    "Иван Петров", "Анна Смирнова", "Сергей Иванов", "Мария Кузнецова", "Олена Шевченко", "田中 一郎", "佐藤 美咲",
    "鈴木太郎", "王 伟", "陈 静", "刘洋", "이지은", "박민호", "최 수진", "أحمد حسن", "فاطمة علي", "سارة محمود",
    "דוד לוי", "רחל כהן", "Γιώργος Νικολάου", "Μαρία Παπαδοπούλου", "राहुल शर्मा", "अनीता गुप्ता",
    "Nguyễn Văn An", "Trần Thị Mai", "Lê Minh Châu",
)  # fmt: skip
LATER_WHOLE = (
    "Алексей Соколов", "Ирина Волкова", "高橋 健", "张 敏", "정하윤", "يوسف كريم",
    "\u05de\u05d9\u05db\u05dc \u05e4\u05e8\u05e5", "Νίκος Δήμου", "सुनीता वर्मा", "Phạm Thu Hà",
)  # fmt: skip

_ONSETS = _words(
    """
    b br c ch d dr f fr g gr h j k kr l m n p pr r s sh st t tr v w y z al an el em es is or ul th ph kh zh ł š ç ñ gu
    qu
    """
)
_VOWELS = _words("a a a e e e i i i o o o u u ai ee ia ie oa au ei ou eu y é ö ü á í ó ã å ø")
_CODAS = _words(
    """
    l n n n r r s s t ck nd rt m th x z sen son ski ska sky va vić nova ova er ers ini elli ov ez es os as us is in en
    an on eau ault ard man mann berg stein dottir wala zadeh oğlu pour yan ian ides opoulos escu aru u a a a a ia ina
    ette el iel ael us o o i ie y
    """
)

MONTHS = _words(
    """
    January February March April May June July August September October November December
    """
)
DAYS = _words(
    """
    Monday Tuesday Wednesday Thursday Friday Saturday Sunday
    """
)
CITIES = _words(
    """
    London Paris Berlin Madrid Lisbon Porto Rome Milan Vienna Prague Warsaw Kraków Dublin Leeds Oslo Stockholm
    Helsinki Athens Istanbul Cairo Lagos Nairobi Mumbai Delhi Tokyo Osaka Seoul Sydney Perth Toronto Boston
    Chicago Austin Denver Lima Quito Bogotá Málaga Lyon Köln Hamburg Zürich Geneva Antwerp Utrecht Malmö
    Gdańsk Brno
    """
)
COLOURS = _words(
    """
    Blue Green Red Black White Grey Gold Silver Olive Amber Ruby Coral Ivory Navy Rose Scarlet Mint Sage
    Hunter Forest Ocean Sky Royal Dusty Deep Light Dark Midnight
    """
)
GOODS = _words(
    """
    jacket shirt kettle mug lamp chair desk phone cable charger case bag boots dress soap oil tea coffee honey
    jam bread cheese basil mint pan knife book game toy blanket pillow towel candle clock watch ring trousers
    scarf socks hat
    """
)
BRANDS = _words(
    """
    Norvale Brightom Castelo Quarrow Hexley Umbrano Lumora Vantic Steelby Wayfern Solvane Tandoro Wexcom Tyrvo
    Oskel Cyberlin Goldmark Dufton Kramsey Blunte Dunfer Redpied Massivo Aperto
    """
)
LINES = _words(
    """
    Classic Premium Summer Winter Autumn Spring Pro Max Mini Ultra Plus Deluxe Original Organic Vintage
    Heritage Comfort Active Sport Home Garden Kitchen Office Travel Family Junior Lite Edition Collection
    Series
    """
)
LOOKALIKES = _words(
    """
    Will Mark May Grace Hope Jack Bill Art Frank Rose Summer Amber Olive Rich Grant Chase Dawn Faith Joy Penny
    Sandy Ray Rob Sue Pat Drew Max
    """
)
PLAIN = _words(
    """
    about above across act add afraid after again against age agree air all almost alone along already also
    always among amount and angry another answer any anyone anything apart apply appear around arrange arrive
    ask away baby bad badly bank bar base bath battery because become bed before begin behind believe below
    bend best better between big bill bit bite blame block body boil bolt book boot bottle bottom bought bowl
    brake break bring broken brush build burn burst bus button buy cable cancel cannot cap car card careful
    carry cash catch cause chance change charge cheap check child children choose claim clean clear clip close
    cloth cold collect come common company compare complain complete condition confirm connect contain cook
    corner correct cost could count courier cover crack credit cut damage dark date dead deal decide deep
    defect deliver depot describe different difficult dirty discount dispatch do does door double doubt down
    draw dress dry dust each early easy eat edge eight either empty end enough enter envelope even every exact
    example exchange expect expensive explain extra eye face fact fail fair fall far faulty fee feel fell few
    fill final find finger finish first fit five fix flat floor fold follow food forget forgot form found four
    frame friend from front full fuse garden gave get gift give glass glue goes gone good got great green
    ground grow guess had half hand handle hang happen happy hard has have he heat heavy held help her here
    high him his hold hole home hope hot hour house how however hurt if ill inch inside instead invoice issue
    item its itself join just keep kept kind kitchen know label lady large last late leak learn least leave
    left leg less let letter lid light like line list little lock long look loose lose lost lot loud low made
    main make man many mark match may mean measure meet mention message metal might mind mine minute mistake
    model money month more morning most move much must my name narrow near neck need neither never new nice
    night nine no nobody noise none nor normal nothing notice now number off offer office often oil old once
    open opposite option other ought our out outside oven over own owner pack paid pain paint pair panel paper
    parcel pass patient pay people perfect perhaps person photo pick picture piece place plain plan plastic
    plate plug point poor possible pour power present press pretty price print private problem product promise
    proof proper pull push put quarter question quick quiet quite rain ran rather reach read ready real reason
    receive recently red repair repeat replace reply report request rest result return right ring roll room
    rough round rubber rude rule run sad safe said sale same sat saw say scratch screen screw seal seam seat
    second see seem seen sell send sent separate serious serve service set seven several shape share sharp she
    shelf shop short should show shut sick side sign silent simple since single sister six size skin sleep
    slide slip slow smell smoke smooth so soft sold some someone soon sorry sort sound speak spend spill split
    spoke spot stain stand start state stay steam step stick still stitch stock stop store story straight
    strange strap street strong stuck such sudden sure surface swap sweet switch table take taste teeth tell
    ten terrible test than that their them then there these they thick thin thing think third this those
    though three through tick tight till time tin tiny tired today together told tomorrow tonight too took
    tool top torn total touch toward track trade tried trouble true trust try turn twice type ugly under unit
    until up upon upset us use usual van very voucher wait walk wall want warm warning was wash waste water
    way we weak wear week weight well went were what wheel when where whether which while whole why wide wife
    will window wire wish within without woke woman wonder wood wool word wore work world worn worse would
    wrap write wrong wrote yard year yellow yes yesterday yet you young your zip der die das und ist nicht ein
    eine mit auf für von bitte danke war sind haben wurde kaputt bestellt geliefert nach le la les un une et
    est pas avec dans sur merci reçu cassé livré commande bonjour encore trop petit grand el los las una y es
    con para por en gracias pedido roto llegó tarde pequeño también pero muy il lo gli e non per ordine
    arrivato rotto troppo grazie een het niet voor pakket kapot nie jest dla paczka
    """
)


def _syllables(chance: random.Random) -> str:
    word = "".join(chance.choice(_ONSETS) + chance.choice(_VOWELS) for _ in range(chance.choice((1, 1, 2))))
    return (word + (chance.choice(_CODAS) if chance.random() < 0.85 else "")).capitalize()


Shape = Callable[[list[str], random.Random, Sequence[str], Sequence[str]], str]
_SHAPES: tuple[Shape, ...] = (
    lambda n, _, __, ___: " ".join(n),
    lambda n, _, __, ___: n[0],
    lambda n, _, __, ___: f"{n[0][0]}. {n[1]}",
    lambda n, c, _, __: f"{n[0]} {c.choice('ABCDEFGHJKLMNPRSTW')}. {n[1]}",
    lambda n, c, first, _: f"{n[0]}-{c.choice(first)} {n[1]}",
    lambda n, c, _, last: f"{n[0]} {n[1]}-{c.choice(last)}",
    lambda n, c, _, __: f"{n[0]} {c.choice(('van der', 'de', 'von', 'al', 'bin', 'da'))} {n[1]}",
    lambda n, _, __, ___: f"{n[1]}, {n[0]}",
)
_WEIGHTS = (45, 25, 7, 5, 5, 5, 4, 4)


def plain(chance: random.Random) -> str:
    """A word that is no name, some of them in no language."""
    return _syllables(chance).lower() if chance.random() < 0.1 else chance.choice(PLAIN)


def person(chance: random.Random, *, later: bool) -> str:
    """A made-up name. `later` ones share no first or last name with the others, and no syllables are made for them."""
    if chance.random() < 0.12:
        return chance.choice(LATER_WHOLE if later else WHOLE)
    first, last = _half(FIRST, later=later), _half(LAST, later=later)
    names = [_syllables(chance) if not later and chance.random() < 0.6 else chance.choice(w) for w in (first, last)]
    return chance.choices(_SHAPES, _WEIGHTS)[0](names, chance, first, last)


def _half(words: Sequence[str], *, later: bool) -> list[str]:
    return [w for n, w in enumerate(words) if (n % 5 == 0) is later]
