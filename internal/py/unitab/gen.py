"""Writes props.bin and case.txt: what CPython 3.11 (Unicode 14.0) says of every
code point. Run with CPython 3.11: python3.11 gen.py"""
import sys
import unicodedata
import _sre
from re import _casefix

assert unicodedata.unidata_version == "14.0.0", unicodedata.unidata_version

BITS = [
    lambda c: c.isspace(),
    lambda c: c.isalpha(),
    lambda c: c.isdecimal(),
    lambda c: c.isdigit(),
    lambda c: c.isnumeric(),
    lambda c: c.isupper(),
    lambda c: c.islower(),
    lambda c: c.istitle() and not c.isupper(),           # category Lt
    lambda c: c.isprintable(),
    lambda c: c.isidentifier(),                          # may start a name
    lambda c: ("a" + c).isidentifier(),                  # may go on in one
    lambda c: (c + "a").title()[-1] == "a",              # Cased
    lambda c: ("A" + c + "\u03a3").lower()[-1] == "\u03c2"
    and (c + "\u03a3").lower()[-1] == "\u03c3",          # skipped before a final sigma
    lambda c: unicodedata.east_asian_width(c) in "WF",
    lambda c: bool(unicodedata.combining(c)),
]
N, BLOCK = 0x110000, 128
props = []
for cp in range(N):
    c = chr(cp)
    v = 0
    for i, f in enumerate(BITS):
        if f(c):
            v |= 1 << i
    props.append(v)
kinds = sorted(set(props))
assert len(kinds) <= 256, len(kinds)
kind_of = {k: i for i, k in enumerate(kinds)}
blocks, index = {}, []
for b in range(0, N, BLOCK):
    data = bytes(kind_of[p] for p in props[b:b + BLOCK])
    index.append(blocks.setdefault(data, len(blocks)))
assert len(blocks) < 65536
with open("props.bin", "wb") as f:
    # 256 kinds (uint16), 8704 block numbers (uint16), blocks of 128 kinds
    for k in kinds + [0] * (256 - len(kinds)):
        f.write(k.to_bytes(2, "little"))
    for i in index:
        f.write(i.to_bytes(2, "little"))
    for data in blocks:
        f.write(data)
with open("case.txt", "w", encoding="ascii") as f:
    hx = lambda s: "+".join("%x" % ord(c) for c in s)
    for cp in range(N):
        c = chr(cp)
        simple = _sre.unicode_tolower(cp)
        m = [c.lower(), c.upper(), c.title(), c.casefold(), chr(simple)]
        if any(x != c for x in m):
            f.write("%x %s\n" % (cp, " ".join("-" if x == c else hx(x) for x in m)))
    for lo, others in sorted(_casefix._EXTRA_CASES.items()):
        f.write("= %x %s\n" % (lo, "+".join("%x" % o for o in others)))
print(len(kinds), "kinds", len(blocks), "blocks", file=sys.stderr)
