"""What the README tells of a real bridge's first use promises nothing that nobody says: messages and commands are the
code's."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from speakeasy.app import app
from typer.main import get_command

TOP = Path(__file__).parents[2]
README = (TOP / "README.md").read_text()
SECTION = "".join(
    README.partition(f"## {title}\n")[2].partition("\n## ")[0] for title in ("First real use", "With the command")
)
QUOTED = re.findall(r"`([^`\n]+)`", SECTION)
COMMANDS = sorted({text for text in QUOTED if text.startswith("speakeasy ")})
TARGETS = sorted({text for text in QUOTED if text.startswith("make ")})
# A sentence: it has a blank, and is no command.
MESSAGES = sorted({text for text in QUOTED if " " in text and text not in COMMANDS and text not in TARGETS})
# What is to be tapped in the phone page; "*Like this.*" is a heading.
TAPPED = sorted(set(re.findall(r"(?<!\*)\*([A-Z][^*\n]*[^*.\n])\*(?!\*)", README)))
TEXTS = (TOP / "host_tools" / "phone_page" / "src" / "texts.ts").read_text()


def strings(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


SAID = [
    *(
        text
        for tool in ("dorm", "idf", "speakeasy")
        for file in (TOP / "host_tools" / tool).rglob("*.py")
        for text in strings(file)
    ),
    TEXTS,
]


def test_the_section_is_there() -> None:
    assert len(MESSAGES) > 10
    assert len(COMMANDS) > 10
    assert len(TAPPED) > 6
    assert {"make flash BOARD=ESP32_S3", "make label"} <= set(TARGETS)


@pytest.mark.parametrize("message", MESSAGES)
def test_each_message_is_said(message: str) -> None:
    for piece in re.split(r"…", message):
        # Of what stands between two values a stop may be left over.
        if len(piece.strip(" .:;,")) > 1:
            assert any(piece.strip() in text for text in SAID), piece


@pytest.mark.parametrize("label", TAPPED)
def test_each_label_is_in_the_page(label: str) -> None:
    assert label in TEXTS


@pytest.mark.parametrize("words", COMMANDS)
def test_each_command_exists(words: str) -> None:
    name, *rest = words.removeprefix("speakeasy ").split()
    known = get_command(app).commands[name]  # type: ignore[attr-defined]
    options = {option for parameter in known.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= options
    wanted = sum(1 for parameter in known.params if parameter.param_type_name == "argument" and parameter.required)
    assert len([word for word in rest if not word.startswith("-")]) >= (wanted if rest else 0)


@pytest.mark.parametrize("words", TARGETS)
def test_each_target_exists(words: str) -> None:
    target = words.split()[1]
    assert re.search(rf"^{target}:.*##", (TOP / "Makefile").read_text(), re.MULTILINE)
    board = re.search(r"BOARD=([A-Z0-9_]+)", words)
    assert board is None or (TOP / "boards" / board[1] / "mpconfigboard.cmake").is_file()
