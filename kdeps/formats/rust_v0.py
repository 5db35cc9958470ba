# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Rust's v0 mangling: a small grammar with back references, read by descent.

Names come from anybody's objects: depth, steps and length are bounded, and what breaks the grammar is refused.

Source: the Rust reference, "v0 Symbol Format" (RFC 2603); rustc ``compiler/rustc_symbol_mangling/src/v0.rs``; the output is
that of LLVM's ``RustDemangle.cpp``: no hashes of crates, no types of constants.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_MAX_TEXT = 65_536
"""A backref may name a backref: some hundred bytes could be made to say gigabytes."""
_MAX_STEPS = 100_000
_MAX_DEPTH = 200

_BASIC = {
    "a": "i8", "b": "bool", "c": "char", "d": "f64", "e": "str", "f": "f32", "h": "u8", "i": "isize", "j": "usize",
    "l": "i32", "m": "u32", "n": "i128", "o": "u128", "p": "_", "s": "i16", "t": "u16", "u": "()", "v": "...",
    "x": "i64", "y": "u64", "z": "!",
}  # fmt: skip
_SIGNED, _UNSIGNED = frozenset("aslxni"), frozenset("htmyoj")
_ESCAPED = {"\t": "\\t", "\r": "\\r", "\n": "\\n", "\\": "\\\\"}
_DIGITS = re.compile(r"0|[1-9][0-9]{0,5}")
_BASE62 = re.compile(r"[0-9A-Za-z]{0,12}_")
_HEX = re.compile(r"[0-9a-f]{0,64}_")
_VALUES = {c: n for n, c in enumerate("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")}


class Broken(Exception):
    """It is no symbol of this kind, or one without measure."""


def read_v0(name: str) -> tuple[str, str]:
    """Say one symbol that begins with ``_R``.

    Returns:
        The name, and the crate whose item it is.

    Raises:
        Broken: It is none.
        IndexError: It ends too early.
    """
    return _Symbol(name).symbol()


class _Symbol:
    """One symbol on its way. Positions are those after ``_R``, as backrefs count them."""

    def __init__(self, name: str) -> None:
        self.text, self.dot, self.suffix = name[2:].partition(".")
        self.at = 0
        self.out: list[str] = []
        self.length = 0
        self.depth = 0
        self.steps = 0
        self.bound = 0
        self.crate = ""
        self.silent = False

    def symbol(self) -> tuple[str, str]:
        if self.text[:1].isdigit():
            raise Broken  # an encoding version; there is none but the first
        self.path(in_type=False)
        if self.at < len(self.text):
            self.silent = True
            self.path(in_type=False)  # the crate that it was instantiated in
        if self.at < len(self.text):
            raise Broken
        suffix = f" ({self.dot}{self.suffix})" if self.dot else ""
        return "".join(self.out) + suffix, self.crate

    # -- the text --

    def say(self, text: str) -> None:
        if self.silent:
            return
        self.length += len(text)
        if self.length > _MAX_TEXT:
            raise Broken
        self.out.append(text)

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        char = self.text[self.at]
        self.at += 1
        return char

    def skip(self, char: str) -> bool:
        if self.peek() != char:
            return False
        self.at += 1
        return True

    def deeper(self) -> None:
        self.steps += 1
        self.depth += 1
        if self.depth > _MAX_DEPTH or self.steps > _MAX_STEPS:
            raise Broken

    def base62(self) -> int:
        found = _BASE62.match(self.text, self.at)
        if found is None:
            raise Broken
        self.at = found.end()
        digits = found[0][:-1]
        if not digits:
            return 0
        value = 0
        for digit in digits:
            value = value * 62 + _VALUES[digit]
        return value + 1

    def optional62(self, tag: str) -> int:
        return self.base62() + 1 if self.skip(tag) else 0

    def identifier(self) -> str:
        """An identifier without its disambiguator."""
        puny = self.skip("u")
        found = _DIGITS.match(self.text, self.at)
        if found is None:
            raise Broken
        length = int(found[0])
        self.at = found.end()
        self.skip("_")
        name = self.text[self.at : self.at + length]
        if len(name) < length:
            raise Broken
        self.at += length
        return _punycode(name) if puny else name

    # -- the grammar --

    def path(self, *, in_type: bool, leave_open: bool = False) -> bool:
        """One path.

        Args:
            in_type: Generic arguments follow without ``::``.
            leave_open: Do not close generic arguments, for more are to come.

        Returns:
            Whether they are open.
        """
        self.deeper()
        tag = self.take()
        is_open = False
        if tag == "C":
            self.optional62("s")
            name = self.identifier()
            self.crate = self.crate or name
            self.say(name)
        elif tag == "M":
            self.impl_path()
            self.say("<")
            self.type()
            self.say(">")
        elif tag in "XY":
            if tag == "X":
                self.impl_path()
            self.say("<")
            self.type()
            self.say(" as ")
            self.path(in_type=True)
            self.say(">")
        elif tag == "N":
            self.nested(in_type=in_type)
        elif tag == "I":
            self.path(in_type=in_type)
            self.say("<" if in_type else "::<")
            self.items(self.generic)
            if leave_open:
                is_open = True
            else:
                self.say(">")
        elif tag == "B":
            here = self.follow()
            is_open = self.path(in_type=in_type, leave_open=leave_open) if here is not None else False
            self.back(here)
        else:
            raise Broken
        self.depth -= 1
        return is_open

    def nested(self, *, in_type: bool) -> None:
        space = self.take()
        if not space.isalpha():
            raise Broken
        self.path(in_type=in_type)
        number = self.optional62("s")
        name = self.identifier()
        if space.islower():
            self.say(f"::{name}" if name else "")
            return
        kind = {"C": "closure", "S": "shim"}.get(space, space)
        self.say(f"::{{{kind}{':' if name else ''}{name}#{number}}}")

    def impl_path(self) -> None:
        """Where an ``impl`` stands: not said, but it names the crate."""
        silent, self.silent = self.silent, True
        self.optional62("s")
        self.path(in_type=False)
        self.silent = silent

    def follow(self) -> int | None:
        """Go where a backref points; only backwards, so that it ends. ``None``: nothing is to be said of it."""
        start = self.at - 1
        target = self.base62()
        if target >= start:
            raise Broken
        if self.silent and self.crate:
            return None
        here, self.at = self.at, target
        return here

    def back(self, here: int | None) -> None:
        if here is not None:
            self.at = here

    def items(self, item: Callable[[], None]) -> int:
        """Items up to an ``E``, with commas."""
        count = 0
        while not self.skip("E"):
            self.say(", " if count else "")
            item()
            count += 1
        return count

    def generic(self) -> None:
        if self.skip("L"):
            self.lifetime(self.base62())
        elif self.skip("K"):
            self.constant()
        else:
            self.type()

    def lifetime(self, index: int) -> None:
        if index == 0:
            self.say("'_")
            return
        depth = self.bound - index
        if depth < 0:
            raise Broken
        self.say(f"'{chr(ord('a') + depth)}" if depth < 26 else f"'z{depth - 26 + 1}")

    def binder(self) -> int:
        """``for<'a, 'b> ``; returns how many lifetimes are bound."""
        count = self.optional62("G")
        if not count:
            return 0
        if count > len(self.text):
            raise Broken  # more than anybody could use
        self.say("for<")
        for number in range(count):
            self.bound += 1
            self.say(", " if number else "")
            self.lifetime(1)
        self.say("> ")
        return count

    def type(self) -> None:
        self.deeper()
        tag = self.peek()
        if tag in _BASIC and tag:
            self.at += 1
            self.say(_BASIC[tag])
        elif tag in "CMXYNI" and tag:
            self.path(in_type=True)
        elif tag == "B":
            self.at += 1
            here = self.follow()
            if here is not None:
                self.type()
            self.back(here)
        else:
            self.at += 1
            self.compound(tag)
        self.depth -= 1

    def compound(self, tag: str) -> None:
        if tag == "A":
            self.say("[")
            self.type()
            self.say("; ")
            self.constant()
            self.say("]")
        elif tag == "S":
            self.say("[")
            self.type()
            self.say("]")
        elif tag == "T":
            self.say("(")
            self.say(",)" if self.items(self.type) == 1 else ")")
        elif tag in ("R", "Q"):
            self.say("&")
            if self.skip("L"):
                index = self.base62()
                if index:
                    self.lifetime(index)
                    self.say(" ")
            self.say("mut " if tag == "Q" else "")
            self.type()
        elif tag in ("P", "O"):
            self.say("*const " if tag == "P" else "*mut ")
            self.type()
        elif tag == "F":
            self.function()
        elif tag == "D":
            self.dynamic()
        else:
            raise Broken

    def function(self) -> None:
        bound = self.bound
        self.binder()
        self.say("unsafe " if self.skip("U") else "")
        if self.skip("K"):
            abi = "C" if self.skip("C") else self.identifier().replace("_", "-")
            self.say(f'extern "{abi}" ')
        self.say("fn(")
        self.items(self.type)
        self.say(")")
        if not self.skip("u"):
            self.say(" -> ")
            self.type()
        self.bound = bound

    def dynamic(self) -> None:
        bound = self.bound
        self.say("dyn ")
        self.binder()
        count = 0
        while not self.skip("E"):
            self.say(" + " if count else "")
            self.trait()
            count += 1
        self.bound = bound
        if not self.skip("L"):
            raise Broken
        index = self.base62()
        if index:
            self.say(" + ")
            self.lifetime(index)

    def trait(self) -> None:
        is_open = self.path(in_type=True, leave_open=True)
        while self.skip("p"):
            self.say(", " if is_open else "<")
            is_open = True
            self.say(f"{self.identifier()} = ")
            self.type()
        self.say(">" if is_open else "")

    # -- constants --

    def constant(self, *, braces: bool = True) -> None:
        """A constant; what is no plain number stands in braces, as rustc-demangle has it."""
        self.deeper()
        tag = self.take()
        if tag == "B":
            here = self.follow()
            if here is not None:
                self.constant(braces=braces)
            self.back(here)
        elif tag == "p":
            self.say("_")
        elif tag in _SIGNED or tag in _UNSIGNED:
            self.say("-" if tag in _SIGNED and self.skip("n") else "")
            digits = self.digits()
            self.say(str(int(digits or "0", 16)) if len(digits) <= 16 else f"0x{digits}")
        elif tag == "b":
            value = self.digits()
            if value not in ("0", "1"):
                raise Broken
            self.say("true" if value == "1" else "false")
        elif tag == "c":
            self.say(_character(self.digits()))
        else:
            self.say("{" if braces else "")
            self.structure(tag)
            self.say("}" if braces else "")
        self.depth -= 1

    def digits(self) -> str:
        found = _HEX.match(self.text, self.at)
        if found is None or (len(found[0]) > 2 and found[0][0] == "0"):
            raise Broken
        self.at = found.end()
        if found[0] == "_":
            raise Broken
        return found[0][:-1]

    def structure(self, tag: str) -> None:
        """A constant with parts; since rustc 1.5x behind a feature, and never seen in a kernel."""

        def part() -> None:
            self.constant(braces=False)

        if tag in ("R", "Q") and self.peek() == "e":
            self.at += 1
            self.say(self.string())
        elif tag in ("R", "Q"):
            self.say("&" if tag == "R" else "&mut ")
            part()
        elif tag == "e":
            self.say("*" + self.string())
        elif tag == "A":
            self.say("[")
            self.items(part)
            self.say("]")
        elif tag == "T":
            self.say("(")
            self.say(",)" if self.items(part) == 1 else ")")
        elif tag == "V":
            self.path(in_type=False)
            self.fields(part)
        else:
            raise Broken

    def fields(self, part: Callable[[], None]) -> None:
        shape = self.take()
        if shape == "T":
            self.say("(")
            self.items(part)
            self.say(")")
        elif shape == "S":

            def field() -> None:
                self.optional62("s")
                self.say(f"{self.identifier()}: ")
                part()

            self.say(" { ")
            self.items(field)
            self.say(" }")
        elif shape != "U":
            raise Broken

    def string(self) -> str:
        found = re.compile(r"(?:[0-9a-f]{2})*_").match(self.text, self.at)
        if found is None:
            raise Broken
        self.at = found.end()
        try:
            text = bytes.fromhex(found[0][:-1]).decode("utf-8")
        except ValueError:
            raise Broken from None
        return '"' + "".join('\\"' if c == '"' else _escaped(c) for c in text) + '"'


def _character(digits: str) -> str:
    code = int(digits, 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise Broken
    return "'\\''" if code == ord("'") else f"'{_escaped(chr(code))}'"


def _escaped(char: str) -> str:
    if char in _ESCAPED:
        return _ESCAPED[char]
    return char if " " <= char <= "~" else f"\\u{{{ord(char):x}}}"


def _punycode(text: str) -> str:
    """An identifier with other letters than ASCII's. The delimiter is ``_`` here, not ``-``."""
    head, _, tail = text.rpartition("_")
    try:
        # Python's own decoder is RFC 3492's; it wants the usual delimiter, and lets anything be a letter.
        decoded = f"{head}-{tail}".encode("ascii").decode("punycode") if head else tail.encode("ascii").decode("punycode")  # fmt: skip
        decoded.encode("utf-8")
    except (UnicodeError, ValueError, OverflowError):
        raise Broken from None
    if not tail:
        raise Broken
    return decoded
