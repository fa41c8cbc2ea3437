"""Writes ops.jsonl.gz: operations on values with CPython 3.11's answers. python3.11 gen_ops.py

Values are written as EncodeTagged writes them; results as their repr."""
import json, math, operator, os, random, sys, warnings
warnings.simplefilter("ignore")
assert sys.version_info[:2] == (3, 11)
rnd = random.Random(11)

def tag(v):
    if v is None or isinstance(v, (bool, str)): return v
    if isinstance(v, int): return v if len(hex(v)) < 3000 else {"$int": ("-" if v < 0 else "") + hex(abs(v))[2:]}
    if isinstance(v, float): return v if math.isfinite(v) else {"$float": repr(v)}
    if isinstance(v, bytes): return {"$bytes": v.hex()}
    if isinstance(v, list): return [tag(x) for x in v]
    if isinstance(v, tuple): return {"$tuple": [tag(x) for x in v]}
    if isinstance(v, frozenset): return {"$frozenset": [tag(x) for x in v]}
    if isinstance(v, set): return {"$set": [tag(x) for x in v]}
    if isinstance(v, range): return {"$range": [v.start, v.stop, v.step]}
    if isinstance(v, dict):
        if all(isinstance(k, str) and not k.startswith("$") for k in v): return {k: tag(x) for k, x in v.items()}
        return {"$dict": [[tag(k), tag(x)] for k, x in v.items()]}
    raise TypeError(type(v))

out = []
def rec(kind, name, args, f):
    r = {"kind": kind, "name": name, "args": [tag(a) for a in args]}
    try: v = f()
    except (Exception, MemoryError) as e:
        r["error"], r["msg"] = type(e).__name__, str(e)
    else:
        r["type"] = type(v).__name__
        try: r["result"] = repr(v)
        except ValueError as e: return
    out.append(r)

B = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv, "%": operator.mod, "**": operator.pow,
     "<<": operator.lshift, ">>": operator.rshift, "&": operator.and_, "|": operator.or_, "^": operator.xor, "@": operator.matmul}
C = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
     "in": lambda a, b: a in b, "not in": lambda a, b: a not in b}
ints = [0, 1, -1, 2, 3, -7, 10, 64, 2**31, 2**53, 2**53+1, 2**62, 2**63-1, -2**63, 2**63, 2**64, -2**70, 10**25, 10**400, True, False]
floats = [0.0, -0.0, 1.0, -1.5, 0.1, 2.5, 7.0, 1e16, 1e300, -1e-300, 5e-324, 2.0**63, 1e25, math.inf, -math.inf, math.nan]
others = [None, "", "a", "ab", "abc", "é中", "%d", b"", b"ab", [], [1], [1, 2], ["a"], [[]], (), (1,), (1, 2), ("a",), {}, {"a": 1}, {"b": 2}, {1: 2}, set(), {1}, frozenset({1}), range(3), range(0), range(5, 0, -2)]
vals = ints + floats + others
def sane(op, a, b):
    if op == "**" and isinstance(a, int) and isinstance(b, int) and abs(b) > 3000 and abs(a) > 1: return False
    if op == "**" and isinstance(a, int) and abs(a) > 2**64 and abs(b) > 64 if isinstance(b, int) else False: return False
    if op == "**" and isinstance(a, (int, float)) and isinstance(b, (int, float)) and a < 0 and b != b // 1: return False  # complex
    if op == "<<" and isinstance(b, int) and b > 3000: return False
    if op == "*":
        for x, y in ((a, b), (b, a)):
            if isinstance(x, (str, bytes, list, tuple)) and isinstance(y, int) and y > 100: return False
    return True
for op, f in B.items():
    for a in vals:
        for b in vals:
            if op == "@" and rnd.random() > .02: continue
            if isinstance(a, str) and op == "%": continue
            if not isinstance(a, (int, float)) and not isinstance(b, (int, float)) and type(a) != type(b) and rnd.random() > .3: continue
            if op == "**" and isinstance(a, float) | isinstance(b, float) and not (isinstance(b, (int, float)) and b in (0, 1, 2, 3, -1, 0.5) or not isinstance(b, (int, float))): continue
            if sane(op, a, b): rec("binary", op, [a, b], lambda: f(a, b))
for op, f in C.items():
    for a in vals:
        for b in vals:
            if rnd.random() < .5 or op == "==": rec("compare", op, [a, b], lambda: f(a, b))
nested = [[1, [2, "x"]], [1, [2, "y"]], (1, (2.0, 3)), (1, (2, 3)), {"a": [1]}, {"a": [1.0]}, [None], [math.nan], {1, 2, 3}, {2, 3}, frozenset({1, 2}), {"a": 1, "b": 2}, {"b": 2, "a": 1}, {1: "x", True: "y"}]
for op, f in C.items():
    for a in nested:
        for b in nested: rec("compare", op, [a, b], lambda: f(a, b))
for op, f in {"-": operator.neg, "+": operator.pos, "~": operator.invert, "not": operator.not_}.items():
    for a in vals: rec("unary", op, [a], lambda: f(a))
for name, f in {"divmod": divmod, "pow": pow}.items():
    for a in ints[:15] + floats[:8] + ["a"]:
        for b in [0, 1, 2, -3, 7, 2.5, 0.0, None]:
            if sane("**", a, b) and not (name == "pow" and isinstance(b, float)): rec("func", name, [a, b], lambda: f(a, b))
for a in (0, 2, 5, -3, 10**20):
    for b in (0, 1, 5, -1, -2, 10**6):
        for m in (0, 1, 7, -7, 2**64, 1.5):
            rec("func", "pow", [a, b, m], lambda: pow(a, b, m))
for name, f in {"int": int, "float": float, "abs": abs, "chr": chr, "ord": ord, "hex": hex, "oct": oct, "bin": bin, "len": len, "bool": bool, "str": str, "repr": repr, "ascii": ascii, "list": list, "round": round,
                "sum": sum, "min": min, "max": max, "sorted": sorted, "hash": lambda v: bool(hash(v)) or True}.items():
    for a in vals + nested + ["12", " 1_0 ", "1e5", "x", [3, 1, 2], [1, 2.5, True], ["b", "a"], [[2], [1]], [1, "a"], "\x7f\xad\u2028'\"\\\n", [0.1] * 10, (0.1, 10**400), [1, None]]:
        if name in ("sorted", "min", "max", "sum", "list") and isinstance(a, (set, frozenset)): continue
        rec("func", name, [a], lambda: f(a))
for n in (-330, -25, -2, -1, 0, 1, 2, 17, 20, 330, None, 1.5):
    for a in (0, 5, 15, 25, -15, 12345, 10**25 + 5 * 10**9, 2.5, 0.15, 2.675, 1e300, -1e-300, 12345.678, math.nan, math.inf, 1.7e308, True, "a"):
        rec("func", "round", [a, n], lambda: round(a, n))
# formatting
specs = ["", "5", "<5", ">7", "^8", "=8", "*^9", "05", "<05", "+", " ", "-", "z", "#", "#x", "#b", "#o", "X", "x", "d", "n", "c", "b", "o", "s", "r", ",", "_", ",d", "_x", ",x", "_b", "010,", "010_x", "+,.2f", ".3", ".0", ".0f", "#.0f", ".2e", "E", "g", "G", "#g", ".3g", "#.3g", ".0g", "%", ".1%", "z.1f",
         "0=10", "é<6", "<<5", "5s", ".2s", "10.1s", "s5", "5.", ".", ",,", ",_", "_,", "5d5", "!", "08.3f", "+08.2f", " 8.1e", "020,.3f", "030_", "1.5", "12.4", ".10", "#.5", "F", ".17g", ".20f", ".0e", "#.0e", "\u0661", "10\u0662", "0", "00", "000005", "+c", "#c", "99999999999999999999", ".3d", "z5", "=5s", "=5"]
for s in specs:
    for v in [0, 5, -42, 1234567, 10**20, -2**70, 255, 65, True, 0.0, -0.0, 1.5, -1234567.891, 1e16, 1e-5, 123456789.0, 0.0001, 1e22, math.inf, -math.inf, math.nan, -0.04, 5e-324, "", "abc", "é中x", None, [1], (1,), {"a": 1}, b"x", 9.995, 99999.5, 0.5, 1e100]:
        rec("func", "format", [v, s], lambda: format(v, s))
pct = ["%d", "%i", "%u", "%5d|", "%-5d|", "%05d", "%+d", "% d", "%.3d", "%8.3d", "%x", "%#x", "%#o", "%X", "%#X", "%#010x", "%e", "%.0e", "%#.0f", "%g", "%#g", "%G", "%F", "%.3f", "%10.2f|", "%-10.2f|", "%010.2f", "%s", "%r", "%a", "%.2s", "%5s|", "%-5s|", "%c", "%5c", "%%", "%5%", "%d%%", "%ld", "%hd", "%y", "%", "%5", "%.", "%(a)s", "%(a)d %(b)s", "%(a", "%(a(b))s", "%*d", "%.*f", "%-*d|", "%s %s", "x", "%z", "%é", "% 5d", "%+5.1f", "%-05d|", "%0-5d|", "%99999999999d"]
for p in pct:
    for v in [0, 5, -42, 10**20, 3.99, -0.5, math.nan, math.inf, True, "abc", "é", "", None, (), (1,), (1, 2), (5, 3.14159), ("a", "b"), {"a": 1, "b": "x"}, {"a(b)": 3}, [1], {}, 65, 10**10, (-6, 42), (2, 1, 3), ((1, 2),)]:
        rec("func", "percent", [p, v], lambda: p % v)
fmts = ["", "a", "{}", "{} {}", "{0}{0}", "{1}{0}", "{a}", "{a} {}", "{a.real}", "{0.real}", "{0.imag}", "{0.x}", "{0[0]}", "{0[a]}", "{0[a][0]}", "{0[-1]}", "{[0]}", "{.real}", "{!r}", "{!s:>5}", "{!a}", "{!x}", "{!", "{!r", "{!}", "{!r:>{1}}", "{0!r:>10}", "{:>{}}", "{:{}{}}", "{:{w}.{p}}", "{:{:{}}}", "{{}}", "{{{}}}", "}}{{", "{", "}", "{}}", "{{}", "{0", "{0:", "{0[", "{0[a", "{0.}", "{.}", "{[]}", "{0[a]b}", "{0]}", "{ 0 }", "{0 }", "{-1}", "{00}", "{5}", "{b}", "{:d}", "{:.2f}", "{a:>10}|", "{a!r:^10}|", "{:{a}}", "{:{}", "{a{b}}", "{0:{{}}}", "{0}{}", "{}{0}", "{:}", "{!r:}", "{99999999999999999999}", "{0[99999999999999999999]}", "{é}", "{0:é>5}", "{a:{b}}", "{0.real:>5}", "{0!rr}", "{0!r:", "{:\n}", "{\n}"]
for s in fmts:
    for args, kw in [([], {}), ([5], {}), ([1.5, 8], {}), (["x", "<", 7], {}), ([[1, 2]], {"a": 7, "b": 12}), ([{"a": [3]}], {"a": "s", "w": 8, "p": 2, "é": 1}), ([3.14159, 10], {"w": 10, "p": 3})]:
        rec("strformat", s, [args, kw], lambda: s.format(*args, **kw))
# methods
def call(v, name, *args, **kw):
    import copy
    w = copy.copy(v)
    r = {"kind": "method", "name": name, "args": [tag(v), [tag(a) for a in args], tag(kw)]}
    try: x = getattr(w, name)(*args, **kw)
    except (Exception, MemoryError) as e: r["error"], r["msg"] = type(e).__name__, str(e)
    else:
        if isinstance(x, type(iter([]))): return
        r["result"], r["type"] = repr(x), type(x).__name__
    r["after"] = repr(w)
    out.append(r)
S = ["", "abc", "aXbXc", "  hello  world ", "éÉ中文a", "a\nb\r\nc", "x"]
for s in S:
    for name in ["upper", "strip", "split", "title", "nosuch", "isupper"]:
        call(s, name); call(s, name, 1); call(s, name, None); call(s, name, "a"); call(s, name, "a", 1, 2)
    for a in [("a",), ("b", 1), ("", 2), ("a", -2), ("c", 0, -1), ("", 99), ("b", None, 2), (1,), ("a", "b"), ("X", 1, 3, 4), ()]:
        for name in ["find", "rfind", "index", "rindex", "count", "startswith", "endswith"]: call(s, name, *a)
    for a in [(("a", " "),), (("a", 1),), ((),), (["a"],)]:
        call(s, "startswith", *a); call(s, "endswith", *a)
    for a in [("a",), ("a", "b"), ("a", "b", 1), ("", "-"), ("", "-", 2), ("a", 1), (1, "a"), ("a", "b", "c"), ("X", "", -1), ("", "", 0)]: call(s, "replace", *a)
    for a in [(0,), (5,), (10,), (11, "*"), (4, "é"), ("a",), (10, "ab"), (10, 1), (), (-5,)]:
        for name in ["center", "ljust", "rjust", "zfill"]: call(s, name, *a)
    for kw in [dict(sep="X"), dict(maxsplit=1), dict(sep=None, maxsplit=0), dict(sep=""), dict(foo=1), dict(sep=1), dict(sep="X", maxsplit=-1)]:
        call(s, "split", **kw); call(s, "rsplit", **kw)
    call(s, "split", "X", sep="a"); call(s, "splitlines", keepends=True); call(s, "splitlines", 0); call(s, "expandtabs", tabsize=3); call(s, "expandtabs", 0)
    for a in [("X",), ("",), (1,), (), ("a", "b")]:
        for name in ["partition", "rpartition", "removeprefix", "removesuffix", "join"]: call(s, name, *a)
    for a in [(["1", "2"],), ((),), (["a", 1],), ({"k": 1},), (5,), ("xyz",), (range(2),)]: call(s, "join", *a)
    for a in [(), ("utf-8",), ("ascii",), ("latin-1",), ("ascii", "ignore"), ("ascii", "replace"), ("nope",), ("utf8", "strict")]: call(s, "encode", *a)
    call(s, "translate", {97: "Z", 98: None, 99: 100}); call(s, "translate", {}); call(s, "translate", "abc"); call(s, "format_map", {"a": 1})
call("{a} {b}", "format_map", {"a": 1}); call("{a}", "format_map", {"a": 1})
for b in [b"", b"abc", b"\xff", b"caf\xc3\xa9", b"\xe4\xb8", b"\xc3("]:
    for a in [(), ("utf-8",), ("ascii",), ("latin-1",), ("utf-8", "ignore"), ("utf-8", "replace")]: call(b, "decode", *a)
    call(b, "hex"); call(b, "startswith", b"a"); call(b, "startswith", "a")
for l in [[], [1], [1, 2, 3, 2], ["b", "a"], [1, "a"], [[2], [1]], [2.5, True, 0]]:
    for name, argss in {"append": [(), (1,), ([2],), (1, 2)], "extend": [([3],), ("ab",), (5,), (), ({"k": 1},)], "insert": [(0, 9), (99, 9), (-1, 9), (1,), ("a", 1), (-99, 0)], "pop": [(), (0,), (-1,), (9,), ("a",), (1, 2)],
                        "remove": [(1,), (7,), ("a",), ()], "clear": [(), (1,)], "index": [(2,), (2, 2), (9,), (2, -1), ("a",), (), (2, "x")], "count": [(2,), (True,), ()], "reverse": [(), (1,)], "copy": [()], "sort": [(), (1,)], "nosuch": [()]}.items():
        for a in argss: call(l, name, *a)
    call(l, "sort", reverse=True); call(l, "sort", key=None)
for t in [(), (1, 2, 1), ("a", "b")]:
    for name, argss in {"count": [(1,), ()], "index": [(1,), (2, 1), (9,), (1, 1)], "append": [(1,)]}.items():
        for a in argss: call(t, name, *a)
for d in [{}, {"a": 1}, {"a": 1, 2: "b", None: []}]:
    for name, argss in {"keys": [()], "values": [()], "items": [(), (1,)], "get": [("a",), ("z",), ("z", 5), (), ([],), (1, 2, 3)], "pop": [("a",), ("z",), ("z", 0), (), ([],)], "popitem": [(), (1,)], "setdefault": [("a",), ("z", 9), ([],), ()],
                        "update": [(), ({"a": 2, "q": 3},), ([("x", 1), ["y", 2]],), ([1],), (["ab"],), (["abc"],), (5,), ("ab",), ([(1, 2, 3)],), ([([], 1)],), ({}, {})], "copy": [()], "clear": [()], "fromkeys": [("ab",), (["x"], 0), (5,), ([[]],)], "nosuch": [()]}.items():
        for a in argss: call(d, name, *a)
    call(d, "update", b=2); call(d, "update", {"a": 5}, a=6); call(d, "get", key="a")
for s in [set(), {1}, {1, 2}, frozenset({1})]:
    for name, argss in {"add": [(1,), (3,), ([],), ()], "remove": [(1,), (9,), ([],)], "discard": [(1,), (9,)], "union": [(), ([3],), ({1}, [2])], "intersection": [([1],), (5,)], "difference": [([1],)], "symmetric_difference": [([1, 3],)], "update": [([3],), (5,), ("a",)],
                        "issubset": [([1, 2, 3],), (5,)], "issuperset": [([1],), ([],)], "isdisjoint": [([1],), ([9],)], "clear": [()], "copy": [()], "intersection_update": [([1],)], "difference_update": [([1],)]}.items():
        for a in argss: call(s, name, *a)
for v in [0, 1, -5, 255, 2**70, True, 1.5, -0.0, 3.0, 0.1, 5e-324, math.inf, math.nan, 1e300]:
    for name in ["bit_length", "bit_count", "is_integer", "hex", "as_integer_ratio", "conjugate"]: call(v, name)
# items and slices
seqs = ["", "abc", "é中x", [], [1, 2, 3], (1, 2), b"ab", range(5), range(9, 0, -3), {"a": 1, 1: 2}, 5, None, {1}]
for v in seqs:
    for k in [0, 1, -1, 5, -9, True, "a", None, 1.0, [], 2**70]: rec("func", "getitem", [v, k], lambda: v[k])
    for lo in [None, 0, 1, -1, 9, -9, 2**70, "a"]:
        for hi in [None, 0, 2, -1, 9]:
            for st in [None, 1, 2, -1, -2, 0, -2**70, 1.5]:
                if rnd.random() < .35: rec("func", "slice", [v, lo, hi, st], lambda: v[lo:hi:st])
import copy
for v in seqs:
    for k in [0, -1, 5, "a", [], None]:
        w = copy.copy(v)
        def f():
            w[k] = 7
            return w
        rec("func", "setitem", [v, k], f)
        w = copy.copy(v)
        def f():
            del w[k]
            return w
        rec("func", "delitem", [v, k], f)
    for lo, hi, st in [(None, None, None), (0, 1, None), (1, 1, None), (2, 0, None), (None, None, 2), (None, None, -1), (0, 9, 0), (5, 9, None)]:
        for x in [[], [8, 9], (7,), "ab", 5, {"k": 1}]:
            w = copy.copy(v)
            def f():
                w[lo:hi:st] = x
                return w
            rec("func", "setslice", [v, lo, hi, st, x], f)
        w = copy.copy(v)
        def f():
            del w[lo:hi:st]
            return w
        rec("func", "delslice", [v, lo, hi, st], f)
for a in [(), (3,), (1, 5), (5, 1, -2), (0, 5, 0), ("a",), (1.5,), (1, 2, 3, 4), (True,)]: rec("func", "range", list(a), lambda: range(*a))
# json
J = nested + [v for v in vals if not isinstance(v, (set, frozenset, bytes, range))] + [{1: 2, "a": 3}, {2: 1, 10: 2, 1: 3}, {(1,): 2}, {None: 1, True: 2, 1.5: 3}, {"z": 1, "a": [{"b": ()}]}, "\x00\x1f\x7f\x80\u2028\U0001f600\"\\/", {1}, b"x", [b"x"], {"a": {1}}, range(3)]
for v in J:
    for kw in [{}, {"indent": 4, "ensure_ascii": False}, {"sort_keys": True}, {"separators": [",", ":"], "ensure_ascii": False}]:
        rec("func", "dumps", [v, kw], lambda: json.dumps(v, **kw))
bad = ['', ' ', '{', '[', '[1', '[1,', '[1,]', '[1 2]', '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', '{"a" 1}', '{a}', "{'a':1}", '{"a":1 "b"}', '"', '"a', '"a\\', '"\\q"', '"\\u12"', '"\\u12', '"\\u123g"', '"\\ud800"', '"\\ud800\\u0041"', '"\\udc00"', '"\\ud800\\udc00"', '"\\ud800\\u12"', '"\n"', '"a\tb"', 'tru', 'nul', 'nan', '-', '--1', '-Infinit', '01', '1.', '.5', '1e', '1e+', '+1', '0x1', '1 2', '[1]\n x', '{"a":\n [1,\n  x]}', 'é', '"é" x', '\ufeff1', '-0', '-0.0', '1E5', '1e400', '-1e400', '12345678901234567890', '[[1,2],{"a":[]}]', ' { "a" : 1 , "a" : 2 } ', '"\\u00e9\\n\\/\\b"', 'NaN', '[NaN,Infinity,-Infinity]', '\x0b1', '1\xa0', '"\x7f"', '[true,false,null]', '{"":""}', '9' * 4301, '{"a":1]', '[1}', ']', '[,1]', '{,}', '{"a":1,,}', '"\\', '"\\u', '[1,2', '\t\r\n1\n']
for s in bad: rec("func", "loads", [s], lambda: json.loads(s))
for s in ["0x1F", "1_0", "_1", "1_", "1__0", "0b2", "0o17", "z", "", " 12 ", "+5", "- 5", "0x", "0_1", "٣", "1e3", "9" * 4301, "1" + "0" * 30, "1\x002"]:
    for b in (10, 0, 16, 2, 8, 36, 1, 37):
        rec("func", "int", [s, b], lambda: int(s, b))
for s in ["1", "1.5e3", "inf", "-Infinity", "nan", "+nan", "1_0.5_0", "_1", "1_", "1._5", "0x1p3", "1e", ".5", "5.", ".", "", " 1 ", "1e400", "٣.٥", "1d5", "infin", "--1", "1e-400", "+-inf"]:
    rec("func", "float", [s], lambda: float(s))
import gzip
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "ops.jsonl.gz"), "wb") as raw:
    with gzip.GzipFile("", "wb", 9, raw, mtime=0) as f:
        for r in out: f.write((json.dumps(r) + "\n").encode())
print(len(out), file=sys.stderr)
