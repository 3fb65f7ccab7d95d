"""Sends the parts of lines that changed, and not what stands to their left as well.

Textual knows which columns of a line are to be drawn again, but sends a widget's line from its
beginning up to them (``TODO: crop to x extents``, textual/_compositor.py, 8.2). On a fleet that is
four fifths of all bytes, and what a slow ssh has most trouble with.
"""

from __future__ import annotations

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor


class NarrowUpdate(ChopsUpdate):
    """An update in which every line is cropped on both sides."""

    def render_segments(self, console: Console) -> str:
        sent: list[str] = []
        for y, start, end in self.spans:
            for right, (left, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                first, last = max(left, start), min(right, end)
                if strip is None or first >= last:
                    continue
                sent.append(Control.move_to(first, y).segment.text)
                part = strip.crop(first - left, last - left)
                sent.append(part.simplify().render(console))
        return "".join(sent)


class NarrowCompositor(Compositor):
    """A compositor whose partial updates are narrow."""

    def render_partial_update(self) -> ChopsUpdate | None:
        update = super().render_partial_update()
        if update is None:
            return None
        return NarrowUpdate(update.chops, update.spans, update.chop_ends)
