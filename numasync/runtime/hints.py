"""What a user may have meant by a word that is not known: the end of a sentence that refuses it.

Words are compared without their case, and `-` counts as `_`. A table of other names says what other libraries call a
thing.
"""

import difflib
from collections.abc import Callable, Collection, Mapping

from numasync.errors import InputError

# How much of two words must be the same, from 0 to 1. With less, two words that have nothing to do with each other pass
# for one.
LEAST_SIMILAR = 0.65
# The time to compare two words grows with the square of their lengths.
LONGEST_WORD = 100

# By another name in lower case: the name here, or where nothing here is the same a phrase that says what to do.
OtherNames = Mapping[str, str]


def advise(word: object, known: Collection[str], other_names: OtherNames | None = None) -> str:
    """Return what would be right in the place of a word: 'you may mean lr', or 'choose one of a3c, nstep_q'.

    word         what the user has given
    known        the words that are known
    other_names  what other libraries call them
    """
    return find_hint(word, known, other_names) or f"choose one of {', '.join(known)}"


def find_hint(
    word: object,
    known: Collection[str],
    other_names: OtherNames | None = None,
    write: Callable[[str], str] = str,
) -> str | None:
    """Return the phrase 'you may mean lr', or the phrase of `other_names`. None where no known word is near.

    word         what the user has given
    known        the words that are known
    other_names  what other libraries call them
    write        returns how a known word is written, for example as a flag
    """
    if not isinstance(word, str) or len(word) > LONGEST_WORD:
        return None
    meant = (other_names or {}).get(normalize(word))
    if meant and " " in meant and normalize(word) not in map(normalize, known):
        return meant
    near = (meant and find_nearest(meant, known)) or find_nearest(word, known)
    return f"you may mean {write(near)}" if near is not None else None


def find_nearest(word: str, known: Collection[str]) -> str | None:
    """Return the known word that is nearest to a word, or None where none is near."""
    names = {normalize(name): name for name in reversed(list(known))}
    found = difflib.get_close_matches(normalize(word), names, n=1, cutoff=LEAST_SIMILAR)
    return names[found[0]] if found else None


def normalize(word: str) -> str:
    """Return a word as words are compared."""
    return word.strip().casefold().replace("-", "_").replace(" ", "_")


def check_keywords(
    given: Collection[str], known: Collection[str], kind: str, other_names: OtherNames | None = None
) -> None:
    """Raise InputError for a keyword that is not known, with the nearest one.

    given        the keywords
    known        the keywords that are known
    kind         'no option of a run', in the sentence
    other_names  what other libraries call them
    """
    for name in given:
        if name not in known:
            hint = find_hint(name, known, other_names) or f"the options are {', '.join(known)}"
            raise InputError(f"{name!r} is {kind}; {hint}.")
