"""Instructions of a program, function by function, as callgrind counts them."""
import collections
import pathlib
import re

NAME = re.compile(r"\((\d+)\)(?: (.*))?$")


class Profile:
    """
    Reads a file of callgrind ("The Callgrind Format Specification", version 1): what each function
    has cost itself, and what its calls into other objects have, all that these called included. The
    cost is the sum of some of the events that were counted; unless told otherwise, instructions.
    """

    def __init__(self, path, events=("Ir",)):
        self.total = 0
        self.functions = collections.Counter()  # (object, function): cost
        self.crossings = collections.Counter()  # (object, called object): cost
        self._events, self._columns = events, []
        self._names = {"ob": {}, "fn": {}}
        self._read(pathlib.Path(path))

    def _name(self, kind, text):
        """Names are written once, and stand for their number from then on."""
        number, name = NAME.match(text).groups()
        if name is not None:
            self._names[kind][number] = name
        return self._names[kind][number]

    def _cost(self, words):
        """Zeros at a line's end are left out."""
        return sum(int(words[column]) for column in self._columns if column < len(words))

    def _read(self, path):
        where = function = called = ""
        of_call = False
        with path.open() as lines:
            for line in lines:
                if line.startswith("events:"):
                    names = line.split()[1:]
                    self._columns = [1 + names.index(name) for name in self._events]
                    continue
                kind, equals, text = line.rstrip("\n").partition("=")
                if equals and kind == "ob":
                    where = called = self._name("ob", text)
                elif equals and kind == "fn":
                    function = self._name("fn", text)
                elif equals and kind == "cob":
                    called = self._name("ob", text)
                elif equals and kind == "cfn":
                    self._name("fn", text)
                elif equals and kind == "calls":
                    of_call = True
                elif line[:1] in ("+", "-", "*") or line[:1].isdigit():
                    cost = self._cost(line.split())
                    if of_call:
                        if called != where:
                            self.crossings[short(where), short(called)] += cost
                        of_call, called = False, where
                    else:
                        self.total += cost
                        self.functions[where, function] += cost

    def objects(self):
        """{name of program or library: cost}"""
        sums = collections.Counter()
        for (where, _), cost in self.functions.items():
            sums[short(where)] += cost
        return sums

    def own(self, name, helpers):
        """What an object has cost itself or through its calls into these others."""
        return self.objects()[name] + sum(
            self.crossings[name, helper] - self.crossings[helper, name] for helper in helpers)


def short(path):
    """libc of /usr/lib/x86_64-linux-gnu/libc.so.6"""
    return re.sub(r"[-.]?\d*\.so.*", "", pathlib.Path(path).name)
