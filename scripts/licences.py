"""Writes docs/licences.md, the licences of every crate that is built into strata on Linux, and docs/notices.txt, the notices
to distribute with the program. With --check, writes nothing and fails if either file is out of date."""

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
    """The packages that the program depends on, without dev-dependencies, which are not distributed."""
    packages = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", LINUX))["packages"]
    packages = {(package["name"], package["version"]): package for package in packages}
    # `cargo metadata` lists optional dependencies too; `cargo tree` only what is built.
    tree = cargo("tree", "--edges", "normal,build", "--target", LINUX, "--prefix", "none", "--format", "{p}")
    names = {tuple(line.split()[:2]) for line in tree.splitlines() if line and not line.startswith("strata ")}
    return [packages[name, version.removeprefix("v")] for name, version in sorted(names)]


def licence(package):
    return (package["license"] or "see " + (package["license_file"] or "its repository")).replace("/", " OR ")


# ---- the page -------------------------------------------------------------------------------------------------------

DUPLICATES = {
    "digest": "`zip` 0.6, which tch uses for its own weight files, depends on older `sha1` and `pbkdf2`",
    "getrandom": "`rand` 0.8 (tch) and `ring` (rustls) use the older one, `tempfile` the newer",
    "hashbrown": "`safetensors` uses the older one, `indexmap` (toml) the newer",
    "miniz_oxide": "`png` uses the older one, `flate2` the newer",
    "safetensors": "tch uses 0.3; ours validates more of a file's header",
    "sha2": "`pbkdf2` (`zip` 0.6, tch) uses the older one",
    "syn": "derive macros are moving from 2 to 3; build time only",
    "thiserror": "tch uses 1",
    "base64": "`usvg` (resvg) uses the older one",
    "bitflags": "`png` (resvg) uses version 1",
    "kurbo": "the font subsetter of `svg2pdf` uses a newer one than `usvg`",
    "png": "`tiny-skia` (resvg 0.45, on which svg2pdf builds) uses the older one, `image` the newer",
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
            sys.exit(f"scripts/licences.py: {', '.join(twice)}: add the reason for both versions to DUPLICATES")
        lines.append(f"| {', '.join(sorted(twice))} | {DUPLICATES[name]} |\n")
    return "".join(lines)


def page(packages):
    by_licence = collections.defaultdict(list)
    for package in packages:
        by_licence[licence(package)].append(f"{package['name']} {package['version']}")
    rows = sorted(by_licence.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    table = "".join(f"| {name} | {', '.join(sorted(list_))} |\n" for name, list_ in rows)
    return f"""# Licences

Strata is under the MIT licence ([LICENSE](../LICENSE)). It contains no datasets: Fashion-MNIST is under the MIT licence, CIFAR-10 and
ImageNet are under their authors' terms.

## Distributing the program

- [notices.txt](notices.txt) has the copyright notices and licence texts that must accompany the program: those of its crates, of
  Rust's standard library, and of the parts of libtorch's headers that are compiled in. Distribute it with the program.
- libtorch is linked dynamically and not part of the program: `make setup` installs it from the torch wheel on PyPI. Its licence is
  BSD-3-Clause. If you distribute its libraries too, include the wheel's `LICENSE` and `NOTICE` files
  (`torch-*.dist-info/licenses`), which list the components of libtorch, such as oneDNN, XNNPACK and sleef.
- The wheel contains libgomp (GPL 3 with the GCC Runtime Library Exception). Programs built with GCC may link it, like libstdc++
  and libgcc, which come from the system; distributing libgomp itself requires offering its source code under the GPL.
- The CUDA libraries in NVIDIA's wheels (two small ones that libtorch links, all of them with `make setup CUDA=1`) are under
  NVIDIA's licence, which permits distributing its "redistributable" parts with a program under the conditions it lists.
- PNG and PDF pictures are set in Inter (regular and semibold of version 4.1, a subset of Latin, Greek and symbols), which is built in
  under the SIL Open Font License 1.1, [src/figures/fonts/LICENSE.txt](../src/figures/fonts/LICENSE.txt). The licence does not extend to the
  pictures.

## The crates

The crates that are compiled into the program on Linux or run to build it, by licence. `python3 scripts/licences.py` generates this page
and the notices; `make lint` fails if they are out of date.

| licence | crates |
| --- | --- |
{table}
## Duplicate crates

None of them can be unified here: each is waiting for a release of another crate, in most cases tch.

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
    """The licence texts to distribute with a package; if there is a choice of licences, MIT if it is one of them."""
    folder = pathlib.Path(package["manifest_path"]).parent
    # Bundled C sources have their licences in subfolders, and so has tch that of PyTorch.
    found = [path for depth in ("*", "*/*", "*/*/*") for path in sorted(folder.glob(depth)) if path.is_file() and FILE.fullmatch(path.name)]
    found = [path for path in found if not {"tests", "benches", "examples"} & set(path.relative_to(folder).parts)]
    found = {path.relative_to(folder).as_posix(): path.read_text(errors="replace") for path in found}
    # zstd offers the GPL as the alternative to BSD.
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
    """Splits a licence text into its copyright lines and the grant."""
    lines = [line.rstrip() for line in text.replace("\f", "").splitlines()]
    body = [line for line in lines if not re.match(r"\s*(copyright (\(c\)|©|\d|the )|\(c\) \d|©|all rights reserved)", line, re.IGNORECASE)]
    if GRANTS["Apache-2.0"] in plain(text)[:50]:  # without its appendix, a template to fill in
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
            sys.exit(f"{path} is out of date; regenerate it with python3 scripts/licences.py")
    else:
        path.write_text(text)
