"""The kinds of personal data that a contract may name, by the names that Presidio gives them, and the countries."""

GENERIC = (
    "CREDIT_CARD",
    "CRYPTO",
    "DATE_TIME",
    "EMAIL_ADDRESS",
    "IBAN_CODE",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    "PHONE_NUMBER",
    "URL",
    "UUID",
)
"""Found by their form, in any country."""

NAMED = ("PERSON", "LOCATION", "NRP", "ORGANIZATION")
"""Found by a model of names. NRP: nationality, religious or political group."""

DECLARED_ONLY = ("AGE", "ID")
"""What a field may be declared to hold, and nothing finds in a text."""

OF_COUNTRY: dict[str, tuple[str, ...]] = {
    "au": ("AU_ABN", "AU_ACN", "AU_MEDICARE", "AU_TFN"),
    "ca": ("CA_POSTAL_CODE", "CA_SIN"),
    "de": (
        "DE_BSNR",
        "DE_FUEHRERSCHEIN",
        "DE_HANDELSREGISTER",
        "DE_HEALTH_INSURANCE",
        "DE_ID_CARD",
        "DE_KFZ",
        "DE_LANR",
        "DE_PASSPORT",
        "DE_PLZ",
        "DE_SOCIAL_SECURITY",
        "DE_TAX_ID",
        "DE_TAX_NUMBER",
        "DE_VAT_ID",
    ),
    "es": ("ES_NIE", "ES_NIF", "ES_PASSPORT"),
    "fi": ("FI_PERSONAL_IDENTITY_CODE",),
    "gb": (
        "UK_DRIVING_LICENCE",
        "UK_NHS",
        "UK_NINO",
        "UK_PASSPORT",
        "UK_POSTCODE",
        "UK_VEHICLE_REGISTRATION",
    ),
    "in": ("IN_AADHAAR", "IN_GSTIN", "IN_PAN", "IN_PASSPORT", "IN_VEHICLE_REGISTRATION", "IN_VOTER"),
    "it": ("IT_DRIVER_LICENSE", "IT_FISCAL_CODE", "IT_IDENTITY_CARD", "IT_PASSPORT", "IT_VAT_CODE"),
    "kr": ("KR_BRN", "KR_DRIVER_LICENSE", "KR_FRN", "KR_PASSPORT", "KR_RRN"),
    "ng": ("NG_NIN", "NG_VEHICLE_REGISTRATION"),
    "ph": ("PH_PASSPORT", "PH_TIN", "PH_UMID"),
    "pl": ("PL_PESEL",),
    "se": ("SE_ORGANISATIONSNUMMER", "SE_PERSONNUMMER"),
    "sg": ("SG_NRIC_FIN", "SG_UEN"),
    "th": ("TH_TNIN",),
    "tr": ("TR_LICENSE_PLATE", "TR_NATIONAL_ID"),
    "us": (
        "ABA_ROUTING_NUMBER",
        "MEDICAL_LICENSE",
        "US_BANK_NUMBER",
        "US_CLAIM_NUMBER",
        "US_DRIVER_LICENSE",
        "US_HEALTH_INSURANCE_MEMBER_ID",
        "US_ITIN",
        "US_MBI",
        "US_NPI",
        "US_PASSPORT",
        "US_PRESCRIPTION_NUMBER",
        "US_PRIOR_AUTHORIZATION_NUMBER",
        "US_PROVIDER_TAX_ID",
        "US_REFERRAL_NUMBER",
        "US_SSN",
    ),
    "za": (
        "ZA_COMPANY_REGISTRATION",
        "ZA_DRIVER_LICENSE",
        "ZA_ID_NUMBER",
        "ZA_INCOME_TAX_NUMBER",
        "ZA_LICENSE_PLATE",
        "ZA_MOBILE_NUMBER",
        "ZA_PASSPORT",
        "ZA_TELEPHONE_NUMBER",
        "ZA_TRAFFIC_REGISTER_NUMBER",
        "ZA_VAT_NUMBER",
    ),
}
"""Numbers and forms of one country. Presidio calls the United Kingdom `uk`; its code is `gb`."""

UNASKED = ("MEDICAL_LICENSE", "US_BANK_NUMBER", "US_DRIVER_LICENSE", "US_ITIN", "US_PASSPORT", "US_SSN", "UK_NHS")
"""What is searched for although no country was named: Presidio enables these by itself."""

SEARCHED = (*GENERIC, *NAMED, *(entity for entities in OF_COUNTRY.values() for entity in entities))
"""What `scanning` may ask to be searched for."""

PII = (*SEARCHED, *DECLARED_ONLY)
"""What a field may be declared to hold (`pii`)."""

_CODES = (
    "ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm bn bo bq br bs bt "
    "bv bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg eh "
    "er es et fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht "
    "hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls "
    "lt lu lv ly ma mc md me mf mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni "
    "nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg "
    "sh si sj sk sl sm sn so sr ss st sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug "
    "um us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw"
)
COUNTRIES = tuple(_CODES.split())
"""ISO 3166-1 alpha-2, lower case. One without numbers of its own above still says how phone numbers are read."""


def country_of(entity: str) -> str | None:
    """The country whose number it is; None for what belongs to no country."""
    return next((country for country, entities in OF_COUNTRY.items() if entity in entities), None)


def searched_for(entities: tuple[str, ...], countries: tuple[str, ...]) -> frozenset[str]:
    """What a dataset's cells are searched for, where its contract names these entities and countries or none."""
    national = {e for country in countries for e in OF_COUNTRY.get(country, ())} if countries else set(UNASKED)
    whole = {*GENERIC, *NAMED, *national}
    if not entities:
        return frozenset(whole)
    return frozenset(e for e in entities if not countries or e in whole)
