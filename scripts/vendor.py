"""Copies the console's libraries out of their npm packages; `make vendor` runs it.

The packages lie in .console/, where npm has held them against the hashes of the lock file. Bare imports
become relative ones, so that no import map is needed (the page's policy allows no inline script). `--check`
writes nothing: it names every file that differs and ends with exit code 1.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ROOT / ".console" / "node_modules"
LOCK = ROOT / "scripts" / "console" / "package-lock.json"
VENDOR = ROOT / "src" / "dragoman" / "console" / "vendor"


class Module(NamedTuple):
    """A file of a package, and how others import it. `tail` is what makes a module of a plain script."""

    package: str
    source: str
    imported: str
    tail: str = ""


MODULES = (
    Module("preact", "dist/preact.mjs", "preact"),
    Module("preact", "hooks/dist/hooks.mjs", "preact/hooks"),
    Module("@preact/signals-core", "dist/signals-core.mjs", "@preact/signals-core"),
    Module("@preact/signals", "dist/signals.mjs", "@preact/signals"),
    Module("htm", "dist/htm.mjs", "htm"),
    # The module build is not minified and twice as long.
    Module("uplot", "dist/uPlot.iife.min.js", "uplot", "export default uPlot;\n"),
)
_IMPORT = re.compile(r"""(\bfrom\s*)(["'])([^"']+)\2""")
_MAP = re.compile(r"\n?//# sourceMappingURL=.*")
_HEAD = """\
# Vendored libraries

Written by `make vendor` (`scripts/vendor.py`); edit `scripts/console/package.json` instead. Files with a
version in their name never change and are served as such; `view.js` and `plot.js` are what the console
imports. `.d.ts` files point the type check to the packages' own types and are not part of the wheel.

"""


def version(package: str) -> str:
    """The version that the lock file has."""
    told: str = json.loads(LOCK.read_text())["packages"][f"node_modules/{package}"]["version"]
    return told


def name(module: Module) -> str:
    """The stem of a vendored file: import name and version."""
    return f"{module.imported.removeprefix('@').replace('/', '-')}-{version(module.package)}"


def script(module: Module) -> str:
    """The module with relative imports and without the address of a source map."""
    names = {other.imported: f"./{name(other)}.js" for other in MODULES}
    text = _MAP.sub("", (PACKAGES / module.package / module.source).read_text(encoding="utf-8"))
    text = _IMPORT.sub(lambda found: f"{found[1]}{found[2]}{names[found[3]]}{found[2]}", text)
    return text.rstrip("\n") + "\n" + module.tail


def made() -> dict[str, str]:
    """Every vendored file by its path below the folder."""
    files: dict[str, str] = {}
    for module in MODULES:
        stem = name(module)
        files[f"{stem}.js"] = script(module)
        files[f"{stem}.d.ts"] = f'export * from "{module.imported}";\n'
        if module.imported in ("htm", "uplot"):
            files[f"{stem}.d.ts"] = f'export {{ default }} from "{module.imported}";\n'
        licence = f"licences/{module.package.removeprefix('@').replace('/', '-')}.txt"
        files[licence] = (PACKAGES / module.package / "LICENSE").read_text(encoding="utf-8")
    stems = {module.imported: name(module) for module in MODULES}
    style = f"uplot-{version('uplot')}.css"
    files[style] = (PACKAGES / "uplot" / "dist" / "uPlot.min.css").read_text(encoding="utf-8")
    files["view.js"] = (
        f'export {{ h, render, Fragment, createContext }} from "./{stems["preact"]}.js";\n'
        f'export {{ default as htm }} from "./{stems["htm"]}.js";\n'
        "export { useCallback, useContext, useEffect, useId, useLayoutEffect, useMemo, useRef, useState }"
        f' from "./{stems["preact/hooks"]}.js";\n'
        "export { batch, computed, effect, signal, untracked, useComputed, useSignal, useSignalEffect }"
        f' from "./{stems["@preact/signals"]}.js";\n'
    )
    files["plot.js"] = (
        f'export {{ default }} from "./{stems["uplot"]}.js";\n'
        f'/** Where the style of the plots is. */\nexport const STYLE = "/console/vendor/{style}";\n'
    )
    files["README.md"] = _HEAD + _table(files)
    return files


def _table(files: dict[str, str]) -> str:
    packages = sorted({module.package for module in MODULES})
    lines = ["| package | version | licence |", "| --- | --- | --- |"]
    for package in packages:
        licence = json.loads((PACKAGES / package / "package.json").read_text())["license"]
        lines.append(f"| `{package}` | {version(package)} | {licence} |")
    lines += ["", "| file | SHA-256 |", "| --- | --- |"]
    for path, text in sorted(files.items()):
        lines.append(f"| `{path}` | `{hashlib.sha256(text.encode()).hexdigest()}` |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Writes every file and removes those of other versions, or names what differs."""
    files = made()
    there = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()}
    stale = sorted(
        path
        for path in there | set(files)
        if path not in files
        or path not in there
        or (VENDOR / path).read_text(encoding="utf-8") != files[path]
    )
    if "--check" in sys.argv[1:]:
        print(
            "".join(f"console/vendor/{path} is not what the package has: make vendor\n" for path in stale),
            end="",
        )
        return 1 if stale else 0
    for path in stale:
        target = VENDOR / path
        if path not in files:
            target.unlink()
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(files[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
