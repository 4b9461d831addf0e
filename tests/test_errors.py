import pytest

from mnist_core.errors import UserError, printable


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("two\nlines\tand  more", "two lines and more"),
        ("\x1b[31mred\x00", "\\x1b[31mred\\x00"),
        ("\u202ereversed", "\\u202ereversed"),
        ("Größe 2 \N{GREEK SMALL LETTER PI}", "Größe 2 \N{GREEK SMALL LETTER PI}"),
        ("x" * 31, "x" * 27 + "..."),
    ],
)
def test_text_from_outside_is_one_short_line_that_no_terminal_obeys(text, line):
    assert printable(text, limit=30) == line


def test_what_a_user_is_told_is_one_printable_line():
    message = str(UserError("model \x1b[31m\nname" + "x" * 10_000))
    assert message.startswith("model \\x1b[31m name")
    assert message.isprintable()
    assert len(message) == 900
