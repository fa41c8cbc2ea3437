# Mistakes of spelling: several in one go.
x = 1
y = = 2  ### unexpected '='
z = [1, 2  ### invalid syntax: perhaps a comma is missing after this element
     3]
w = 5
v = 6 7  ### invalid syntax: a statement ends before this
def f(:  ### expected a parameter name
    return 1
u = (1, 2
-----------------------------------------------------------------------
models = [
    dict(abbr='a'  ### invalid syntax: perhaps a comma is missing after this argument
         path='b'),
]
-----------------------------------------------------------------------
models = [
    dict(abbr='a')  ### invalid syntax: perhaps a comma is missing after this element
    dict(abbr='b'),
]
-----------------------------------------------------------------------
d = {'a': 1, 'b' 2}  ### expected ':' after dictionary key
-----------------------------------------------------------------------
d = {'a' = 1}  ### unexpected '=' → inside brackets a value follows ':' in {…} and '=' only in dict(…)
-----------------------------------------------------------------------
d = dict(a: 1)  ### unexpected ':' → inside dict(…) write name=value
-----------------------------------------------------------------------
d = dict('a'=1)  ### expression cannot contain assignment, perhaps you meant "=="?
-----------------------------------------------------------------------
d = dict(class=1)  ### expected an argument name, found the keyword `class` → write **{'class': …}
-----------------------------------------------------------------------
d = dict(a=1, a=2)  ### keyword argument repeated: a
-----------------------------------------------------------------------
d = dict(a=1, 2)  ### positional argument follows keyword argument
-----------------------------------------------------------------------
d = dict(a=)  ### expected argument value expression
-----------------------------------------------------------------------
s = 'unterminated  ### unterminated string literal
t = 1
-----------------------------------------------------------------------
s = '''never  ### unterminated triple-quoted string literal
ends
-----------------------------------------------------------------------
x = ]  ### unmatched ']'
-----------------------------------------------------------------------
x = (1, 2]  ### closing ']' does not match opening '('
-----------------------------------------------------------------------
x = [
    (1, 2],  ### closing ']' does not match opening '('
]
-----------------------------------------------------------------------
x = 5，6  ### invalid character '，' (U+FF0C) → write ,
-----------------------------------------------------------------------
x = “a”  ### invalid character '“' (U+201C) → write "
-----------------------------------------------------------------------
x = 1  ### invalid non-printable character U+00A0 → write an ordinary space
y = 1
-----------------------------------------------------------------------
if True  ### expected ':' after `if` condition
    x = 1
-----------------------------------------------------------------------
if x = 1:  ### unexpected '=' → did you mean ==?
    y = 2
-----------------------------------------------------------------------
for i in range(3):
x = 1  ### expected an indented block after `for` statement
-----------------------------------------------------------------------
x = 1
  y = 2  ### unexpected indent
z = 3
-----------------------------------------------------------------------
if True:
    x = 1
  y = 2  ### unindent does not match any outer indentation level
-----------------------------------------------------------------------
else:  ### `else` without the statement it belongs to → check the indentation
    x = 1
-----------------------------------------------------------------------
class Model:  ### `class` is not part of the config dialect → a config holds data; write a dict or a function
    def __init__(self):
        self.x = 1
y = 1 +  ### unexpected end of line
-----------------------------------------------------------------------
@decorated  ### decorators are not part of the config dialect
def f():
    pass
-----------------------------------------------------------------------
async def f():  ### `async` is not part of the config dialect
    pass
-----------------------------------------------------------------------
def f():
    yield 1  ### `yield` is not part of the config dialect → return a list instead
-----------------------------------------------------------------------
def f():
    x = yield  ### `yield` is not part of the config dialect → return a list instead
-----------------------------------------------------------------------
match x:  ### `match` is not part of the config dialect → write if and elif
    case 1:
        pass
-----------------------------------------------------------------------
return 5  ### 'return' outside function
-----------------------------------------------------------------------
break  ### 'break' outside loop
-----------------------------------------------------------------------
for i in [1]:
    def f():
        continue  ### 'continue' outside loop
-----------------------------------------------------------------------
f(x) = 1  ### cannot assign to function call → did you mean == instead of =?
-----------------------------------------------------------------------
1 = x  ### cannot assign to literal → did you mean == instead of =?
-----------------------------------------------------------------------
None = 1  ### cannot assign to None → did you mean == instead of =?
-----------------------------------------------------------------------
[a, 1] = 2  ### cannot assign to literal → did you mean == instead of =?
-----------------------------------------------------------------------
x + 1 += 2  ### 'expression' is an illegal expression for augmented assignment
-----------------------------------------------------------------------
del f()  ### cannot delete function call
-----------------------------------------------------------------------
print 'hello'  ### missing parentheses in call to 'print' → write print(…)
-----------------------------------------------------------------------
x = 012  ### leading zeros in decimal integer literals are not permitted → use an 0o prefix for octal integers
-----------------------------------------------------------------------
x = 1abc  ### invalid decimal literal → a name cannot begin with a digit, and a number cannot hold a letter: 1 | abc
-----------------------------------------------------------------------
x = 1__0  ### invalid decimal literal
-----------------------------------------------------------------------
x = '\x4'  ### truncated \xXX escape → write \\x for a backslash, or use r'…'
-----------------------------------------------------------------------
x = 'C:\Users\name'  ### truncated \U escape → write \\ for a backslash, or use r'…'
-----------------------------------------------------------------------
x = '\N{BULLET}'  ### \N{…} is not part of the config dialect → write the character itself, or \u and its number; for a backslash write \\
-----------------------------------------------------------------------
x = f'{a'  ### f-string: expecting '}' → write {{ for a brace
-----------------------------------------------------------------------
x = f'a}'  ### f-string: single '}' is not allowed → write }} for a brace
-----------------------------------------------------------------------
x = f'{}'  ### f-string: empty expression not allowed → write {{}} for braces
-----------------------------------------------------------------------
x = f'{a!x}'  ### f-string: invalid conversion character: expected 's', 'r', or 'a'
-----------------------------------------------------------------------
x = f'{a b}'  ### f-string: invalid syntax
-----------------------------------------------------------------------
x = f'{"\n"}'  ### f-string: expression part cannot include a backslash → assign the text to a variable first
-----------------------------------------------------------------------
from .x-y import z  ### expected `import` → a part of a module name must be an identifier: letters, digits and _, not beginning with a digit
-----------------------------------------------------------------------
from .datasets.5shot import z  ### invalid decimal literal → a name cannot begin with a digit, and a number cannot hold a letter: .5 | shot
-----------------------------------------------------------------------
from .x import a,  ### trailing comma not allowed without surrounding parentheses
-----------------------------------------------------------------------
from . x y import z  ### expected `import`
-----------------------------------------------------------------------
import  ### expected a module name
-----------------------------------------------------------------------
x = lambda: (yield)  ### `yield` is not part of the config dialect → return a list instead
-----------------------------------------------------------------------
def f(a, a):  ### duplicate argument 'a' in function definition
    pass
-----------------------------------------------------------------------
def f(a=1, b):  ### non-default argument follows default argument
    pass
-----------------------------------------------------------------------
def f(**k, a):  ### arguments cannot follow var-keyword argument
    pass
-----------------------------------------------------------------------
try:
    x = 1
y = 2  ### expected 'except' or 'finally' block
-----------------------------------------------------------------------
try:
    x = 1
except ValueError, e:  ### multiple exception types must be parenthesized → write except (A, B):
    pass
-----------------------------------------------------------------------
x = 1 if 2  ### expected `else` after `if` expression
-----------------------------------------------------------------------
x = [*a for a in b]  ### iterable unpacking cannot be used in comprehension
-----------------------------------------------------------------------
x = *a  ### can't use starred expression here → write [*…] or (*…,)
-----------------------------------------------------------------------
x = a <> b  ### unexpected '>'
-----------------------------------------------------------------------
x = not  ### unexpected end of line
-----------------------------------------------------------------------
x = 5 \   ### unexpected character after line continuation character → nothing, not even a blank, may follow the backslash
    + 1
-----------------------------------------------------------------------
x = a!  ### invalid character '!' → write not, or !=
-----------------------------------------------------------------------
x = $HOME  ### invalid character '$'
-----------------------------------------------------------------------
x = 1
	y = 2  ### unexpected indent

def f():
    nonlocal q
-----------------------------------------------------------------------
def f():
    from x import *  ### import * only allowed at module level
-----------------------------------------------------------------------
b = b'é'  ### bytes can only contain ASCII literal characters
-----------------------------------------------------------------------
b = b'a' 'b'  ### cannot mix bytes and nonbytes literals
