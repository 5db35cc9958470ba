# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the shell of a recipe decides is followed on all its ways, and nothing is guessed."""

from __future__ import annotations

import pytest

from kdeps.formats.makeargs import parse_make_args, working_directory
from kdeps.formats.recipe import read_commands
from kdeps.formats.recipe_command import Command

ENVIRON = {"KD": "/env", "HOME": "/home"}
BUILD = "make -C $k M=/m"


def find_makes(recipe: str, *, one_shell: bool = False) -> list[Command]:
    commands = read_commands(recipe, "/here", ENVIRON, one_shell=one_shell)
    return [command for command in commands if command.is_make]


def find_places(command: Command) -> set[str]:
    """The folders where a make, or what it may be instead, would stand."""
    return {
        working_directory(parse_make_args(each.words[1:]), each.folder)
        for each in (command, *command.alternatives)
    }


@pytest.mark.parametrize(
    ("recipe", "places"),
    [
        # -- one way ------------------------------------------------------------------------
        (f"k=/a; {BUILD}", "/a"),
        (f"k=/a && {BUILD}", "/a"),
        (f"k=/a; k=/b; {BUILD}", "/b"),
        (f"export k=/a && {BUILD}", "/a"),
        (f"k=/a; (k=/b; true); {BUILD}", "/a"),
        (f"k=/a; echo x | k=/b; {BUILD}", "/a"),
        (f"k=/a; k=/b & {BUILD}", "/a"),
        (f"test -d x || exit 1; k=/a; {BUILD}", "/a"),
        (f"if test -d x; then k=/a; else exit 1; fi; {BUILD}", "/a"),
        (f"case x in a) k=/a;; *) exit 1;; esac; {BUILD}", "/a"),
        (f"false && k=/b; k=${{k:-/a}}; {BUILD}", "/a"),
        (f"true || k=/b; k=${{k:-/a}}; {BUILD}", "/a"),
        (f"f() {{ k=$KD; return; }}; f; {BUILD}", "/env"),
        (f"f() {{ k=/b; }}; k=/a; {BUILD}", "/a"),
        (f"KD=/a; k=$KD; {BUILD}", "/a"),
        (f"args='-C /a'; make $args M=/m; unused={BUILD!r}", "/a"),
        ("cd /a && make M=/m", "/a"),
        ("cd /a; make M=/m", "/a"),
        ("cd /a || exit 1; make M=/m", "/a"),
        ("cd /a || { echo no; exit 1; }; make M=/m", "/a"),
        pytest.param("! " * 3000 + "make -C /a M=/m", "/a", id="negations"),
        ("if cd /a; then make M=/m; fi", "/a"),
        ("pushd /a && make M=/m && popd", "/a"),
        ("pushd /a; popd; make M=/m", "/here"),
        ("e=; make -C /a$e M=/m", "/a"),
        ("e=; make -C /a$e/b M=/m", "/a/b"),
        ("(cd /b); make M=/m", "/here"),
        ("cd a && cd ../b && make M=/m", "/here/b"),
        ("out=$(make -C /a M=/m) || echo \"$out\"", "/a"),
        ("out=`make -C /a M=/m`", "/a"),
        ("test -d x && v=1; make -C /a M=/m V=$v", "/a"),
        ("test -d x && q=-s; make $q -C /a M=/m", "/a"),
        ("test -d x && cd /b; make -C /a M=/m", "/a"),
        ('[ -n "$q" ] || q=-s; make -C /a M=/m "$q"', "/a"),
        # -- a test of texts ------------------------------------------------------------------
        (f"if test -z x; then k=/a; else k=/b; fi; {BUILD}", "/b"),
        (f"k=; [ -n \"$k\" ] || k=/a; {BUILD}", "/a"),
        (f"k=/a; [ -n $k ] || k=/b; {BUILD}", "/a"),
        (f"k=/a; [ $k ] || k=/b; {BUILD}", "/a"),
        (f"if [ \"\" = \"\" ]; then k=/a; else k=/b; fi; {BUILD}", "/a"),
        (f"if [ ! x$KD = x ]; then k=/a; else k=/b; fi; {BUILD}", "/a"),
        (f"[ a != b ] && k=/a || k=/b; {BUILD}", "/a"),
        (f"[ \"$(x)\" = a ] && k=/a || k=/b; {BUILD}", "/a /b"),
        (f"[ 1 -lt 2 ] && k=/a || k=/b; {BUILD}", "/a /b"),
        (f"[ a = a -a -d x ] && k=/a || k=/b; {BUILD}", "/a /b"),
        # -- what stands for a variable, and for a tilde ------------------------------------------
        ("make -C ${k:-$(pwd)/b} M=/m", "/here/b"),
        ("make -C ${k:-${KD}/b} M=/m", "/env/b"),
        ("make -C \"${k:-\"$KD\"}\" M=/m", "/env"),
        ("make -C ~/b M=/m", "/home/b"),
        ("make -C ~ M=/m", "/home"),
        ("HOME=/a; make -C ~/b M=/m", "/a/b"),
        ("make -C \"~/b\" M=/m", "/here/~/b"),
        ("make -C \\~/b M=/m", "/here/~/b"),
        (f"k=~/b; {BUILD}", "/home/b"),
        (f"k='~/b'; {BUILD}", "/here/~/b"),
        ("cd ~/b && make M=/m", "/home/b"),
        # -- several ways ---------------------------------------------------------------------
        (f"k=/a; test -d x && k=/b; {BUILD}", "/a /b"),
        (f"k=/a; test -d x || k=/b; {BUILD}", "/a /b"),
        (f"if test -d x; then k=/a; else k=/b; fi; {BUILD}", "/a /b"),
        (f"k=/a; if x; then k=/b; elif y; then k=/c; fi; {BUILD}", "/a /b /c"),
        (f"k=/a; case x in y) k=/b;; esac; {BUILD}", "/a /b"),
        (f"case x in y) k=/a;; *) k=/b;; esac; {BUILD}", "/a /b"),
        (f"k=/a; while test -d x; do k=/b; done; {BUILD}", "/a /b"),
        (f"for k in /a /b; do test -d $k && break; done; {BUILD}", "/a /b"),
        (f"k=/a; f() {{ test -d x && k=/b; }}; f; {BUILD}", "/a /b"),
        (f"k=/a; {{ test -d x && k=/b; }}; {BUILD}", "/a /b"),
        (f"k=/a; ! test -d x || k=/b; {BUILD}", "/a /b"),
        ("cd /a || cd /b; make M=/m", "/a /b"),
        ("cd /a 2>/dev/null || cd /b && make M=/m", "/a /b"),
        ("test -d /a && cd /a; make M=/m", "/a /here"),
        ("if test -d /a; then cd /a; fi; make M=/m", "/a /here"),
        ("cd /a || true; make M=/m", "/a /here"),
    ],
)  # fmt: skip
def test_every_way_through_a_shell_counts(recipe: str, places: str) -> None:
    """One make has one place, or all that it may have."""
    (found,) = find_makes(recipe)
    assert found.unclear == ""
    assert find_places(found) == set(places.split())


@pytest.mark.parametrize(
    ("recipe", "why"),
    [
        (f". ./env.sh; k=$KD; {BUILD}", "$KD"),
        (f"source env.sh && k=$KD && {BUILD}", "$KD"),
        (f'eval "$(cat env.sh)"; k=$KD; {BUILD}', "$KD"),
        (f"eval k=$KD; {BUILD}", "$k"),
        (f"read k < file; {BUILD}", "$k"),
        (f"k=$(cat file); {BUILD}", "$(cat file)"),
        (f"k=${{KD%/*}}; {BUILD}", "${KD%/*}"),
        (f"for k in /usr/src/*; do {BUILD}; done", "/usr/src/*"),
        (f"unset KD; k=$KD; {BUILD}", "$KD"),
        ("cd $(cat file) && make M=/m", "$(cat file)"),
        ("cd - && make M=/m", "only the shell knows"),
        ("echo M=/m | xargs make -C /a", "xargs"),
        ("ls | xargs -I @ make -C /a M=/m/@", "xargs"),
        ("ls | xargs -I{} make -C /a M={}", "xargs"),
        (f"if true; then {BUILD}", "not understood"),
        (f'echo "; {BUILD}', "not understood"),
    ],
)  # fmt: skip
def test_what_only_a_shell_knows_is_said(recipe: str, why: str) -> None:
    (found, *_) = find_makes(recipe)
    assert why in found.unclear or any(why in other.unclear for other in found.alternatives)


def test_several_makes_are_several() -> None:
    """One behind the other, or one in each branch: each may be run, and none is instead of another by a guess."""
    for recipe in (
        "make -C /a M=/m || make -C /b M=/m",
        "if x; then make -C /a M=/m; else make -C /b M=/m; fi",
        "for k in /a /b; do make -C $k M=/m; done",
        "k=/a; make -C $k M=/m; k=/b; make -C $k M=/m",
    ):
        assert [find_places(each) for each in find_makes(recipe)] == [{"/a"}, {"/b"}], recipe


def test_what_is_never_run_is_none() -> None:
    for recipe in (
        "exit 0; make -C /a M=/m",
        "false && make -C /a M=/m",
        "# make -C /a M=/m",
        "f() { make; }",
    ):
        assert find_makes(recipe) == []
    document = "cat > x <<EOF\nmake -C /b M=/m\nEOF\nmake -C /a M=/m"
    assert [find_places(each) for each in find_makes(document, one_shell=True)] == [{"/a"}]


def test_a_program_gets_what_is_exported() -> None:
    """An export, and a variable of the environment that has another value: it stays exported."""
    for recipe in ("export A=1; make -C s", "KD=1; make -C s", "A=1; export A; make -C s", "A=1 make -C s"):
        (found,) = find_makes(recipe)
        assert "1" in dict(found.assignments).values(), recipe
    (found,) = find_makes("A=1; make -C s")
    assert found.assignments == ()


@pytest.mark.parametrize(
    "recipe",
    [
        "while x; do i=1$i; done;" + BUILD,
        "".join(f"test -d {n} && a{n}=1;" for n in range(30)) + BUILD,
        "for a in x y;do " * 30 + ":;" + "done;" * 30 + BUILD,
        "{ " * 60 + BUILD + ";}" * 60,
        "f() { f; f; }; f;" + BUILD,
        pytest.param("f() " * 2000 + BUILD, id="functions"),
    ],
)
def test_too_many_ways_are_not_followed(recipe: str) -> None:
    """They end, and are said to be not understood."""
    (found,) = find_makes("k=/a;" + recipe)
    assert "not understood" in found.unclear


def test_defaults_that_are_nested_too_deep_are_not_followed() -> None:
    (found,) = find_makes(f"make -C {'${x:-' * 5000}{'}' * 5000} M=/m")
    assert "only the shell knows" in found.unclear
