"""Results of benchmarks: benchmarks/results/NAME.json for each, and benchmarks/results.md, which is made from these.

Conventions
-----------
A benchmark's ``main(arguments)`` returns a list of :class:`Table`. The JSON holds numbers as measured, the
Markdown with three digits. A benchmark that failed keeps its last tables, and the results also state the failure.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "results"
PAGE = Path(__file__).parent / "results.md"
PACKAGES = ("dvc", "mlflow", "numpy", "scipy", "scikit-learn", "torch", "numba", "h5py", "soxr", "pedalboard",
            "librosa", "distributed", "panns-inference", "msclap", "fastdtw", "tensorflow")  # fmt: skip
_HEAD = (
    "`make bench` runs all benchmarks and writes this page; `python -m benchmarks NAME ...` runs some and keeps the "
    "sections of the others. *Times as fast*: ours compared with the peer, both measured in the same run."
)


@dataclass(frozen=True)
class Table:
    """Numbers side by side.

    columns : sequence of str
    rows : sequence of sequences of str, int, float or None
    title : str
    note : str, how to read the numbers
    picture : str, a file in benchmarks/results, or ""
    """

    columns: tuple
    rows: tuple
    title: str = ""
    note: str = ""
    picture: str = ""


def compared(rows, title="", note=""):
    """A table of our numbers and those of a peer.

    Parameters
    ----------
    rows : iterable of (what, unit, ours, peer, remark)
        A unit that ends in ``/s`` is a rate, any other is a time; peer is None where there is none.
    title, note : str

    Returns
    -------
    Table, with the factor by which we are faster than the peer
    """
    lines = [(what, unit, ours, peer, _ratio(unit, ours, peer), remark) for what, unit, ours, peer, remark in rows]
    return Table(("what", "unit", "ours", "peer", "times as fast", "remark"), lines, title, note)


def _ratio(unit, ours, peer):
    if peer is None:
        return None
    return ours / peer if unit.endswith("/s") else peer / ours


def machine():
    """The properties of the machine that affect time: processor, cores, memory, system."""
    import os
    import platform

    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "cores": cores,
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "gpu": _gpu(),
    }


def packages():
    """Versions of Python and of :data:`PACKAGES`, as far as they are installed."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor():
    import platform

    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine()


def _gpu():
    """The GPU that PyTorch would use; "none" where there is none."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"


def kept(name, folder=FOLDER):
    """The results of a benchmark's last run; {} where there is none."""
    try:
        return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def keep(name, found, folder=FOLDER):
    """Write a benchmark's results, or add a failure to the earlier ones.

    Parameters
    ----------
    name : str
    found : dict
        date, seconds, and either tables with load, about, machine and packages, or failed, a line.
    folder : path-like
    """
    from earshift.storage.files import write_json

    if "failed" in found:
        found = {**kept(name, folder), "failed": {key: found[key] for key in ("failed", "date", "seconds")}}
    else:
        found = {**found, "tables": [asdict(table) for table in found["tables"]]}
    write_json(folder / f"{name}.json", found)


def write_page(names, folder=FOLDER, page=PAGE):
    """Make results.md from the files of the folder, in the order of `names`; benchmarks that never ran are left out."""
    from earshift.storage.files import replacing

    found = {name: content for name in names if (content := kept(name, folder))}
    with replacing(page) as temporary:
        temporary.write_text(document(found), encoding="utf-8")


def document(found):
    """results.md as text.

    Parameters
    ----------
    found : dict of str to dict, the content that :func:`keep` wrote, by name
    """
    places = []  # machine and packages, each once
    for content in found.values():
        if "machine" in content and _place(content) not in places:
            places.append(_place(content))
    lines = ["# Benchmarks", "", _HEAD]
    for number, place in enumerate(places, start=1):
        lines += ["", f"**Machine {number}**: {', '.join(_said(key, value) for key, value in place[0].items())}. "
                  f"Versions: {', '.join(f'{key} {value}' for key, value in place[1].items())}."]  # fmt: skip
    for name, content in found.items():
        lines += ["", f"## {name}", ""]
        if "tables" in content:
            lines.append(
                f"{content['about']} {content['date']}, machine {places.index(_place(content)) + 1}, "
                f"{content['seconds']:.0f} s; load of the machine before: {content['load']:.1f}."
            )
        if "failed" in content:
            failed = content["failed"]
            older = "; the numbers below are from before" if "tables" in content else ""
            lines += ["", f"**Failed** on {failed['date']} after {failed['seconds']:.0f} s: {failed['failed']}{older}."]
        for table in content.get("tables", ()):
            lines += ["", *_markdown(Table(**table))]
    return "\n".join(lines) + "\n"


def _place(content):
    return content["machine"], content["packages"]


def _said(key, value):
    return {"cores": f"{value} cores", "memory": f"{value} of memory", "gpu": f"GPU: {value}"}.get(key, str(value))


def _markdown(table):
    lines = [f"### {table.title}", ""] if table.title else []
    if table.rows:
        columns = [i for i in range(len(table.columns)) if any(row[i] not in (None, "") for row in table.rows)]
        figures = [all(not isinstance(row[i], str) for row in table.rows) for i in range(len(table.columns))]
        lines.append(_row(table.columns[i] for i in columns))
        lines.append(_row("---:" if figures[i] else "---" for i in columns))
        lines += [_row(cell(row[i]) for i in columns) for row in table.rows]
    if table.note:
        lines += ["", table.note]
    if table.picture:
        lines += ["", f"![{table.title}](results/{table.picture})"]
    return lines


def _row(cells):
    return f"| {' | '.join(cells)} |"


def cell(value):
    """A table's cell as text: numbers with three digits."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.replace("|", "\\|")
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if size >= 100 or size == 0:
        return f"{value:,.0f}"
    return f"{value:.2g}" if size < 0.01 else f"{value:.{2 if size < 10 else 1}f}"
