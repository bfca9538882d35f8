"""Plots of the page: SVG by gnuplot, the same bytes for the same figures."""
import subprocess
import sys

from figures import ROOT
from speed.rig import install

GNUPLOT = "/usr/bin/gnuplot"
COLOURS = ("#2a6f97", "#e9a03b", "#7a8b99", "#a23b45", "#5a8f5a")
HEAD = """
set terminal svg size 860,380 dynamic font "sans-serif,13" background "#ffffff" name "{name}"
set output {output!r}
set border 3 linecolor rgb "#888888"
set tics nomirror textcolor rgb "#333333"
set bmargin 4
set grid ytics linecolor rgb "#dddddd" linetype 1
set errorbars linecolor rgb "#444444"
set key above center maxrows 1
"""


def number(value):
    """As many digits as a plot can show, so that the files change little."""
    return f"{value:.4g}"


def block(name, rows):
    return "\n".join([f"${name} << EOD", *(" ".join(row) for row in rows), "EOD"])


def bars(title, axis, labels, series, limit=None, log=False):
    """
    Groups of bars, one of each series (name -> Ratio of each label; None: it has no bar there), with
    their spread.
    """
    text = [f"set title {title!r}", f"set ylabel {axis!r}", "set style data histograms",
            "set style histogram errorbars gap 1 linewidth 1", "set style fill solid 0.85 noborder",
            "set logscale y" if log else "set yrange [0:*]"]
    rows = []
    for index, label in enumerate(labels):
        cells = [f'"{label}"']
        for ratios in series.values():
            one = ratios[index]
            cells += [number(one.middle), number(one.low), number(one.high)] if one else 3 * ["NaN"]
        rows.append(cells)
    text.append(block("data", rows))
    plots = [f"$data using {2 + 3 * index}:{3 + 3 * index}:{4 + 3 * index}:xtic(1) "
             f"linecolor rgb {COLOURS[index]!r} title {name!r}"
             for index, name in enumerate(series)]
    if limit is not None:
        plots.append(f"{number(limit)} with lines dashtype 2 linewidth 2 linecolor rgb '#a23b45' "
                     f"title 'limit {number(limit)}'")
    return "\n".join([*text, "plot " + ", ".join(plots)])


def lines(title, axes, curves, log_x=False):
    """Curves over x: {name: ([(x, y)], on the right axis)}; axes are the names of x, left, right."""
    text = [f"set title {title!r}", f"set xlabel {axes[0]!r}", f"set ylabel {axes[1]!r}",
            "set yrange [0:*]", *(["set logscale x"] if log_x else [])]
    if any(right for _, right in curves.values()):
        text += [f"set y2label {axes[2]!r}", "set y2tics", "set y2range [0:*]", "set border 11"]
    plots = []
    for index, (name, (points, right)) in enumerate(curves.items()):
        text.append(block(f"d{index}", ([number(x), number(y)] for x, y in points)))
        plots.append(f"$d{index} using 1:2 axes x1y{2 if right else 1} with linespoints pointtype 7 "
                     f"pointsize 0.4 linewidth 1.5 linecolor rgb {COLOURS[index]!r} "
                     f"title '{name}{' (right)' if right else ''}'")
    return "\n".join([*text, "plot " + ", ".join(plots)])


def draw(plots, directory=ROOT / "docs"):
    """Writes the files of {file name: what bars() or lines() gave}."""
    if plots:
        install("gnuplot", GNUPLOT)
    for name, text in plots.items():
        head = HEAD.format(name=name.partition(".")[0].replace("-", "_"),
                           output=str(directory / name))
        done = subprocess.run([GNUPLOT], input=head + text + "\n", text=True, stderr=subprocess.PIPE,
                              check=False)
        if done.returncode != 0:
            sys.exit(f"bench: gnuplot: {done.stderr}")
