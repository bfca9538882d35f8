"""A look at the processes of a supervisor, as the kernel knows them."""

from pathlib import Path


def children(pid):
    """The pids of a process's children; none when it has gone."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def name_of(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return None


def workers_of(pid):
    """The workers of a supervisor, in the order in which they were started."""
    return [child for child in children(pid) if name_of(child) == "bunshin-worker"]
