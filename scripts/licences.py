"""Writes docs/licences.md, the licences of every crate that is built into strata on Linux, and docs/notices.txt, the notices
that go with a program which is passed on. With --check it writes nothing and fails where either page is out of date."""

import collections
import json
import pathlib
import re
import subprocess
import sys

LINUX = "x86_64-unknown-linux-gnu"


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments, "--locked"], check=True, capture_output=True, text=True).stdout


def crates():
    """The packages from the program along normal and build dependencies; what only tests need is not passed on."""
    packages = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", LINUX))["packages"]
    packages = {(package["name"], package["version"]): package for package in packages}
    # `cargo metadata` also has what optional features would bring; the tree has what is built.
    tree = cargo("tree", "--edges", "normal,build", "--target", LINUX, "--prefix", "none", "--format", "{p}")
    names = {tuple(line.split()[:2]) for line in tree.splitlines() if line and not line.startswith("strata ")}
    return [packages[name, version.removeprefix("v")] for name, version in sorted(names)]


def licence(package):
    return (package["license"] or "see " + (package["license_file"] or "its repository")).replace("/", " OR ")


# ---- the page -------------------------------------------------------------------------------------------------------

DUPLICATES = {
    "base64": "`usvg` of resvg; ours is newer",
    "bitflags": "`png` of resvg is on 1",
    "digest": "`zip` 0.6, which tch brings for its own weight files, has `sha1` and `pbkdf2` of the generation before ours",
    "getrandom": "`rand` 0.8 of tch and `ring` of rustls; `tempfile` is on the newer one",
    "hashbrown": "`safetensors`; `indexmap` of `toml` is on the newer one",
    "kurbo": "`svg2pdf`'s font subsetter is newer than `usvg`",
    "miniz_oxide": "`png`; `flate2` is on the newer one",
    "png": "`tiny-skia` of resvg 0.45, which svg2pdf builds on; `image` is on the newer one",
    "safetensors": "tch is on 0.3; ours checks more of a file's header",
    "sha2": "`pbkdf2` of `zip` 0.6 of tch",
    "syn": "derive macros are moving from 2 to 3; only used while building",
    "thiserror": "tch is on 1",
}
PART_OF = {
    "block-buffer": "digest", "cpufeatures": "digest", "crypto-common": "digest", "thiserror-impl": "thiserror",
}


def duplicates(packages):
    versions = collections.defaultdict(list)
    for package in packages:
        versions[package["name"]].append(package["version"])
    reasons = collections.defaultdict(list)
    for name, list_ in versions.items():
        if len(list_) > 1:
            reasons[PART_OF.get(name, name)].append(f"{name} {' and '.join(list_)}")
    lines = []
    for name, twice in sorted(reasons.items()):
        if name not in DUPLICATES:
            sys.exit(f"scripts/licences.py: {', '.join(twice)}: say in DUPLICATES why both are needed")
        lines.append(f"| {', '.join(sorted(twice))} | {DUPLICATES[name]} |\n")
    return "".join(lines)


def page(packages):
    by_licence = collections.defaultdict(list)
    for package in packages:
        by_licence[licence(package)].append(f"{package['name']} {package['version']}")
    rows = sorted(by_licence.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    table = "".join(f"| {name} | {', '.join(sorted(list_))} |\n" for name, list_ in rows)
    return f"""# Licences

Strata is under the MIT licence ([LICENSE](../LICENSE)). Datasets are not passed on with it: Fashion-MNIST is under the MIT
licence, those of CIFAR-10 and ImageNet are their makers'.

## If you pass on the program

- [notices.txt](notices.txt) has the copyright notices and licence texts that the crates in the program, Rust's standard
  library and the parts of libtorch's headers compiled into it ask to be passed on. Put it beside the program.
- libtorch is linked dynamically and is not part of the program: `make setup` brings it from the torch wheel on PyPI. It is under
  the BSD-3-Clause licence. Whoever passes on its libraries too takes the `LICENSE` and `NOTICE` files of the wheel
  (`torch-*.dist-info/licenses`) with them; they name what is inside of libtorch, such as oneDNN, XNNPACK and sleef.
- The wheel comes with libgomp (GPL 3 with the GCC Runtime Library Exception). Programs built with GCC may link it, as they
  may libstdc++ and libgcc, which are taken from the system; passing on libgomp itself asks for its source code as the GPL says.
- The CUDA libraries in NVIDIA's wheels (two small ones that libtorch names, all of them with `make setup CUDA=1`) are under
  NVIDIA's own licence, which lets its "redistributable" parts be passed on with a program under the conditions it lists.
- PNG and PDF pictures are set in Inter (regular and semibold of version 4.1, cut down to Latin, Greek and signs), which is built in
  under the SIL Open Font License 1.1, [src/figures/fonts/LICENSE.txt](../src/figures/fonts/LICENSE.txt). The pictures themselves are
  free of it.

## The crates

The crates that go into the program on Linux or are run to build it, by licence. `python3 scripts/licences.py` writes this page and the
notices; `make lint` fails where they are out of date.

| licence | crates |
| --- | --- |
{table}
## Crates that are there twice

None of them can be brought to one version from here: each waits for a release of another crate, most of them of tch.

| versions | why |
| --- | --- |
{duplicates(packages)}
"""


# ---- the notices ----------------------------------------------------------------------------------------------------

FILE = re.compile(r"(licen[sc]e|copying|notice|unlicense)([-_. ].*)?", re.IGNORECASE)
GRANTS = {
    "MIT": "permission is hereby granted, free of charge, to any person obtaining a copy",
    "Apache-2.0": "apache license",
}
STANDARD = """Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to
use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES
OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE
LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def plain(text):
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def texts(package):
    """The texts of a package that must go with it: of several licences to choose from, MIT's where it is one of them."""
    folder = pathlib.Path(package["manifest_path"]).parent
    # C sources within a crate have theirs some folders down, and tch has that of PyTorch.
    found = [path for depth in ("*", "*/*", "*/*/*") for path in sorted(folder.glob(depth)) if path.is_file() and FILE.fullmatch(path.name)]
    found = [path for path in found if not {"tests", "benches", "examples"} & set(path.relative_to(folder).parts)]
    found = {path.relative_to(folder).as_posix(): path.read_text(errors="replace") for path in found}
    # zstd's other choice.
    found = {name: text for name, text in found.items() if "gnu general public license" not in plain(text)[:200]}
    outer = {name: text for name, text in found.items() if "/" not in name}
    inner = {name: text for name, text in found.items() if "/" in name and "licenses/" not in name.lower()}
    words = licence(package)
    if " OR " in words and " AND " not in words:
        for name, grant in GRANTS.items():
            fitting = [text for text in outer.values() if plain(grant) in plain(text)]
            if name in words and fitting:
                notices = [text for file, text in outer.items() if file.lower().startswith("notice")]
                return fitting[:1] + notices + list(inner.values())
    if not found and "MIT" in words:
        return [f"Copyright (c) {', '.join(package['authors']) or 'the authors of ' + package['name']}\n\n{STANDARD}"]
    if not found:
        return [f"{words}; the package has no text of it, {package['repository']} does\n"]
    return list(found.values())


def split(text):
    """Who holds the copyright, and what is granted."""
    lines = [line.rstrip() for line in text.replace("\f", "").splitlines()]
    body = [line for line in lines if not re.match(r"\s*(copyright (\(c\)|©|\d|the )|\(c\) \d|©|all rights reserved)", line, re.IGNORECASE)]
    if GRANTS["Apache-2.0"] in plain(text)[:50]:  # without its appendix, a form to be filled in
        return [], "\n".join(line.strip() for line in lines).partition("END OF TERMS AND CONDITIONS")[0]
    held = [line.strip() for line in lines if line not in body]
    return held, "\n".join(body)


def notices(packages):
    grants, holders = {}, collections.defaultdict(dict)

    def add(name, text):
        held, body = split(text)
        key = plain(re.sub(r"(?i)^\W*(the )?(mit|isc|bsd.{0,20})( licen[sc]e)?( \(mit\))?\W*$", "", body, flags=re.MULTILINE))
        grants.setdefault(key, body)
        holders[key].setdefault(tuple(held), []).append(name)

    for package in packages:
        for text in texts(package):
            add(f"{package['name']} {package['version']}", text)
    add("Rust's standard library", f"Copyright (c) The Rust Project contributors\n\n{STANDARD}")
    add("the font Inter", pathlib.Path("src/figures/fonts/LICENSE.txt").read_text())
    parts = ["Notices of what is built into Strata: who holds the copyright, and the text of the licence below.\n"
             "Written by scripts/licences.py from the packages themselves; of several licences to choose from, one is here.\n"]
    for key in sorted(grants, key=lambda key: (-sum(map(len, holders[key].values())), key)):
        parts.append("\n" + "=" * 100 + "\n\n")
        for held, names in sorted(holders[key].items(), key=lambda entry: entry[1]):
            parts.append(f"{', '.join(names)}\n" + "".join(f"    {line}\n" for line in held))
        parts.append("\n" + re.sub(r"\n{3,}", "\n\n", grants[key]).strip("\n") + "\n")
    return "".join(parts)


packages = crates()
pages = {"docs/licences.md": page(packages).rstrip("\n") + "\n", "docs/notices.txt": notices(packages)}
for path, text in pages.items():
    path = pathlib.Path(path)
    if "--check" in sys.argv:
        if not path.exists() or path.read_text() != text:
            sys.exit(f"{path} is out of date: python3 scripts/licences.py writes it anew")
    else:
        path.write_text(text)
