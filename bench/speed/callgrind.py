"""Instructions of a program, function by function, as callgrind counts them."""
import collections
import pathlib
import re

NAME = re.compile(r"\((\d+)\)(?: (.*))?$")


class Profile:
    """
    Reads a file of callgrind ("The Callgrind Format Specification", version 1): what each function
    has executed itself, without what it called.
    """

    def __init__(self, path):
        self.total = 0
        self.functions = collections.Counter()  # (object, function): instructions
        self._names = {"ob": {}, "fn": {}}
        self._read(pathlib.Path(path))

    def _name(self, kind, text):
        """Names are written once, and stand for their number from then on."""
        number, name = NAME.match(text).groups()
        if name is not None:
            self._names[kind][number] = name
        return self._names[kind][number]

    def _read(self, path):
        where, function, skip = "", "", False
        with path.open() as lines:
            for line in lines:
                line = line.rstrip("\n")
                kind, equals, text = line.partition("=")
                if skip:
                    skip = False  # the cost of a call, which is that of the called function
                elif equals and kind == "ob":
                    where = self._name("ob", text)
                elif equals and kind == "fn":
                    function = self._name("fn", text)
                elif equals and kind in ("cob", "cfn"):
                    self._name(kind[1:], text)
                elif equals and kind == "calls":
                    skip = True
                elif line[:1] in "0123456789+-*" and line:
                    cost = int(line.split()[1])
                    self.total += cost
                    self.functions[where, function] += cost

    def objects(self):
        """{name of program or library: instructions}"""
        sums = collections.Counter()
        for (where, _), cost in self.functions.items():
            sums[re.sub(r"[-.]?\d*\.so.*", "", pathlib.Path(where).name) or "?"] += cost
        return sums
