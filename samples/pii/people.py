"""Texts with names of people who don't exist, in many scripts, and texts with words that only look like names."""

import random

FIRST = ("Amara", "Bjørn", "Céline", "Dmitri", "Elif", "Farid", "Giulia", "Hannah", "Imre", "João", "Keiko",
         "Lwazi", "Mateusz",
         "Niamh", "Oluwaseun", "Priya", "Quentin", "Rosa", "Søren", "Thandi", "Ulrike", "Viktor", "Wren",
         "Xiomara", "Yusuf", "Zsófia")  # fmt: skip
LAST = ("Abernethy", "Brzozowska", "Castellanos", "Doherty", "Eriksen", "Fontaine", "Grünwald", "Hashimoto",
        "Iyer", "Jankowski",
        "Kovalenko", "Lindqvist", "Mokoena", "Nakamura", "O'Malley", "Pellegrini", "Quispe", "Rasmussen", "Szabó",
        "Tremblay",
        "Umarov", "Vasquez", "Whitcombe", "Yavuz", "Zielińska")  # fmt: skip
WHOLE = (
    "Дмитрий Коваленко",
    "Ольга Зелинская",
    "山本 恵子",
    "김서연",
    "李 梅",
    "محمد فريد",
    "יעל כהן",
    "Ελένη Παππά",
    "प्रिया अय्यर",
    "สมชาย ใจดี",
)
TEMPLATES = (
    "Please call {} tomorrow", "parcel was taken by {} at the door", "{} said the colour is wrong",
    "Thanks to {} for the quick help!",
    "the neighbour, {}, has it", "Spoke with {} about the refund.", "Herr {} hat angerufen",
    "Mme {} a rendu la veste",
    "gift for my sister {}", "signed: {}", "{}",
)  # fmt: skip
NOT_NAMES = (
    "Summer Sale starts Monday", "Blue Ocean shirt, size M", "Rose Gold watch", "Hunter Green jacket",
    "Black Forest cake mould",
    "May not be washed hot", "Jack socket broken", "Will arrive in April", "Mark the box, please",
    "Olive Grey trousers", "Amber light on",
)  # fmt: skip


def name(chance: random.Random) -> str:
    """A made-up name."""
    if chance.random() < 0.2:
        return chance.choice(WHOLE)
    return f"{chance.choice(FIRST)} {chance.choice(LAST)}"
