"""The closed vocabularies of a contract, and the nearest valid word for a misspelt one."""

import difflib
from collections.abc import Iterable

FIELD_TERMS = (
    "pii",
    "protect",
    "scan",
    "onFinding",
    "sourceNames",
    "sourceFormats",
    "derive",
    "enum",
    "reason",
)
"""Custom properties of a field."""

DATASET_TERMS = (
    "subjects",
    "purpose",
    "legalBasis",
    "erasure",
    "afterErasure",
    "aggregateOnly",
    "recordDate",
    "updatedAt",
    "overlapHours",
    "quarantineRetentionDays",
    "sinks",
)
"""Custom properties of a dataset."""

SERVER_TERMS = (
    "dataset",
    "nulls",
    "records",
    "columns",
    "table",
    "cursorParameter",
    "nextPath",
    "pageSize",
    "updatedParameter",
    "updatedField",
    "trim",
    "quote",
    "delimiter",
    "encoding",
    "raw",
    "retention",
    "compacted",
)
"""Custom properties of a server."""

SUBJECT_TERMS = ("entity", "key", "fields", "born", "minimumAge", "belongsTo", "pseudonym")
DERIVE_KINDS = {
    "age_in_years": (1, 1),
    "email_domain": (1, 1),
    "year": (1, 1),
    "concat": (1, 32),
    "constant": (0, 0),
}
"""What may be computed, and from how many fields."""

SINKS = ("warehouse", "lake", "kafka", "elasticsearch", "cassandra", "mongodb")
FORMATS = ("csv", "json", "ndjson", "parquet")
LEGAL_BASES = (
    "consent",
    "contract",
    "legal_obligation",
    "vital_interests",
    "public_task",
    "legitimate_interests",
)
"""Article 6 (1) GDPR, a to f."""

ACCESS = ("read", "write", "reveal")
"""What a role may do: read what is stored, write it, or have protected cells decrypted (each time audited)."""

STATUSES = ("proposed", "draft", "active", "deprecated", "retired")

PII = (
    "PERSON",
    "EMAIL_ADDRESS",
    "PHONE_NUMBER",
    "LOCATION",
    "DATE_TIME",
    "NRP",
    "AGE",
    "ID",
    "ORGANIZATION",
    "URL",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    "CREDIT_CARD",
    "CRYPTO",
    "IBAN_CODE",
    "MEDICAL_LICENSE",
    "US_BANK_NUMBER",
    "US_DRIVER_LICENSE",
    "US_ITIN",
    "US_PASSPORT",
    "US_SSN",
    "UK_NHS",
    "UK_NINO",
    "ES_NIE",
    "ES_NIF",
    "IT_DRIVER_LICENSE",
    "IT_FISCAL_CODE",
    "IT_IDENTITY_CARD",
    "IT_PASSPORT",
    "IT_VAT_CODE",
    "PL_PESEL",
    "FI_PERSONAL_IDENTITY_CODE",
    "SG_NRIC_FIN",
    "SG_UEN",
    "AU_ABN",
    "AU_ACN",
    "AU_MEDICARE",
    "AU_TFN",
    "IN_AADHAAR",
    "IN_GSTIN",
    "IN_PAN",
    "IN_PASSPORT",
    "IN_VEHICLE_REGISTRATION",
    "IN_VOTER",
    "KR_BRN",
    "KR_DRIVER_LICENSE",
    "KR_FRN",
    "KR_PASSPORT",
    "KR_RRN",
    "TH_TNIN",
)
"""The entity names of Presidio."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, upper and lower case apart; None if none is near."""
    by_lower = {k.lower(): k for k in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None
