"""What changed about topics, governed and raw."""

from collections.abc import Iterator
from math import inf

from governance.contracts.change import Change, breaking, compatible, weakening
from governance.contracts.faults import at
from governance.contracts.periods import seconds
from governance.contracts.types import Dataset, Topic


def topic_changes(old: Dataset, new: Dataset) -> Iterator[Change]:
    """Every change of a dataset's topics."""
    before = {topic.name: topic for topic in old.topics}
    after = {topic.name: topic for topic in new.topics}
    for name in sorted(before.keys() - after.keys()):
        yield breaking(new.where, "topic-removed", f"the topic '{name}' is gone: who reads or fills it gets nothing.")
    for topic in new.topics:
        was = before.get(topic.name)
        if topic.raw and not (was and was.raw):
            yield weakening(at(topic, "raw"), "raw-added", f"the topic '{topic.name}' may hold unprotected data.")
        elif was is None:
            yield compatible(topic.where, "topic-added", f"the topic '{topic.name}' is new.")
        if was is not None:
            yield from _topic(was, topic)


def _topic(old: Topic, new: Topic) -> Iterator[Change]:
    if old.topic != new.topic:
        message = f"the topic is called '{new.topic}' instead of '{old.topic}': its messages stay behind."
        yield breaking(at(new, "topic"), "topic-renamed", message)
    if old.partitions != new.partitions:
        message = f"'{new.topic}' has {new.partitions} partitions instead of {old.partitions}: keys move between them."
        yield breaking(at(new, "partitions"), "partitions-changed", message)
    if old.raw and not new.raw:
        message = f"'{new.topic}' is no longer raw: what others wrote there is held as forged."
        yield breaking(at(new, "raw"), "raw-removed", message)
    if old.compacted and not new.compacted:
        message = f"the topic '{new.name}' is no longer compacted: nothing can be deleted from it."
        yield weakening(at(new, "compacted"), "compaction-removed", message)
    elif new.compacted and not old.compacted:
        message = f"the topic '{new.name}' is compacted: of each key only the newest record stays."
        yield breaking(at(new, "compacted"), "compaction-added", message)
    yield from _retention(old, new)


def _retention(old: Topic, new: Topic) -> Iterator[Change]:
    before, after = (inf if one.retention is None else seconds(one.retention) for one in (old, new))
    where, kept = at(new, "retention"), new.retention or "as long as the dataset"
    if after > before:
        yield weakening(where, "retention-lengthened", f"'{new.topic}' is kept for {kept} instead of {old.retention}.")
    elif after < before:
        yield compatible(where, "retention-shortened", f"'{new.topic}' is kept for {kept}.")
