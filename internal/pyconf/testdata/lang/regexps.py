import re
import torch

out = [
    re.sub(r'\d+', 'N', 'a1b22'), re.sub(r'(\w)(\d)', r'\2\1', 'a1b2'), re.sub('a', lambda m: m.group().upper(), 'banana', count=2), re.findall(r'\d', '1 2'), re.findall(r'(\w)=(\d)', 'a=1 b=2'),
    re.findall('(a)b', 'abab'), re.split(r'[,;]\s*', 'a, b;c'), re.split('(-)', 'a-b-c', maxsplit=1), re.search(r'b+', 'abbb').group(), re.search('z', 'a'), bool(re.match('a', 'ab')), re.match('b', 'ab'),
    re.fullmatch('ab', 'ab').span(), re.search(r'(?P<k>\w)=(?P<v>\w)?', 'q a=').groups(), re.search(r'(?P<k>\w)=', 'q a=')['k'], re.search(r'(\w)=(\d)', 'é a=1').start(2), re.escape('a.b'),
    re.sub('A', 'x', 'aA', flags=re.I), [m.group(0) for m in re.finditer(r'\w+', 'ab cd')], re.compile('a(b)').sub(r'<\1>', 'ab'), re.compile(r'x', re.IGNORECASE).search('aX').group(0),
    re.search(r'(a)(b)', 'ab').group(1, 2), re.search(r'(a)(z)?', 'ab').groups('d'), re.compile('p').pattern,
]
try:
    re.compile('(')
except Exception as e:
    out.append(type(e).__name__)
try:
    re.sub(1, 2, 3)
except TypeError as e:
    out.append(str(e))
try:
    re.sub('a', 'b', 3)
except TypeError as e:
    out.append(str(e))
try:
    re.search('a', 'a').group(3)
except IndexError as e:
    out.append(str(e))
