"""Takes the code out of the README and makes one shell script of it, as a reader would run it."""

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One block of code: its language and its text, word for word."""

    language: str
    text: str

    def as_shell(self) -> str:
        """
        Shell blocks as they are; a Python block is saved under the name in its first line and run.

        What is for a page is run in one: browser/test/docs.
        """
        if self.language == "js":
            return ""
        if self.language == "sh":
            return self.text + self._wait_for_servers()
        name = self.text.split("\n", 1)[0].removeprefix("# ")
        return f"cat > {name} <<'PYTHON'\n{self.text}PYTHON\npython {name}\n"

    def _wait_for_servers(self) -> str:
        """A reader takes longer to read on than a server to start; the test waits for its port."""
        started = [line for line in self.text.splitlines() if line.endswith("&")]
        ports = [match[1] if (match := re.search(r"--port (\d+)", line)) else "8000" for line in started]
        return "".join(
            f"for i in $(seq 200); do curl -s localhost:{port}/healthz >/dev/null && break; sleep 0.05; done\n"
            for port in ports
        )


def blocks_of(document: Path) -> list[Block]:
    """Every block of a Markdown file that names its language."""
    return [Block(match[1], match[2]) for match in _BLOCK.finditer(document.read_text("utf-8"))]


def script_of(blocks: list[Block], *, first: str = "") -> str:
    """
    All blocks in order; a line of marks before each tells the outputs apart. Servers are ended at the end.

    Args:
        first: What the reader is taken to have done before.
    """
    steps = [f"echo '=== block {number}'\n{block.as_shell()}" for number, block in enumerate(blocks, 1)]
    return "set -e\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n" + first + "\n".join(steps)
