"""Amounts of bytes."""

from __future__ import annotations

import pytest

from gswarm_tui.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (0, 0),
        (1_000_000_000_000, 10**12),
        ("123", 123),
        ("5 B", 5),
        ("500GB", 500 * 10**9),
        ("1.5TiB", 3 * 2**39),
        ("1.1kb", 1100),
        (" 2 mib ", 2**21),
        ("0.1PB", 10**14),
    ],
)
def test_parse(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1e3", "5 boxes", "1.GB", "٣GB", -1, True])
def test_refused(text: str | int) -> None:
    with pytest.raises(ValueError, match="expected an amount of bytes such as 500GB"):
        parse_size(text)


def test_one_letter_could_mean_two_things() -> None:
    with pytest.raises(ValueError, match=r"`64G` could mean two things: write GB .* or GiB"):
        parse_size("64G")
