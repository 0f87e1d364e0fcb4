"""A labelled corpus of personal data that belongs to nobody, and of what looks like it and isn't.

Every value is made: check digits by the published rules (see `checks`), people's addresses under RFC 2606 names,
telephone numbers in ranges set aside for fiction where a country has one (see `phones`), card numbers under the
prefixes of the schemes' published test cards.
"""
