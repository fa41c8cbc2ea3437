"""Writes re.jsonl: what CPython 3.11's re answers. python3.11 gen_re.py"""
import json, os, random, re, sys, warnings
warnings.simplefilter("ignore")
assert sys.version_info[:2] == (3, 11)
rnd = random.Random(7)
TEXTS = ["", "a", "ab", "aab\nb", "The answer is (B).\n", "x=12, y=-3.5\n\nz", "答案：A。选 B", "ÀÉ éß ſs kK\u212a", "aaa bbb", "abcabc\tabc",
         "\u0660\u0661 ４２", "a_b-c", "AbC aBc", "((a)b)", "I\u0130\u0131i", "\u00b5\u03bc", "foo.bar\\baz", "$5 {3}", "ǆǅǄ", "σςΣ"]
FIXED = r"""
a*|b ; (a)|b ; (a|ab)(c|bcd)(d*) ; (?:a|b)*? ; x* ; (a*)* ; (a*)+ ; (a|b)*c|(a|ab)*c ; (a?)*? ; (?:a?)*?b ; (a){2} ; (a){0} ; a{,2} ; a{2,} ; a{2,1} ; a{ ; a{1 ; a{1,b} ; {1} ; x{}
a** ; a*? ; a*+ ; a++b ; a?+ ; a{1,2}+ ; * ; ^* ; (?:^)* ; $* ; \b* ; (*) ; (?:) ; () ; (?:)* ; ()* ; (|a)* ; (|a)+ ; (a|)+ ; (?:a|)*
[ ; [] ; []] ; [^] ; [^]] ; [a ; [a-] ; [-a] ; [a-z-9] ; [z-a] ; [\d-a] ; [a-\d] ; [\w-] ; [--a] ; [a\]b] ; [\b] ; [\b-a] ; [^\d\s] ; [\W\d] ; [[a] ; [a&&b] ; [\x41-\x43] ; [\u4e00-\u9fff]+ ; [\q] ; [\0] ; [\08] ; [\400] ; [é-ü]
( ; ) ; (a ; a) ; (?P<n>a)(?P=n) ; (?P<n>a)(?P<n>b) ; (?P<1>a) ; (?P<>a) ; (?P<n ; (?P=n) ; (?P ; (?Px) ; (? ; (?z) ; (?P<n>a)|(?P=n)b ; (?P<é>a)
(?i)a ; (?i:a)B ; (?-i:a)B ; (?i-i:a) ; a(?i) ; (?i ; (?s:.)+ ; (?s-m:^.) ; (?m)^ ; (?x) a b # c ; (?x: a b )c ; (?a)\w ; (?u)\w ; (?au)a ; (?a:\w)\w ; (?-a:a) ; (?L)a ; (?i-:a) ; (?ims) ; (?#c)a ; (?#c ; a(?#c)*
(?=a) ; (?=a)a ; (?!a)\w ; (?<=a)b ; (?<!a)b ; (?<=a*)b ; (?<=ab|cd)e ; (?<=a|bc)d ; (?<=(a))b ; (?<=\b)a ; (?<a>b) ; (?=(a))\1 ; (?!(a))b ; (?=a)* ; (?>a*)a ; (?>a|ab)c ; (?>(a)|b)+ ; (?<=^a)b ; (?<!^)a
(a)\1 ; \1(a) ; (a\1) ; (a)\2 ; (a)?\1 ; (?i)(a)\1 ; (a)\10 ; \0 ; \07 ; \141 ; \400 ; \8 ; \9a ; (a)(?(1)b|c) ; (a)?(?(1)b|c) ; (?P<n>a)?(?(n)b) ; (?(1)a) ; (?(2)a)(b) ; (?(n)a) ; (?()a) ; (?(1)a|b|c)(d) ; (?(0)a)
\A\w ; \w\Z ; \z ; \b\w+\b ; \B ; \b ; \d+ ; \D+ ; \s+ ; \S+ ; \w+ ; \W+ ; \q ; \é ; \. ; \- ; \x4 ; \x41 ; \u41 ; \u4e2d ; \U0001F600 ; \U00110000 ; \ ; \e ; \ca ; \_ ; \<
^ ; $ ; ^$ ; (?m)^$ ; (?m)$ ; .$ ; (?m).$ ; \n$ ; $\n ; ^.*$ ; (?s)^.*$ ; a|^b ; a$|b
(a+|b+)* ; (a+)+ ; (?:a+)+b ; ((a)|(b))* ; ((a)|b)* ; (?:(a)|(b))+ ; (a(b)?)+ ; ((a)?b)* ; (?:(x)|y)*z? ; (\w)(\w)?(\w)? ; (a??)(b??)c? ; .*? ; .+? ; .*?b ; .{2}? ; (?:ab){1,2}? ; (?:ab)*?c ; (?:ab|a)(?:c|bc) ; (.)\1+ ; ((.)\2)* ; ([a-c]+)(?:\1)?
[^\x00-\x7f] ; [A-Z] ; [a-z]+ ; [^a-z] ; k ; K ; s ; ſ ; ß ; ss ; i ; I ; İ ; ı ; µ ; σ ; ǆ ; é ; É ; [k] ; [^k] ; [σ] ; [à-ö] ; [\u00b5] ; \w ; . ; (?i)[ǅ]
(-?\d*\.?\d+) ; \\boxed ; \\(\w) ; [\n.,] ; \$(\d) ; (?:(?:a|b)|c)+ ; (?:a{2}){2} ; (?:a{1,2}){2} ; (a{2,3}?){1,2} ; (?:(?=(\w))a|b)+ ; (?:(?!ab)\w)+
""".strip()
pats = [p for line in FIXED.split("\n") for p in line.strip().split(" ; ")]
pats.append("(?x)\n a  # x\n b\\ c")
pats.append("a\n(")
ATOMS = ["a", "b", "c", ".", "\\w", "\\W", "\\d", "[ab]", "[^a]", "\\s", "^", "$", "\\b", "(?=a)", "(?!b)", "(?<=a)", "(?<!b)", "é", "B", "\\1", "K"]
def gen(d):
    k = rnd.random()
    if d == 0 or k < .3: return rnd.choice(ATOMS)
    if k < .55: return gen(d-1) + gen(d-1)
    if k < .7: return "(" + gen(d-1) + ")"
    if k < .8: return "(?:" + gen(d-1) + "|" + gen(d-1) + ")"
    if k < .84: return "(" + gen(d-1) + "|" + gen(d-1) + ")"
    if k < .86: return "(?>" + gen(d-1) + ")"
    a = gen(d-1)
    return ("(?:" + a + ")" if rnd.random() < .7 else a) + rnd.choice(["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?", "*+", "?+"])
pats += [gen(5) for _ in range(1500)]
REPL = ["<\\g<0>>", "\\1", "[\\g<1>]", "\\2", "-", "\\g<n>", "a\\nb\\\\", "\\q", "\\08", "\\g<", "\\g<1", "\\g<>", "\\g<a b>", "\\101", "\\.", "x\\", "\\g1", "\\g<-1>", "\\777", "\\g<007>"]
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "re.jsonl"), "w") as f:
    for n, p in enumerate(pats):
        fl = rnd.choice([0, 0, 0, re.I, re.I, re.M, re.S, re.A, re.I | re.A, re.X])
        try:
            c = re.compile(p, fl)
        except re.error as e:
            f.write(json.dumps({"pattern": p, "flags": int(fl), "error": str(e)}) + "\n"); continue
        except (ValueError, OverflowError, RecursionError) as e:
            f.write(json.dumps({"pattern": p, "flags": int(fl), "error": str(e)}) + "\n"); continue
        if "(?L" in p: continue
        for t in (rnd.sample(TEXTS, 3 if n > 250 else 5) + ["".join(rnd.choice("aabbcKé \n1") for _ in range(rnd.randrange(12)))]):
            r = {"pattern": p, "flags": int(fl), "text": t}
            r["spans"] = [[list(m.span(g)) for g in range(c.groups + 1)] for m in c.finditer(t)]
            r["full"] = c.fullmatch(t) is not None
            r["repl"] = rnd.choice(REPL) if rnd.random() < .5 else "<\\g<0>>"
            try: r["sub"] = c.sub(r["repl"], t)
            except IndexError as e: r["suberror"] = str(e)
            except re.error as e: r["suberror"] = str(e)
            f.write(json.dumps(r) + "\n")
