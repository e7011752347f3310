"""Expressions and templates by feature. An entry of EXPRESSIONS stands for {{ entry }}."""

VARS = {
    "a": [3, 1, 2], "e": [], "s": "Hello World", "u": "Grüße, ΑΣ 日本 ß", "n": 7, "f": 2.5, "t": True, "z": None,
    "d": {"x": 1, "y": [1, {"k": "v"}], "items": 5, "b": "B", "A": "a"},
    "m": [{"role": "user", "content": "hi", "n": 2}, {"role": "assistant", "content": None, "n": 1},
          {"role": "tool", "content": "hi", "n": 10}],
    "big": list(range(30)), "h": "<a href='x'>&\"</a>", "lines": "one\n two\r\n\nthree\n",
}

EXPRESSIONS = r"""
1 + 2 * 3|7 - 2 - 1|2 ** 3 ** 2|-2 ** 2|7 // 2|-7 // 2|7 % -3|-7 % 3|7 / 2|6 / 3|1e3|1.5e-7|1_000|0x1f|0b101|0o17|1e16|1e15|123456789.123
7.5 // 2|-7.5 % 2|2 ** -1|2.0 ** 3|1 / 0|1 % 0|1 // 0|0 ** -1|2 ** 0.5|10 ** 18|1 + 1.0|True + 1|true|True|none|None|false
1 < 2 < 3|1 < 2 > 3|1 == 1.0|1 == true|'a' < 'b'|'a' < 1|[1, 2] < [1, 3]|(1, 2) == [1, 2]|none == none|none < 1|1 != 2|a == [3, 1, 2]
1 in a|9 not in a|'ell' in s|'x' in d|1 in s|'a' in none|not 1 in a|1 in undefined_name|undefined_name in a|{'a': 1} == {'a': 1.0}
t and n|z or 'x'|not t|not not z|n and z or 'y'|'a' if t else 'b'|'a' if z|'a' if z else 'b' if t else 'c'|('x' if z) is defined
'a' 'b' "c"|'a' ~ 1 ~ none ~ true ~ 1.0 ~ a|'a' + 'b'|'a' + 1|1 + 'a'|'ab' * 3|3 * 'ab'|'ab' * -1|[1] * 2|[1] + [2]|(1,) + (2,)|[1] + (2,)|'a' - 'b'
[]|()|{}|(1,)|(1, 2)|[1, [2, (3,)]]|{'a': 1, 2: 'b', none: none, (1, 2): 3}|{[]: 1}|{'a': 1, 'a': 2}|{1: 'a', true: 'b', 1.0: 'c'}
a[0]|a[-1]|a[9]|a[-9]|a['x']|a[1.0]|a[true]|s[0]|s[-1]|s[99]|u[1]|u[-1]|d['x']|d.x|d['nope']|d.nope|d.nope.more|d['items']|d.items|d.y[1].k|d.y.1.k|n.x|z.x|z['x']
a[:2]|a[1:]|a[::-1]|a[::2]|a[-2:]|a[5:1]|a[:-1]|s[2:5]|s[::-1]|u[1:4]|u[::-1]|u[::2]|u[-3:]|s[:99]|s[-99:3]|(1, 2, 3)[1:]|a[::0]|a['x':]|d[1:2]|undefined_name[1:]|range(10)[2:8:3]|range(10)[::-1]|a[:none]|a[1:2:none]
undefined_name|undefined_name.x|undefined_name['x']|undefined_name()|undefined_name + 1|undefined_name ~ 'x'|undefined_name == 1|undefined_name == other_name|undefined_name < 1|-undefined_name|[undefined_name]|{'a': undefined_name}|not undefined_name|undefined_name is defined
s.upper()|s.lower()|s.title()|s.capitalize()|s.swapcase()|u.upper()|u.lower()|u.title()|u.capitalize()|u.casefold()|u.swapcase()|'ǆ'.title()|'ﬁx'.upper()|"they're bill's".title()
'  x  '.strip()|'xxaxx'.strip('x')|'abcba'.lstrip('ab')|'abcba'.rstrip('ab')|'\t\n x \u00a0'.strip()|'a'.strip(none)|'a'.strip(1)|'x日x'.strip('x日')
'a b  c'.split()|'a,b,,c'.split(',')|'a,b,c'.split(',', 1)|' a b '.split(none, 1)|'a b c'.split(maxsplit=1)|'a,b'.split(sep=',')|''.split()|''.split(',')|'a'.split('')|'a,b,c'.rsplit(',', 1)|' a  b c '.rsplit(none, 1)|'a\nb\r\nc'.splitlines()|'a\nb\n'.splitlines(true)|'abc'.split('b')[-1]|'<think>x</think>y'.split('</think>')[-1].lstrip('\n')
'abc'.partition('b')|'abc'.partition('x')|'abcb'.rpartition('b')|'abc'.rpartition('x')|'abcabc'.find('c')|'abcabc'.rfind('c')|'abc'.find('x')|'abc'.index('x')|'abcabc'.find('a', 1)|u.find('日')|'aaa'.count('a')|'aaa'.count('aa')|'abc'.count('')|u.count('Α')
'abc'.startswith('a')|'abc'.startswith(('x', 'a'))|'abc'.endswith('bc')|'abc'.startswith('b', 1)|'abc'.endswith(('c',))|'abc'.startswith(1)|'abc'.startswith('')|'abc'.startswith(())
'aXbX'.replace('X', 'y')|'aXbX'.replace('X', 'y', 1)|'abc'.replace('', '-')|'abc'.replace('b', '')|u.replace('日', 'x')|'abc'.replace('', '-', 2)|'a'.replace(1, 2)
'-'.join(['a', 'b'])|'-'.join('abc')|'-'.join([1])|''.join([])|','.join(d)|'abc'.removeprefix('a')|'abc'.removesuffix('c')|'abc'.removesuffix('')
'x'.center(5)|'x'.center(4)|'xx'.center(5)|'x'.ljust(3, '.')|'x'.rjust(3, '.')|'x'.rjust(3, 'ab')|'5'.zfill(3)|'-5'.zfill(4)|'a\tb'.expandtabs(4)
'abc'.isalpha()|'123'.isdigit()|'a1'.isalnum()|' '.isspace()|''.isspace()|'A'.isupper()|'a'.islower()|'Abc Def'.istitle()|'é'.isascii()|'a_1'.isidentifier()|'1a'.isidentifier()|'²'.isdigit() is defined|'12'.isdecimal()|'12'.isnumeric()
'{} {}'.format(1, 'a')|'{0} {1} {0}'.format(1, 2)|'{x}'.format(x=1)|'{0.x}'.format(d)|'{0[x]}'.format(d)|'{:>5}'.format('a')|'{:05d}'.format(42)|'{:.2f}'.format(3.14159)|'{:,}'.format(1234567)|'{!r}'.format('a')|'{{}}'.format()|'{'.format()|'{}'.format()|'{:x}'.format(255)|'{:#x}'.format(255)|'{:%}'.format(0.5)|'{:^7}'.format('ab')|'{:*<5}'.format(1)|'{:e}'.format(12345.678)|'{:+d}'.format(3)|'{:g}'.format(0.0001)
'%s %d' % ('a', 3)|'%s' % 'x'|'%5.1f|' % 3.14159|'%-5s|' % 'a'|'%05d' % 42|'%x' % 255|'%r' % 'a'|'%%' % ()|'%s' % [1]|'%(x)s' % d|'%s %s' % 'a'|'%s' % ('a', 'b')|'%d' % 'a'|'%e' % 12345.678|'%g' % 1e10|'%c' % 'a'|'%s' % none|'%+d' % 3|'%#x' % 255|'%i' % 3.9|'%s%%' % 5
d.keys()|d.values()|d.items()|d.get('x')|d.get('q')|d.get('q', 5)|d.get('q', default=5)|d.copy()|d.keys()|d.items()|d.pop('x')|d.update({})|d.clear()|d.setdefault('a', 1)|d.popitem()|d.pop|a.append(1)|a.append|a.pop()|a.insert(0, 1)|a.sort()|a.reverse()|a.extend([1])|a.remove(1)|a.clear()|a.index(1)|a.index(99)|a.count(3)|a.copy()|(1, 2).index(2)|(1, 2).count(1)
s.__class__|s.__class__.__mro__|s.__class__()|d.__class__|''.__len__()|a.__init__|d._x|d['_x']|n.__add__(1)|s['__class__']|range.__globals__|s['upper']()|s['nope']|a['append'](1)|a['index'](1)
range(3)|range(1, 4)|range(10, 0, -3)|range(3) == range(0, 3, 1)|range(0)|range(1.5)|range('a')|range(1, 2, 0)|range(100001)|range(3)[1]|range(3)[5]|3 in range(5)|range()
dict(a=1)|dict({'a': 1}, b=2)|dict([('a', 1)])|dict([1])|namespace(a=1)|namespace({'a': 1}).a|namespace(a=1)['a']|namespace().x|namespace(_a=1)|namespace(1)
strftime_now('%Y-%m-%d')|strftime_now('%d %b %Y')|strftime_now('%B %d, %Y')|strftime_now('%A %H:%M:%S %j %y %%')|strftime_now('%I %p %e')|strftime_now('%-d')|strftime_now()|raise_exception('x')|raise_exception()|cycler is callable|joiner() is callable
n(1)|'x'()|none()|a()|[1]()|f|f()|1.0|-0.0|1e100|1e-5|0.1 + 0.2|100000000000000000000.0|1.0e15|123456789012345678|-5|+5|--5|- 5|+'a'|-none|-t|+t
'\n'|'\t'|'\x41'|'\u00e9'|'\U0001f600'|'\''|"\""|'\\'|'\q'|'\101'|'a\
b'|['\n', "it's", 'say "x"', 'both \' "', 'é', '\x00', '\u200b', '\u00a0', '😀', '\x7f']|'\x4'
"""

FILTERS = r"""
s|upper|lower|length;u|length;a|length;d|length;n|length;none|length;undefined_name|length;a|count;range(5)|length;d.items()|length;d|items|length;m|map('upper')|length
a|first;a|last;e|first;e|last;s|first;s|last;d|first;d|last;n|first;a|map('abs')|last;range(3)|last;undefined_name|first;undefined_name|last;d.items()|first;d.items()|last
a|sort;a|sort(reverse=true);['b', 'A', 'c']|sort;['b', 'A', 'c']|sort(case_sensitive=true);m|sort(attribute='n')|map(attribute='n')|list;m|sort(attribute='role,n')|map(attribute='n')|list;[1, 'a']|sort;e|sort;d|sort;[[2, 1], [1, 2]]|sort;[none, 1]|sort;'bca'|sort;m|sort
a|min;a|max;e|min;['b', 'A']|min;['b', 'A']|max(case_sensitive=true);m|max(attribute='n');a|sum;m|sum(attribute='n');m|sum('n', 100);e|sum;[1, 'a']|sum;['a']|sum;[[1], [2]]|sum(start=[]);[1.5, 2]|sum
a|join;a|join(', ');a|join(d=':');m|join(', ', attribute='role');s|join('-');d|join(',');n|join;[none, true, 1.5]|join('|');undefined_name|join
a|reverse|list;s|reverse;u|reverse;d|reverse|list;n|reverse;a|reverse|first;range(3)|reverse|list;a|list;s|list;d|list;n|list;none|list;undefined_name|list;d|items|list;d.items()|list;none|items|list;undefined_name|items|list
a|map('string')|list;m|map(attribute='role')|list;m|map(attribute='q', default='x')|list;m|map(attribute='content', default='x')|list;m|map(attribute='q')|list;a|map('nofilter')|list;a|map|list;a|map(attribute='x', foo=1)|list;['a ', ' b']|map('trim')|list;a|map('default', 1)|list;[[1, 2], [3]]|map('join', '-')|list;[[1, 2]]|map(attribute=0)|list;[d]|map(attribute='y.1.k')|list;a|map('tojson')|join
a|select('odd')|list;a|reject('odd')|list;a|select|list;[0, 1, none, '']|select|list;[0, 1]|reject|list;a|select('gt', 1)|list;a|select('nope')|list;m|selectattr('role', 'equalto', 'user')|list|length;m|selectattr('role', '==', 'tool')|map(attribute='n')|first;m|rejectattr('role', 'in', ['user', 'tool'])|list;m|selectattr('content')|list|length;m|selectattr('content', 'none')|list|length;m|selectattr|list;m|selectattr('q', 'defined')|list;m|rejectattr('q', 'defined')|list|length;a|select('divisibleby', 3)|list;a|select('in', [1])|list;not (e|select)|list
m|groupby('role')|list;m|groupby('content')|list|length;m|groupby('role')|map(attribute='grouper')|list;(m|groupby('role'))[0].list|length;m|groupby('q', default='z')|list|length;['b', 'B', 'a']|groupby('0')|list
big|batch(8)|list;big|batch(8, 'x')|list|last;a|slice(2)|list;a|slice(2, 'x')|list;a|batch(2)|map('join', ',')|list;big|slice(4)|map('length')|list;a|slice(0)|list
['a', 'A', 'b', 1, 1.0, true]|unique|list;['a', 'A']|unique(case_sensitive=true)|list;m|unique(attribute='content')|list|length;[[1]]|unique|list;a|unique|first
d|dictsort;d|dictsort(true);d|dictsort(reverse=true);{'a': 2, 'b': 1}|dictsort(by='value');{'a': 2}|dictsort(by='x');a|dictsort;{1: 1, 'a': 2}|dictsort;{'b': 1, 'a': 2}|dictsort(false, 'value', true)
undefined_name|default('x');z|default('x');z|default('x', true);''|default('x', boolean=true);undefined_name|default;undefined_name|d(5);e|default([1], true);d.q|default('no')
s|replace('l', 'L');s|replace('l', 'L', 1);123|replace(2, 'x');s|replace('o');s|replace('', '.');s|replace(old='H', new='J')
'  x '|trim;'xxaxx'|trim('x');123|trim;none|trim;undefined_name|trim;' x '|trim|length;'ab'|trim(chars='a')
'hello world'|title;"it's a-b (c) [d] {e} <f>"|title;'HELLO'|capitalize;'straße'|title;u|title;u|capitalize;none|upper;1|lower;'ß'|upper
lines|indent;lines|indent(2);lines|indent(2, true);lines|indent(2, first=true, blank=true);'a\nb'|indent('> ');'a'|indent;1|indent;''|indent(first=true);'a\n\nb'|indent(width=1)
'foo bar baz qux'|truncate(9);'foo bar baz qux'|truncate(9, true);'foo bar baz qux'|truncate(11);'foo bar baz qux'|truncate(11, false, '...', 0);'foo'|truncate(1);u|truncate(6, true, '…', 0);('x' * 300)|truncate|length
'a b_c d-e'|wordcount;''|wordcount;u|wordcount;'aaa bbb ccc'|wordwrap(7);'aaaaaaaaaa'|wordwrap(4);'one two three four'|wordwrap(9);'a\nb c'|wordwrap(1);'aaaaaaaaaa bb'|wordwrap(4, false)
'42'|int;'4.7'|int;'x'|int;'x'|int(5);'0x1f'|int(base=16);'101'|int(0, 2);4.9|int;-4.9|int;none|int;none|int(3);' 7 '|int;'1_0'|int;true|int;a|int;'1e3'|int;'inf'|int;undefined_name|int;''|int;'0b11'|int(base=0)
'1.5'|float;'x'|float;'x'|float(2.5);3|float;none|float;'1e3'|float;' 2 '|float;'nan'|float;'inf'|float;true|float;undefined_name|float;'1_0.5'|float
2.5|round;3.5|round;2.675|round(2);1234|round(-2);1250|round(-2);2.1|round(0, 'ceil');2.9|round(method='floor');2.55|round(1, 'floor');5|round;'x'|round;1e300|round(2);-2.5|round;2.5|round(1, 'x');1.005|round(2);7|round(2, 'ceil')
-3|abs;-3.5|abs;'x'|abs;none|abs;true|abs;s|center(21);s|center(20);1|center(4);s|wordcount;1000|filesizeformat;1|filesizeformat;999|filesizeformat;1500000|filesizeformat;1024|filesizeformat(true);10 ** 15|filesizeformat;'x'|filesizeformat
h|e;h|escape;h|safe;h|e|e;h|forceescape;h|e|forceescape;h|safe|e;h|safe is escaped;h is escaped;'<b>' + (h|safe);(h|safe) + '<b>';(h|e) ~ '<';'<'|e + '<';(h|safe)|upper;(h|safe)[0:3] + '<';(h|safe) * 2 + '<';[h|safe];(h|safe)|length;(h|safe).replace('a', '<') + '';h|striptags;'a  <b>b</b>\n c'|striptags;(h|safe)|string + '<'
'a b/c?é&'|urlencode;{'a': 'x y', 'b': 1}|urlencode;[('a', '/')]|urlencode;5|urlencode;{'class': 'x', 'n': none, 'v': '<'}|xmlattr;{'a b': 1}|xmlattr;{}|xmlattr;{'a': 1}|xmlattr(false);a|xmlattr
'%s-%s'|format(1, 'b');'%(x)s'|format(x=1);'%s'|format;'%d'|format('x');a|string;none|string;1.0|string;d|string;{'a': [1]}|pprint;'x'|pprint
d|attr('items') is callable;d|attr('x');s|attr('upper') is callable;s|attr('nope') is defined;none|attr('x') is defined
a|tojson;d|tojson;u|tojson;none|tojson;1.0|tojson;1e-5|tojson;1e16|tojson;'a"\\\n\t\r\b\f/\x01\x7f'|tojson;u|tojson(ensure_ascii=true);'😀'|tojson(ensure_ascii=true);d|tojson(indent=2);d|tojson(indent=0);d|tojson(indent='\t');d|tojson(separators=(',', ':'));d|tojson(sort_keys=true);{1: 2, none: 3, true: 4, 1.5: 5}|tojson;{'a': {}}|tojson(indent=4);{'a': [], 'b': [1, 2]}|tojson(indent=4);(1, 2)|tojson;undefined_name|tojson;d.items()|tojson;range(3)|tojson;{(1, 2): 3}|tojson;h|tojson;[true, false, none]|tojson;d|tojson(indent=2, separators=(',', ': '));d|tojson(2);d|tojson(foo=1);('nan'|float)|tojson;namespace(a=1)|tojson;d|tojson(true, 1);[[1, [2]]]|tojson(indent=1)
5 is odd;4 is even;'x' is odd;9 is divisibleby 3;9 is divisibleby(2);n is number;t is number;s is string;z is none;t is boolean;n is integer;f is float;f is integer;t is integer;d is mapping;a is sequence;s is sequence;d is sequence;n is sequence;a is iterable;s is iterable;n is iterable;undefined_name is iterable;undefined_name is sequence;d.items() is sequence;d.items() is iterable;(a|map('abs')) is iterable;(a|map('abs')) is sequence
t is true;z is false;1 is true;1 is sameas true;true is sameas true;a is sameas a;a is sameas [3, 1, 2];none is sameas none;'a' is in 'abc';1 is in [1];1 is not in [1];n is eq 7;n is == 7;n is gt 3;n is lessthan 3;n is ge 7;n is le 7;n is ne 7;'a' is lower;'A' is upper;'' is lower;'a1' is lower;range is callable;s.upper is callable;n is callable;'upper' is filter;'nope' is filter;'odd' is test;'nope' is test;n is nosuchtest;n is not odd;n is not none and t;not n is odd;1 is 1;n is defined and n is odd;n is odd is even;z is none or z is odd;5 is gt 3 and 2 is lt 1
n|nosuchfilter;n|nosuchfilter if false else 1;'x' if true else n|nosuchfilter;a|batch;a|join('x', 'role', 3);a|length(1);s|upper(1);a|first(1);s|replace;a|sort(foo=1);a|join(d=',', d=':')
"""

TEMPLATES = [
    "a\n{% if t %}\nb\n{% endif %}\nc\n", "  {% if t %}x{% endif %}  \ny", "{%- if t -%} x {%- endif -%} y",
    "a  {{- s -}}  b", "a {#- c -#} b", "a\n  {# c #}\nb", "{%+ if t %}x{% endif +%}\ny", "  {%+ if t %}x{% endif %}",
    "x\n\n", "x\n", "x\r\ny\rz\n", "{% raw %}{{ x }}{% endraw %}", "a {%- raw -%} {{ x }} {%- endraw -%} b",
    "{% raw %}\n x\n{% endraw %}\ny", "{{ '{{' }}{{ '}}' }}{{ {'a': {'b': 1}} }}", "{{ {'a':{}}}}", "{{ [[1]][0] }}",
    "{% for x in a %}{{ x }},{% endfor %}", "{% for x in e %}x{% else %}none{% endfor %}",
    "{% for x in a if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% endfor %}",
    "{% for x in a if x < 2 %}{{ x }}{{ ',' if not loop.last }}{{ loop.nextitem }}{% endfor %}", "{% for x in a if x != a[-1] %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% for x in a %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}",
    "{% for x in a %}[{{ loop.previtem }}|{{ x }}|{{ loop.nextitem }}]{% endfor %}",
    "{% for x in a %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 2) }}{% endfor %}", "{% for x in a %}{{ loop.cycle() }}{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k, v in d|items %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in d %}{{ k }}{% endfor %}", "{% for (x, (y, z)) in [(1, (2, 3))] %}{{ x }}{{ y }}{{ z }}{% endfor %}",
    "{% for x, y in [(1, 2, 3)] %}{{ x }}{% endfor %}", "{% for x, y in [1] %}{{ x }}{% endfor %}", "{% for x in 5 %}{% endfor %}",
    "{% for x in none %}{% endfor %}", "{% for x in undefined_name %}a{% else %}b{% endfor %}", "{% for c in u %}{{ c }}.{% endfor %}",
    "{% for x in a %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}", "{% for x in a %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in a %}{% break %}{% else %}E{% endfor %}", "{% for x in a %}{% continue %}{% else %}E{% endfor %}", "{% break %}", "{% continue %}",
    "{% for x in a %}{% set y = x %}{% endfor %}{{ y is defined }}", "{% set y = 0 %}{% for x in a %}{% set y = y + x %}{{ y }}{% endfor %}{{ y }}",
    "{% set ns = namespace(y=0) %}{% for x in a %}{% set ns.y = ns.y + x %}{% endfor %}{{ ns.y }}{{ ns }}",
    "{% set ns = namespace(y=0) %}{% set ns.z = 1 %}{{ ns.z }}{{ ns.q is defined }}", "{% set d.x = 1 %}", "{% set nope.x = 1 %}", "{% set ns = namespace() %}{% set ns._a = 1 %}",
    "{% set x, y = 1, 2 %}{{ x }}{{ y }}", "{% set x, y = 1 %}", "{% set x = 1, 2 %}{{ x }}", "{% set x %}a{{ n }}b{% endset %}{{ x }}", "{% set x | upper | trim %} a {% endset %}[{{ x }}]",
    "{% if n > 5 %}a{% elif n > 3 %}b{% else %}c{% endif %}", "{% if z %}a{% elif t %}b{% endif %}", "{% if t %}{% set q = 1 %}{% endif %}{{ q }}", "{% if undefined_name %}a{% else %}b{% endif %}",
    "{% macro f(x, y=2, z=x) %}{{ x }}{{ y }}{{ z }}{% endmacro %}{{ f(1) }} {{ f(1, 3) }} {{ f(y=5, x=4) }} {{ f() }}", "{% macro f(x) %}{{ x }}{% endmacro %}{{ f(1, 2) }}", "{% macro f(x) %}{{ x }}{% endmacro %}{{ f(y=1) }}",
    "{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, a=3) }}", "{% macro f(x) %}{{ x is defined }}{% endmacro %}{{ f() }}", "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
    "{% macro g(x) %}<{{ x }}>{% endmacro %}{% macro f(x) %}{{ g(x) }}{% endmacro %}{{ f(1) }}{{ f }}{{ f.name }}", "{% macro f() %}[{{ caller() }}]{% endmacro %}{% call f() %}x{{ n }}{% endcall %}", "{% macro f() %}[{{ caller(1, 2) }}]{% endmacro %}{% call(a, b=9) f() %}{{ a }}{{ b }}{% endcall %}",
    "{% macro f() %}x{% endmacro %}{% call f() %}y{% endcall %}", "{% macro f() %}[{{ caller }}]{% endmacro %}{{ f() }}", "{% macro f(x, x) %}{% endmacro %}", "{% macro f(x=1, y) %}{% endmacro %}", "{% set y = 1 %}{% macro f() %}{{ y }}{% endmacro %}{% set y = 2 %}{{ f() }}",
    "{% for x in a %}{% macro f() %}{{ x }}{% endmacro %}{{ f() }}{% endfor %}", "{% for x in a %}{{ g() }}{% endfor %}{% macro g() %}{% endmacro %}", "{% macro f() %}{{ loop }}{% endmacro %}{% for x in a %}{{ f() }}{% endfor %}",
    "{% filter upper %}a{{ s }}{% endfilter %}", "{% filter replace('a', 'b')|upper %}aa{% endfilter %}", "{% with x = 1, y = n %}{{ x }}{{ y }}{% endwith %}{{ x }}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}", "{% with n = 1, y = n %}{{ y }}{% endwith %}",
    "{% generation %}a{{ n }}{% endgeneration %}b", "{% generation %}{% set q = 1 %}{% endgeneration %}{{ q }}", "{% for x in [[1, [2]], [3]] recursive %}{{ loop.depth }}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{% endif %}{% endfor %}",
    "{% for x in a %}{{ loop(a) }}{% endfor %}", "{% for x in a %}{% for y in a %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}", "{% for x in a %}{% set loop = 1 %}{% endfor %}", "{% for loop in a %}{% endfor %}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.current }}", "{% set j = joiner('|') %}{% for x in a %}{{ j() }}{{ x }}{% endfor %}",
    "{% set g = a|map('string') %}{{ g|list }}{{ g|list }}", "{% if e|select %}T{% endif %}", "{% set g = a|map('nope') %}ok", "{% print n, s %}", "{% include 'x' %}", "{% if z %}{% include 'x' %}{% endif %}ok", "{% extends 'x' %}", "{% block b %}in{{ n }}{% endblock %}",
    "{% for x in a %}{% block b %}{{ x }}{% endblock %}{% endfor %}", "{% for x in a %}{% block b scoped %}{{ x }}{% endblock %}{% endfor %}", "{{ ", "{{ }}", "{% %}", "{% if %}{% endif %}", "{% if t %}", "{% endif %}", "{% nope %}", "{# x", "{% raw %}", "{{ 'a }}", "{{ a[ }}", "{{ (1 }}", "{{ 1) }}", "{{ a b }}", "{{ 1 + }}", "{{ a | }}", "{{ a. }}", "{{ ! }}", "{{ a := 1 }}", "{% for x a %}{% endfor %}", "{% for in a %}{% endfor %}", "{% set 1 = 2 %}", "{% set none = 2 %}", "{% set x %}", "{{ f(a=1, 2) }}", "{{ f(**d, *a) }}", "{{ f(a=1, a=2) }}", "{{ x if }}", "{{ not }}", "{% else %}", "{% if t %}{% else %}{% elif t %}{% endif %}", "{{ {1} }}", "{{ {'a'} }}", "{{ lambda }}", "{{ a is }}", "{{ a|upper() }}", "{% autoescape false %}x{% endautoescape %}x" if False else "x",
    "{% macro f(*a) %}{% endmacro %}", "{{ range(*[1, 4])|list }}", "{{ dict(**{'a': 1}) }}", "{{ dict(**a) }}", "{{ range(*5) }}", "{% if t: %}x{% endif %}", "{{ 08 }}", "{{ 1__0 }}", "{{ 1.e }}", "{{ é }}", "{% set é = 1 %}{{ é }}",
    "{% for m1 in m %}{{ '<|' ~ m1.role ~ '|>' }}{{ m1['content'] or '' }}{% if not loop.last %}\n{% endif %}{% endfor %}", "{{ m[0].role }}{{ m[-1]['content'] }}{{ m|map(attribute='role')|join(',') }}", "{% set m = m[1:] %}{{ m|length }}", "{% set l = [] %}{% for x in a %}{% set l = l + [x] %}{% endfor %}{{ l }}",
    "{% set ns = namespace(l=[]) %}{% for x in big %}{% set ns.l = ns.l + [x] %}{% endfor %}{{ ns.l|length }}{{ ns.l[:3] }}", "{% set q = [1] %}{% set r = q + [2] %}{% set w = q + [3] %}{% set v = r + [4] %}{% set y = r + [5] %}{{ q }}{{ r }}{{ w }}{{ v }}{{ y }}", "{% set q = 'x' * 200 %}{% set r = q ~ 'a' %}{% set w = r ~ 'b' %}{% set v = r ~ 'c' %}{{ r[-3:] }}{{ w[-3:] }}{{ v[-3:] }}",
    "{% for i in range(3) %}{% for j in range(3) %}{% if j == 1 %}{% continue %}{% endif %}{{ i }}{{ j }} {% endfor %}{% if i == 1 %}{% break %}{% endif %}{% endfor %}", "{% for x in a %}{% set y %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endset %}{{ y }}{% endfor %}",
    "{{ n if n is defined }}{{ q if q is defined }}", "{%- for x in a %}\n  {{ x }}\n{%- endfor %}\n", "\n\n{% set x = 1 %}\n\n{{ x }}\n\n", "{{ '\\n' }}|\n{{ 1 }}\n|", "{{ -1|abs }}{{ (-1)|abs }}{{ 2 * 3|string }}{{ 1 + 2 ~ 3 }}{{ 2 ~ 3 * 2 }}{{ not 1 == 2 }}{{ -2 ** 2 }}{{ 1 if 2 else 3 ~ 4 }}",
]


def cases():
    out = []
    for line in EXPRESSIONS.replace("a\\\nb", "a b").strip().splitlines():
        out += [("{{ " + x + " }}", VARS) for x in line.split("|") if x.strip()]
    for line in FILTERS.strip().splitlines():
        out += [("{{ " + x + " }}", VARS) for x in line.split(";") if x.strip()]
    return out + [(t, VARS) for t in TEMPLATES]
