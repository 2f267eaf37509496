"""Look-ups by dictionary code: what was found for an entry of a decoder's dictionary is found once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from consumers.arrays import codes, dictionary_array
from consumers.batch import Int32s


@dataclass(frozen=True, slots=True)
class Coded:
    """A string column as codes into a dictionary.

    Attributes:
        codes: Code of each row; int32[n].
        words: The dictionary.
        generation: As long as it stays the same between batches the dictionary has only grown; None: never the same.
    """

    codes: Int32s
    words: pa.StringArray
    generation: int | None

    @classmethod
    def of(cls, array: pa.Array, generation: int | None) -> Coded:
        """Read a column; one that comes as plain strings is encoded here, at a price."""
        if not pa.types.is_dictionary(array.type):
            array, generation = array.dictionary_encode(), None
        return cls(codes(array), array.dictionary, generation)

    def word(self, row: int) -> str:
        """Return the string of one row."""
        text: str = self.words[int(self.codes[row])].as_py()
        return text


class Grown:
    """An append-only numpy array; appending is amortised.

    Args:
        dtype: Type of an element.
        width: Elements per entry; 0 for a plain array.
    """

    def __init__(self, dtype: type[np.generic], width: int = 0) -> None:
        self._tail = (width,) if width else ()
        self._array = np.zeros((0, *self._tail), dtype)
        self._pending: list[object] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length + len(self._pending)

    def append(self, value: object) -> None:
        """Append one value."""
        self._pending.append(value)

    def extend(self, values: Sequence[object]) -> None:
        """Append values."""
        self._pending.extend(values)

    @property
    def view(self) -> npt.NDArray[Any]:
        """The values so far; valid until the next one comes."""
        if self._pending:
            end = len(self)
            if end > len(self._array):
                self._array = np.resize(self._array, (max(end, 2 * len(self._array), 64), *self._tail))
            self._array[self._length : end] = self._pending
            self._length = end
            self._pending.clear()
        return self._array[: self._length]


class Words:
    """Distinct strings in order of arrival.

    Args:
        words: The first strings, with codes from 0.
    """

    def __init__(self, words: Sequence[str] = ()) -> None:
        self._codes = {word: code for code, word in enumerate(words)}
        self._array: pa.StringArray | None = None

    def __len__(self) -> int:
        return len(self._codes)

    def code(self, word: str) -> int:
        """Return the code of a string, a new one when it was never seen."""
        code = self._codes.get(word)
        if code is None:
            code = self._codes[word] = len(self._codes)
            self._array = None
        return code

    @property
    def array(self) -> pa.StringArray:
        """The strings by code, without repeats."""
        if self._array is None:
            self._array = pa.array(list(self._codes), pa.string())
        return self._array


class CodeTable:
    """A number per entry of a dictionary, looked up once per entry.

    Args:
        look_up: Returns the number of an entry; called once per entry and generation.
    """

    def __init__(self, look_up: Callable[[str], int]) -> None:
        self._look_up = look_up
        self.clear()

    def clear(self) -> None:
        """Forget everything: the answers of the look-up have changed."""
        self._generation: int | None = None
        self._numbers = Grown(np.int32)

    def entries(self, coded: Coded) -> Int32s:
        """Return the number of each dictionary entry; int32[entries]."""
        if coded.generation is None or coded.generation != self._generation:
            self.clear()
            self._generation = coded.generation
        if len(coded.words) > len(self._numbers):
            new = coded.words.slice(len(self._numbers)).to_pylist()
            self._numbers.extend([self._look_up(word) for word in new])
        return self._numbers.view

    def rows(self, coded: Coded) -> Int32s:
        """Return the number of each row; int32[n]."""
        return self.entries(coded)[coded.codes]


class Filler:
    """Fills empty values of a dictionary-encoded column from another one.

    The result has one dictionary without repeats, whatever the two columns bring.

    Args:
        empty: Values that count as empty.
    """

    def __init__(self, empty: Collection[str]) -> None:
        self._empty = frozenset(empty)
        self._generation: int | None = None
        self._words = Words()
        # An entry's code in the result, doubled; odd when the entry counts as empty.
        self._table = CodeTable(lambda word: self._words.code(word) * 2 + (word in self._empty))
        self._fillers: pa.StringArray | None = None
        self._filler_codes: Int32s = np.zeros(0, np.int32)

    def fill(self, own: Coded, filler_codes: Int32s, filler_words: pa.StringArray) -> pa.DictionaryArray:
        """Return the own values, and the filler's where they are empty and the filler's is not.

        Args:
            own: The column as received; n rows.
            filler_codes: Code of each row's filler; int32[n].
            filler_words: The filler's strings.
        """
        if own.generation is None or own.generation != self._generation:
            self._words, self._generation = Words(), own.generation
            self._table.clear()
            self._fillers = None
        packed = self._table.rows(own)
        found = self._codes_of(filler_words)[filler_codes]
        filled = (packed & 1 == 1) & (found >= 0)
        return dictionary_array(np.where(filled, found, packed >> 1).astype(np.int32), self._words.array)

    def _codes_of(self, filler_words: pa.StringArray) -> Int32s:
        """Return the code of each of the filler's strings in the result, -1 for the empty one."""
        if filler_words is not self._fillers:
            codes_ = [self._words.code(word) if word else -1 for word in filler_words.to_pylist()]
            self._fillers, self._filler_codes = filler_words, np.array(codes_ or [-1], np.int32)
        return self._filler_codes
