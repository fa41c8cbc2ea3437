# hasattr of the methods behind operators.
import itertools
out = []
names = ['__len__', '__iter__', '__getitem__', '__setitem__', '__contains__', '__call__', '__next__', '__int__', '__float__', '__str__', '__add__', '__mul__', '__sub__', '__or__', 'keys', 'append', '__nothing__']
for v in [1, True, 1.5, 'a', b'a', [1], (1,), {'a': 1}, range(3), iter([]), (x for x in 'a'), len, lambda: 0, itertools.chain([])]:
    out.append([n for n in names if hasattr(v, n) and n not in ('__or__', '__sub__')])
