# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every format of ``kdeps ci`` is valid by its published schema, fresh, stale and unknown."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from kdeps.report.explain_page import page_of
from kdeps.report.issues import KINDS
from tests.conftest import CHECKOUT, RunKdeps
from tests.support.miniature import MODULE, Miniature
from tests.support.schemas import read_gitlab, read_json, read_junit, read_sarif

FORMATS = ("text", "json", "sarif", "junit", "github", "gitlab")


def reports(kdeps: RunKdeps, tree: Miniature, folder: Path, *words: str) -> tuple[int, dict[str, str]]:
    """Every report of one run, written to files."""
    folder.mkdir(exist_ok=True)
    done = kdeps(tree, "ci", *(f"--output={name}={folder / name}" for name in FORMATS), *words)
    assert not done.stderr
    return done.returncode, {name: (folder / name).read_text() for name in FORMATS}


def test_every_kind_is_in_the_schema() -> None:
    """JSON knows them all."""
    schema = json.loads((CHECKOUT / "kdeps/report/ci.schema.json").read_text())
    assert set(schema["properties"]["issues"]["items"]["properties"]["kind"]["enum"]) == set(KINDS)


def test_a_rule_of_sarif_says_what_its_page_says(tree: Miniature, kdeps: RunKdeps) -> None:
    """Title, first paragraph, the page as text and as Markdown, and where the page is."""
    rules = read_sarif(kdeps(tree, "ci", "--format=sarif", f"M={MODULE}").stdout)["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(KINDS)
    for rule in rules:
        page = page_of(rule["id"])
        address = urlsplit(rule["helpUri"])
        assert Path(unquote(address.path)).read_text() == page.text == rule["help"]["text"]
        assert page.text.startswith(f"{rule['id']}: {rule['shortDescription']['text']}\n\n")
        assert rule["fullDescription"]["text"] in page.text.replace("\n", " ")
        assert "\n" not in rule["fullDescription"]["text"]
    markdown = next(rule for rule in rules if rule["id"] == "newer-prerequisite")["help"]["markdown"]
    assert markdown.startswith("# newer-prerequisite: a file is newer than what was made from it\n\nKbuild")
    assert (
        "\n\n```\necho '// edited' >> rust/kernel/io.rs\nkdeps check M=drivers/gpu/nova-core\n```\n"
        in markdown
    )


def test_a_fresh_tree_in_every_format(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """Nothing to report, in a report that says so."""
    status, texts = reports(kdeps, tree, tmp_path / "out", f"M={MODULE}")
    assert status == 0
    assert read_json(texts["json"])["issues"] == []
    run = read_sarif(texts["sarif"])
    assert run["results"] == []
    assert run["invocations"][0]["executionSuccessful"] is True
    assert read_gitlab(texts["gitlab"]) == []
    suite = read_junit(texts["junit"])
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "0", "0")
    assert "::error" not in texts["github"]
    assert texts["text"].startswith(f"fresh: {MODULE}: consistent (")


def test_a_stale_tree_in_every_format(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """The file to blame, relative to the repository, and the commands that help."""
    tree.touch("rust/kernel/io.rs")
    status, texts = reports(kdeps, tree, tmp_path / "out", f"M={MODULE}")
    assert status == 1
    (result,) = read_sarif(texts["sarif"])["results"]
    assert (result["ruleId"], result["level"]) == ("newer-prerequisite", "error")
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "rust/kernel/io.rs", "uriBaseId": "%SRCROOT%"}
    (entry,) = read_gitlab(texts["gitlab"])
    assert entry["location"]["path"] == "rust/kernel/io.rs"
    suite = read_junit(texts["junit"])
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "1", "0")
    failure = suite.find("testcase/failure")
    assert failure.get("type") == "newer-prerequisite"
    assert "modules_prepare" in failure.text
    assert texts["github"].startswith("::error file=rust/kernel/io.rs,line=1,title=kdeps%3A ")
    assert len(texts["github"].splitlines()) == 4


def test_a_module_that_cannot_be_judged_in_every_format(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """An error of the run, never a report without results."""
    status, texts = reports(kdeps, tree, tmp_path / "out", "M=drivers/nowhere")
    assert status == 2
    run = read_sarif(texts["sarif"])
    assert run["invocations"][0]["executionSuccessful"] is False
    assert "names no folder" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    suite = read_junit(texts["junit"])
    assert (suite.get("failures"), suite.get("errors")) == ("0", "1")
    assert "names no folder" in suite.find("testcase/error").get("message")
    (entry,) = read_gitlab(texts["gitlab"])
    assert entry["severity"] == "critical"
    assert "::error title=" in texts["github"] or "::error file=" in texts["github"]


def test_each_of_many_edits_is_a_result_of_its_own(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """Told as one cause to a person; a viewer shows each file."""
    for name in ("io", "lib", "pci"):
        if tree.path(f"rust/kernel/{name}.rs").exists():
            tree.touch(f"rust/kernel/{name}.rs")
    _, texts = reports(kdeps, tree, tmp_path / "out", f"M={MODULE}")
    results = read_sarif(texts["sarif"])["results"]
    places = {r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in results}
    assert len(places) == len(results) >= 2
    assert len(read_gitlab(texts["gitlab"])) == len(results)
    assert texts["text"].count("stale[newer-prerequisite]: crate") == 1


def test_fingerprints_are_stable(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """From run to run, in a copy at another place, beside other issues; and each has its own."""
    tree.touch("rust/kernel/io.rs")

    def prints(where: Miniature, name: str, *words: str) -> set[str]:
        _, texts = reports(kdeps, where, tmp_path / name, *words, f"M={MODULE}")
        return {r["partialFingerprints"]["kdeps/v1"] for r in read_sarif(texts["sarif"])["results"]}

    first = prints(tree, "first")
    assert prints(tree, "again") == first
    assert prints(tree.copy_to(tmp_path / "elsewhere"), "copy") == first
    tree.make(f"M={tree.external}")
    tree.touch("rust/kernel/lib.rs")
    (tree.objtree / "include/generated/rustc_cfg").unlink()
    more = prints(tree, "more", f"M={tree.external}")
    assert first < more
    assert len(more) == 3


HOSTILE = (
    "x\x1b]0;t\x07%0A::error::forged\u202e,a:b&<]]>",
    "::error file=a,line=1::forged",
    "##[error]forged",
    "a\n::error::forged",
    "a\r::error::forged%0D",
    "a\x9b31m\x7f\u2066b\u200f",
    "a\udcff\udc9bb",
)
"""Names of files and folders: controls, directions of writing, commands of a CI system, bytes that are no UTF-8."""
_FORBIDDEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def strings_of(document: object) -> Iterator[str]:
    """Every string in a JSON document, as its reader gets it."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        yield from strings_of([*document, *document.values()])
    elif isinstance(document, list | tuple):
        for item in document:
            yield from strings_of(item)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_of_a_source_breaks_no_format(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path, name: str
) -> None:
    """The file is to blame, so every report names it."""
    plant(tree, name)
    status, texts = reports(kdeps, tree, tmp_path / "out", f"M={MODULE}")
    assert status == 1
    assert read_sarif(texts["sarif"])["results"]
    assert_harmless(texts)


def test_hostile_names_of_modules_break_no_format(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """What the user, or a script, gave as M=."""
    words = [f"M=drivers/{name}" for name in HOSTILE]
    status, texts = reports(kdeps, tree, tmp_path / "out", f"M={MODULE}", *words)
    assert status == 2
    assert read_sarif(texts["sarif"])["invocations"][0]["executionSuccessful"] is False
    assert_harmless(texts)


def assert_harmless(texts: dict[str, str]) -> None:
    """Nothing that a screen would obey, before and after decoding, no line of a CI system but our own."""
    suite = read_junit(texts["junit"])
    plain = [text for text in suite.itertext() if text.strip()]
    plain += [value for element in suite.iter() for value in element.attrib.values()]
    documents = (read_gitlab(texts["gitlab"]), read_sarif(texts["sarif"]))
    assert read_json(texts["json"])["issues"]
    for text in (*texts.values(), *plain, *strings_of(documents)):
        assert not _FORBIDDEN.search(text)
    for text in (texts["text"], *plain):
        assert not any(line.strip().startswith(("::", "##[")) for line in text.splitlines())
    commands = [found for line in texts["github"].splitlines() if (found := read_command(line))]
    assert {name for name, _, _ in commands} == {"error", "group", "endgroup"}
    for name, properties, data in commands:
        assert set(properties) <= {"file", "line", "title"}
        assert not _FORBIDDEN.search("".join((*properties.values(), data)))
        assert (name == "error") == properties.get("title", "").startswith("kdeps: ")
        assert not any(line.startswith("::") for line in data.splitlines())


def plant(tree: Miniature, name: str) -> None:
    """Have the record of the kernel crate name a file that was edited since."""
    record = tree.objtree / "rust/.kernel.o.cmd"
    times = record.stat()
    text = record.read_text()
    source = next(line for line in text.splitlines() if line.endswith("rust/kernel/io.rs \\"))
    # Kbuild's own fixdep would break a line there, so this name is read as two.
    name = name.replace(" ", "").replace("#", "")
    path = tree.path("rust/kernel") / name.replace("\n", "")
    path.write_text("")
    record.write_text(
        text.replace(source, f"{source}\n  {path} \\"), encoding="utf-8", errors="surrogateescape"
    )
    os.utime(record, ns=(times.st_atime_ns, times.st_mtime_ns))
    tree.touch(path)


def read_command(line: str) -> tuple[str, dict[str, str], str] | None:
    """Read a line as GitHub's runner does: name, properties, data; None if it is no command to it.

    Source: ``src/Runner.Common/ActionCommand.cs`` of GitHub's runner.
    """
    old = re.search(r"##\[(\w[\w-]*)[^]]*\](.*)", line)
    new = re.match(r"\s*::([\w-]+)(?: (.*?))?::(.*)", line)
    if new is None:
        return None if old is None else (old[1], {}, old[2])

    def decoded(text: str, codes: dict[str, str]) -> str:
        for code, char in {**codes, "%25": "%"}.items():
            text = text.replace(code, char)
        return text

    codes = {"%0D": "\r", "%0A": "\n"}
    pairs = [pair.partition("=") for pair in (new[2] or "").split(",") if pair]
    properties = {key: decoded(value, {**codes, "%3A": ":", "%2C": ","}) for key, _, value in pairs}
    return new[1], properties, decoded(new[3], codes)


def test_the_repository_is_where_the_pipeline_says(tree: Miniature, kdeps: RunKdeps) -> None:
    """By --root, by the CI system's variable, by git, else the source tree."""
    tree.make(f"M={tree.external}")
    tree.touch("rust/kernel/io.rs")
    outer = str(tree.root)

    def place(*words: str, env: dict[str, str] | None = None) -> str:
        done = kdeps(tree, "ci", "--format=gitlab", *words, f"M={MODULE}", env=env)
        path: str = read_gitlab(done.stdout)[0]["location"]["path"]
        return path

    assert place() == "rust/kernel/io.rs"
    assert place(f"--root={outer}") == "linux/rust/kernel/io.rs"
    assert place(env={"CI_PROJECT_DIR": outer}) == "linux/rust/kernel/io.rs"
    assert place(env={"GITHUB_WORKSPACE": outer}) == "linux/rust/kernel/io.rs"
    (tree.root / ".git").mkdir()
    assert place() == "linux/rust/kernel/io.rs"
    # A module's repository beside the kernel: shown at the module.
    done = kdeps(tree, "ci", "--format=gitlab", f"--root={tree.external}", f"M={tree.external}")
    (entry,) = read_gitlab(done.stdout)
    assert entry["location"]["path"] in ("Kbuild", "Makefile")
    assert "rust/kernel/io.rs" in entry["description"]
    run = read_sarif(
        kdeps(tree, "ci", "--format=sarif", f"--root={tree.external}", f"M={tree.external}").stdout
    )
    artifact = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact == {"uri": "rust/kernel/io.rs", "uriBaseId": "SRCTREE"}
    assert run["originalUriBaseIds"]["SRCTREE"]["uri"] == f"file://{tree.srctree}/"


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("--output=html=x", "formats are text, json"), ("--output=sarif", "wants FORMAT=FILE"), ("--output=json=", "wants"),
        ("--record=", "--record: wants"), ("--against=", "--against: wants"), ("--root=/no/such", "no such folder"),
    ],
)  # fmt: skip
def test_a_wrong_output_is_refused(tree: Miniature, kdeps: RunKdeps, word: str, hint: str) -> None:
    """Before anything is judged, with the formats there are; so is a variable of the pipeline that is empty."""
    done = kdeps(tree, "ci", word, f"M={MODULE}")
    assert done.returncode == 2
    assert re.fullmatch(rf"kdeps: error: .*{hint}.*\n", done.stderr)


def test_a_report_that_cannot_be_written_is_an_error(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """A pipeline that waits for a file shall not take its absence for success."""
    done = kdeps(tree, "ci", f"--output=sarif={tmp_path}/no/such/folder", f"M={MODULE}")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


def test_what_cannot_be_written_or_read_takes_no_report_with_it(
    tree: Miniature, kdeps: RunKdeps, tmp_path: Path
) -> None:
    """Else the pipeline would collect the files of the run before."""
    tree.touch("rust/kernel/io.rs")
    bad = f"{tmp_path}/no/such/file"
    options = (
        f"--output=junit={bad}",
        f"--record={bad}",
        f"--against={bad}",
        f"--output=json={tmp_path}/json",
    )
    done = kdeps(tree, "ci", *options, f"M={MODULE}")
    assert done.returncode == 2
    assert done.stderr.count("kdeps: error: ") == 3
    assert "rust/kernel/io.rs" in done.stdout
    report = read_json((tmp_path / "json").read_text())
    assert report["verdict"] == "stale"
    assert any(bad in path["path"] for issue in report["issues"] for path in issue["paths"])


def test_without_its_ledger_nothing_is_fresh(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """The ledger was to decide, so every report says that it is not known."""
    done = kdeps(tree, "ci", f"--against={tmp_path}/none", f"--output=json={tmp_path}/json", f"M={MODULE}")
    assert done.returncode == 2
    assert read_json((tmp_path / "json").read_text())["verdict"] == "unknown"
    assert f"kdeps: error: {tmp_path}/none: " in done.stderr


def test_a_report_may_go_to_a_device(tree: Miniature, kdeps: RunKdeps) -> None:
    """``/dev/null`` stays a device."""
    assert kdeps(tree, "ci", "--output=sarif=/dev/null", f"M={MODULE}").returncode == 0
    assert not Path("/dev/null").is_file()


def test_a_report_may_go_through_a_link(tree: Miniature, kdeps: RunKdeps, tmp_path: Path) -> None:
    """To where it leads, on another file system as well; the link stays."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        link = tmp_path / "report.json"
        link.symlink_to(f"{folder}/real.json")
        for _ in range(2):
            assert kdeps(tree, "ci", f"--output=json={link}", f"M={MODULE}").returncode == 0
            assert read_json(Path(folder, "real.json").read_text())["verdict"] == "fresh"
        assert link.is_symlink()
        assert os.listdir(folder) == ["real.json"]


def test_a_report_on_standard_error_replaces_no_log(tree: Miniature, tmp_path: Path) -> None:
    """``/dev/stderr`` may be a plain file, with the words of others in it."""
    log = tmp_path / "log"
    log.write_text("before\n")
    command = [
        sys.executable,
        "-m",
        "kdeps",
        "ci",
        "--output=github=/dev/stderr",
        *tree.tree_args,
        f"M={MODULE}",
    ]
    with log.open("a") as stderr:
        subprocess.run(
            command, cwd=tree.srctree, env=tree.environment({"PYTHONPATH": str(CHECKOUT)}), check=True,
            stdout=subprocess.DEVNULL, stderr=stderr,
        )  # fmt: skip
    assert log.read_text().startswith("before\n::group::")


def test_paths_below_the_root_of_everything(tree: Miniature, kdeps: RunKdeps) -> None:
    """A container may have its checkout anywhere."""
    tree.touch("rust/kernel/io.rs")
    done = kdeps(tree, "ci", "--root=/", "--format=json", f"M={MODULE}")
    (path,) = read_json(done.stdout)["issues"][0]["paths"]
    assert path["in_repository"] == path["path"].removeprefix("/")
