"""Counts the words of some texts, each text in a call of its own: `majordomo launch examples/functions/words.py --most 5`."""

import collections
import pathlib
import re

import computepods
from texts import folder

app = computepods.App("words")


class EmptyText(Exception):
    """There are no words in it."""


@app.function(cache=True, timeout=30)
def count(name):
    # Seen while it runs: an edit of this text runs this call again, and no other.
    text = pathlib.Path(folder(), name).read_text(encoding="utf-8")
    words = re.findall(r"[a-z']+", text.lower())
    if not words:
        raise EmptyText(name)
    print(f"{name}: {len(words)} words")
    return collections.Counter(words)


@app.function(cache=True, retries=computepods.Retries(2, delay=0.1))
def merge(counts):
    return sum(counts, collections.Counter())


@app.local_entrypoint()
def main(most: int = 3, *names):
    """Prints the most frequent words of the texts that are named; of all texts if none is."""
    here = pathlib.Path(__file__).parent / "texts"
    names = sorted(names or (path.name for path in here.glob("*.txt")))
    counts = []
    for name, result in zip(names, count.map(names, return_exceptions=True)):
        if isinstance(result, EmptyText):
            print(f"{name}: nothing to count")
        elif isinstance(result, Exception):
            raise result
        else:
            counts.append(result)
    for word, times in merge.remote(counts).most_common(most):
        print(f"{times:4} {word}")


@app.local_entrypoint()
def longest():
    """Prints the longest word of each text as soon as it is known."""
    names = [path.name for path in (pathlib.Path(__file__).parent / "texts").glob("*.txt")]
    calls = {name: count.spawn(name) for name in names}
    for name in sorted(calls):
        try:
            print(f"{name}: {max(sorted(calls[name].get()), key=len)}")
        except EmptyText:
            print(f"{name}: -")
